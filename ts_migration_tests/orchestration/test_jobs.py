"""What is written down of a job, and what its id stands for, on an ephemeral instance."""

import socket

import dagster as dg
import pytest

from ts_migration.errors import Missing, Refused
from ts_migration.orchestration.cancellation import cancel, named
from ts_migration.orchestration.job_heart import beat
from ts_migration.orchestration.job_ids import job_id_of
from ts_migration.orchestration.job_progress import JobState, job_progress, state_of
from ts_migration.orchestration.job_record import (
    JobBegin,
    JobEnd,
    JobRecord,
    job_record,
    job_records,
    request_stop,
    tell_begun,
    tell_ended,
    tell_planned,
)
from ts_migration.orchestration.names import JOB_ID_TAG, PARTITION_TAG

EXECUTION = "migration-20261122t1015-3f2a"


def begun(
    instance: dg.DagsterInstance, slug: str = "load", host: str = "elsewhere", command: str = "execute"
) -> JobRecord:
    """A job that runs on another machine."""
    job_id = job_id_of(EXECUTION, slug)
    begin = JobBegin(job_id, EXECUTION, command, slug, f"grid.{slug}", slug, f"grid/{slug}", "/c.yaml", 9, host=host)
    tell_begun(instance, begin)
    beat(instance, EXECUTION)
    return job_record(instance, job_id)


@pytest.mark.parametrize(
    ("execution", "job"),
    [
        ("migration-20261122t1015-3f2a", "load-20261122t1015-3f2a"),
        ("load-20261122t1015-3f2a", "load-20261122t1015-3f2a"),
        ("validation-migration-20261122t1015-3f2a", "validation-load-20261122t1015-3f2a"),
        ("repair-load-20261122t1015-3f2a", "repair-load-20261122t1015-3f2a"),
        ("load-migration-20261122t1015-3f2a", "load-migration-20261122t1015-3f2a"),
    ],
)
def test_jobs_of_one_execution_have_ids_that_share_its_time_and_digits(execution, job):
    slug = "load-migration" if execution.startswith("load-migration") else "load"
    assert job_id_of(execution, slug) == job


def test_a_job_is_known_from_its_first_moment_to_after_its_end(instance):
    record = begun(instance)
    assert state_of(instance, record) is JobState.PLANNING
    tell_planned(instance, record.job_id, to_do=4)
    assert state_of(instance, job_record(instance, record.job_id)) is JobState.RUNNING
    request_stop(instance, record.job_id, "somebody")
    assert state_of(instance, job_record(instance, record.job_id)) is JobState.STOPPING
    tell_ended(instance, record.job_id, JobEnd.CANCELLED, counts={"ran": 2})
    tell_ended(instance, record.job_id, JobEnd.FAILED)
    now = job_record(instance, record.job_id)
    assert (state_of(instance, now), now.counts, now.begin) == (JobState.CANCELLED, {"ran": 2}, record.begin)


def test_a_job_of_another_machine_is_gone_once_its_heart_has_stopped(instance, monkeypatch):
    record = begun(instance)
    monkeypatch.setattr("ts_migration.orchestration.job_heart.EXPIRY_S", 0.0)
    assert state_of(instance, record) is JobState.GONE


def test_a_job_of_this_machine_is_gone_at_once_for_nobody_holds_its_lock(instance):
    record = begun(instance, host=socket.gethostname())
    here = JobBegin(**{**record.begin.__dict__, "home": str(instance.root_directory)})
    tell_begun(instance, here)
    assert state_of(instance, job_record(instance, record.job_id)) is JobState.GONE


def test_an_id_names_a_job_an_execution_or_whatever_works_on_a_table(instance):
    load, plants = begun(instance, "load"), begun(instance, "plants")
    assert named(instance, load.job_id).jobs == (load,)
    assert sorted(each.job_id for each in named(instance, EXECUTION).jobs) == [load.job_id, plants.job_id]
    assert named(instance, "Plants of the grid", {"Plants of the grid": "grid/plants"}).jobs == (plants,)
    with pytest.raises(Missing, match=f"there is no job 'dams'.*{plants.job_id}"):
        named(instance, "dams")


def test_cancelling_what_a_dead_command_left_closes_its_runs(instance, monkeypatch):
    record = begun(instance)
    tags = {JOB_ID_TAG: record.job_id, PARTITION_TAG: "2023-01-01"}
    instance.add_run(
        dg.DagsterRun(job_name="migrate_grid__load", run_id="a" * 8, tags=tags, status=dg.DagsterRunStatus.STARTED)
    )
    monkeypatch.setattr("ts_migration.orchestration.job_heart.EXPIRY_S", 0.0)
    (done,) = cancel(instance, named(instance, record.job_id), by="a test")
    assert (done.was, done.stopped) == ("its process is gone", True)
    progress = job_progress(instance, job_record(instance, record.job_id))
    assert (progress.state, progress.cancelled, progress.failed) == (JobState.CANCELLED, 1, 0)


def test_cancelling_what_has_ended_changes_nothing(instance):
    record = begun(instance)
    tell_ended(instance, record.job_id, JobEnd.SUCCEEDED)
    (done,) = cancel(instance, named(instance, record.job_id), by="a test")
    assert (done.was, done.was_over) == ("succeeded", True)
    assert len(job_records(instance)) == 1


def test_a_rollback_that_runs_is_not_cancelled_for_points_would_be_gone(instance):
    record = begun(instance, command="rollback")
    with pytest.raises(Refused, match="`ts-migration rollback load` goes on with it"):
        cancel(instance, named(instance, record.job_id), by="a test")
    assert job_record(instance, record.job_id).stop_requested is None


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("execute", "ts-migration execute --only load"),
        ("catch-up", "ts-migration execute --only load"),
        ("validate", "ts-migration validate --only load"),
        ("repair", "ts-migration repair --table load"),
    ],
)
def test_every_kind_of_job_says_how_it_is_done_again(instance, command, again):
    assert begun(instance, command=command).again == again
