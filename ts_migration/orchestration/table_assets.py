"""The unpartitioned assets: `migrated` of each table, which exists only when every window is proven, and the report.

`migrated` belongs to no window job: the roll-up sensor and `execute` materialise it. It carries the whole-table checks.
"""

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration.failures import told_to_dagster
from ts_migration.orchestration.names import REPORT_GROUP, TABLE_CHECKS, TableNames
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.window_checks import verdict_result
from ts_migration.stages.roll_up import roll_up

REPORT = dg.AssetKey("migration_report")


def migrated_asset(config: MigrationConfig, job: MigrationJob) -> dg.AssetsDefinition:
    """The roll-up of a job's table."""
    names = TableNames.of(config, job)

    @dg.asset(
        key=names.migrated,
        deps=[dg.AssetDep(names.influxdb_bucket, partition_mapping=dg.AllPartitionMapping())],
        group_name=names.group,
        kinds={"influxdb"},
        description=f"The whole of {job.source} in bucket {job.target_bucket}: every window present and proven.",
        check_specs=[dg.AssetCheckSpec(name, asset=names.migrated) for name in TABLE_CHECKS],
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
        kinds={"html"},
        description="Every table, window and check in one self-contained HTML file, and the same as JSON.",
    )
    def migration_report(
        context: dg.AssetExecutionContext, export_bucket: ExportBucketResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from ts_migration.operations.report import collect, write_report

        with told_to_dagster(context, config.migration_settings):
            bucket = export_bucket.bucket()
            written = write_report(collect(config, bucket, "validation"), bucket)
            return dg.MaterializeResult(
                metadata={
                    "report": dg.MetadataValue.url(written.html_uri),
                    "results": dg.MetadataValue.url(written.json_uri),
                    "status": written.status,
                }
            )

    return migration_report
