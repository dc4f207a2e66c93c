"""A table's three partitioned assets: export files, converted files, the loaded bucket. A partition is a window.

Each asset leases its window, calls the stage that does the work and returns what the stage's manifest says. No IO
managers: terabytes of objects do not pass through Dagster. Rules of the business do not belong here.
"""

from typing import Any

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.orchestration import descriptions
from ts_migration.orchestration.metadata import conversion_metadata, export_metadata, load_metadata
from ts_migration.orchestration.names import (
    CONVERSION_CHECK,
    EXPORT_AGAIN_TAG,
    EXPORT_SCHEMA_CHECK,
    REMOVED_KEPT,
    REMOVED_POINTS,
    REPAIR_TAG,
    UNLOAD_POOL,
    WRITE_POOL,
    TableNames,
    catalog_tags,
)
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource, schema_of
from ts_migration.orchestration.versions import stage_version
from ts_migration.orchestration.window_checks import verdict_result
from ts_migration.orchestration.window_run import WindowRun, journal_folder, telling_policy, window_run
from ts_migration.stages.collisions import refuse_collisions
from ts_migration.stages.convert import convert_window
from ts_migration.stages.export import current_export, export_window
from ts_migration.stages.load import load_window
from ts_migration.stages.placement import forget_load_elsewhere
from ts_migration.stages.repair import clear_for_load
from ts_migration.stages.table import begin_table, frozen_mapping
from ts_migration.validation.accounting import conversion_verdict, export_schema_verdict
from ts_migration.validation.verdict import Stage


def window_assets(config: MigrationConfig, job: MigrationJob, *, pools: bool = True) -> list[dg.AssetsDefinition]:
    """The assets of a job's table, upstream first. `pools`: see `table_definitions.build_definitions`."""
    names = TableNames.of(config, job)
    return [
        _export_files(config, job, names, UNLOAD_POOL if pools else None),
        _converted_files(config, job, names),
        _influxdb_bucket(config, job, names, WRITE_POOL if pools else None),
    ]


def _export_files(
    config: MigrationConfig, job: MigrationJob, names: TableNames, pool: str | None
) -> dg.AssetsDefinition:
    partitions = partitions_of(job.grid)

    @dg.asset(
        key=names.export_files,
        partitions_def=partitions,
        group_name=names.group,
        kinds={"timestream", "s3", "parquet"},
        description=descriptions.export_files(job),
        owners=job.owners,
        tags=catalog_tags(job),
        pool=pool,
        check_specs=[
            dg.AssetCheckSpec(
                EXPORT_SCHEMA_CHECK,
                asset=names.export_files,
                partitions_def=partitions,
                blocking=True,
                description="The exported columns and types are those that DESCRIBE tells.",
            )
        ],
    )
    def export_files(
        context: dg.AssetExecutionContext,
        export_bucket: ExportBucketResource,
        timestream: TimestreamResource,
        influxdb: InfluxDBResource,
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with window_run(context, config, job, export_bucket) as run:
            redo = run.mend(context, Stage.EXPORT) or EXPORT_AGAIN_TAG in context.run.tags
            _leave_other_buckets(context, run, job, influxdb)
            query = timestream.query(config.migration_settings)
            schema = schema_of(query, job.source_database, job.source_table)
            _, mapping = begin_table(job, run.table, schema, run.bucket)
            manifest = None if redo else current_export(job, run.table, run.window, run.bucket)
            if manifest is None:
                refuse_collisions(job, schema, mapping, [run.window], query)
                try:
                    manifest = export_window(job, run.table, run.window, schema, query, run.bucket, redo=redo)
                except Refused as error:
                    manifest = current_export(job, run.table, run.window, run.bucket)
                    if manifest is None or not run.mend_the_rest(context, error):
                        raise
            verdict = export_schema_verdict(manifest, schema)
            return dg.MaterializeResult(
                metadata=export_metadata(manifest, run.bucket, run.place),
                data_version=stage_version(manifest.digest),
                check_results=[verdict_result(names.export_files, verdict, EXPORT_SCHEMA_CHECK)],
            )

    return export_files


def _converted_files(config: MigrationConfig, job: MigrationJob, names: TableNames) -> dg.AssetsDefinition:
    partitions = partitions_of(job.grid)

    @dg.asset(
        key=names.converted_files,
        deps=[names.export_files],
        partitions_def=partitions,
        group_name=names.group,
        kinds={"s3", "polars", *(["tsm"] if job.load == "bulk" else [])},
        description=descriptions.converted_files(job),
        owners=job.owners,
        tags=catalog_tags(job),
        check_specs=[
            dg.AssetCheckSpec(
                CONVERSION_CHECK,
                asset=names.converted_files,
                partitions_def=partitions,
                blocking=True,
                description="rows = points + merged + quarantined + empty, to the row.",
            )
        ],
    )
    def converted_files(
        context: dg.AssetExecutionContext, export_bucket: ExportBucketResource, influxdb: InfluxDBResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with window_run(context, config, job, export_bucket) as run:
            run.mend(context, Stage.CONVERSION)
            _leave_other_buckets(context, run, job, influxdb)
            mapping = frozen_mapping(job, run.table, run.bucket)
            manifest = convert_window(job, run.table, run.window, mapping, run.bucket)
            verdict = conversion_verdict(manifest)
            return dg.MaterializeResult(
                metadata=conversion_metadata(manifest, run.bucket, run.place),
                data_version=stage_version(manifest.digest, manifest.parent),
                check_results=[verdict_result(names.converted_files, verdict, CONVERSION_CHECK)],
            )

    return converted_files


def _influxdb_bucket(
    config: MigrationConfig, job: MigrationJob, names: TableNames, pool: str | None
) -> dg.AssetsDefinition:
    @dg.asset(
        key=names.influxdb_bucket,
        deps=[names.converted_files],
        partitions_def=partitions_of(job.grid),
        group_name=names.group,
        kinds={"influxdb"},
        description=descriptions.influxdb_bucket(job),
        owners=job.owners,
        tags=catalog_tags(job),
        pool=pool,
    )
    def influxdb_bucket(
        context: dg.AssetExecutionContext, export_bucket: ExportBucketResource, influxdb: InfluxDBResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with window_run(context, config, job, export_bucket) as run:
            run.mend(context, Stage.LOAD)
            _leave_other_buckets(context, run, job, influxdb)
            mapping = frozen_mapping(job, run.table, run.bucket)
            removed = _clear(context, run, job, mapping, influxdb)
            manifest = load_window(
                job,
                run.table,
                run.window,
                mapping,
                run.bucket,
                influxdb.target(),
                policy=telling_policy(config, context.log.warning),
                journals=journal_folder(context.instance),
            )
            return dg.MaterializeResult(
                metadata={**load_metadata(manifest, run.bucket, run.place), **removed},
                data_version=stage_version(manifest.digest, manifest.parent),
            )

    return influxdb_bucket


def _clear(
    context: dg.AssetExecutionContext, run: WindowRun, job: MigrationJob, mapping: Mapping, influxdb: InfluxDBResource
) -> dict[str, Any]:
    """In a run of `repair`, delete the window's points that are too many; what is to be said of it."""
    if REPAIR_TAG not in context.run.tags:
        return {}
    removed = clear_for_load(job, run.place, run.window, mapping, run.bucket, influxdb.target())
    if not removed.points:
        return {}
    kept = run.bucket.uri(removed.kept)
    context.log.info(f"{removed.points:,} points were too many in the bucket: they are kept in {kept} and were deleted")
    return {REMOVED_POINTS: removed.points, REMOVED_KEPT: kept}


def _leave_other_buckets(
    context: dg.AssetExecutionContext, run: WindowRun, job: MigrationJob, influxdb: InfluxDBResource
) -> None:
    """Forget a load into a bucket that is not the one there now, before a stage takes its own work for finished."""
    if forget_load_elsewhere(job, run.place, run.bucket, influxdb.target):
        context.log.info(f"the bucket {job.target_bucket} that this window was loaded into is gone: it is loaded again")
