"""Reads a bucket as storage would: one table for each series and field, or for each group, in storage's column order.

The only place that touches `Points`. Aggregates that storage does itself are in `storage_aggregates`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ts_migration.local.influxdb.flux.errors import ReadError
from ts_migration.local.influxdb.flux.pushdown import FIELD, MEASUREMENT, Junction, Predicate, decide
from ts_migration.local.influxdb.flux.streams import Bounds
from ts_migration.local.influxdb.flux.tables import (
    OF_FIELD,
    STORAGE_NAMES,
    Array,
    Column,
    ColumnType,
    GroupKey,
    KeyColumn,
    Table,
    concatenate,
    constant,
    text_bytes,
)
from ts_migration.local.influxdb.flux.values import Time
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, FieldColumn, FieldType, Points, SeriesBlock

RESERVED: Final = frozenset({"_start", "_stop", "_time", "_value"})


@dataclass(frozen=True, slots=True)
class Read:
    """What storage is asked for: a bucket, a range, what the filters leave of it, and the columns of a group.

    `windowed` marks a read that storage cuts into windows: an aggregate may follow, nothing else."""

    open: Callable[[], Points]
    bounds: Bounds
    predicate: Predicate | None = None
    group: tuple[str, ...] | None = None
    windowed: bool = False

    @property
    def plain(self) -> bool:
        """Whether storage could still filter, group or cut it."""
        return self.group is None and not self.windowed

    def where(self, predicate: Predicate) -> "Read":
        return replace(
            self, predicate=predicate if self.predicate is None else Junction("and", self.predicate, predicate)
        )


@dataclass(frozen=True, slots=True)
class FieldSeries:
    """The points of one field of one series: tags with `_measurement` and `_field` among them, times, values."""

    tags: tuple[tuple[str, str], ...]
    type: ColumnType
    times: Array
    values: Array

    def key(self, bounds: Bounds) -> GroupKey:
        return GroupKey((*bounds_columns(bounds), *(KeyColumn(k, ColumnType.STRING, v) for k, v in self.tags)))

    def table(self, bounds: Bounds) -> Table:
        count = len(self.times)
        return Table(
            self.key(bounds),
            (
                *range_columns(bounds, count),
                Column("_time", ColumnType.TIME, self.times),
                Column("_value", self.type, self.values),
                *(constant(name, ColumnType.STRING, value, count) for name, value in self.tags),
            ),
        )


def bounds_columns(bounds: Bounds) -> tuple[KeyColumn, KeyColumn]:
    """`_start` and `_stop` of a group key."""
    return (
        KeyColumn("_start", ColumnType.TIME, Time(bounds.start)),
        KeyColumn("_stop", ColumnType.TIME, Time(bounds.stop)),
    )


def range_columns(bounds: Bounds, count: int) -> tuple[Column, Column]:
    """`_start` and `_stop` of a table."""
    return (
        constant("_start", ColumnType.TIME, Time(bounds.start), count),
        constant("_stop", ColumnType.TIME, Time(bounds.stop), count),
    )


def tables(read: Read) -> Iterator[Table]:
    """The tables of a read without an aggregate."""
    if read.group is None:
        for series in field_series(read):
            yield series.table(read.bounds)
        return
    for values, members in groups(read):
        yield _group_table(read, values, members)


def field_series(read: Read) -> Iterator[FieldSeries]:
    """Everything selected, ordered by measurement, series key, field; never one without a point."""
    points = read.open()
    first, last = max(read.bounds.start, MIN_TIME_NS), min(read.bounds.stop - 1, MAX_TIME_NS)
    if last < first:
        return
    for measurement in points.measurements():
        if decide(read.predicate, {MEASUREMENT: measurement}, None, False) is False:
            continue
        fields = _fields(points, read, measurement)
        if not fields:
            continue
        limits = _limits(points, measurement, fields, first, last)
        blocks = points.blocks(
            measurement, first, last, fields=_selection(points, measurement, fields), where=_where(read, measurement)
        )
        for block in blocks:
            yield from _block_series(read, block, limits)


def _fields(points: Points, read: Read, measurement: str) -> dict[str, list[FieldType]]:
    """The fields that the predicate may want, with their types: several where shard groups differ."""
    wanted: dict[str, list[FieldType]] = {}
    for name, kind in points.field_types(measurement):
        if decide(read.predicate, {MEASUREMENT: measurement, FIELD: name}, None, False) is not False:
            wanted.setdefault(name, []).append(kind)
    return wanted


def _selection(points: Points, measurement: str, fields: Mapping[str, object]) -> frozenset[str] | None:
    everything = {name for name, _ in points.field_types(measurement)}
    return None if everything == set(fields) else frozenset(fields)


def _where(read: Read, measurement: str) -> Callable[[Mapping[str, str]], bool] | None:
    if read.predicate is None:
        return None

    def wanted(tags: Mapping[str, str]) -> bool:
        return decide(read.predicate, {**tags, MEASUREMENT: measurement}, None, True) is not False

    return wanted


def _limits(
    points: Points, measurement: str, fields: dict[str, list[FieldType]], first: int, last: int
) -> dict[str, tuple[FieldType, int]]:
    """For fields of several types: the type that is read, and the time (ns) from which on nothing is.

    The real server opens a series with the type of its first shard and ends without a word at a shard of another type
    (seen on 2.7.11). Shards of the measurement are told apart here by where points of another type begin."""
    limits = {}
    for name, kinds in fields.items():
        if len(kinds) < 2:
            continue
        begins: dict[FieldType, int] = {}
        for block in points.blocks(measurement, first, last, fields=frozenset({name})):
            for column in block.columns:
                times = block.times if column.valid is None else block.times[column.valid]
                if len(times):
                    begins[column.type] = min(begins.get(column.type, last), int(times[0]))
        order = sorted(begins, key=lambda kind: begins[kind])
        if len(order) > 1:
            limits[name] = (order[0], begins[order[1]])
    return limits


def _block_series(read: Read, block: SeriesBlock, limits: Mapping[str, tuple[FieldType, int]]) -> Iterator[FieldSeries]:
    reserved = RESERVED.intersection(name for name, _ in block.series.tags)
    if reserved:
        raise ReadError(
            f"series of {block.series.measurement} with a tag named {min(reserved)} are not supported by the embedded "
            "InfluxDB: Flux has a column of that name"
        )
    for column in sorted(block.columns, key=lambda column: text_bytes(column.name)):
        series = _field_of(read, block, column, limits)
        if series is not None and len(series.times):
            yield series


def _field_of(
    read: Read, block: SeriesBlock, column: FieldColumn, limits: Mapping[str, tuple[FieldType, int]]
) -> FieldSeries | None:
    tags = (*block.series.tags, (MEASUREMENT, block.series.measurement), (FIELD, column.name))
    known = dict(tags)
    if decide(read.predicate, known, None, True) is False:
        return None
    times, values = block.times, column.values
    kind, until = limits.get(column.name, (column.type, None))
    if column.type is not kind:
        return None
    keep = column.valid
    if until is not None:
        keep = times < until if keep is None else keep & (times < until)
    if keep is not None and not keep.all():
        times, values = times[keep], values[keep]
    verdict = decide(read.predicate, known, Column("_value", OF_FIELD[column.type], values), True)
    if isinstance(verdict, bool) or verdict is None:
        if not verdict:
            return None
    elif not verdict.all():
        times, values = times[verdict], values[verdict]
    ordered = tuple(sorted(tags, key=lambda tag: text_bytes(tag[0])))
    return FieldSeries(ordered, OF_FIELD[column.type], times, values)


def groups(read: Read) -> list[tuple[tuple[str, ...], list[FieldSeries]]]:
    """Series by the values of the group's columns, in storage's order: an absent tag comes last and reads as empty."""
    labels = group_labels(read)
    found: dict[tuple[str | None, ...], list[FieldSeries]] = {}
    for series in field_series(read):
        tags = dict(series.tags)
        found.setdefault(tuple(tags.get(label) for label in labels), []).append(series)
    ordered = sorted(found, key=lambda values: [b"\xff" if v is None else text_bytes(v) for v in values])
    return [(tuple(value or "" for value in values), found[values]) for values in ordered]


def group_labels(read: Read) -> list[str]:
    """The columns of the group that storage groups by: all but `_start` and `_stop`, which are always in its keys."""
    return [label for label in read.group or () if label not in ("_start", "_stop")]


def group_key(read: Read, values: tuple[str, ...]) -> GroupKey:
    """The key of one group."""
    named = zip(group_labels(read), values, strict=True)
    return GroupKey((*bounds_columns(read.bounds), *(KeyColumn(k, ColumnType.STRING, v) for k, v in named)))


def same_type(members: list[FieldSeries]) -> ColumnType:
    """The one type of a group's values. Raises ReadError in the server's words where there are two."""
    kind = members[0].type
    for series in members:
        if series.type is not kind:
            raise ReadError(
                f"schema collision: cannot group {STORAGE_NAMES[kind]} and {STORAGE_NAMES[series.type]} types together"
            )
    return kind


def _group_table(read: Read, values: tuple[str, ...], members: list[FieldSeries]) -> Table:
    kind = same_type(members)
    count = sum(len(series.times) for series in members)
    return Table(
        group_key(read, values),
        (
            *range_columns(read.bounds, count),
            Column("_time", ColumnType.TIME, np.concatenate([series.times for series in members])),
            Column("_value", kind, np.concatenate([series.values for series in members])),
            *tag_columns(members, [len(series.times) for series in members]),
        ),
    )


def tag_columns(members: list[FieldSeries], counts: list[int]) -> list[Column]:
    """All tags of the members as columns, each member's value repeated `counts` times; an absent tag reads as empty."""
    labels = sorted({name for series in members for name, _ in series.tags}, key=text_bytes)
    texts = [dict(series.tags) for series in members]
    columns = []
    for label in labels:
        shown = [tags.get(label, "") for tags in texts]
        if len(set(shown)) == 1:
            columns.append(constant(label, ColumnType.STRING, shown[0], sum(counts)))
        else:
            parts = [constant(label, ColumnType.STRING, text, n) for text, n in zip(shown, counts, strict=True)]
            columns.append(concatenate(parts, label))
    return columns
