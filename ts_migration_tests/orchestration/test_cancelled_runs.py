"""Runs of Dagster's daemon that are cancelled at whatever moment of their lives: they end as cancelled, never as failed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.api import execute_run_iterator

from ts_migration.orchestration import cancellation, run_stop
from ts_migration.orchestration.cancellation import Named, cancel
from ts_migration.orchestration.run_stop import stopped_when_cancelled

STARTING, STARTED = dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED
CANCELED, CANCELING = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.CANCELING


@dg.op
def stage() -> None: ...


@dg.job(executor_def=dg.in_process_executor)
def window() -> None:
    stage()


def window_job() -> dg.JobDefinition:
    """For workers, which build the job by its name."""
    return window


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that several threads see."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def run_in(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    run = instance.create_run_for_job(window)
    step = dg.DagsterEventType.RUN_STARTING if status is STARTING else dg.DagsterEventType.RUN_START
    instance.report_dagster_event(dg.DagsterEvent(step.value, window.name), run.run_id)
    return instance.get_run_by_id(run.run_id)


def work_on(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """What Dagster's worker does with a run once it has loaded the definitions; the run's status after it."""
    seen = instance.get_run_by_id(run.run_id)
    list(execute_run_iterator(dg.reconstructable(window_job), seen, instance))
    return instance.get_run_by_id(run.run_id).status


class Coordinator:
    """Of a worker that hears: a run that has begun is interrupted; one that begins finds its status only later."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.asked: list[dg.DagsterRunStatus] = []

    def cancel_run(self, run_id: str) -> bool:
        run = self.instance.get_run_by_id(run_id)
        self.asked.append(run.status)
        self.instance.report_run_canceling(run)
        if run.status is STARTED:
            self.instance.report_run_canceled(run)
        return True


@pytest.fixture
def coordinator(home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    coordinator = Coordinator(home)
    monkeypatch.setattr(type(home), "run_coordinator", coordinator)
    return coordinator


def test_dagster_fails_a_run_that_is_being_cancelled_when_its_worker_begins(home: dg.DagsterInstance) -> None:
    # Why a run is not interrupted while it begins. Where this fails, Dagster has mended it: BEGINNING can go.
    run = run_in(home, STARTING)
    home.report_run_canceling(run)
    assert work_on(home, run) is dg.DagsterRunStatus.FAILURE


def test_a_run_that_begins_is_interrupted_only_once_it_has_begun(
    home: dg.DagsterInstance, coordinator: Coordinator
) -> None:
    run = run_in(home, STARTING)
    begun = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, window.name)
    worker = threading.Timer(0.6, home.report_dagster_event, (begun, run.run_id))
    worker.start()
    (done,) = cancel(home, Named(runs=(run,)), by="a test")
    worker.join()
    assert (done.was, done.stopped) == ("starting", True)
    assert coordinator.asked == [STARTED]
    assert home.get_run_by_id(run.run_id).status is CANCELED


def test_a_run_that_does_not_begin_in_time_is_cancelled_and_its_worker_does_not_begin_it(
    home: dg.DagsterInstance, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "FORCE_AFTER_S", 0.3)
    run = run_in(home, STARTING)
    (done,) = cancel(home, Named(runs=(run,)), by="a test")
    assert (done.stopped, coordinator.asked) == (True, [])
    assert work_on(home, run) is CANCELED
    assert not home.get_run_stats(run.run_id).steps_succeeded


def test_runs_that_have_begun_do_not_wait_for_those_that_begin(
    home: dg.DagsterInstance, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "FORCE_AFTER_S", 0.6)
    beginning, begun = run_in(home, STARTING), run_in(home, STARTED)
    told = home.report_run_canceled
    ended: list[str] = []
    monkeypatch.setattr(home, "report_run_canceled", lambda run, *a: (ended.append(run.run_id), told(run, *a)))
    assert all(done.stopped for done in cancel(home, Named(runs=(beginning, begun)), by="a test"))
    assert ended == [begun.run_id, beginning.run_id]


@pytest.mark.parametrize("asked", [CANCELING, CANCELED])
@pytest.mark.parametrize("begins_after", [False, True], ids=["while_it_runs", "at_the_moment_it_begins"])
def test_a_run_that_was_asked_to_end_and_goes_on_is_ended_by_itself(
    home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, asked: dg.DagsterRunStatus, begins_after: bool
) -> None:
    # A worker that had looked before its run was written down as cancelled says that it has begun.
    monkeypatch.setattr(run_stop, "LOOK_S", 0.05)
    monkeypatch.setattr(run_stop, "GRACE_S", 0.05)
    exits: list[int] = []
    over = threading.Event()
    monkeypatch.setattr(run_stop.os, "_exit", lambda code: (exits.append(code), over.set()))
    run = run_in(home, STARTING if begins_after else STARTED)
    (home.report_run_canceling if asked is CANCELING else home.report_run_canceled)(run)
    if begins_after:
        home.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, window.name), run.run_id)
        assert home.get_run_by_id(run.run_id).status is STARTED
    with stopped_when_cancelled(home, run):
        assert over.wait(10)
    assert exits[:1] == [1]
    assert home.get_run_by_id(run.run_id).status is CANCELED


def test_a_run_that_nobody_asked_to_end_is_left_alone(
    home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_stop, "LOOK_S", 0.01)
    monkeypatch.setattr(run_stop, "GRACE_S", 0.01)
    exits: list[int] = []
    monkeypatch.setattr(run_stop.os, "_exit", exits.append)
    run = run_in(home, STARTED)
    with stopped_when_cancelled(home, run):
        threading.Event().wait(0.5)
    assert exits == [] and home.get_run_by_id(run.run_id).status is STARTED
