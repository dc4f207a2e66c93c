"""What the source holds now that the proof does not know: rows at or after end_time, windows that grew or changed.

Counts tell the first two. A row that was written again with another value changes none: where that is wanted, all
values are read again (`stages.source_values`). What is done about arrivals is in `orchestration.catch_up`; what they
keep shut, in `cutover.readiness`.
"""

from dataclasses import dataclass

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.objects import ExportBucket
from ts_migration.stages.proof import TableProof
from ts_migration.stages.source_values import rewritten_in
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.window_counts import TailCount, rows_from, window_rows
from ts_migration.windows import Window, edge_after


@dataclass(frozen=True, slots=True)
class ChangedWindow:
    """A window of which the source holds another number of rows now than were exported."""

    key: str
    exported: int
    now: int


@dataclass(frozen=True)
class Arrivals:
    """What one job's source holds beside the proof. `new_end_ns` is where a range that holds all of it ends."""

    job: MigrationJob
    late: tuple[ChangedWindow, ...]
    """Windows with more rows than were exported."""
    expired: tuple[ChangedWindow, ...]
    """Windows with fewer: their rows have expired in the source. Nothing is newer than the proof there."""
    after_end: TailCount
    """Rows at or after end_time that no other job migrates to the same place."""
    new_end_ns: int | None
    """None where end_time can stay: nothing lies after it, or applications write that to both."""
    rewritten: tuple[ChangedWindow, ...] = ()
    """Windows with no more rows than were exported and other values."""

    @property
    def late_rows(self) -> int:
        """Rows that came to windows since their export."""
        return sum(window.now - window.exported for window in self.late)

    @property
    def nothing(self) -> bool:
        """Whether the source is still: nothing has to be exported again or for the first time."""
        return not self.changed and self.new_end_ns is None

    @property
    def changed(self) -> tuple[ChangedWindow, ...]:
        """Windows that have to be exported again."""
        return (*self.late, *self.rewritten)


def arrivals_of(
    config: MigrationConfig,
    job: MigrationJob,
    proof: TableProof,
    query: TimestreamQuery,
    dual_write_since_ns: int | None = None,
    *,
    values_in: ExportBucket | None = None,
) -> Arrivals:
    """Ask Timestream, now, for the rows of every exported window and for those at or after end_time.

    Args:
        config: tells which other jobs go on where this one ends.
        job: whose table it is.
        proof: of the table, with the rows that were exported.
        query: Timestream.
        dual_write_since_ns: since when applications write to both systems: later rows need no migration.
        values_in: the export bucket, if all values are to be read again too, by UNLOADs into a scratch folder there.

    Raises:
        MigrationError: Timestream could not be asked.
    """
    exported = [window for window in proof.windows if window.exported]
    counts = window_rows(query, job.source_database, job.source_table, [each.window for each in exported])
    changed = [
        ChangedWindow(each.key, each.rows, now) for each, now in zip(exported, counts, strict=True) if now != each.rows
    ]
    tail = _after_end(config, job, query)
    rewritten: tuple[Window, ...] = ()
    if values_in is not None:
        rewritten = rewritten_in(config, job, exported, counts, query, values_in)
    rows = {each.key: (each.rows, now) for each, now in zip(exported, counts, strict=True)}
    return Arrivals(
        job,
        late=tuple(window for window in changed if window.now > window.exported),
        expired=tuple(window for window in changed if window.now < window.exported),
        after_end=tail,
        new_end_ns=new_end_ns(job, tail, dual_write_since_ns, following_start_ns(config, job)),
        rewritten=tuple(ChangedWindow(each.key, *rows[each.key]) for each in rewritten),
    )


def new_end_ns(
    job: MigrationJob, after_end: TailCount, dual_write_since_ns: int | None, following_ns: int | None
) -> int | None:
    """Where the job's range has to end so that no row is left behind; None where it may end where it does. Pure.

    The end of the last row's window, so that a source that goes on within it needs no other end again. Never beyond
    the time since which applications write to both, or the start of the job that goes on from here.
    """
    if not after_end.rows:
        return None
    if dual_write_since_ns is not None:
        return dual_write_since_ns if dual_write_since_ns > job.end_time else None
    last = job.end_time if after_end.last_ns is None else after_end.last_ns
    end = edge_after(job.grid.cron, last)
    return end if following_ns is None else min(end, following_ns)


def following_start_ns(config: MigrationConfig, job: MigrationJob) -> int | None:
    """Where the next job begins that migrates the same table to the same place; None where there is none."""
    starts = [
        other.start_time
        for other in config.migration_jobs
        if (other.source, other.target_bucket, other.measurement) == (job.source, job.target_bucket, job.measurement)
        and other.start_time >= job.end_time
    ]
    return min(starts, default=None)


def _after_end(config: MigrationConfig, job: MigrationJob, query: TimestreamQuery) -> TailCount:
    following = following_start_ns(config, job)
    if following is None:
        return rows_from(query, job.source_database, job.source_table, job.end_time)
    if following == job.end_time:
        return TailCount(0, None, None)
    (rows,) = window_rows(query, job.source_database, job.source_table, [Window(job.end_time, following)])
    return TailCount(rows, job.end_time if rows else None, following - 1 if rows else None)
