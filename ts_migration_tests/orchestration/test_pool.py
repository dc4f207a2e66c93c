"""A worker process that something else ends while it starts: started once more, and told in words of its own."""

import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.errors import Permanent, Terminated
from ts_migration.orchestration import pool as pool_module
from ts_migration.orchestration.pool import Pool
from ts_migration.orchestration.schedule import Group, Schedule
from ts_migration.orchestration.tasks import Outcome, Task

WORKER = """#!/bin/sh
echo start >> {starts}
if [ "$(wc -l < {starts})" -le {killed} ]; then kill -9 $$; fi
{begin}
echo ready
read task
{then}
"""
DOES_IT = """echo '{"ok": true, "seconds": 0.1}'; read rest"""


def worked_off(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed: int,
    begin: str = "",
    then: str = DOES_IT,
    windows: tuple[str, ...] = ("2023-01-01",),
) -> tuple[Pool, list[Outcome]]:
    """A pool of one process whose first `killed` processes are killed while they start, and what it comes to."""
    program = folder / "python"
    program.write_text(WORKER.format(starts=folder / "starts", killed=killed, begin=begin, then=then))
    program.chmod(0o700)
    monkeypatch.setattr(pool_module.sys, "executable", os.fspath(program))
    (folder / "logs").mkdir()
    (folder / "logs" / "worker-1.log").write_text("the end of another execution\n")
    outcomes: list[Outcome] = []

    def on_outcome(_: Task, outcome: Outcome) -> None:
        outcomes.append(outcome)

    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        schedule = Schedule({"load": [Group((window,)) for window in windows]}, roll_up=[])
        pool = Pool(schedule, instance, size=1, config_path=folder, execution_id="migration-1", on_outcome=on_outcome)
        pool.run(on_interrupt=lambda *_: None)
    return pool, outcomes


def test_a_worker_that_is_killed_while_it_starts_is_started_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (outcome,) = worked_off(tmp_path, monkeypatch, killed=1)

    assert outcome.ok


def test_one_that_is_killed_twice_ends_it_with_what_to_do_and_no_words_of_another_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Permanent, match=r"killed while it started \(SIGKILL\).*fewer --parallel-jobs") as raised:
        worked_off(tmp_path, monkeypatch, killed=2)

    assert "another execution" not in str(raised.value)
    assert (tmp_path / "starts").read_text().count("start") == 2


def test_one_that_ends_by_itself_says_why_and_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Permanent, match=r"could not start \(exit code 7\): no such table$"):
        worked_off(tmp_path, monkeypatch, killed=0, begin="echo no such table >&2; exit 7")

    assert (tmp_path / "starts").read_text().count("start") == 1


def test_one_that_is_killed_at_work_fails_its_window_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (outcome,) = worked_off(tmp_path, monkeypatch, killed=0, then="kill -9 $$")

    log = tmp_path / "logs" / "worker-1.log"
    assert outcome.error == f"the worker process was killed (SIGKILL), for want of memory perhaps; see {log}"


def test_one_that_cannot_start_after_others_have_worked_stops_the_rest_and_is_told_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = f'if [ "$(wc -l < {tmp_path}/starts)" -gt 1 ]; then echo no room >&2; exit 7; fi'
    windows = ("2023-01-01", "2023-01-02", "2023-01-03")
    pool, outcomes = worked_off(tmp_path, monkeypatch, 0, begin, f"{DOES_IT}; kill -9 $$", windows)

    assert [outcome.ok for outcome in outcomes] == [True, False]
    assert "no room" in str(pool.failed_start)


def test_a_sigterm_stops_soon_what_waits_for_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminated(*_: object) -> None:
        raise Terminated

    monkeypatch.setattr(pool_module, "FINISH_S", 0.3)
    before = signal.signal(signal.SIGTERM, terminated)
    sent = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    sent.start()
    began = time.monotonic()
    try:
        with pytest.raises(Terminated):
            worked_off(tmp_path, monkeypatch, killed=0, then="exec sleep 60")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert time.monotonic() - began < 10
