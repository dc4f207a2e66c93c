"""The factory: one job of the configuration to its assets, checks and jobs; the whole configuration to Definitions.

No server is asked here: definitions load with every server down and no environment variable set.
"""

import os
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource

from ts_migration.config import DEFAULT_CONFIG, MigrationConfig, MigrationJob, load_config
from ts_migration.errors import Missing
from ts_migration.orchestration.names import JOB_NAME_TAG, TABLE_TAG, TableNames
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.sensors import rollup_sensor
from ts_migration.orchestration.table_assets import REPORT, migrated_asset, report_asset
from ts_migration.orchestration.window_assets import window_assets
from ts_migration.orchestration.window_checks import window_checks


def configured_path() -> Path:
    """The configuration file: TS_MIGRATION_CONFIG, else the one in this folder, else the example under scripts/.

    Raises:
        Missing: there is none of them.
    """
    named = os.environ.get("TS_MIGRATION_CONFIG")
    candidates = [Path(named)] if named else [Path(DEFAULT_CONFIG), Path("scripts") / DEFAULT_CONFIG]
    for path in candidates:
        if path.is_file():
            return path
    raise Missing(
        f"there is no configuration file {candidates[0]}",
        where=f"folder {Path.cwd()}",
        next_step="set TS_MIGRATION_CONFIG, or start in the folder that holds migration_config.yaml",
    )


def configured() -> MigrationConfig:
    """The configuration that `configured_path` names."""
    return load_config(configured_path())


def build_table_definitions(config: MigrationConfig, job: MigrationJob) -> dg.Definitions:
    """Assets, checks and jobs of one job's table."""
    names = TableNames.of(config, job)
    assets = window_assets(config, job)
    tags = {JOB_NAME_TAG: job.slug, TABLE_TAG: job.source}
    windows = dg.AssetSelection.assets(names.export_files, names.line_protocol_files, names.influxdb_bucket)
    checks = [window_checks(config, job)] if job.validation_enabled else []
    check_jobs = [
        dg.define_asset_job(
            names.check_job,
            selection=dg.AssetSelection.checks(*names.window_checks),
            tags=tags,
            description=f"Check one window of {job.source} again; the partition is given by the tag dagster/partition.",
        )
        for _ in checks
    ]
    return dg.Definitions(
        assets=[*assets, migrated_asset(config, job)],
        asset_checks=checks,
        jobs=[
            *check_jobs,
            dg.define_asset_job(
                names.job,
                selection=windows,
                partitions_def=partitions_of(job.grid),
                tags=tags,
                description=f"Export, convert, load and check one window of {job.source}.",
            ),
            dg.define_asset_job(
                names.roll_up_job,
                selection=dg.AssetSelection.assets(names.migrated, REPORT),
                tags=tags,
                description=f"Roll up {job.source} once every window is proven, and write the report.",
            ),
        ],
    )


def build_definitions(config: MigrationConfig) -> dg.Definitions:
    """Definitions of a whole configuration, with the in-process executor: a window's steps share one process.

    (Default multiprocess: 13 s a window against under 1 s, most of it imports.)
    """
    s3 = S3Resource()
    shared = dg.Definitions(
        assets=[report_asset(config)],
        sensors=[rollup_sensor(config)] if any(job.validation_enabled for job in config.migration_jobs) else [],
        resources={
            "export_bucket": ExportBucketResource(s3=s3),
            "timestream": TimestreamResource(),
            "influxdb": InfluxDBResource(),
        },
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(*(build_table_definitions(config, job) for job in config.migration_jobs), shared)
