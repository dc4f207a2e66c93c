"""Calls over the rows of a measurement: streamed in portions, reduced per group and window, and joined to rows.

Portions are reduced as they come where a function allows it, so that counting a bucket holds a portion, not all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql import reducers, syntax
from ts_migration.local.influxdb.influxql.batches import Batch, portions
from ts_migration.local.influxdb.influxql.frames import Column, joined
from ts_migration.local.influxdb.influxql.grouping import Groups, blocks_of, groups_of
from ts_migration.local.influxdb.influxql.plan import Plan
from ts_migration.local.influxdb.influxql.syntax import Call, VarRef
from ts_migration.local.influxdb.influxql.windows import Table, window_of
from ts_migration.local.influxdb.points import FieldType, Points

_ROWS = 500_000
Times = npt.NDArray[np.int64]
_PARTS = {
    "count": ("tally",),
    "sum": ("sum",),
    "mean": ("sum", "tally"),
    "spread": ("min", "max"),
    "min": ("min",),
    "max": ("max",),
    "first": ("first",),
    "last": ("last",),
}


@dataclass(frozen=True, slots=True)
class Values:
    """Values with the group, the window and the time of each; `rows` say where a value stands in what was read."""

    groups: Times
    windows: Times
    times: Times
    values: Column
    rows: Times

    def take(self, rows: Times) -> "Values":
        """Some of them."""
        return Values(self.groups[rows], self.windows[rows], self.times[rows], self.values.take(rows), self.rows[rows])


@dataclass(frozen=True, slots=True)
class Reading:
    """A measurement reduced: its groups, the table of every call, and the rows themselves where they are needed."""

    groups: Groups
    tables: dict[str, Table]
    batch: Batch | None


def argument_of(call: Call) -> VarRef:
    """The column that a call reads."""
    inner = call.arguments[0]
    while isinstance(inner, Call):
        inner = inner.arguments[0]
    if not isinstance(inner, VarRef):
        raise TypeError(f"{syntax.text_of(call)} reads no column")
    return inner


def read(plan: Plan, points: Points, measurement: str) -> Reading:
    """Reduce a measurement.

    Raises StatementError for a function that its field's type does not allow.
    """
    calls = {syntax.text_of(call): call for call in plan.calls if argument_of(call).type not in (None, "tag")}
    for call in calls.values():
        type_ = FieldType(argument_of(call).type or "")
        reducers.check_type(call.name, type_)
    groups = groups_of(plan, points, measurement)
    keeps_rows = bool(plan.references)
    gathered: dict[str, list[list[Values]]] = {text: [[] for _ in _parts(call)] for text, call in calls.items()}
    last: Batch | None = None
    blocks = blocks_of(plan, points, measurement, groups)
    for portion in portions(blocks, 1 << 62 if keeps_rows else _ROWS):
        last = Batch(portion)
        keys = np.repeat([groups.places[groups.of(block.series)] for block in portion], last.lengths)
        kept = last.rows(plan, [VarRef(name, type_.value) for name, type_ in plan.driving.items()])
        for text, call in calls.items():
            found = _values(plan, last, argument_of(call), keys, kept)
            if found is not None:
                for held, part in zip(gathered[text], _parts(call), strict=True):
                    held.append(_reduced(part, found) if part else found)
    tables = {
        text: _finished(call, [_together(held) for held in gathered[text]])
        for text, call in calls.items()
        if gathered[text][0]
    }
    return Reading(groups, tables, last if keeps_rows else None)


def _parts(call: Call) -> tuple[str, ...]:
    """What a call is reduced to in a portion; "" where it needs all values together."""
    if call.name == "count" and isinstance(call.arguments[0], Call):
        return ("",)
    return _PARTS.get(call.name, ("",))


def _values(
    plan: Plan, batch: Batch, reference: VarRef, keys: Times, kept: npt.NDArray[np.bool_] | None
) -> Values | None:
    column = batch.column(reference)
    if column is None:
        return None
    mask = column.valid if kept is None else column.mask & kept
    times = batch.times
    rows = np.arange(batch.count) if mask is None else np.flatnonzero(mask)
    if not len(rows):
        return None
    times = times[rows]
    windows = window_of(times, plan.interval) if plan.interval.size else np.full(len(rows), plan.start)
    return Values(keys[rows], windows, times, Column(column.type, column.values[rows]), rows)


def _sorted(found: Values) -> tuple[Values, Times]:
    """The points by group and window, and where each segment starts."""
    group, window = np.diff(found.groups), found.windows[1:] < found.windows[:-1]
    if ((group < 0) | ((group == 0) & window)).any():
        found = found.take(np.lexsort((found.windows, found.groups)))
        group = np.diff(found.groups)
    fresh = (group != 0) | (found.windows[1:] != found.windows[:-1])
    return found, np.concatenate(([0], np.flatnonzero(fresh) + 1))


def _reduced(part: str, found: Values) -> Values:
    """Points reduced to one a segment; reducing the results again gives the whole."""
    found, starts = _sorted(found)
    if part in ("sum", "tally"):
        head = found.take(starts)
        if part == "tally":
            values = Column(FieldType.INTEGER, reducers.lengths_of(starts, len(found.times)))
        else:
            values = Column(found.values.type, reducers.summed(found.values.values, starts))
        return Values(head.groups, head.windows, head.times, values, head.rows)
    return found.take(reducers.selected(part, found.times, found.values.values, starts))


def _together(held: list[Values]) -> Values:
    if len(held) == 1:
        return held[0]
    return Values(
        np.concatenate([part.groups for part in held]),
        np.concatenate([part.windows for part in held]),
        np.concatenate([part.times for part in held]),
        joined([part.values for part in held]),
        np.concatenate([part.rows for part in held]),
    )


def _finished(call: Call, parts: list[Values]) -> Table:
    names = _parts(call)
    if names == ("",):
        return _whole(call, parts[0])
    done = [_reduced("sum" if name == "tally" else name, part) for name, part in zip(names, parts, strict=True)]
    head = done[0]
    values = head.values
    if call.name == "mean":
        values = Column(FieldType.FLOAT, head.values.values.astype(np.float64) / done[1].values.values)
    elif call.name == "spread":
        with np.errstate(over="ignore"):
            values = Column(values.type, done[1].values.values - head.values.values)
    return Table(head.groups, head.windows, head.times, values, head.rows)


def _whole(call: Call, found: Values) -> Table:
    """Functions that need every value of a segment at once."""
    found, starts = _sorted(found)
    values: npt.NDArray[Any] = found.values.values
    head = found.take(starts)
    column: Column
    match call.name:
        case "percentile":
            share = call.arguments[1]
            number = float(share.value) if isinstance(share, syntax.Integer | syntax.Number) else 0.0
            return _table(found.take(reducers.percentile(number, values, starts)[0]))
        case "mode":
            return _table(found.take(reducers.mode(found.times, values, starts)))
        case "distinct":
            return _table(found.take(reducers.distinct(found.times, values, starts)))
        case "count":
            rows = reducers.distinct(found.times, values, starts)
            segment = reducers.segments_of(starts, len(values))[rows]
            column = Column(FieldType.INTEGER, np.bincount(segment, minlength=len(starts)).astype(np.int64))
        case "median":
            column = Column(FieldType.FLOAT, reducers.median(values, starts))
        case _:
            column = reducers.stddev(values, starts)
    return Table(head.groups, head.windows, head.times, column, head.rows)


def _table(found: Values) -> Table:
    return Table(found.groups, found.windows, found.times, found.values, found.rows)


def each(plan: Plan) -> Iterator[tuple[str, Reading]]:
    """Every measurement of a plan with its reading, in the order of the answer."""
    for points, measurement in plan.sources if plan.ascending else reversed(plan.sources):
        yield measurement, read(plan, points, measurement)
