"""The factory: one job of the configuration to its assets, checks and jobs; the whole configuration to Definitions.

No server is asked here: definitions load with every server down and no environment variable set.
"""

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration.cutover_job import cutover_job
from ts_migration.orchestration.cutover_sensor import cutover_sensor
from ts_migration.orchestration.jobs import check_job, roll_up_job, window_job
from ts_migration.orchestration.notification_sensors import notification_sensors
from ts_migration.orchestration.resources import ExportBucketResource, InfluxDBResource, TimestreamResource
from ts_migration.orchestration.rollback_job import rollback_job
from ts_migration.orchestration.sensors import rollup_sensor
from ts_migration.orchestration.table_assets import migrated_asset, report_asset
from ts_migration.orchestration.window_assets import window_assets
from ts_migration.orchestration.window_checks import window_checks


def build_table_definitions(config: MigrationConfig, job: MigrationJob, *, pools: bool = True) -> dg.Definitions:
    """Assets, checks and the window jobs of one job's table. `pools`: see `build_definitions`."""
    checked = job.validation_enabled
    return dg.Definitions(
        assets=[*window_assets(config, job, pools=pools), migrated_asset(config, job)],
        asset_checks=[window_checks(config, job)] if checked else [],
        jobs=[window_job(config, job), *([check_job(config, job)] if checked else []), rollback_job(config, job)],
    )


def build_definitions(config: MigrationConfig, *, pools: bool = True) -> dg.Definitions:
    """Definitions of a whole configuration, with the in-process executor: a window's steps share one process.

    (Default multiprocess: 13 s a window against under 1 s, most of it imports.)

    Args:
        config: its jobs.
        pools: whether exports and loads claim a place in Dagster's pools, as the daemon's runs do. Workers of the
            commands have limits of their own; a claim costs a window 10 ms, and one of a killed worker stays.
    """
    roll_up_jobs = [roll_up_job(config, job) for job in config.migration_jobs]
    shared = dg.Definitions(
        assets=[report_asset(config)],
        jobs=[*roll_up_jobs, cutover_job(config)],
        sensors=[rollup_sensor(config, roll_up_jobs), cutover_sensor(config), *notification_sensors(config)],
        resources={
            "export_bucket": ExportBucketResource(),
            "timestream": TimestreamResource(),
            "influxdb": InfluxDBResource(),
        },
        executor=dg.in_process_executor,
    )
    tables = (build_table_definitions(config, job, pools=pools) for job in config.migration_jobs)
    return dg.Definitions.merge(*tables, shared)
