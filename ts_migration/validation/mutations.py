"""Thirteen ways to spoil a copy of a window, each with the check that must see it, named before anything is spoiled.

Applied on typed points, on the bucket's side alone: the checks know nothing of them. Pure; what is chosen is in the
middle of the points, the same every time. `sample` is named by none: what it looks at is random.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.validation.series_points import (
    Points,
    column_of,
    mask,
    only,
    point_text,
    replaced,
    with_column,
    with_value,
    without,
)
from ts_migration.validation.verdict import Check
from ts_migration.windows import Window

_THREE_HOURS_NS = 3 * 3_600 * 10**9
_PAIRS = 1_000
"""Pairs of series that are looked at."""

Loads = tuple[Points, ...]
"""What is written to the copy, one load after the other."""


class Impossible(Exception):
    """The window has nothing that could be spoiled in this way; the text says what it lacks."""


@dataclass(frozen=True)
class Mutation:
    """A class of faults: its name, the check that must see it, and what becomes of a copy's points."""

    name: str
    must_see: Check
    spoil: Callable[[Points, Window], Loads]


def _shift(points: Points, _window: Window) -> Loads:
    return (tuple(replace(block, times=block.times + _THREE_HOURS_NS) for block in points),)


def _drop(points: Points, _window: Window) -> Loads:
    block, row = _middle(points)
    return (replaced(points, block, without(block, row)),)


def _add(points: Points, window: Window) -> Loads:
    block, row = _with_room(points, window)
    added = only(block, slice(row, row + 1))
    return ((*points, replace(added, times=added.times + 1)),)


def _move(points: Points, window: Window) -> Loads:
    block, row = _with_room(points, window)
    times = block.times.copy()
    times[row] += 1
    return (replaced(points, block, replace(block, times=times)),)


def _flip_bit(points: Points, _window: Window) -> Loads:
    for block, column in _columns(points, FieldType.FLOAT):
        # Not zero, whose neighbour some parsers of decimals do not reach.
        rows = np.flatnonzero(mask(column) & (column.values != 0))
        if len(rows):
            row = int(rows[len(rows) // 2])
            bits = column.values[row : row + 1].view(np.uint64) ^ np.uint64(1)
            return (replaced(points, block, with_value(block, column, row, bits.view(np.float64)[0])),)
    raise Impossible("no float that is not zero")


def _integer_to_float(points: Points, _window: Window) -> Loads:
    for _, first in _columns(points, FieldType.INTEGER):
        spoiled = []
        for block in points:
            column = column_of(block, first.field, FieldType.INTEGER)
            made = replace(column, kind=FieldType.FLOAT, values=column.values.astype(np.float64))
            spoiled.append(with_column(block, made))
        return (tuple(spoiled),)
    raise Impossible("no integer")


def _swap_tags(points: Points, _window: Window) -> Loads:
    """Two points of different series change their tags; at one time where there is one, so that all counts stay."""
    for one, other in _pairs(points):
        common = np.intersect1d(one.times, other.times)
        time = common[len(common) // 2] if len(common) else None
        row = len(one.times) // 2 if time is None else int(np.searchsorted(one.times, time))
        at = len(other.times) // 2 if time is None else int(np.searchsorted(other.times, time))
        if time is not None and point_text(one, row) == point_text(other, at):
            continue
        moved = replace(only(one, slice(row, row + 1)), tags=other.tags)
        come = replace(only(other, slice(at, at + 1)), tags=one.tags)
        rest = tuple(block for block in points if block is not one and block is not other)
        return ((*rest, without(one, row), without(other, at), moved, come),)
    raise Impossible("no two series with different points")


def _merge(points: Points, _window: Window) -> Loads:
    for one, other in _pairs(points):
        return (replaced(points, other, replace(other, tags=one.tags)),)
    raise Impossible("no second series")


def _lose_field(points: Points, _window: Window) -> Loads:
    fields = sorted({column.field for block in points for column in block.columns})
    lost = fields[len(fields) // 2]
    return (
        tuple(
            replace(block, columns=tuple(column for column in block.columns if column.field != lost))
            for block in points
        ),
    )


def _null_to_zero(points: Points, _window: Window) -> Loads:
    numbers = (FieldType.FLOAT, FieldType.INTEGER)
    kinds = {column.field: column.kind for kind in numbers for _, column in _columns(points, kind)}
    for block in _from_middle(points):
        for field, kind in sorted(kinds.items()):
            column = column_of(block, field, kind)
            rows = np.flatnonzero(~mask(column))
            if len(rows):
                return (replaced(points, block, with_value(block, column, int(rows[len(rows) // 2]), 0)),)
    raise Impossible("no NULL in a field of numbers")


def _cut_string(points: Points, _window: Window) -> Loads:
    for block, column in _columns(points, FieldType.STRING):
        rows = [row for row in np.flatnonzero(mask(column)).tolist() if column.values[row]]
        if rows:
            row = rows[len(rows) // 2]
            return (replaced(points, block, with_value(block, column, row, column.values[row][:-1])),)
    raise Impossible("no string that is not empty")


def _load_twice(points: Points, _window: Window) -> Loads:
    return points, tuple(replace(block, columns=tuple(map(_other_values, block.columns))) for block in points)


def _other_values(column: BlockColumn) -> BlockColumn:
    """Another value of the same type for each: the last bit, the other truth, a letter more."""
    if column.kind is FieldType.STRING:
        values = np.array([f"{value}x" for value in column.values.tolist()], object)
    elif column.kind is FieldType.BOOLEAN:
        values = ~column.values
    else:
        values = (column.values.view(np.uint64) ^ np.uint64(1)).view(column.values.dtype)
    return replace(column, values=values)


def _lose_series(points: Points, _window: Window) -> Loads:
    return (replaced(points, points[len(points) // 2]),)


MUTATIONS = (
    Mutation("all times shifted by 3 h", Check.COVERAGE, _shift),
    Mutation("a point dropped", Check.RECORD_COUNT, _drop),
    Mutation("a point added", Check.RECORD_COUNT, _add),
    Mutation("a point moved by 1 ns", Check.CHECKSUM, _move),
    Mutation("one bit of a float flipped", Check.CHECKSUM, _flip_bit),
    Mutation("an integer made float", Check.SCHEMA, _integer_to_float),
    Mutation("a tag value swapped", Check.CHECKSUM, _swap_tags),
    Mutation("two series merged", Check.COVERAGE, _merge),
    Mutation("a field lost", Check.SCHEMA, _lose_field),
    Mutation("null made 0", Check.RECORD_COUNT, _null_to_zero),
    Mutation("a string cut", Check.CHECKSUM, _cut_string),
    Mutation("a window loaded twice with other values", Check.CHECKSUM, _load_twice),
    Mutation("a whole series missing", Check.COVERAGE, _lose_series),
)


def _from_middle(points: Points) -> Points:
    half = len(points) // 2
    return (*points[half:], *points[:half])


def _middle(points: Points) -> tuple[Block, int]:
    block = points[len(points) // 2]
    return block, len(block.times) // 2


def _with_room(points: Points, window: Window) -> tuple[Block, int]:
    """A point whose series has none a nanosecond later, inside the window."""
    for block in _from_middle(points):
        following = np.append(block.times[1:], window.end_ns)
        rows = np.flatnonzero(following - block.times > 1)
        if len(rows):
            return block, int(rows[len(rows) // 2])
    raise Impossible("no series with a free nanosecond after a point")


def _columns(points: Points, kind: FieldType) -> Iterator[tuple[Block, BlockColumn]]:
    for block in _from_middle(points):
        for column in block.columns:
            if column.kind is kind and column.count:
                yield block, column


def _pairs(points: Points) -> Iterator[tuple[Block, Block]]:
    return islice(combinations(_from_middle(points), 2), _PAIRS)
