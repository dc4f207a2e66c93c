"""The type of each field, pinned per shard group and measurement, and what 2.7.11 says of points that break it.

The order of its checks is that of the server's shard (tsdb/shard.go, field_validator.go): what a point is dropped for,
which reason is told (the first), and what one request with two types for a new field does (the shard's part fails).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol import stored
from ts_migration.local.influxdb.line_protocol.batch import Batch, BatchColumn, take
from ts_migration.local.influxdb.line_protocol.go_text import to_text
from ts_migration.local.influxdb.line_protocol.parser import fields_of_line
from ts_migration.local.influxdb.points import FieldType
from ts_migration.local.influxdb.storage.runs import Part

MAX_STRING_BYTES = 1 << 20
"""Longest string field that a server keeps, in bytes (tsdb/field_validator.go MaxFieldValueLength)."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Pins = dict[int, dict[str, dict[str, FieldType]]]
"""Shard group start -> measurement -> field key -> type."""


@dataclass(frozen=True, slots=True)
class PartialWrite:
    """Points of a shard that were dropped: how many, and why the first of them was."""

    reason: str
    dropped: int


@dataclass(frozen=True, slots=True)
class ShardFailure:
    """A shard that wrote nothing: a real server answers 500 with these words."""

    message: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which rows are kept (None: all), and the first fault of each shard, in the order shards appear in the request."""

    keep: Bools | None
    faults: dict[int, PartialWrite | ShardFailure] = field(default_factory=dict)


@dataclass(slots=True)
class _Case:
    """One request on trial: rows grouped by shard group and measurement."""

    batch: Batch
    shards: Ints
    measurements: list[str]
    group_of: Ints
    groups: list[tuple[int, str]]
    bad: Bools
    fresh: dict[tuple[int, str], list[BatchColumn]]
    ordered: Callable[[int], list[stored.Field]]


class FieldTypes:
    """The pinned types of a bucket. Callers hold the bucket's lock."""

    def __init__(self, pins: Pins | None = None) -> None:
        self.pins: Pins = pins or {}

    def rows(self) -> Iterator[tuple[int, str, str, FieldType]]:
        """Every pin: shard group start, measurement, field, type."""
        for shard, measurements in self.pins.items():
            for measurement, fields in measurements.items():
                for name, type_ in fields.items():
                    yield shard, measurement, name, type_

    def pin(self, shard: int, measurement: str, name: str, type_: FieldType) -> None:
        """Pin a type."""
        self.pins.setdefault(shard, {}).setdefault(measurement, {})[name] = type_

    def pin_written(self, part: Part, shards: Ints, names: list[str]) -> None:
        """Pin the types of points that were accepted before; `names` are the measurements of the part's series."""
        numbers: dict[str, int] = {}
        measurement_of = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        measurements = list(numbers)
        starts, shard_of = np.unique(shards, return_inverse=True)
        group_of = shard_of * len(measurements) + measurement_of[part.series]
        for (name, type_), column in part.columns.items():
            for number in _distinct(group_of if column.rows is None else group_of[column.rows]):
                shard, measurement = divmod(number, len(measurements))
                self.pin(int(starts[shard]), measurements[measurement], name, type_)

    def forget(self, shard: int, measurement: str | None = None) -> None:
        """Forget the types of a measurement, or of all, in a shard group that holds none of its points any more."""
        if measurement is None:
            self.pins.pop(shard, None)
        else:
            self.pins.get(shard, {}).pop(measurement, None)

    def judge(self, batch: Batch, shards: Ints, alive: Bools | None) -> Judgement:
        """Check the points of a request and pin the types of new fields.

        `shards` is the start of the shard group of each row; rows that are not `alive` were dropped before.
        """
        case = self._open(batch, shards)
        if alive is not None:
            case.bad |= ~alive
        dropped_before = case.bad.copy()
        self._mark_bad(case)
        faults: dict[int, PartialWrite | ShardFailure] = {}
        dropped = case.bad & ~dropped_before
        if dropped.any():
            for shard in dict.fromkeys(shards[dropped].tolist()):
                rows = np.flatnonzero(dropped & (shards == shard))
                faults[shard] = PartialWrite(self._reason(case, int(rows[0])), len(rows))
        failed = self._create(case)
        for row in sorted(batch.poison):
            if not case.bad[row]:
                failed.setdefault(int(shards[row]), ShardFailure(f"engine: {batch.poison[row]}"))
        for shard, failure in failed.items():
            faults[shard] = failure
            case.bad |= shards == shard
        if faults:
            first_seen = list(dict.fromkeys(shards.tolist()))
            faults = {shard: faults[shard] for shard in first_seen if shard in faults}
        return Judgement(~case.bad if case.bad.any() else None, faults)

    def _open(self, batch: Batch, shards: Ints) -> _Case:
        names = [to_text(stored.measurement_of(key)) for key in batch.keys]
        numbers: dict[str, int] = {}
        measurement_of_key = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        measurements = list(numbers)
        starts = np.unique(shards)
        shard_of = np.searchsorted(starts, shards)
        group_of = shard_of * len(measurements) + measurement_of_key[batch.series]
        groups = [(int(start), name) for start in starts.tolist() for name in measurements]
        lines: dict[int, list[stored.Field]] = {}

        def ordered(row: int) -> list[stored.Field]:
            return lines.setdefault(row, fields_of_line(batch, row))

        bad = np.zeros(batch.points, dtype=np.bool_)
        return _Case(batch, shards, measurements, group_of, groups, bad, {}, ordered)

    def _mark_bad(self, case: _Case) -> None:
        only_time = np.zeros(len(case.bad), dtype=np.bool_)
        others = np.zeros(len(case.bad), dtype=np.bool_)
        has_time = any(column.name == b"time" for column in case.batch.columns)
        for column in case.batch.columns:
            if column.name == b"time":
                only_time[column.rows] = True
            else:
                if has_time:
                    others[column.rows] = True
                self._mark_conflicts(case, column)
            if column.type is FieldType.STRING and len(case.batch.body) > MAX_STRING_BYTES:
                lengths = _lengths(column)
                case.bad[column.rows[lengths > MAX_STRING_BYTES]] = True
        case.bad |= only_time & ~others

    def _mark_conflicts(self, case: _Case, column: BatchColumn) -> None:
        name = to_text(column.name)
        groups = case.group_of[column.rows]
        for number in _distinct(groups):
            shard, measurement = case.groups[number]
            pinned = self.pins.get(shard, {}).get(measurement, {}).get(name)
            if pinned is None:
                case.fresh.setdefault((number, name), []).append(column)
            elif pinned is not column.type:
                case.bad[column.rows[groups == number]] = True

    def _reason(self, case: _Case, row: int) -> str:
        shard, measurement = case.groups[int(case.group_of[row])]
        fields = case.ordered(row)
        if all(one.key == b"time" for one in fields):
            return f'invalid field name: input field "time" on measurement "{measurement}" is invalid'
        pinned = self.pins.get(shard, {}).get(measurement, {})
        for one in fields:
            name = to_text(one.key)
            if isinstance(one.value, bytes) and len(one.value) > MAX_STRING_BYTES:
                return (
                    f'input field "{name}" on measurement "{measurement}" is too long, '
                    f"{len(one.value)} > {MAX_STRING_BYTES}"
                )
            type_ = pinned.get(name)
            if name != "time" and type_ is not None and one.type is not None and one.type is not type_:
                return (
                    f'field type conflict: input field "{name}" on measurement "{measurement}" '
                    f"is type {one.type}, already exists as type {type_}"
                )
        raise AssertionError(f"row {row} was dropped for a reason that its line does not show")

    def _create(self, case: _Case) -> dict[int, ShardFailure]:
        """Pin new fields in the order of points; a second type for one of them fails its shard, as in 2.7.11.

        What was pinned before the conflict stays pinned there, and here.
        """
        failed: dict[int, ShardFailure] = {}
        first_rows: dict[int, list[tuple[int, str, FieldType]]] = {}
        for (number, name), columns in case.fresh.items():
            for column in columns:
                rows = column.rows
                if case.bad.any() or len(case.groups) > 1:
                    rows = rows[(case.group_of[rows] == number) & ~case.bad[rows]]
                if len(rows):
                    first_rows.setdefault(number, []).append((int(rows.min()), name, column.type))
        by_shard: dict[int, list[tuple[int, int, str, FieldType]]] = {}
        for number, entries in first_rows.items():
            wanted = by_shard.setdefault(case.groups[number][0], [])
            wanted += [(row, number, name, type_) for row, name, type_ in entries]
        for shard, wanted in by_shard.items():
            for _, number, name, type_ in self._in_order(case, wanted):
                measurement = case.groups[number][1]
                pinned = self.pins.get(shard, {}).get(measurement, {}).get(name)
                if pinned is not None and pinned is not type_:
                    failed[shard] = ShardFailure("field type conflict")
                    break
                self.pin(shard, measurement, name, type_)
        return failed

    def _in_order(
        self, case: _Case, wanted: list[tuple[int, int, str, FieldType]]
    ) -> list[tuple[int, int, str, FieldType]]:
        if len({(number, name) for _, number, name, _ in wanted}) == len(wanted):
            return wanted

        def place(entry: tuple[int, int, str, FieldType]) -> tuple[int, int]:
            row, _, name, type_ = entry
            fields = [(to_text(one.key), one.type) for one in case.ordered(row)]
            return row, fields.index((name, type_))

        return sorted(wanted, key=place)


def _distinct(numbers: Ints) -> list[int]:
    if not len(numbers):
        return []
    first = int(numbers[0])
    return [first] if bool((numbers == first).all()) else [int(number) for number in np.unique(numbers)]


def _lengths(column: BatchColumn) -> Ints:
    offsets = np.frombuffer(column.values.buffers()[1], dtype=np.int64)
    lengths: Ints = np.diff(offsets[column.values.offset : column.values.offset + len(column.values) + 1])
    return lengths


def kept_columns(batch: Batch, keep: Bools | None) -> list[BatchColumn]:
    """The columns that are stored: without `time`, and only rows that are kept, renumbered."""
    columns = [column for column in batch.columns if column.name != b"time"]
    if keep is None:
        return columns
    row_of = np.cumsum(keep) - 1
    result: list[BatchColumn] = []
    for column in columns:
        at = np.flatnonzero(keep[column.rows])
        if len(at):
            result.append(BatchColumn(column.name, column.type, row_of[column.rows[at]], take(column.values, at)))
    return result
