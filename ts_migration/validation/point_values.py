"""Points as rows of a table, a row per value: key, time, typed bits. For comparing the two sides value by value.

The keys and bits are those of the digest, so that what differs here is what makes the digests differ. Texts for people
are made only for the few values that are shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from ts_migration.influxdb.blocks import Block
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.validation.frame_values import TIME_COLUMN, SeriesRegistry, rfc3339, values_of
from ts_migration.validation.hashing import (
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
    """One value as people read it: series and field, and the value with its type."""

    point: str
    value: str


class FramePoints:
    """The values of export frames. Keeps the frames: meant for a part of a window."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self._registry = SeriesRegistry(mapping)
        self._strings = StringHashes()
        self._frames: list[pl.DataFrame] = []
        self._tables: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Add the rows of a frame."""
        if frame.is_empty():
            return
        registry, part = self._registry, len(self._frames)
        self._frames.append(frame)
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
            self._tables.append(pl.DataFrame(columns, schema=SCHEMA))

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
        return NamedValue(point_text(self.mapping.measurement, tags, source.field), value_text(value, source.type))


class BlockPoints:
    """The values of blocks read back. Keeps the blocks: meant for a part of a window."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._tables: list[pl.DataFrame] = []
        self._strings = StringHashes()

    def add(self, blocks: Iterable[Block]) -> None:
        """Add blocks."""
        for block in blocks:
            part = len(self._blocks)
            self._blocks.append(block)
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
                self._tables.append(pl.DataFrame(columns, schema=SCHEMA))

    def table(self) -> pl.DataFrame:
        """All values."""
        return pl.concat(self._tables) if self._tables else pl.DataFrame(schema=SCHEMA)

    def named(self, part: int, field: int, row: int) -> NamedValue:
        """The text of one value."""
        block = self._blocks[part]
        column = block.columns[field]
        value = column.values[row]
        plain = value.item() if isinstance(value, np.generic) else value
        return NamedValue(point_text(block.measurement, block.tags, column.field), value_text(plain, column.kind))


def point_text(measurement: str, tags: dict[str, str], field: str) -> str:
    """Series and field as people read them; not line protocol: nothing is escaped."""
    named = "".join(f",{key}={value}" for key, value in sorted(tags.items()))
    return f"{measurement}{named} {field}"


def value_text(value: object, kind: FieldType) -> str:
    """A value with its type, exact: floats as their shortest text, long strings cut."""
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '…'} ({kind.value})"
