"""Rows that would become one point under a mapping that is not injective: refused before anything moves.

InfluxDB keeps the last of two values written to one series, field and time, so the other would be lost without a word.
The query is `timestream.series.collisions`; it costs a scan of the window and is asked only where it can find any: a
dimension that became a field, a dropped measure_name, or a rewrite rule that may make one tag value of two.
"""

from collections.abc import Iterable

from ts_migration.config import MigrationJob
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rules import TAG_RULES
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.series import Collisions, collisions
from ts_migration.windows import Window

_SMALLEST_NS = 3_600 * 10**9
"""A range is not halved below an hour: what is too large there is not a matter of time."""


def may_collide(job: MigrationJob, mapping: Mapping) -> bool:
    """Whether two source rows could become one point at all."""
    return not mapping.injective or bool(TAG_RULES & job.mapping.rewrite.active.keys())


def refuse_collisions(
    job: MigrationJob, schema: TableSchema, mapping: Mapping, windows: Iterable[Window], query: TimestreamQuery
) -> None:
    """Ask Timestream whether rows of these windows would overwrite each other.

    Raises:
        Refused: they would: how many rows, how many points, and three of them.
        MigrationError: as of `TimestreamQuery`.
    """
    if not may_collide(job, mapping):
        return
    for window in windows:
        found = _collisions(job, schema, mapping, window, query)
        if found.points:
            raise Refused(
                f"{found.rows:,} rows would become {found.points:,} points and overwrite each other's values there: "
                + "; ".join(found.examples),
                where=f"job {job.job_name!r}, window {window}",
                allowed="a mapping that keeps rows apart",
                next_step="take the dimension off mapping.dimensions_as_fields, set mapping.keep_measure_name: true, "
                "or take the rule for tags off mapping.rewrite",
            )


def _collisions(
    job: MigrationJob, schema: TableSchema, mapping: Mapping, window: Window, query: TimestreamQuery
) -> Collisions:
    """Of a range; of its halves where it is too much for one query."""
    try:
        return collisions(query, schema, mapping, window, job.mapping.rewrite.active)
    except QueryTooLarge:
        if window.end_ns - window.start_ns <= _SMALLEST_NS:
            raise
    first, second = (_collisions(job, schema, mapping, half, query) for half in window.halves())
    return Collisions(first.points + second.points, first.rows + second.rows, (*first.examples, *second.examples)[:3])
