"""What `monitor` sees of jobs: those that commands wrote down, and runs that Dagit started."""

import os
import socket
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from ts_migration.cli.monitor import exit_code
from ts_migration.errors import ExitCode, Missing, Permanent
from ts_migration.orchestration import run_listing
from ts_migration.orchestration.job_heart import beat
from ts_migration.orchestration.job_progress import JobState
from ts_migration.orchestration.job_record import JobBegin, JobEnd, tell_begun, tell_ended, tell_planned
from ts_migration.orchestration.liveness import announce_worker
from ts_migration.orchestration.monitor import Monitor
from ts_migration.orchestration.names import EXECUTION_TAG, JOB_ID_TAG
from ts_migration_tests.orchestration.scripted import FEBRUARY, JANUARY, MARCH, Script

JOB_ID = "load-20261122t1015-3f2a"


class Command:
    """A command that works on the job `load`, as it writes itself down."""

    def __init__(self, script: Script, instance: dg.DagsterInstance, *, alive: bool = True) -> None:
        self._script, self._instance = script, instance
        home = instance.root_directory
        if alive:
            announce_worker(Path(home), JOB_ID)
        beat(instance, JOB_ID)
        tell_begun(
            instance,
            JobBegin(
                JOB_ID, JOB_ID, "execute", "load", "grid.load", "load", "grid/load", "config.yaml", 3,
                host=socket.gethostname(), home=home, pid=os.getpid(),
            ),
        )  # fmt: skip
        tell_planned(instance, JOB_ID, 3)

    def run(self, key: str) -> None:
        self._script.run(self._instance, key, **{JOB_ID_TAG: JOB_ID, EXECUTION_TAG: JOB_ID})

    def end(self, end: JobEnd, message: str = "") -> None:
        tell_ended(self._instance, JOB_ID, end, message)


def only(monitor: Monitor):
    (job,) = monitor.look().jobs
    return job


def test_a_running_command_is_found_by_itself_and_its_windows_are_counted_as_they_end(
    script: Script, instance: dg.DagsterInstance
) -> None:
    command = Command(script, instance)
    monitor = Monitor(instance)

    assert (only(monitor).id, only(monitor).done, only(monitor).windows) == (JOB_ID, 0, 3)
    command.run(JANUARY)
    assert (only(monitor).state, only(monitor).done) == (JobState.RUNNING, 1)
    command.run(FEBRUARY)
    command.run(MARCH)
    command.end(JobEnd.SUCCEEDED)

    job = only(monitor)
    assert (job.state, job.done, job.over) == (JobState.SUCCEEDED, 3, True)
    assert exit_code((job,)) is ExitCode.OK


def test_the_last_look_at_a_job_counts_all_its_windows_whatever_the_clocks_of_its_writers_said(
    script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command(script, instance)
    monitor = Monitor(instance)
    command.run(JANUARY)
    assert only(monitor).done == 1
    # As if the machine of the other windows were a minute behind.
    monkeypatch.setattr(run_listing, "OVERLAP", timedelta(minutes=-1))
    command.run(FEBRUARY)
    command.run(MARCH)
    assert only(monitor).done == 1
    command.end(JobEnd.SUCCEEDED)

    assert only(monitor).done == 3


def test_a_window_that_failed_is_told_with_its_reason_and_the_command_that_mends_it(
    script: Script, instance: dg.DagsterInstance
) -> None:
    command = Command(script, instance)
    script.errors.append(Permanent("the source is not there"))
    command.run(JANUARY)
    script.failing = {(FEBRUARY, "checksum")}
    command.run(FEBRUARY)
    command.end(JobEnd.FAILED, "two windows failed")

    job = only(Monitor(instance, [JOB_ID]))

    assert job.failed == 2
    told = [(remark.text, remark.next_step) for remark in job.errors]
    assert told == [
        (f"{JANUARY}: the source is not there", "ts-migration execute --only load"),
        (f"{FEBRUARY}: checks failed: checksum", "ts-migration repair --table load"),
    ]
    assert exit_code((job,)) is ExitCode.FAILED


def test_a_window_that_failed_and_was_done_again_is_no_failed_window(
    script: Script, instance: dg.DagsterInstance
) -> None:
    command = Command(script, instance)
    script.errors.append(Permanent("the source is not there"))
    command.run(JANUARY)
    command.run(JANUARY)

    job = only(Monitor(instance))

    assert (job.done, job.failed, job.errors) == (1, 0, ())


def test_a_command_whose_process_is_gone_does_not_count_as_running(
    script: Script, instance: dg.DagsterInstance
) -> None:
    Command(script, instance, alive=False)

    job = only(Monitor(instance))

    assert job.state is JobState.GONE
    assert "is gone" in job.errors[0].text
    assert exit_code((job,)) is ExitCode.FAILED


def test_a_cancelled_job_ends_the_watching_with_a_code_of_its_own(script: Script, instance: dg.DagsterInstance) -> None:
    Command(script, instance).end(JobEnd.CANCELLED, "cancelled by somebody")

    job = only(Monitor(instance, [JOB_ID]))

    assert exit_code((job,)) is ExitCode.CANCELLED
    assert [remark.text for remark in job.errors] == ["cancelled by somebody"]


def test_a_job_that_runs_is_not_over_when_time_is(script: Script, instance: dg.DagsterInstance) -> None:
    Command(script, instance)

    assert exit_code(Monitor(instance).look().jobs) is ExitCode.STILL_RUNNING


def test_what_runs_load_is_added_up_once_however_often_it_is_looked_at(
    script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ts_migration.orchestration import window_assets

    counts = {"rows": 10, "points": 9, "quarantined": 1}
    for name in ("conversion_metadata", "load_metadata"):
        monkeypatch.setattr(window_assets, name, lambda *_: counts)
    command = Command(script, instance)
    monitor = Monitor(instance)
    for key in (JANUARY, FEBRUARY):
        command.run(key)
        monitor.look()
    script.run(instance, MARCH)  # nobody's run of the same table

    job = next(job for job in monitor.look().jobs if job.id == JOB_ID)

    assert (job.rows, job.points, job.quarantined) == (20, 18, 2)
    assert job.rate > 0
    assert "2 rows" in job.warnings[0].text
    assert job.warnings[0].next_step == "ts-migration quarantine show load"


def started(script: Script, instance: dg.DagsterInstance, key: str, **tags: str) -> dg.DagsterRun:
    """A run as Dagit starts it, that its process has begun."""
    job = script.definitions.resolve_job_def(script.names.job)
    return instance.create_run_for_job(
        job_def=job, tags={**job.run_tags, "dagster/partition": key, **tags}, status=dg.DagsterRunStatus.STARTED
    )


def test_runs_of_dagit_are_found_without_any_record_and_end_by_themselves(
    script: Script, instance: dg.DagsterInstance
) -> None:
    run = started(script, instance, JANUARY)
    monitor = Monitor(instance)

    job = only(monitor)
    assert (job.id, job.started_by, job.state) == ("load", "Dagster", JobState.RUNNING)
    assert job.source == "grid.load"
    assert [window.key for window in job.running] == [JANUARY]

    instance.report_run_canceled(run)
    job = only(monitor)
    assert (job.state, job.cancelled) == (JobState.CANCELLED, 1)


def test_the_log_of_a_run_is_told_once_and_to_its_end(script: Script, instance: dg.DagsterInstance) -> None:
    command = Command(script, instance)
    run = started(script, instance, JANUARY, **{JOB_ID_TAG: JOB_ID, EXECUTION_TAG: JOB_ID})
    monitor = Monitor(instance, [JOB_ID])
    assert monitor.look().lines == ()

    instance.report_engine_event("nobody's affair", run)
    instance.report_run_failed(run, "out of memory")
    command.end(JobEnd.FAILED)
    lines = monitor.look().lines

    assert [(id_, key, line.text) for id_, key, line in lines] == [(JOB_ID, JANUARY, "out of memory")]
    assert monitor.look().lines == ()


def test_an_id_that_nothing_has_is_an_error_that_names_those_that_are_there(
    script: Script, instance: dg.DagsterInstance
) -> None:
    Command(script, instance)

    with pytest.raises(Missing, match=JOB_ID):
        Monitor(instance, ["job-that-never-was"])


def test_a_look_reads_only_what_has_changed_since_the_last_one(
    script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update of 3 x 100 windows must not read 300 runs again: the run listing would grow with the migration."""
    command = Command(script, instance)
    for key in (JANUARY, FEBRUARY):
        command.run(key)
    monitor = Monitor(instance)
    monitor.look()
    monkeypatch.setattr("ts_migration.orchestration.run_listing.OVERLAP", timedelta(0))
    read: list[int] = []
    records = instance.get_run_records
    monkeypatch.setattr(
        instance,
        "get_run_records",
        lambda *given, **named: (found := records(*given, **named), read.append(len(found)))[0],
    )

    monitor.look()

    assert read == [0]
