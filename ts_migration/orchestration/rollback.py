"""`rollback` as Dagster sees it: nothing of the table runs, its materialisations are taken back, then its points go.

So no window reads green without its points, and the cutover's sensor stays shut. What is deleted, and the proof that
nothing else was, is in `operations.rollback`.
"""

from collections.abc import Callable
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
    with dg.DagsterInstance.get() as instance:
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
        found = look(config, environment, job, bucket)
        _require_no_cutover(job, bucket)
        require_stillness(instance, job, names, found.begun, bucket)
        work = Rollback(
            found, _mapping(found.begun), bucket, target_of(environment), retry_policy(config), everything=everything
        )
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
