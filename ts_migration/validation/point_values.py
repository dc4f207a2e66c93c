"""Points as rows of a table, a row per value: key, time, typed bits. For comparing the two sides value by value.

The keys and bits are those of the digest, so that what differs here is what makes the digests differ. Texts for people
are made only for the few values that are shown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.validation.frame_values import TIME_COLUMN, SeriesRegistry, rfc3339, values_of
from ts_migration.validation.hashing import (
    I64,
    StringHashes,
    canonical_field,
    canonical_series,
    key_hash,
    mix_number,
    typed,
    value_bits,
)

SCHEMA = {"key": pl.UInt64, "time": pl.Int64, "bits": pl.UInt64, "part": pl.Int32, "field": pl.Int32, "row": pl.Int64}
"""`key` is mix(k) of lane 0 (a bijection of k). `part`, `field` and `row` say where a value's text is found."""


@dataclass(frozen=True, slots=True)
class NamedValue:
    """One value as people read it: series and field, and the value with its type; and the tags of the series."""

    point: str
    value: str
    tags: dict[str, str]


Keep = Callable[[pl.DataFrame], pl.Series]
"""Says of each value of a table (by `key` and `time`) whether it is kept."""


class FramePoints:
    """The values of export frames. Keeps the rows of what it keeps: meant for a part of a window.

    Args:
        mapping: of the table.
        keep: which values are kept; by default all.
    """

    def __init__(self, mapping: Mapping, keep: Keep | None = None) -> None:
        self.mapping = mapping
        self._keep = keep
        self._registry = SeriesRegistry(mapping)
        self._strings = StringHashes()
        self._frames: list[pl.DataFrame] = []
        self._tables: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Add the rows of a frame."""
        if frame.is_empty():
            return
        registry, part = self._registry, len(self._frames)
        tables: list[pl.DataFrame] = []
        numbers = registry.numbers_of(frame)
        times = frame[TIME_COLUMN].to_numpy()
        for values in values_of(frame, registry, numbers, self._strings):
            rows = np.arange(len(frame)) if values.rows is None else values.rows
            fields = np.full(len(rows), values.fields, np.int32) if isinstance(values.fields, int) else values.fields
            columns = {
                "key": registry.keys[0, values.slot][numbers[rows]],
                "time": times[rows],
                "bits": values.bits,
                "part": np.full(len(rows), part, np.int32),
                "field": fields,
                "row": rows.astype(np.int64),
            }
            tables.append(_kept(pl.DataFrame(columns, schema=SCHEMA), self._keep))
        if not any(map(len, tables)):
            return
        if self._keep:
            rows = np.unique(np.concatenate([table["row"].to_numpy() for table in tables]))
            frame, tables = frame[rows], [_renumbered(table, rows) for table in tables]
        self._frames.append(frame)
        self._tables += tables

    @property
    def values(self) -> int:
        """Values so far."""
        return sum(map(len, self._tables))

    def table(self) -> pl.DataFrame:
        """All values."""
        return pl.concat(self._tables) if self._tables else pl.DataFrame(schema=SCHEMA)

    def named(self, part: int, field: int, row: int) -> NamedValue:
        """The text of one value."""
        source = self.mapping.fields[field]
        values = self._frames[part].row(row, named=True)
        value = values[source.column]
        if source.rfc3339:
            value = rfc3339(pl.Series([value], dtype=pl.Int64))[0]
        elif source.type is FieldType.FLOAT:
            value = float(value)
        tags = self._registry.tags_of(values)
        point = point_text(self.mapping.measurement, tags, source.field)
        return NamedValue(point, value_text(value, source.type), tags)


class BlockPoints:
    """The values of blocks read back. Keeps the points of what it keeps: meant for a part of a window.

    Args:
        keep: which values are kept; by default all.
    """

    def __init__(self, keep: Keep | None = None) -> None:
        self._keep = keep
        self._blocks: list[Block] = []
        self._tables: list[pl.DataFrame] = []
        self._strings = StringHashes()

    def add(self, blocks: Iterable[Block]) -> None:
        """Add blocks."""
        for block in blocks:
            part = len(self._blocks)
            tables: list[pl.DataFrame] = []
            series = canonical_series(block.measurement, block.tags)
            for index, column in enumerate(block.columns):
                rows = np.arange(len(block.times)) if column.valid is None else np.flatnonzero(column.valid)
                values = column.values[rows]
                key = mix_number(key_hash(series, canonical_field(column.field)), 0)
                if column.kind is FieldType.STRING:
                    bits = typed(self._strings.of(values.tolist(), len(values)), column.kind)
                else:
                    bits = value_bits(values, column.kind)
                columns = {
                    "key": np.full(len(rows), key, np.uint64),
                    "time": block.times[rows],
                    "bits": bits,
                    "part": np.full(len(rows), part, np.int32),
                    "field": np.full(len(rows), index, np.int32),
                    "row": rows.astype(np.int64),
                }
                tables.append(_kept(pl.DataFrame(columns, schema=SCHEMA), self._keep))
            if not any(map(len, tables)):
                continue
            if self._keep:
                points = np.unique(np.concatenate([table["row"].to_numpy() for table in tables]))
                block, tables = _points_of(block, points), [_renumbered(table, points) for table in tables]
            self._blocks.append(block)
            self._tables += tables

    def table(self) -> pl.DataFrame:
        """All values."""
        return pl.concat(self._tables) if self._tables else pl.DataFrame(schema=SCHEMA)

    def named(self, part: int, field: int, row: int) -> NamedValue:
        """The text of one value."""
        block = self._blocks[part]
        column = block.columns[field]
        value = column.values[row]
        plain = value.item() if isinstance(value, np.generic) else value
        point = point_text(block.measurement, block.tags, column.field)
        return NamedValue(point, value_text(plain, column.kind), block.tags)

    def block(self, part: int) -> Block:
        """The block that the rows of a part are points of."""
        return self._blocks[part]


def _kept(table: pl.DataFrame, keep: Keep | None) -> pl.DataFrame:
    return table if keep is None else table.filter(keep(table))


def _renumbered(table: pl.DataFrame, rows: I64) -> pl.DataFrame:
    """The same values, their rows counted among the rows that are kept."""
    return table.with_columns(pl.Series("row", np.searchsorted(rows, table["row"].to_numpy()), pl.Int64))


def _points_of(block: Block, rows: I64) -> Block:
    """Some points of a block, as copies that do not hold the others in memory."""
    columns = (
        BlockColumn(one.field, one.kind, one.values[rows], None if one.valid is None else one.valid[rows])
        for one in block.columns
    )
    return Block(block.measurement, block.tags, block.times[rows], tuple(columns))


def point_text(measurement: str, tags: dict[str, str], field: str) -> str:
    """Series and field as people read them; not line protocol: nothing is escaped."""
    named = "".join(f",{key}={value}" for key, value in sorted(tags.items()))
    return f"{measurement}{named} {field}"


def value_text(value: object, kind: FieldType) -> str:
    """A value with its type, exact: floats as their shortest text, long strings cut."""
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '…'} ({kind.value})"
