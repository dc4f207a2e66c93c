"""The jobs of a table: migrate one window, check one window again, roll the table up. Selections and tags only."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration.names import TableNames, catalog_tags
from ts_migration.orchestration.partitions import partitions_of
from ts_migration.orchestration.table_assets import REPORT

__all__ = ["Job", "check_job", "roll_up_job", "window_job"]


def window_job(config: MigrationConfig, job: MigrationJob) -> Job:
    """Export, convert, load and check one window."""
    names = TableNames.of(config, job)
    return dg.define_asset_job(
        names.job,
        selection=dg.AssetSelection.assets(*names.stages),
        partitions_def=partitions_of(job.grid),
        tags=catalog_tags(job),
        description=(
            f"Export, convert, load and check windows of {job.source}: choose them as partitions; a range of dates "
            "makes a backfill. No configuration is needed. The tag dagster/priority says which of several goes first."
        ),
    )


def check_job(config: MigrationConfig, job: MigrationJob) -> Job:
    """Check one window again; it loads nothing. Dagster wants the partition of a checks-only run as a tag."""
    names = TableNames.of(config, job)
    return dg.define_asset_job(
        names.check_job,
        selection=dg.AssetSelection.checks(*names.window_checks),
        tags=catalog_tags(job),
        description=f"Check one window of {job.source} again; the partition is given by the tag dagster/partition.",
    )


def roll_up_job(config: MigrationConfig, job: MigrationJob) -> Job:
    """Materialise `migrated` and write the report."""
    names = TableNames.of(config, job)
    return dg.define_asset_job(
        names.roll_up_job,
        selection=dg.AssetSelection.assets(names.migrated, REPORT),
        tags=catalog_tags(job),
        description=f"Roll up {job.source} once every window is proven, and write the report.",
    )
