"""The five checks of a loaded window as one partitioned multi-asset check: both sides are read once for all five.

A failing check fails the run (they block), but all five results are stored first. What the checks compare is in
`validation`; which readings they get is in `stages.check`.
"""

from collections.abc import Iterator

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.manifests import (
    LineProtocolManifest,
    LoadManifest,
    VerdictRecord,
    VerdictsManifest,
    read_manifest,
)
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.orchestration.metadata import verdict_metadata
from ts_migration.orchestration.names import WINDOW_CHECKS, WINDOW_REASON, WINDOW_STATUS, TableNames
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource, schema_of
from ts_migration.orchestration.window_run import window_run
from ts_migration.stages.check import check_window
from ts_migration.stages.proof import WindowManifests, reason_of

DESCRIPTIONS = {
    "record_count": "Values per measure in Timestream now, rows exported, points encoded, values in the bucket.",
    "checksum": "Digest of the export frames against the digest of what the bucket returns, bit for bit.",
    "sample": "Rows at random times asked again of Timestream against the same points of the bucket, bit for bit.",
    "schema": "Field keys, types and tag keys in the bucket against the mapping; exported batches against DESCRIBE.",
    "coverage": "First and last time, and points per series and time bin, on both sides; gaps are named.",
}


def verdict_result(
    asset_key: dg.AssetKey, verdict: VerdictRecord, check_name: str | None = None, **window: str
) -> dg.AssetCheckResult:
    """A verdict as Dagster stores it; `window` is what the whole window comes to."""
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=check_name or verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity[verdict.severity],
        metadata={**verdict_metadata(verdict), **window},
    )


def window_checks(config: MigrationConfig, job: MigrationJob) -> dg.AssetChecksDefinition:
    """The checks of a job's windows."""
    names = TableNames.of(config, job)
    partitions = partitions_of(job.grid)

    @dg.multi_asset_check(
        name=f"checks_of_{names.joined}",
        specs=[
            dg.AssetCheckSpec(
                name,
                asset=names.influxdb_bucket,
                partitions_def=partitions,
                blocking=True,
                description=DESCRIPTIONS[name],
            )
            for name in WINDOW_CHECKS
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        export_bucket: ExportBucketResource,
        timestream: TimestreamResource,
        influxdb: InfluxDBResource,
    ) -> Iterator[dg.AssetCheckResult]:
        with window_run(context, config, job, export_bucket) as run:
            query = timestream.query(config.migration_settings)
            schema = schema_of(query, job.source_database, job.source_table)
            # Not `run.bucket`, which remembers what this run wrote: the checks judge what lies in S3.
            bucket = export_bucket.bucket()
            manifest = check_window(config, job, run.window, bucket, query, influxdb.target(), schema=schema)
            comes_to = {WINDOW_STATUS: manifest.status, WINDOW_REASON: _reason(manifest, bucket, run.place)}
        wanted = {key.name for key in context.selected_asset_check_keys}
        for verdict in manifest.verdicts:
            if verdict.check in wanted:
                yield verdict_result(names.influxdb_bucket, verdict, **comes_to)

    return checks


def _reason(verdicts: VerdictsManifest, bucket: ExportBucket, place: WindowPlace) -> str:
    """Why the window comes to what it does; manifests are asked only where it passed and is not proven."""
    if verdicts.status != "passed":
        return reason_of(verdicts, WindowManifests())
    return reason_of(
        verdicts,
        WindowManifests(
            converted=read_manifest(LineProtocolManifest, bucket, place.manifest("line_protocol")),
            loaded=read_manifest(LoadManifest, bucket, place.manifest("load")),
        ),
    )
