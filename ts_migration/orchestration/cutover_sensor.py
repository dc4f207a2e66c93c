"""`cutover_sensor`: requests the job `cutover` once per proof, as soon as nothing is missing. Off until it is started.

It looks at what is cheap first and asks the source only where all else is green. Every skipped tick says what is
missing, how many, the first of it, and the command to run next.
"""

import dagster as dg

from ts_migration.config import MigrationConfig
from ts_migration.cutover.record import cutover_record
from ts_migration.objects import ExportBucket
from ts_migration.operations.notices import ready
from ts_migration.operations.notifications import Notifications
from ts_migration.orchestration.cutover_job import APPROVE_COMMAND, systems_of
from ts_migration.orchestration.names import CUTOVER_JOB, PROOF_TAG
from ts_migration.orchestration.readiness import look_at_readiness
from ts_migration.orchestration.resources import (
    ExportBucketResource,
    InfluxDBResource,
    TimestreamResource,
    current_environment,
)

TICK_S = 60
"""The source is asked at most so often: while it keeps a proven migration shut, every tick scans its time column."""


def cutover_sensor(config: MigrationConfig) -> dg.SensorDefinition:
    """The sensor over all tables of a configuration."""

    @dg.sensor(
        name="cutover_sensor",
        job_name=CUTOVER_JOB,
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Requests the job cutover, once per proof, when everything is proven and the source is still.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        export_bucket: ExportBucketResource,
        timestream: TimestreamResource,
        influxdb: InfluxDBResource,
    ) -> dg.SensorResult | dg.SkipReason:
        readiness = look_at_readiness(
            context.instance,
            config,
            systems_of(config, export_bucket, timestream, influxdb),
            over=lambda: _applied(export_bucket.bucket()),
        )
        if readiness.reasons:
            return dg.SkipReason(readiness.text)
        if not readiness.ready:
            return dg.SkipReason("the cutover is applied. Next: stop this sensor, or ts-migration cutover --revert")
        if _reverted(export_bucket.bucket(), readiness.proof):
            return dg.SkipReason(
                "ready, and the cutover was begun for this proof and reverted: it is not done again unasked. "
                f"Next: {APPROVE_COMMAND}"
            )
        runs = _runs(context.instance, readiness.proof)
        if runs or readiness.proof == context.cursor:
            return dg.SkipReason(_requested(runs))
        with Notifications.of(config, current_environment(), warn=context.log.warning) as told:
            manual = config.cutover.approval == "manual"
            step = APPROVE_COMMAND if manual else f"none; the job {CUTOVER_JOB} is requested"
            told.send(ready(readiness.proof, [job.slug for job in config.migration_jobs], step))
        request = dg.RunRequest(run_key=readiness.proof, tags={PROOF_TAG: readiness.proof[:63]})
        return dg.SensorResult(run_requests=[request], cursor=readiness.proof)

    return sensor


def _applied(bucket: ExportBucket) -> bool:
    """Whether applications are switched: whatever is proven later, they are switched once."""
    record = cutover_record(bucket)
    return record is not None and record.state == "applied"


def _reverted(bucket: ExportBucket, proof: str) -> bool:
    """Whether a cutover for this proof was taken back, whoever began it."""
    record = cutover_record(bucket)
    return record is not None and record.state in ("reverted", "reverting", "failed") and record.proof == proof


def _runs(instance: dg.DagsterInstance, proof: str) -> list[dg.DagsterRun]:
    """Runs of the cutover that speak of a proof, newest first."""
    return list(instance.get_runs(dg.RunsFilter(job_name=CUTOVER_JOB, tags={PROOF_TAG: proof[:63]})))


def _requested(runs: list[dg.DagsterRun]) -> str:
    run = f"run {runs[0].run_id[:8]}, {runs[0].status.value.lower()}" if runs else "its run is not there yet"
    return (
        f"ready, and the cutover was requested for this proof ({run}): it is asked for once. "
        f"Next: {APPROVE_COMMAND}, if it waits for approval or did not come through"
    )
