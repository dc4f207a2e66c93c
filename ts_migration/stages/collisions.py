"""Rows that would become one point under a mapping that is not injective: refused before anything of a window moves.

InfluxDB keeps the last of two values written to one series, field and time, so the other would be lost without a word.
The query is `timestream.readings.collisions`; it costs a scan of the window and is asked only where it can find any.
"""

from collections.abc import Iterable

from ts_migration.config import MigrationJob
from ts_migration.errors import Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.readings import collisions
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window


def refuse_collisions(
    job: MigrationJob, schema: TableSchema, mapping: Mapping, windows: Iterable[Window], query: TimestreamQuery
) -> None:
    """Ask Timestream whether rows of these windows would overwrite each other.

    Raises:
        Refused: they would: how many points, and three of them.
        MigrationError: as of `TimestreamQuery`.
    """
    if mapping.injective:
        return
    for window in windows:
        found = collisions(query, schema, mapping, window)
        if found.points:
            raise Refused(
                f"{found.points:,} points would be written by several rows each, and all but one lost: "
                + "; ".join(found.examples),
                where=f"job {job.job_name!r}, window {window}",
                allowed="a mapping that keeps rows apart",
                next_step="take the dimension off mapping.dimensions_as_fields, or set mapping.keep_measure_name: true",
            )
