"""Rows of one export that another one of the same window has not, whatever their numbers: hashes are compared.

Memory is 8 bytes a row. What is done about such rows is in `export` and `source_values`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from ts_migration.columns import named
from ts_migration.errors import Missing, Permanent
from ts_migration.line_protocol.accepted_rows import TIME
from ts_migration.line_protocol.parquet import FrameSize, unmapped_frames
from ts_migration.line_protocol.series import MEASURE_NAME
from ts_migration.manifests import ExportManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.trace import is_as_unloaded
from ts_migration.timestream.schema import ColumnRole, TableSchema
from ts_migration.validation.hashing import U64

_LINES = 10_000


def gone_rows(schema: TableSchema, earlier: ExportManifest, later: ExportManifest, bucket: ExportBucket) -> int:
    """Rows of an earlier export that a later one has not: as many or more may have come meanwhile.

    A row is told by its dimensions, measure_name and time; its values may have been written again. 0 also where the
    earlier one's files are gone, or are not what UNLOAD wrote: then nothing is known of its rows.

    Raises:
        Missing, Permanent, Transient: the later export could not be read.
    """
    if is_as_unloaded(bucket, earlier) is False:
        return 0
    columns = [column.name for column in schema.columns if column.role is ColumnRole.DIMENSION]
    there = _sorted_hashes(bucket, later, columns)
    try:
        return sum(_absent(there, hashes) for hashes in _frame_hashes(bucket, earlier, columns))
    except (Missing, Permanent):
        return 0


def new_rows(
    columns: Sequence[str], earlier: ExportManifest, later: ExportManifest, bucket: ExportBucket
) -> int | None:
    """Rows of a later export that an earlier one has not as they are, by all of these columns.

    None where the earlier one's files are gone or damaged.

    Raises:
        Missing, Permanent, Transient: the later export could not be read.
    """
    try:
        there = _sorted_hashes(bucket, earlier, columns)
    except (Missing, Permanent):
        return None
    return sum(_absent(there, hashes) for hashes in _frame_hashes(bucket, later, columns))


def _sorted_hashes(bucket: ExportBucket, export: ExportManifest, columns: Sequence[str]) -> U64:
    found = np.empty(export.rows, np.uint64)
    filled = 0
    for hashes in _frame_hashes(bucket, export, columns):
        found[filled : filled + len(hashes)] = hashes
        filled += len(hashes)
    found.sort()
    return found


def _absent(there: U64, hashes: U64) -> int:
    if not len(there):
        return len(hashes)
    found = np.minimum(np.searchsorted(there, hashes), len(there) - 1)
    return int((there[found] != hashes).sum())


def _frame_hashes(bucket: ExportBucket, export: ExportManifest, columns: Sequence[str]) -> Iterator[U64]:
    """By the columns, measure_name and time. Of a column that came to the table since, the rows have nothing."""
    for frame in unmapped_frames(bucket, export, FrameSize(_LINES).rows(export.columns)):
        there = [
            named(name) if name in frame.columns else pl.lit(None, pl.String).alias(name)
            for name in (*sorted(columns), MEASURE_NAME, TIME)
        ]
        yield frame.select(there).hash_rows().to_numpy()
