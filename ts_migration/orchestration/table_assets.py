"""The unpartitioned assets: `migrated` of each table, which exists only when every window is proven, and the report.

`migrated` belongs to no window job: the roll-up sensor and `execute` materialise it. It carries the whole-table checks.
"""

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration import descriptions
from ts_migration.orchestration.failures import told_to_dagster
from ts_migration.orchestration.names import REPORT_GROUP, TableNames, catalog_tags
from ts_migration.orchestration.resources import (
    ExportBucketResource,
    InfluxDBResource,
    TimestreamResource,
    current_environment,
)
from ts_migration.orchestration.window_checks import verdict_result
from ts_migration.stages.roll_up import roll_up
from ts_migration.validation.table import TableCheck

REPORT = dg.AssetKey("migration_report")

DESCRIPTIONS = {
    TableCheck.ALL_WINDOWS_PROVEN: "Every window of the grid is there and proven, or passed and accepted.",
    TableCheck.TOTALS: "Values per field, summed over the windows, against what InfluxDB counts over the whole range.",
    TableCheck.CARDINALITY: "Series, and series with their field keys: Timestream now against InfluxDB now.",
    TableCheck.LATE_ARRIVALS: "Rows and values of every window in Timestream now against those that were exported.",
    TableCheck.QUERY_EQUIVALENCE: "The same questions asked of both systems, answers compared row by row.",
    TableCheck.QUERY_PERFORMANCE: "How long both systems take to answer them, against max_latency_ms.",
}


def migrated_asset(config: MigrationConfig, job: MigrationJob) -> dg.AssetsDefinition:
    """The roll-up of a job's table."""
    names = TableNames.of(config, job)

    @dg.asset(
        key=names.migrated,
        deps=[dg.AssetDep(names.influxdb_bucket, partition_mapping=dg.AllPartitionMapping())],
        group_name=names.group,
        kinds={"influxdb"},
        description=descriptions.migrated(job),
        owners=job.owners,
        tags=catalog_tags(job),
        check_specs=[
            dg.AssetCheckSpec(check.value, asset=names.migrated, description=DESCRIPTIONS[check])
            for check in TableCheck
        ],
    )
    def migrated(
        context: dg.AssetExecutionContext,
        export_bucket: ExportBucketResource,
        timestream: TimestreamResource,
        influxdb: InfluxDBResource,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with told_to_dagster(context, config.migration_settings):
            query = timestream.query(config.migration_settings)
            rolled = roll_up(config, job, export_bucket.bucket(), influxdb.target(), query)
            return dg.MaterializeResult(
                metadata={
                    "windows": rolled.windows,
                    "accepted windows": rolled.accepted,
                    "rows": rolled.rows,
                    "points": rolled.points,
                    "values": rolled.values,
                    "status": rolled.status,
                    "dagster/row_count": rolled.points,
                },
                data_version=dg.DataVersion(rolled.digest),
                check_results=[verdict_result(names.migrated, verdict) for verdict in rolled.verdicts],
            )

    return migrated


def report_asset(config: MigrationConfig) -> dg.AssetsDefinition:
    """The report over all tables."""

    @dg.asset(
        key=REPORT,
        deps=[TableNames.of(config, job).migrated for job in config.migration_jobs],
        group_name=REPORT_GROUP,
        kinds={"html", "s3"},
        description=descriptions.REPORT,
    )
    def migration_report(
        context: dg.AssetExecutionContext, export_bucket: ExportBucketResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from ts_migration.operations.influxdb_look import server_version
        from ts_migration.operations.report import collect, write_report
        from ts_migration.orchestration.report_metadata import report_metadata

        with told_to_dagster(context, config.migration_settings):
            bucket, environment = export_bucket.bucket(), current_environment()
            server = server_version(environment)
            results = collect(config, bucket, "validation", environment=environment, server=server)
            return dg.MaterializeResult(metadata=report_metadata(results, write_report(results, bucket)))

    return migration_report
