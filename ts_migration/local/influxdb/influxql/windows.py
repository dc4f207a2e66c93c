"""GROUP BY time: the windows of times, and what fill() puts into those without a value.

Rules: IteratorOptions.Window and the fill iterators of influxql/query of InfluxDB 2.7.11.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.errors import unsupported
from ts_migration.local.influxdb.influxql.frames import DTYPES, Column, nulls
from ts_migration.local.influxdb.influxql.selection import Interval
from ts_migration.local.influxdb.influxql.syntax import Fill
from ts_migration.local.influxdb.points import MIN_TIME_NS, FieldType

Times = npt.NDArray[np.int64]
MOST_WINDOWS = 5_000_000
_NUMBERS = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED)


def window_of(times: Any, interval: Interval) -> Any:
    """The start of the window of a time or of an array of them."""
    since = (times - interval.offset) % interval.size
    return np.maximum(times - since, MIN_TIME_NS) if isinstance(times, np.ndarray) else max(times - since, MIN_TIME_NS)


@dataclass(frozen=True, slots=True)
class Table:
    """Results of one call, sorted by group and window. `rows` are the chosen points' rows, -1 in filled windows."""

    groups: Times
    windows: Times
    times: Times
    values: Column
    rows: Times


def filled(table: Table, fill: Fill, interval: Interval, start: int, stop: int, *, counting: bool) -> Table:
    """The table with every window between the bounds; without a lower bound from each group's first value on."""
    if not len(table.groups):
        return table
    present, first = np.unique(table.groups, return_index=True)
    last = window_of(stop, interval)
    begins = table.windows[first] if start == MIN_TIME_NS else np.full(len(present), window_of(start, interval))
    lengths = np.maximum((last - begins) // interval.size + 1, 0)
    if int(lengths.sum()) > MOST_WINDOWS:
        raise unsupported(f"an answer of {int(lengths.sum())} windows is")
    groups = np.repeat(present, lengths)
    place = np.arange(len(groups)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    windows = np.repeat(begins, lengths) + place * interval.size
    # A group's windows are consecutive, so a value's row in the full table is its window's distance from the first.
    of_group = np.searchsorted(present, table.groups)
    offset = (np.cumsum(lengths) - lengths)[of_group]
    rows = offset + (table.windows - begins[of_group]) // interval.size
    column = nulls(len(groups), table.values.type)
    column.values[rows] = table.values.values
    chosen = np.full(len(groups), -1, np.int64)
    chosen[rows] = table.rows
    has = np.zeros(len(groups), np.bool_)
    has[rows] = True
    valid = has.copy()
    valid[rows] = table.values.mask
    column = Column(column.type, column.values, valid)
    return Table(groups, windows, windows, _put(column, has, groups, windows, fill, counting=counting), chosen)


def _put(
    column: Column, has: npt.NDArray[np.bool_], groups: Times, windows: Times, fill: Fill, *, counting: bool
) -> Column:
    number = 0 if counting and fill.kind == "null" else fill.number
    if number is not None and fill.kind in ("number", "null"):
        return _numbered(column, has, number)
    if fill.kind == "previous":
        return _carried(column, has, groups)
    if fill.kind == "linear" and column.type in _NUMBERS:
        return _interpolated(column, has, groups, windows)
    return column


def _numbered(column: Column, has: npt.NDArray[np.bool_], number: int | float) -> Column:
    if column.type not in _NUMBERS:
        return column
    values = np.where(has, column.values, DTYPES[column.type](number))
    return Column(column.type, values, column.mask | ~has)


def _carried(column: Column, has: npt.NDArray[np.bool_], groups: Times) -> Column:
    source = np.maximum.accumulate(np.where(has, np.arange(len(has)), -1))
    usable = (source >= 0) & (groups[source] == groups)
    source = np.where(usable, source, 0)
    return Column(column.type, column.values[source], column.mask[source] & usable)


def _interpolated(column: Column, has: npt.NDArray[np.bool_], groups: Times, windows: Times) -> Column:
    count = len(has)
    known = has & column.mask
    before = np.maximum.accumulate(np.where(known, np.arange(count), -1))
    after = np.minimum.accumulate(np.where(known, np.arange(count), count)[::-1])[::-1]
    usable = ~known & (before >= 0) & (after < count)
    before, after = np.where(usable, before, 0), np.where(usable, after, 0)
    usable &= (groups[before] == groups) & (groups[after] == groups)
    low, high = column.values[before].astype(np.float64), column.values[after].astype(np.float64)
    span = np.where(usable, windows[after] - windows[before], 1)
    between = ((high - low) / span) * (windows - windows[before]) + low
    values = column.values.copy()
    values[usable] = between[usable].astype(column.values.dtype)
    return Column(column.type, values, known | usable)
