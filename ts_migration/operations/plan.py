"""`plan`: what a migration will do, told before it does it, from what Timestream says now. Nothing is written.

Per job: the resolved range, its windows with their rows, the estimated volume, a better window where there is one, the
mapping, and what stands in the way.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import MigrationError, Refused
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restored_buckets import why_not_restored
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.resolution import resolve
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.operations.mapping_look import above_limit, look_at_mapping
from ts_migration.operations.table_look import refuse_short_retention
from ts_migration.stages.bulk_way import wanted_bucket
from ts_migration.stages.table import look_at_table
from ts_migration.timestream.description import describe
from ts_migration.timestream.probe import rows_outside, time_span
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import ColumnType, TableSchema
from ts_migration.timestream.series import SeriesCounts
from ts_migration.timestream.window_counts import window_rows
from ts_migration.windows import NAMED_GRIDS, NS_PER_S, Window, iso

ROWS_PER_WINDOW = 5_000_000
"""A window above this takes minutes in every stage, and a failure repeats all of it."""
MANY_SHARDS = 5_000
"""Above this many shards the one request of a restore that makes them may not be answered in time."""
MANY_WINDOWS = 5_000
"""Above this many windows Dagster's UI and its backfills become slow; a run costs about a second beside its work."""

_SPAN_NS = {
    "month": 30 * 86_400 * NS_PER_S,
    "week": 7 * 86_400 * NS_PER_S,
    "day": 86_400 * NS_PER_S,
    "hour": 3600 * NS_PER_S,
}
"""About how long a window of each named grid is, the longest first."""

_WIDTHS = {
    ColumnType.VARCHAR: 16, ColumnType.BIGINT: 8, ColumnType.DOUBLE: 8, ColumnType.BOOLEAN: 1, ColumnType.TIMESTAMP: 8,
}  # fmt: skip
"""Bytes that a value of each type is taken to need; texts are a guess."""


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A window and the rows that Timestream counts in it now."""

    window: Window
    rows: int


@dataclass(frozen=True)
class JobPlan:
    """What is planned for one job.

    Attributes:
        range: the job's range, the end resolved and excluded.
        windows: every window with its rows; empty where the source could not be asked.
        bytes: estimate of the exported bytes, uncompressed.
        recommended: name of a window that suits the volume better than the configured one, or None.
        mapping: how rows become points, or None where that cannot be said.
        problems: what stands in the way, a line each.
        notes: what an operator should know, a line each.
        series: how many the range makes; None where that was not or could not be counted.
    """

    job: MigrationJob
    range: Window
    windows: tuple[WindowRows, ...] = ()
    bytes: int = 0
    recommended: str | None = None
    mapping: Mapping | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    series: SeriesCounts | None = None

    @property
    def rows(self) -> int:
        """Rows of all windows."""
        return sum(window.rows for window in self.windows)

    @property
    def largest(self) -> WindowRows | None:
        """The window with the most rows."""
        return max(self.windows, key=lambda window: window.rows, default=None)


def plan(
    config: MigrationConfig,
    query: TimestreamQuery,
    only: str | None = None,
    bucket: ExportBucket | None = None,
    target: Target | None = None,
) -> list[JobPlan]:
    """The plan of every job, or of one. What cannot be planned is a problem of its job, not an error of the call.

    Args:
        config: its jobs.
        query: Timestream, asked now.
        only: name of the one job to plan.
        bucket: the export bucket, where it is known: it tells what tables were begun with.
        target: InfluxDB, where it is known: it tells which types fields have already.
    """
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    return [_plan_job(query, job, config.place(job), bucket, target) for job in jobs]


def _plan_job(
    query: TimestreamQuery, job: MigrationJob, place: TablePlace, bucket: ExportBucket | None, target: Target | None
) -> JobPlan:
    whole = Window(job.start_time, job.end_time)
    problems: list[str] = []
    notes: list[str] = []
    mapping: Mapping | None = None
    series: SeriesCounts | None = None
    try:
        schema = describe(query, job.source_database, job.source_table)
        windows = list(job.grid)
        counts = window_rows(query, job.source_database, job.source_table, windows)
        before, after = rows_outside(query, job.source_database, job.source_table, whole)
    except MigrationError as error:
        return JobPlan(job, whole, problems=(str(error),))
    try:
        refuse_short_retention(job, time.time_ns())
    except Refused as error:
        problems.append(_problem(error))
    if job.load == "bulk" and target is not None and bucket is not None:
        try:
            if (refused := why_not_restored(wanted_bucket(job), bucket, target)) is not None:
                problems.append(_problem(refused))
        except MigrationError as error:
            problems.append(_problem(error))
    measured = tuple(WindowRows(window, rows) for window, rows in zip(windows, counts, strict=True))
    rows = sum(window.rows for window in measured)
    if rows == 0:
        span = time_span(query, job.source_database, job.source_table)
        where = f"its rows lie between {iso(span[0])} and {iso(span[1])}" if span else "the table is empty"
        problems.append(f"there is no row in the range; {where}. Next: correct start_time and end_time")
    else:
        try:
            if bucket is None:
                mapping = resolve(schema, job.mapping, job.measurement)
            else:
                _, mapping = look_at_table(job, place, schema, bucket)
            look = look_at_mapping(job, schema, mapping, query, target)
            problems += [_problem(error) for error in look.problems]
            series = look.series
            if series and (warning := above_limit(job, series)):
                notes.append(warning)
        except MigrationError as error:
            problems.append(_problem(error))
    return JobPlan(
        job=job,
        range=whole,
        windows=measured,
        bytes=rows * _row_bytes(schema),
        recommended=recommended_window(job, measured),
        mapping=mapping,
        problems=tuple(problems),
        notes=(*notes, *_notes(job, measured, before, after, bucket, target)),
        series=series,
    )


def _problem(error: MigrationError) -> str:
    """An error's words without the job's name, which stands before every problem."""
    return str(error).removeprefix(f"{error.where}: ") if error.where.startswith("job ") else str(error)


def recommended_window(job: MigrationJob, windows: Sequence[WindowRows]) -> str | None:
    """The longest named window that stays below `ROWS_PER_WINDOW` when full; None where the configured one does well.

    The density is that of the fullest configured window: telemetry grows over the years, and its mean would mislead.
    """
    dense = max((_rows_per_ns(window) for window in windows), default=0.0)
    if dense == 0:
        return None
    suited = next((name for name, span in _SPAN_NS.items() if dense * span <= ROWS_PER_WINDOW), "hour")
    too_full = any(window.rows > ROWS_PER_WINDOW for window in windows)
    too_many = len(windows) > MANY_WINDOWS
    return suited if (too_full or too_many) and NAMED_GRIDS[suited] != job.window else None


def _rows_per_ns(window: WindowRows) -> float:
    return window.rows / max(1, window.window.end_ns - window.window.start_ns)


def _row_bytes(schema: TableSchema) -> int:
    """Bytes of an exported row, with the time twice: as it is and as an integer."""
    return sum(_WIDTHS[column.type] for column in schema.columns) + 8


def _notes(
    job: MigrationJob,
    windows: Sequence[WindowRows],
    before: int,
    after: int,
    bucket: ExportBucket | None,
    target: Target | None,
) -> list[str]:
    notes = []
    if bucket is None:
        notes.append("S3_EXPORT_BUCKET is not set: whether a begun table has another grid or mapping is not known")
    if target is None:
        notes.append("InfluxDB is not configured: whether the bucket holds fields with another type is not known")
    if before:
        notes.append(f"{before:,} rows lie before start_time and are not migrated")
    if after:
        notes.append(f"{after:,} rows lie at or after the exclusive end and are not migrated")
    empty = sum(window.rows == 0 for window in windows)
    if empty and empty < len(windows):
        notes.append(f"{empty:,} windows hold no row; they are proven empty")
    if len(windows) > MANY_WINDOWS:
        notes.append(f"{len(windows):,} windows are many for Dagster's UI; a longer `window` runs faster")
    if job.load == "bulk":
        shards = len(wanted_bucket(job).declared(time.time_ns()))
        notes.append(
            f"load: bulk makes the bucket with its {shards:,} shards: it needs an operator token, see docs/bulk-load.md"
        )
        if shards > MANY_SHARDS:
            notes.append(f"{shards:,} shards are many for one request; a longer `shard_group_duration` makes fewer")
    if not job.validation_enabled:
        notes.append("validation_enabled is false: nothing of this job will count as proven")
    return notes
