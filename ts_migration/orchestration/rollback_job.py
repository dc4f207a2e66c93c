"""The job `roll_back_<database>__<table>`: `ts-migration rollback JOB --approve` as a run, for Dagit and the Lambda.

To launch it is to approve it; `dry_run: true` in its run configuration only tells. What it does is in `rollback`.
"""

import dagster as dg
from pydantic import Field

from ts_migration.aws import with_influxdb_token
from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.errors import MigrationError
from ts_migration.operations.notices import rolled_back
from ts_migration.operations.notifications import Notifications
from ts_migration.operations.rollback import RollbackLook
from ts_migration.orchestration.configured import configured_path
from ts_migration.orchestration.failures import failure_of
from ts_migration.orchestration.names import TableNames, catalog_tags
from ts_migration.orchestration.resources import ExportBucketResource, current_environment
from ts_migration.orchestration.rollback import look, roll_back_in
from ts_migration.stages.rollback_record import RollbackManifest

SHOWN = 20
"""Windows that the table of a run's metadata names."""


class RollbackOptions(dg.Config):
    """How a table is rolled back."""

    dry_run: bool = Field(default=False, description="Only tell what would be deleted and put back; change nothing.")
    everything: bool = Field(
        default=False,
        description="Where the job's points cannot be told from others' any more: delete all of the window, keeping a "
        "copy in the export bucket.",
    )
    reason: str = Field(default="", description="Why, for the record; by default the run that does it.")


def rollback_job(migration: MigrationConfig, job: MigrationJob) -> dg.JobDefinition:
    """The rollback of one job's table; `RollbackOptions` is its run configuration."""
    names = TableNames.of(migration, job)

    @dg.op(
        name=names.rollback_job + "_points",
        description=f"What the job {job.job_name!r} wrote to {job.target_bucket} goes; what was there before it is put "
        "back, both are proven by count and digest, and the table's materialisations are taken back.",
    )
    def points(context: dg.OpExecutionContext, config: RollbackOptions, export_bucket: ExportBucketResource) -> None:
        try:
            environment = with_influxdb_token(current_environment())
            bucket = export_bucket.bucket()
            found = look(migration, environment, job, bucket)
            if config.dry_run or found.nothing:
                _told(context, found)
                return
            record = roll_back_in(
                context.instance,
                migration,
                environment,
                job,
                bucket,
                config_path=configured_path(),
                reason=config.reason or f"Dagster run {context.run_id}",
                everything=config.everything,
                report=context.log.info,
            )
        except MigrationError as error:
            # Never tried again by itself: launched again, it goes on by its record.
            raise failure_of(error) from None
        _done(context, record, bucket.uri(migration.place(job).rollback))
        _notify(context, migration, environment, job, record)

    @dg.job(
        name=names.rollback_job,
        tags=catalog_tags(job),
        description=(
            f"Roll back {job.source}: delete exactly what the job wrote, put back what was there before, prove both. "
            "To launch it is to approve it; dry_run only tells. It is refused while a run works on the table."
        ),
    )
    def rollback() -> None:
        points()

    return rollback


def _told(context: dg.OpExecutionContext, found: RollbackLook) -> None:
    """What would be done, or that there is nothing."""
    lines = [one.line for one in found.ranges]
    context.log.info("nothing to roll back: the job has written nothing" if found.nothing else "\n".join(lines))
    context.add_output_metadata(
        {"windows": len(lines), "would be deleted": _table(lines), "refused": _table(list(found.problems))}
    )


def _done(context: dg.OpExecutionContext, record: RollbackManifest, where: str) -> None:
    context.log.info(f"rolled back: {record.deleted:,} values deleted from {len(record.ranges):,} windows, each proven")
    lines = [f"{one.key or one.start_ns}: {one.before:,} values before, {one.values:,} now" for one in record.ranges]
    context.add_output_metadata(
        {
            "values deleted": record.deleted,
            "windows": len(record.ranges),
            "objects deleted": record.objects,
            "materialisations taken back": record.materializations,
            "buckets deleted": ", ".join(record.buckets_deleted) or "none",
            "retention": record.retention or "as it was",
            "by window": _table(lines),
            "record": where,
        }
    )


def _notify(
    context: dg.OpExecutionContext,
    migration: MigrationConfig,
    environment: Environment,
    job: MigrationJob,
    record: RollbackManifest,
) -> None:
    """Tell those who are told of migrations."""
    what = f"{record.deleted:,} values deleted from {len(record.ranges):,} windows"
    with Notifications.of(migration, environment, warn=context.log.warning) as told:
        told.send(rolled_back(record.digest[:12], job.slug, what, [f"reason: {record.reason}"]))


def _table(lines: list[str]) -> dg.TableMetadataValue:
    records = [dg.TableRecord({"what": line}) for line in lines[:SHOWN]]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn("what")]))
