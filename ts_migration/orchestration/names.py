"""Names that Dagster, the commands and people share: asset keys, jobs, checks and tags. One place for each."""

from dataclasses import dataclass

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.manifests import LoadName
from ts_migration.validation.table import TableCheck
from ts_migration.validation.verdict import Check

JOB_ID_TAG = "ts_migration/job_id"
"""Which job of which command a run belongs to, see `job_ids`."""
EXECUTION_TAG = "ts_migration/execution"
"""Which command a run belongs to: one may run several jobs."""
JOB_NAME_TAG = "ts_migration/job_name"
TABLE_TAG = "ts_migration/table"
DATABASE_TAG = "ts_migration/database"
WORKER_TAG = "ts_migration/worker"
"""host:pid:start of the worker process of an in-process run, so that a dead one can be told from a slow one."""
REPAIR_TAG = "ts_migration/repair"
"""On a run that may delete points of its window that are too many; its value says what the window needed."""
REMOVED_POINTS = "points deleted"
"""Metadata of a load that was made by such a run."""
REMOVED_KEPT = "points deleted are kept in"
ROLLED_BACK_TAG = "ts_migration/rolled_back"
"""On a runless materialisation that takes an earlier one back; its value says what did."""
DATA_VERSION_TAG = "dagster/data_version"
ROLLED_BACK_VERSION = "rolled_back"
"""Data version of such a materialisation. Dagster indexes this tag, so that a table's windows are read by one query."""
EXPORT_AGAIN_TAG = "ts_migration/export_again"
"""On a run of a window whose export is made again though it stands; its value says why."""
PROOF_TAG = "ts_migration/proof"
"""On runs of the cutover: the first digits of the digest of the proof that they act upon."""
CUTOVER_JOB = "cutover"
UNLOAD_POOL = "timestream_unload"
"""Pool of the exports: a limit of it bounds UNLOADs at a time, whoever launched their runs."""
WRITE_POOL = "influxdb_write"
"""Pool of the loads. Neither has a limit unless the instance sets one (`dagster instance concurrency set`)."""
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"

CONVERTED_FILES: dict[LoadName, str] = {"line_protocol": "line_protocol_files", "bulk": "shard_files"}
"""How a job is loaded -> the asset of what it is loaded from."""

EXPORT_SCHEMA_CHECK = "export_schema"
CONVERSION_CHECK = "conversion"
WINDOW_CHECKS = tuple(check.value for check in Check)
"""The five checks of a loaded window; all of them are required for green."""
WINDOW_STATUS = "window status"
"""Metadata of every check of a window: proven, passed or failed, which no check can tell alone."""
WINDOW_REASON = "window status because"
REVOKED = "taken back"
"""Metadata of a runless evaluation that says that a roll-up is not true any more."""
REPORT_GROUP = "migration"
"""Asset group of what is of no single table."""
TABLE_CHECKS = tuple(check.value for check in TableCheck)
"""The checks of a whole table, on `migrated`."""


def catalog_tags(job: MigrationJob) -> dict[str, str]:
    """Tags of a table's assets and jobs, to filter by: its job, database and table."""
    return {JOB_NAME_TAG: job.slug, DATABASE_TAG: job.source_database, TABLE_TAG: job.source}


@dataclass(frozen=True)
class TableNames:
    """Every Dagster name of one job's table."""

    prefix: tuple[str, ...]
    files: str = "line_protocol_files"
    """Last part of the key of a window's converted files, see `CONVERTED_FILES`."""
    group: str = ""
    """Asset group: the UI cuts long names in the middle, so the database is left out unless two tables need it."""

    @classmethod
    def of(cls, config: MigrationConfig, job: MigrationJob) -> "TableNames":
        """Names of a job's table; the job is part of them where two jobs name one table."""
        prefix = config.key_prefix(job)
        short = "__".join(prefix[1:])
        taken = ["__".join(config.key_prefix(other)[1:]) for other in config.migration_jobs]
        group = short if taken.count(short) == 1 and short != REPORT_GROUP else "__".join(prefix)
        return cls(prefix, CONVERTED_FILES[job.load], group)

    @property
    def joined(self) -> str:
        """The prefix as one identifier."""
        return "__".join(self.prefix)

    @property
    def export_files(self) -> dg.AssetKey:
        """Export files of a window."""
        return dg.AssetKey([*self.prefix, "export_files"])

    @property
    def converted_files(self) -> dg.AssetKey:
        """Files of a window as they are loaded: line protocol, or shards."""
        return dg.AssetKey([*self.prefix, self.files])

    @property
    def conversions(self) -> tuple[dg.AssetKey, ...]:
        """What conversions of the table may have materialised: a job may be switched from one load to another."""
        return tuple(dg.AssetKey([*self.prefix, files]) for files in CONVERTED_FILES.values())

    @property
    def stages(self) -> tuple[dg.AssetKey, ...]:
        """The three assets of a window, upstream first."""
        return self.export_files, self.converted_files, self.influxdb_bucket

    @property
    def influxdb_bucket(self) -> dg.AssetKey:
        """The window's points in the bucket."""
        return dg.AssetKey([*self.prefix, "influxdb_bucket"])

    @property
    def migrated(self) -> dg.AssetKey:
        """The whole table."""
        return dg.AssetKey([*self.prefix, "migrated"])

    @property
    def job(self) -> str:
        """Job that migrates one window."""
        return f"migrate_{self.joined}"

    @property
    def check_job(self) -> str:
        """Job that checks one window again and loads nothing; its partition comes by tag."""
        return f"check_{self.joined}"

    @property
    def roll_up_job(self) -> str:
        """Job that materialises `migrated`."""
        return f"roll_up_{self.joined}"

    @property
    def rollback_job(self) -> str:
        """Job that rolls the table back; the orchestrator's Lambda knows it by this name."""
        return f"roll_back_{self.joined}"

    @property
    def all_windows_proven(self) -> dg.AssetCheckKey:
        """The check of `migrated` that says that no window is open, or that one is again."""
        return dg.AssetCheckKey(self.migrated, TableCheck.ALL_WINDOWS_PROVEN.value)

    @property
    def table_checks(self) -> tuple[dg.AssetCheckKey, ...]:
        """The checks of the whole table."""
        return tuple(dg.AssetCheckKey(self.migrated, name) for name in TABLE_CHECKS)

    @property
    def window_checks(self) -> tuple[dg.AssetCheckKey, ...]:
        """The checks that a window needs to be green."""
        return tuple(dg.AssetCheckKey(self.influxdb_bucket, name) for name in WINDOW_CHECKS)

    @property
    def required_checks(self) -> tuple[dg.AssetCheckKey, ...]:
        """All checks of a window: those of its export and its conversion, then the five of its load."""
        stages = (
            dg.AssetCheckKey(self.export_files, EXPORT_SCHEMA_CHECK),
            dg.AssetCheckKey(self.converted_files, CONVERSION_CHECK),
        )
        return (*stages, *self.window_checks)
