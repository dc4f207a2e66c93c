"""A run whose process was killed is told apart from one that lives, whoever started it, and frees what it held."""

import fcntl
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.orchestration import liveness
from ts_migration.orchestration.liveness import (
    announce_worker,
    announced_run,
    ask_runs_of_to_end,
    cancel_runs_of,
    fail_dead_runs,
    is_alive,
)
from ts_migration.orchestration.names import WORKER_TAG, WRITE_POOL

DAEMON_RUN = """
import sys, time, dagster as dg
from ts_migration.orchestration.liveness import announced_run
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    run = instance.get_run_by_id(sys.argv[2])
    with announced_run(instance, run):
        instance.event_log_storage.claim_concurrency_slot(sys.argv[3], run.run_id, "step")
        print("at work", flush=True)
        time.sleep(600)
"""


@dg.op
def work() -> None:
    """Nothing."""


@dg.job
def window() -> None:
    """What runs are of."""
    work()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that several processes see, with one slot in the pool of loads."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots(WRITE_POOL, 1)
        yield instance


def started(instance: dg.DagsterInstance, tags: dict[str, str] | None = None, parent: str | None = None) -> str:
    """A run that has begun; its id."""
    run = instance.create_run_for_job(window, tags=tags, parent_run_id=parent, root_run_id=parent)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, window.name), run.run_id)
    return run.run_id


@contextmanager
def daemon_run(instance: dg.DagsterInstance, run_id: str) -> Iterator["subprocess.Popen[str]"]:
    """The process of a run that Dagster started, holding the slot of its pool."""
    arguments = [sys.executable, "-c", DAEMON_RUN, instance.root_directory, run_id, WRITE_POOL]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("by_dagster", [False, True])
def test_a_run_of_the_daemon_whose_process_was_killed_fails_and_frees_its_slot(
    home: dg.DagsterInstance, by_dagster: bool
) -> None:
    run_id = started(home)
    with daemon_run(home, run_id) as process:
        assert fail_dead_runs(home) == [], "it lives"
        assert not home.event_log_storage.claim_concurrency_slot(WRITE_POOL, "next", "step").is_claimed
        process.send_signal(signal.SIGKILL)
        process.wait()
        if by_dagster:
            # Its code server does so, where it lives, and leaves the slot claimed.
            home.report_run_failed(home.get_run_by_id(run_id))

        assert fail_dead_runs(home) == [run_id]

    assert home.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
    assert home.event_log_storage.claim_concurrency_slot(WRITE_POOL, "next", "step").is_claimed
    assert fail_dead_runs(home) == []


def test_a_run_that_has_not_said_who_runs_it_is_nobodys_to_end(home: dg.DagsterInstance) -> None:
    started(home)

    assert fail_dead_runs(home) == []


@pytest.mark.parametrize("error", [None, dg.Failure("of its own")])
def test_a_run_that_ended_by_itself_leaves_no_file_to_judge_it_by(
    home: dg.DagsterInstance, error: Exception | None
) -> None:
    run = home.get_run_by_id(started(home))
    try:
        with announced_run(home, run):
            assert list((Path(home.root_directory) / "workers").iterdir())
            if error:
                raise error
    except dg.Failure:
        pass

    assert not list((Path(home.root_directory) / "workers").iterdir())
    assert fail_dead_runs(home) == []


def test_a_run_that_lets_go_of_its_file_while_it_is_looked_at_is_not_taken_for_a_dead_one(
    home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = home.get_run_by_id(started(home))
    take = fcntl.flock
    with ExitStack() as holding:

        def opened_first(file: int, operation: int) -> None:
            # The other process has opened the file by now, and asks for its lock when the run's end has let go of it.
            if operation & fcntl.LOCK_NB:
                holding.close()
            take(file, operation)

        holding.enter_context(announced_run(home, run))
        monkeypatch.setattr(liveness.fcntl, "flock", opened_first)

        assert fail_dead_runs(home) == []

    assert home.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED


def test_cancelling_a_worker_leaves_alone_what_was_executed_again_in_dagit(home: dg.DagsterInstance) -> None:
    tags = {WORKER_TAG: f"{socket.gethostname()}/of-a-command"}
    parent = started(home, tags)
    again = started(home, tags, parent)

    ask_runs_of_to_end(home, "of-a-command")
    cancel_runs_of(home, "of-a-command", since=0.0)

    assert home.get_run_by_id(parent).status is dg.DagsterRunStatus.CANCELED
    assert home.get_run_by_id(again).status is dg.DagsterRunStatus.STARTED


def test_a_run_that_is_executed_again_in_dagit_is_not_taken_for_one_of_its_parents_worker(
    home: dg.DagsterInstance,
) -> None:
    tags = {WORKER_TAG: f"{socket.gethostname()}/long-gone"}
    parent = started(home, tags)
    again = started(home, tags, parent)

    assert fail_dead_runs(home) == [parent]
    assert home.get_run_by_id(again).status is dg.DagsterRunStatus.STARTED


def test_a_worker_of_another_machine_is_not_judged_here(home: dg.DagsterInstance) -> None:
    started(home, {WORKER_TAG: "elsewhere/worker"})

    assert fail_dead_runs(home) == []


def test_a_worker_lives_as_long_as_its_process(tmp_path: Path) -> None:
    announce_worker(tmp_path, "here")

    assert is_alive(tmp_path, "here")
    assert not is_alive(tmp_path, "never-was")
