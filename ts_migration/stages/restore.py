"""One exported window written back to a Timestream table, and the proof that the table holds it again, value by value.

The proof is a digest of the export's files and one of what an UNLOAD of the table's window gives: of every row, all
columns count, whatever the mapping to InfluxDB is. Which windows are restored and what is kept of it: `operations`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ts_migration.columns import named
from ts_migration.errors import Permanent
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.parquet import FrameSize, export_frames
from ts_migration.line_protocol.series import MEASURE_NAME
from ts_migration.manifests import DigestRecord, ExportManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.scratch_export import scratch_export
from ts_migration.timestream.description import describe
from ts_migration.timestream.ingestion import RECORDS_A_REQUEST, Ingestion
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.records import TIME_NS, Record, RecordShape, records_of
from ts_migration.timestream.schema import ColumnRole, TableSchema
from ts_migration.validation.digest import PointDigest
from ts_migration.windows import Window

_TYPES = {
    "varchar": FieldType.STRING,
    "bigint": FieldType.INTEGER,
    "double": FieldType.FLOAT,
    "boolean": FieldType.BOOLEAN,
    "timestamp": FieldType.INTEGER,
}


@dataclass(frozen=True)
class Kept:
    """Rows of one window: how many, and the digest of all their values."""

    rows: int
    digest: DigestRecord
    others: int = 0
    """Of a table: rows that are none of the export's, which are in neither number."""


def every_column(shape: RecordShape, table: str) -> Mapping:
    """The mapping under which no column is left out or joined: every row is told apart from every other."""
    return Mapping(
        measurement=table,
        tags=tuple(TagSource(name, name) for name in sorted({*shape.dimensions, MEASURE_NAME})),
        fields=tuple(FieldSource(name, name, _TYPES[kind]) for name, kind in sorted(shape.values.items())),
        measure_names=(),
        dimensions=shape.dimensions,
        injective=True,
    )


def write_window(
    export: ExportManifest,
    shape: RecordShape,
    bucket: ExportBucket,
    ingestion: Ingestion,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Kept:
    """Write an export's rows to a table; what they are. Rows that the table holds already stay as they are.

    Args:
        export: of the window; its files are read and checked.
        shape: what its columns are.
        bucket: the export bucket.
        ingestion: writes to the table.
        on_rows: told how many more rows are stored.

    Raises:
        Missing, Permanent: a file is gone, or not what the manifest says.
        MigrationError: see `Ingestion.write`.
    """
    seen = _Seen(export, every_column(shape, export.table), bucket)

    def records() -> Iterator[Record]:
        for frame in seen.frames():
            yield from records_of(frame, shape)

    ingestion.write(records(), on_rows)
    return seen.kept


def read_back(
    export: ExportManifest,
    shape: RecordShape,
    bucket: ExportBucket,
    query: TimestreamQuery,
    database: str,
    table: str,
    *,
    only_exported: bool,
) -> Kept:
    """What a table holds in an export's window, by an UNLOAD of it.

    Args:
        export: of the window.
        shape: what its columns are.
        bucket: takes the UNLOAD's files for a while.
        query: Timestream.
        database, table: what is asked.
        only_exported: leave out rows that are none of the export's by dimensions, measure name and time: the table held
            others before.

    Raises:
        MigrationError: see `Unloader` and `export_frames`.
    """
    window = Window(export.window.start_ns, export.window.end_ns, export.window.key)
    mapping = every_column(shape, export.table)
    schema = _known_columns(describe(query, database, table), shape)
    _require_types(schema, export)
    with scratch_export(schema, window, query, bucket) as held:
        keys = _keys(export, shape, mapping, bucket) if only_exported else None
        seen = _Seen(held, mapping, bucket)
        for _ in seen.frames(None if keys is None else lambda frame: np.isin(_row_keys(frame, shape), keys)):
            pass
        return replace(seen.kept, others=held.rows - seen.rows)


def require_equal(kept: Kept, found: Kept, where: str, next_step: str) -> None:
    """Nothing, where a table holds what was exported.

    Raises:
        Permanent: it does not; the message tells rows, or the columns and the part of the window that differ.
    """
    if (kept.rows, kept.digest) == (found.rows, found.digest):
        return
    if kept.rows != found.rows:
        what = f"the export holds {kept.rows:,} rows, the table {found.rows:,}"
    else:
        counts = Counter(kept.digest.counts)
        counts.subtract(found.digest.counts)
        columns = ", ".join(sorted(name for name, left in counts.items() if left))
        bins = sum(one != other for one, other in zip(kept.digest.bin_lanes, found.digest.bin_lanes, strict=True))
        what = f"values differ in {bins} of {len(kept.digest.bin_lanes)} parts of the window"
        what += f"; other numbers of values in: {columns}" if columns else ""
    raise Permanent(f"the table does not hold what was exported: {what}", where=where, next_step=next_step)


class _Seen:
    """The rows of an export as they pass, counted and digested."""

    def __init__(self, export: ExportManifest, mapping: Mapping, bucket: ExportBucket) -> None:
        self._export, self._mapping, self._bucket = export, mapping, bucket
        self._digest = PointDigest(export.window.start_ns, export.window.end_ns)
        self.rows = 0

    def frames(self, chosen: "Callable[[pl.DataFrame], np.ndarray] | None" = None) -> Iterator[pl.DataFrame]:
        """All frames of the export, or of each the chosen rows."""
        rows = FrameSize(RECORDS_A_REQUEST).rows(self._export.columns)
        for frame in export_frames(self._bucket, self._export, self._mapping, rows):
            taken = frame if chosen is None else frame.filter(pl.Series(chosen(frame)))
            self._digest.add_frame(taken, self._mapping)
            self.rows += len(taken)
            yield taken

    @property
    def kept(self) -> Kept:
        return Kept(self.rows, self._digest.record())


def _keys(export: ExportManifest, shape: RecordShape, mapping: Mapping, bucket: ExportBucket) -> np.ndarray:
    found = [np.empty(0, np.uint64)]
    for frame in export_frames(bucket, export, mapping, FrameSize(RECORDS_A_REQUEST).rows(export.columns)):
        found.append(_row_keys(frame, shape))
    return np.concatenate(found)


def _row_keys(frame: pl.DataFrame, shape: RecordShape) -> np.ndarray:
    """What Timestream tells rows apart by, as 64 bits. Two rows of one hash could only fail the proof."""
    columns = [named(name) for name in (*shape.dimensions, MEASURE_NAME, TIME_NS)]
    return frame.select(pl.struct(columns).hash()).to_series().to_numpy()


def _require_types(schema: TableSchema, export: ExportManifest) -> None:
    """Integers and times of equal bits are of one digest: their types are compared here."""
    wrong = [
        f"{column.name} is {column.type} and was {export.columns[column.name]}"
        for column in schema.columns
        if export.columns.get(column.name, column.type) != column.type
    ]
    if wrong:
        raise Permanent(f"the table's columns have other types: {'; '.join(wrong)}", where=f"{schema.table}")


def _known_columns(schema: TableSchema, shape: RecordShape) -> TableSchema:
    known = {*shape.dimensions, *shape.values}
    always = (ColumnRole.TIMESTAMP, ColumnRole.MEASURE_NAME)
    columns = tuple(column for column in schema.columns if column.role in always or column.name in known)
    return replace(schema, columns=columns)
