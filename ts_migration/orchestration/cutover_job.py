"""The job `cutover`: asks readiness again, then does the actions of the configuration, or records that it waits.

Nothing is done twice: `cutover.switch` goes by its record. Who requests the job is in `cutover_sensor`; a person
approves by `approve: true` in the run's configuration, or by `ts-migration cutover --apply --approve`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field

from ts_migration.aws import with_influxdb_token
from ts_migration.config import MigrationConfig
from ts_migration.cutover.clients import CutoverClients
from ts_migration.cutover.record import CutoverRecord
from ts_migration.cutover.switch import apply_cutover
from ts_migration.errors import MigrationError
from ts_migration.file_locks import only_one
from ts_migration.operations.cutover_notice import changes_of, notice_of
from ts_migration.operations.notifications import Notifications
from ts_migration.orchestration.configured import configured_path
from ts_migration.orchestration.failures import failure_of
from ts_migration.orchestration.names import CUTOVER_JOB, PROOF_TAG
from ts_migration.orchestration.readiness import Systems, lines_of, look_at_readiness
from ts_migration.orchestration.resources import (
    ExportBucketResource,
    InfluxDBResource,
    TimestreamResource,
    current_environment,
)

CUTOVER = dg.AssetKey("cutover")
"""What became of each cutover is observed under this name."""
APPROVE_COMMAND = "ts-migration cutover --apply --approve"
CHANGES_SHOWN = 20


class Approval(dg.Config):
    """What a person says to a cutover."""

    approve: bool = Field(default=False, description="Do the actions although cutover.approval is manual.")


def systems_of(
    config: MigrationConfig, bucket: ExportBucketResource, timestream: TimestreamResource, influxdb: InfluxDBResource
) -> Systems:
    """The systems, as Dagster's resources reach them."""
    return Systems(bucket.bucket, influxdb.target, lambda: timestream.query(config.migration_settings))


def cutover_job(migration: MigrationConfig) -> dg.JobDefinition:
    """The job of a configuration; `Approval` is its run configuration."""

    @dg.op(
        name="switch",
        description="Ask once more whether everything is proven and the source still, then switch applications over.",
    )
    def switch(
        context: dg.OpExecutionContext,
        config: Approval,
        export_bucket: ExportBucketResource,
        timestream: TimestreamResource,
        influxdb: InfluxDBResource,
    ) -> None:
        home = Path(context.instance.root_directory)
        with _told(), only_one(home, configured_path(), "cutover", f"Dagster run {context.run_id}"):
            systems = systems_of(migration, export_bucket, timestream, influxdb)
            readiness = look_at_readiness(context.instance, migration, systems, values=True)
            if not readiness.ready:
                missing = _table(list(lines_of(readiness)))
                raise dg.Failure(readiness.text, metadata={"missing": missing}, allow_retries=False)
            if not migration.cutover.actions:
                _observe(context, "ready, and cutover.actions is empty: nothing was switched", readiness.proof)
            elif migration.cutover.approval == "manual" and not config.approve:
                context.log.info(f"everything is proven; the cutover waits for a person: {APPROVE_COMMAND}")
                _observe(context, "waits for approval", readiness.proof, next_step=APPROVE_COMMAND)
            else:
                environment = with_influxdb_token(current_environment())
                clients = CutoverClients.of(environment, os.environ, Path.cwd())
                who = f"Dagster run {context.run_id}"
                record = apply_cutover(migration, clients, export_bucket.bucket(), readiness.proof, who)
                _observe(context, record.state, record.proof, record)
                with Notifications.of(migration, environment, warn=context.log.warning) as told:
                    told.send(notice_of(record))
                if record.state != "applied":
                    raise dg.Failure(f"the cutover is {record.state}: {record.problem}", allow_retries=False)

    @dg.job(name=CUTOVER_JOB, description="Switch applications over once everything is proven.")
    def cutover() -> None:
        switch()

    return cutover


@contextmanager
def _told() -> Iterator[None]:
    """The product's errors as Dagster's, and none of them tried again: a cutover goes by its record."""
    try:
        yield
    except MigrationError as error:
        raise failure_of(error) from None


def _observe(
    context: dg.OpExecutionContext, status: str, proof: str, record: CutoverRecord | None = None, next_step: str = ""
) -> None:
    """Keep what became of a cutover in Dagster's event log; values of secrets are masked in the record already."""
    changes = changes_of(record) if record else []
    metadata: dict[str, str | int | dg.TableMetadataValue] = {"status": status, "proof": proof}
    if record:
        metadata |= {"actions": len(record.actions), "changes": _table(changes), "cutover": record.id}
    if next_step:
        metadata |= {"next step": next_step}
    context.log_event(dg.AssetObservation(CUTOVER, metadata=metadata, tags={PROOF_TAG: proof[:63]}))


def _table(lines: list[str]) -> dg.TableMetadataValue:
    records = [dg.TableRecord({"what": line}) for line in lines[:CHANGES_SHOWN]]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn("what")]))
