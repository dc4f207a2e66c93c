"""The factory: one job of the configuration to its assets, checks and jobs; the whole configuration to Definitions.

No server is asked here: definitions load with every server down and no environment variable set.
"""

import os
from pathlib import Path

import dagster as dg

from ts_migration.config import DEFAULT_CONFIG, MigrationConfig, MigrationJob, load_config
from ts_migration.errors import Missing
from ts_migration.orchestration.cutover_job import cutover_job
from ts_migration.orchestration.cutover_sensor import cutover_sensor
from ts_migration.orchestration.jobs import check_job, roll_up_job, window_job
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.sensors import rollup_sensor
from ts_migration.orchestration.table_assets import migrated_asset, report_asset
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
    """Assets, checks and the window jobs of one job's table."""
    checked = job.validation_enabled
    return dg.Definitions(
        assets=[*window_assets(config, job), migrated_asset(config, job)],
        asset_checks=[window_checks(config, job)] if checked else [],
        jobs=[window_job(config, job), *([check_job(config, job)] if checked else [])],
    )


def build_definitions(config: MigrationConfig) -> dg.Definitions:
    """Definitions of a whole configuration, with the in-process executor: a window's steps share one process.

    (Default multiprocess: 13 s a window against under 1 s, most of it imports.)
    """
    roll_up_jobs = [roll_up_job(config, job) for job in config.migration_jobs]
    shared = dg.Definitions(
        assets=[report_asset(config)],
        jobs=[*roll_up_jobs, cutover_job(config)],
        sensors=[rollup_sensor(config, roll_up_jobs), cutover_sensor(config)],
        resources={
            "export_bucket": ExportBucketResource(),
            "timestream": TimestreamResource(),
            "influxdb": InfluxDBResource(),
        },
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(*(build_table_definitions(config, job) for job in config.migration_jobs), shared)
