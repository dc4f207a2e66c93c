"""SELECT with functions: the tables of its calls filled, limited, joined by group and window, and put into columns.

Times follow InfluxDB: a window's start; without windows the lower bound, or 0 where there is none; and the point's own
time where the query is one selector.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.aggregation import Reading, each
from ts_migration.local.influxdb.influxql.expressions import evaluate
from ts_migration.local.influxdb.influxql.frames import DTYPES, Column, Frame, Segment, nulls
from ts_migration.local.influxdb.influxql.plan import Plan
from ts_migration.local.influxdb.influxql.syntax import Call, Expr, VarRef
from ts_migration.local.influxdb.influxql.windows import Table, filled
from ts_migration.local.influxdb.points import MIN_TIME_NS, FieldType

Places = npt.NDArray[np.int64]
_NUMBERS = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED)


def rows(plan: Plan) -> Iterator[Frame]:
    """The frames of a query with functions, one a measurement."""
    for measurement, reading in each(plan):
        tables = {text: _ready(plan, text, table) for text, table in reading.tables.items()}
        if any(len(table.groups) for table in tables.values()):
            yield _frame(plan, measurement, reading, tables)


def _ready(plan: Plan, text: str, table: Table) -> Table:
    """One call's table with its windows filled, its times settled, in the order and within the limits of the answer."""
    name = text.partition("(")[0]
    if plan.interval.size:
        if plan.fill.kind != "none" and name != "distinct":
            counting = name == "count"
            table = filled(table, plan.fill, plan.interval, plan.start, plan.stop, counting=counting)
        times = table.windows
    elif plan.selector:
        times = table.times
    else:
        times = table.windows
    times = np.where(times == MIN_TIME_NS, 0, times) if not plan.selector or plan.interval.size else times
    table = Table(table.groups, table.windows, times, table.values, table.rows)
    if not plan.ascending:
        # Equal windows (the values of distinct) keep their order while groups and windows turn around.
        table = _taken(table, np.lexsort((np.arange(len(times)), -table.windows, -table.groups)))
    if plan.limit or plan.offset:
        starts = np.flatnonzero(np.diff(table.groups, prepend=-1))
        place = np.arange(len(table.groups)) - np.repeat(starts, np.diff(starts, append=len(table.groups)))
        kept = place >= plan.offset
        if plan.limit:
            kept &= place < plan.offset + plan.limit
        table = _taken(table, np.flatnonzero(kept))
    return table


def _taken(table: Table, rows: Places) -> Table:
    return Table(table.groups[rows], table.windows[rows], table.times[rows], table.values.take(rows), table.rows[rows])


def _frame(plan: Plan, measurement: str, reading: Reading, tables: dict[str, Table]) -> Frame:
    if len(plan.calls) == 1:
        (table,) = tables.values()
        groups, times = table.groups, table.times
        columns: dict[str, Column] = {text: one.values for text, one in tables.items()}
        chosen = table.rows
    else:
        groups, times, columns = _joined(plan, tables)
        chosen = np.full(len(groups), -1, np.int64)
    count = len(groups)

    def lookup(expr: Expr) -> Column | None:
        if isinstance(expr, Call):
            return columns.get(syntax.text_of(expr))
        return _beside(reading, expr, chosen) if isinstance(expr, VarRef) else None

    values = [evaluate(field, lookup, count) for field in plan.fields]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    stops = np.append(starts[1:], count)
    tags = list(reading.groups.places)
    segments = tuple(
        Segment(measurement, tags[group], start, stop)
        for group, start, stop in zip(groups[starts].tolist(), starts.tolist(), stops.tolist(), strict=True)
    )
    made = tuple(nulls(count) if column is None else column for column in values)
    return Frame(plan.names, times, made, segments)


def _beside(reading: Reading, reference: VarRef, chosen: Places) -> Column | None:
    """A column at the rows that a selector chose; null in windows that were filled."""
    column = None if reading.batch is None else reading.batch.column(reference)
    if column is None:
        return None
    found = column.take(np.maximum(chosen, 0))
    return Column(found.type, found.values, found.mask & (chosen >= 0))


def _joined(plan: Plan, tables: dict[str, Table]) -> tuple[Places, Places, dict[str, Column]]:
    """Several tables side by side: a row for every group and window that any of them has."""
    groups = np.concatenate([table.groups for table in tables.values()])
    windows = np.concatenate([table.windows for table in tables.values()])
    times = np.concatenate([table.times for table in tables.values()])
    sign = 1 if plan.ascending else -1
    order = np.lexsort((sign * windows, sign * groups))
    fresh = (np.diff(groups[order], prepend=-1) != 0) | (np.diff(windows[order], prepend=MIN_TIME_NS - 1) != 0)
    place = np.empty(len(order), np.int64)
    place[order] = np.cumsum(fresh) - 1
    heads = order[fresh]
    columns: dict[str, Column] = {}
    start = 0
    for text, table in tables.items():
        rows = place[start : start + len(table.groups)]
        start += len(table.groups)
        columns[text] = _spread(plan, table.values, rows, len(heads))
    return groups[heads], times[heads], columns


def _spread(plan: Plan, column: Column, rows: Places, count: int) -> Column:
    if len(rows) == count:
        inverse = np.empty(count, np.int64)
        inverse[rows] = np.arange(count)
        return column.take(inverse)
    wide = nulls(count, column.type)
    if plan.fill.kind == "number" and plan.fill.number is not None and column.type in _NUMBERS:
        wide = Column(column.type, np.full(count, DTYPES[column.type](plan.fill.number)), np.ones(count, np.bool_))
    valid = wide.mask.copy()
    wide.values[rows] = column.values
    valid[rows] = column.mask
    return Column(column.type, wide.values, valid)
