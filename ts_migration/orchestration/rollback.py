"""`rollback` as Dagster sees it: nothing of the table runs, its materialisations are taken back, then its points go.

So no window reads green without its points, and the cutover's sensor stays shut. What is deleted, and the proof that
nothing else was, is in `operations.rollback`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.cutover.record import cutover_record
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.objects import ExportBucket
from ts_migration.operations.reset import Begun, forget, look_at_begun
from ts_migration.operations.rollback import Rollback, RollbackLook, look_at_rollback
from ts_migration.operations.target import target_of
from ts_migration.orchestration.exclusive import only_one
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_heart import InFlight, beat
from ts_migration.orchestration.job_ids import new_execution_id
from ts_migration.orchestration.job_record import ROLLBACK, JobEnd, tell_ended, tell_planned
from ts_migration.orchestration.job_watch import JobWatch, end_lost_jobs, written_down
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.reset import require_stillness, take_back
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.rollback_record import RollbackManifest


def look(config: MigrationConfig, environment: Environment, job: MigrationJob, bucket: ExportBucket) -> RollbackLook:
    """What a rollback of a job would do; nothing is changed.

    Raises:
        MigrationError: S3 or InfluxDB cannot be asked.
    """
    environment.require("influxdb_url", "influxdb_org")
    begun = look_at_begun(config, job, bucket)
    return look_at_rollback(begun, bucket, target_of(environment), retry_policy(config))


def roll_back(
    config: MigrationConfig,
    environment: Environment,
    job: MigrationJob,
    bucket: ExportBucket,
    *,
    config_path: Path,
    reason: str,
    everything: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> RollbackManifest:
    """Delete what a job wrote, put back what was there before, and take the table to its beginning.

    Args:
        config: of the job.
        environment: names the servers.
        job: whose table it is.
        bucket: the export bucket.
        config_path: its lock is held meanwhile.
        reason: why, for the record.
        everything: also delete, after keeping a copy, what cannot be told from the job's points.
        report: told of every range.

    Raises:
        Refused: an `execute` or a run works on the table, applications are switched over, or something of others would
            be lost: nothing was deleted.
        MigrationError: a server failed, or a range is not what it was before; the same call goes on.
    """
    with open_instance() as instance:
        return roll_back_in(
            instance,
            config,
            environment,
            job,
            bucket,
            config_path=config_path,
            reason=reason,
            everything=everything,
            report=report,
        )


def roll_back_in(
    instance: dg.DagsterInstance,
    config: MigrationConfig,
    environment: Environment,
    job: MigrationJob,
    bucket: ExportBucket,
    *,
    config_path: Path,
    reason: str,
    everything: bool,
    report: Callable[[str], None],
) -> RollbackManifest:
    """`roll_back` in an instance of Dagster that is open already, as that of a run is."""
    names = TableNames.of(config, job)
    with only_one(instance, config_path, f"ts-migration rollback {job.slug}"):
        fail_dead_runs(instance)
        end_lost_jobs(instance)
        found = look(config, environment, job, bucket)
        _require_no_cutover(job, bucket)
        require_stillness(instance, job, names, found.begun, bucket)
        work = Rollback(
            found, _mapping(found.begun), bucket, target_of(environment), retry_policy(config), everything=everything
        )
        with _told(instance, config, job, found, config_path):
            record = work.plan(reason, report)
            taken_back = take_back(instance, names, "rollback", lambda _done, _total: None)
            bucket.delete(found.begun.place.migrated)
            record = work.delete(record, report)
            objects = forget(found.begun, bucket, points_stay=False)
            done = {
                "state": "done",
                "objects": record.objects + objects,
                "materializations": record.materializations + taken_back,
            }
            return record.model_copy(update=done).write(bucket, found.begun.place.rollback)


@contextmanager
def _told(
    instance: dg.DagsterInstance, config: MigrationConfig, job: MigrationJob, found: RollbackLook, config_path: Path
) -> Iterator[None]:
    """Write a rollback down as a job, so that `monitor` sees it. Nobody's request stops it half-way."""
    job_id = "rollback-" + new_execution_id([job])
    keys = tuple(one.window.key for one in found.ranges if one.window.key) or (job.slug,)
    at_work = InFlight(ROLLBACK, job.slug, keys, time.time())
    with (
        written_down(instance, config, [job], job_id, command=ROLLBACK, config_path=config_path),
        JobWatch(
            instance,
            job_id,
            [job.slug],
            on_stop=lambda _: None,
            on_look=lambda: None,
            heart=lambda: ((at_work,), None),
        ),
    ):
        tell_planned(instance, job_id, len(found.ranges))
        beat(instance, job_id, (at_work,))
        yield
        tell_ended(instance, job_id, JobEnd.SUCCEEDED, counts={"ran": len(found.ranges), "failed": 0})


def _mapping(begun: Begun) -> Mapping | None:
    return Mapping.from_json(begun.table.mapping) if begun.table else None


def _require_no_cutover(job: MigrationJob, bucket: ExportBucket) -> None:
    record = cutover_record(bucket)
    if record is not None and record.state != "reverted":
        raise Refused(
            "applications are switched over to InfluxDB, or half of them: their points would go",
            where=f"job {job.job_name!r}",
            next_step="ts-migration cutover --revert, then roll back",
        )
