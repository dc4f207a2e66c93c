"""Export frames as value vectors: which series, field, type and bits each value of a frame has under a mapping.

A way of its own from rows to points, apart from the encoder: it shares the mapping and nothing else, so that neither
can hide the other's fault. What is summed over the vectors is in `digest`; what differs between two sides is in
`differences`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ts_migration.columns import named, series_of
from ts_migration.errors import Permanent
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping
from ts_migration.validation.hashing import (
    I64,
    U64,
    StringHashes,
    canonical_field,
    canonical_series,
    key_hash,
    mix_number,
    series_bucket,
    series_hash,
    typed,
    value_bits,
)

TIME_COLUMN = "time_ns"
MEASURE_NAME = "measure_name"

_REMEMBERED_SERIES = 300_000
"""Row identities kept between frames (some 200 bytes each): beyond it the registry starts again."""
_IDENTITY_SEED = 0x1D
"""Rows are told apart by a 64-bit hash of their tag columns, four times as fast as by the texts. Two identities of one
hash (2^-64 a pair) would give the export a wrong digest, so that the checksum fails; it could not pass by it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Field sources that read one column in one way, at most one of them for any measure_name."""

    column: str
    type: FieldType
    rfc3339: bool
    sources: tuple[tuple[int, FieldSource], ...]
    """Index in `mapping.fields`, and the source."""

    def field_for(self, measure_name: str | None) -> int:
        """Index of the field that rows of a measure_name give, or -1."""
        for index, source in self.sources:
            if source.measure_names is None or measure_name in source.measure_names:
                return index
        return -1


def slots_of(mapping: Mapping) -> tuple[Slot, ...]:
    """The mapping's fields, gathered so that each slot is one vectorised pass over one column."""
    gathered: list[tuple[tuple[str, FieldType, bool], list[tuple[int, FieldSource]]]] = []
    for index, source in enumerate(mapping.fields):
        way = (source.column, source.type, source.rfc3339)
        for known, sources in gathered:
            if known == way and not any(_overlap(source, other) for _, other in sources):
                sources.append((index, source))
                break
        else:
            gathered.append((way, [(index, source)]))
    return tuple(Slot(*way, tuple(sources)) for way, sources in gathered)


def _overlap(one: FieldSource, other: FieldSource) -> bool:
    if one.measure_names is None or other.measure_names is None:
        return True
    return not set(one.measure_names).isdisjoint(other.measure_names)


@dataclass(frozen=True, slots=True)
class SlotValues:
    """The values of one slot of one frame.

    `rows` are the frame's rows that have a value (None: all, in order); `bits` are typed value bits, one per value;
    `fields` are indices into `mapping.fields`, one per value, or one number for all.
    """

    slot: int
    rows: npt.NDArray[np.int64] | None
    bits: U64
    fields: npt.NDArray[np.int32] | int


class SeriesRegistry:
    """Row identities (tag columns and measure_name) to numbers, with the hashes that each of them needs once.

    Arrays by identity number: `buckets` (series buckets), `series` (series hashes), `keys[lane][slot]` (mix(k) of the
    field that the slot gives for the identity) and `fields[slot]` (index in `mapping.fields`, -1 for none).
    """

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.slots = slots_of(mapping)
        self.columns = tuple(dict.fromkeys(tag.column for tag in mapping.tags))
        limited = [*(tag.measure_names for tag in mapping.tags), *(field.measure_names for field in mapping.fields)]
        if any(names is not None for names in limited):
            self.columns = tuple(dict.fromkeys((*self.columns, MEASURE_NAME)))
        self._canonical_fields = tuple(canonical_field(source.field) for source in mapping.fields)
        self._clear()

    def _clear(self) -> None:
        self._numbers: dict[int, int] = {}
        self.buckets = np.empty(0, np.int64)
        self.series = np.empty(0, np.uint64)
        self.keys = np.empty((2, len(self.slots), 0), np.uint64)
        self.fields = np.empty((len(self.slots), 0), np.int32)

    def numbers_of(self, frame: pl.DataFrame) -> I64:
        """The identity number of every row. May renumber everything: arrays are valid until the next call."""
        missing = [column for column in self.columns if column not in frame.columns]
        if missing:
            raise Permanent(f"the export lacks the columns {', '.join(missing)} that the mapping names")
        if not self.columns:
            return np.full(len(frame), self._enter([0], [0], pl.DataFrame())[0], np.int64)
        identities = frame.select(named(column).cast(pl.String) for column in self.columns)
        hashes = identities.hash_rows(seed=_IDENTITY_SEED).alias("hash").to_frame()
        distinct = hashes.with_row_index("row").unique("hash", keep="any", maintain_order=False)
        numbers = self._enter(distinct["hash"].to_list(), distinct["row"].to_list(), identities)
        if len(distinct) == 1:
            return np.full(len(frame), numbers[0], np.int64)
        numbered = pl.DataFrame({"hash": distinct["hash"], "number": numbers})
        return hashes.join(numbered, on="hash", how="left", maintain_order="left")["number"].to_numpy()

    def _enter(self, hashes: list[int], rows: list[int], identities: pl.DataFrame) -> I64:
        """Numbers of identity hashes; `rows` says where in `identities` each is found, should it be new."""
        new = [(hashed, row) for hashed, row in zip(hashes, rows, strict=True) if hashed not in self._numbers]
        if new and len(self._numbers) + len(new) > _REMEMBERED_SERIES:
            self._clear()
            new = list(zip(hashes, rows, strict=True))
        if new:
            first = len(self._numbers)
            self._numbers.update(zip((hashed for hashed, _ in new), range(first, first + len(new)), strict=True))
            # Without a tag column there is one identity, and no text to it.
            self._describe(identities[[row for _, row in new]].rows() if self.columns else [()], first)
        return np.fromiter(map(self._numbers.__getitem__, hashes), np.int64, len(hashes))

    def _describe(self, new: Sequence[tuple[str | None, ...]], first: int) -> None:
        """Fill the arrays for new identities; they grow by doubling."""
        needed = first + len(new)
        if needed > len(self.series):
            grow = max(needed, 2 * len(self.series)) - len(self.series)
            self.buckets = np.concatenate([self.buckets, np.zeros(grow, np.int64)])
            self.series = np.concatenate([self.series, np.zeros(grow, np.uint64)])
            self.keys = np.concatenate([self.keys, np.zeros((2, len(self.slots), grow), np.uint64)], axis=2)
            self.fields = np.concatenate([self.fields, np.full((len(self.slots), grow), -1, np.int32)], axis=1)
        for number, identity in enumerate(new, first):
            row = dict(zip(self.columns, identity, strict=True))
            measure_name = row.get(MEASURE_NAME)
            canonical = canonical_series(self.mapping.measurement, self._tags(row, measure_name))
            hashed = series_hash(canonical)
            self.series[number] = hashed
            self.buckets[number] = series_bucket(hashed)
            for index, slot in enumerate(self.slots):
                field = slot.field_for(measure_name)
                self.fields[index, number] = field
                if field >= 0:
                    key = key_hash(canonical, self._canonical_fields[field])
                    self.keys[0, index, number] = mix_number(key, 0)
                    self.keys[1, index, number] = mix_number(key, 1)

    def _tags(self, row: dict[str, str | None], measure_name: str | None) -> list[tuple[str, str]]:
        return [
            (source.tag, row[source.column] or "")
            for source in self.mapping.tags
            if source.measure_names is None or measure_name in source.measure_names
        ]

    def tags_of(self, row: dict[str, str | None]) -> dict[str, str]:
        """The tags of one row, by column name."""
        return {key: value for key, value in self._tags(row, row.get(MEASURE_NAME)) if value}


def values_of(
    frame: pl.DataFrame, registry: SeriesRegistry, numbers: I64, strings: StringHashes
) -> Iterator[SlotValues]:
    """The values of a frame, slot by slot.

    Raises:
        Permanent: a column of the mapping is not there or has a type that its field cannot have.
    """
    for index, slot in enumerate(registry.slots):
        if slot.column not in frame.columns:
            raise Permanent(f"the export lacks the column {slot.column!r} that the mapping names")
        column = series_of(frame, slot.column)
        if column.null_count() == len(column):
            continue
        fields = registry.fields[index]
        single = slot.sources[0][0] if len(slot.sources) == 1 else -1
        everywhere = single >= 0 and slot.sources[0][1].measure_names is None
        if everywhere and column.null_count() == 0:
            yield SlotValues(index, None, _bits(column, slot, strings), single)
            continue
        present = column.is_not_null().to_numpy()
        if not everywhere:
            present = present & (fields[numbers] >= 0)
        rows = np.flatnonzero(present)
        if len(rows):
            chosen = column.filter(pl.Series(present))
            yield SlotValues(
                index, rows, _bits(chosen, slot, strings), single if single >= 0 else fields[numbers[rows]]
            )


def _bits(column: pl.Series, slot: Slot, strings: StringHashes) -> U64:
    """Typed bits of a column without nulls."""
    source, kind = column.dtype, slot.type
    if kind is FieldType.FLOAT and source in (pl.Float64, pl.Int64):
        return value_bits(column.cast(pl.Float64).to_numpy(), kind)
    if kind is FieldType.INTEGER and source == pl.Int64:
        return value_bits(column.to_numpy(), kind)
    if kind is FieldType.BOOLEAN and source == pl.Boolean:
        return value_bits(column.cast(pl.UInt8).to_numpy(), kind)
    if kind is FieldType.STRING and slot.rfc3339 and source == pl.Int64:
        return _string_bits(rfc3339(column), strings)
    if kind is FieldType.STRING and source == pl.String:
        return _string_bits(column, strings)
    raise Permanent(
        f"the column {slot.column!r} has the type {source} in the export and its field the type {kind.value}",
        next_step="extend the mapping: the source has changed since it was resolved",
    )


def _string_bits(column: pl.Series, strings: StringHashes) -> U64:
    distinct = column.unique()
    hashes = strings.of(distinct.to_list(), len(distinct))
    if len(distinct) == len(column):
        return typed(strings.of(column.to_list(), len(column)), FieldType.STRING)
    replaced = column.replace_strict(distinct, pl.Series(hashes), return_dtype=pl.UInt64)
    return typed(replaced.to_numpy(), FieldType.STRING)


def rfc3339(column: pl.Series) -> pl.Series:
    """Times in ns as RFC 3339 text in UTC, exact, with as many digits as each needs (the text of `windows.iso`)."""
    text = column.cast(pl.Datetime("ns")).dt.to_string("%Y-%m-%dT%H:%M:%S%.9f")
    return text.str.strip_chars_end("0").str.strip_chars_end(".") + "Z"
