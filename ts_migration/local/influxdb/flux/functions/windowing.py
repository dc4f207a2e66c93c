"""Windows of time: window and aggregateWindow, the latter in the layouts that the server's planner chooses from."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ts_migration.local.influxdb.flux import aggregates
from ts_migration.local.influxdb.flux.aggregates import Runs
from ts_migration.local.influxdb.flux.errors import RunError, ValueProblem, unsupported
from ts_migration.local.influxdb.flux.evaluation import Builtin, Function, Invocation, apply
from ts_migration.local.influxdb.flux.functions.aggregating import aggregated_column, refuse_type, storage_layout
from ts_migration.local.influxdb.flux.functions.declaring import Family, each_table, merged, needed
from ts_migration.local.influxdb.flux.functions.selecting import ordered
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Bounds, Stream
from ts_migration.local.influxdb.flux.tables import (
    Array,
    Column,
    ColumnType,
    GroupKey,
    Table,
    constant,
    key_columns,
    nulls,
)
from ts_migration.local.influxdb.flux.values import MAX_INT, Duration, Time
from ts_migration.local.influxdb.flux.windows import Windows, locate

UNIVERSE = Family()
INFINITE = Duration(0, MAX_INT)
ZERO = Duration(0, 0)


@UNIVERSE.function(
    "window",
    optional="every period offset location timeColumn startColumn stopColumn createEmpty",
    pipe="tables",
)
def window(session: Session, call: Invocation) -> Stream:
    """Cuts each table into one for each window of time."""
    stream = call.tables()
    _refuse_location(call)
    for name, usual in (("startColumn", "_start"), ("stopColumn", "_stop")):
        if call.get(name, str, usual) != usual:
            raise unsupported(call.place, f"window with {name}")
    time_column = call.get("timeColumn", str, "_time")
    create_empty = call.get("createEmpty", bool, False)
    bounds = _bounds(stream)
    if not call.has("every") and not call.has("period"):
        raise ValueProblem('window function requires at least one of "every" or "period" to be set')
    period = call.get("period", Duration, ZERO)
    every = call.get("every", Duration, period)
    if every == INFINITE:
        return _unwindowed(call, bounds, time_column)
    windows = Windows(every, every if period == ZERO else period, call.get("offset", Duration, ZERO))

    def cut(table: Table) -> Iterable[Table]:
        return window_tables(table, windows, bounds, time_column, create_empty)

    made = each_table(call, cut)
    plain = stream.read is not None and stream.read.plain and time_column == "_time"
    pushable = plain and windows.adjoining and not every.months and windows.offset.ns >= 0
    return replace(made, read=replace(stream.read, windowed=True)) if pushable and stream.read else made


def _bounds(stream: Stream) -> Bounds:
    if stream.bounds is None:
        raise ValueProblem("nil bounds passed to window; use range to set the window range")
    return stream.bounds


def _refuse_location(call: Invocation) -> None:
    location = call.arguments.get("location")
    if location is not None and location != {"zone": "UTC", "offset": ZERO}:
        raise unsupported(call.place, f"a {call.function.name} location other than UTC")


def window_tables(
    table: Table, windows: Windows, bounds: Bounds, time_column: str, create_empty: bool
) -> Iterator[Table]:
    """One table for each window that holds rows (or for all); `_start` and `_stop` are the window cut to the range."""
    ordered, times = by_time(table, time_column)
    starts, stops, low, high = locate(windows, bounds, times)
    wanted = np.arange(len(starts)) if create_empty else np.flatnonzero(high > low)
    for number in wanted.tolist():
        part = ordered.slice(int(low[number]), int(high[number]))
        yield bounded(part, Bounds(int(starts[number]), int(stops[number])))


def by_time(table: Table, label: str) -> tuple[Table, Array]:
    """The table in the order of a column of times, and these times; rows without one are left out."""
    column = needed(table, label)
    if column.type is not ColumnType.TIME:
        raise ValueProblem(f"time column is not a time value: {column.type}")
    if column.valid is not None:
        table = table.take(column.valid)
        column = needed(table, label)
    times = column.values
    if len(times) > 1 and (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        return table.take(order), times[order]
    return table, times


def bounded(table: Table, bounds: Bounds) -> Table:
    """The table with `_start` and `_stop` set, in its columns and in its key."""
    for label, ns in (("_start", bounds.start), ("_stop", bounds.stop)):
        table = table.with_column(constant(label, ColumnType.TIME, Time(ns), len(table)))
        table = replace(table, key=table.key.with_value(label, ColumnType.TIME, Time(ns)))
    return table


def _unwindowed(call: Invocation, bounds: Bounds, time_column: str) -> Stream:
    """`window(every: inf)`: the tables of all windows put together again."""
    stream = call.tables()

    def tables() -> Iterator[Table]:
        try:
            yield from rejoined(stream.tables(), bounds, time_column)
        except ValueProblem as problem:
            raise RunError(call.place, call.function.name, str(problem)) from problem

    return stream.then(tables)


def rejoined(tables: Iterable[Table], bounds: Bounds, time_column: str) -> Iterator[Table]:
    """Tables that differ in `_start` and `_stop` only made one; rows outside of the bounds are left out."""
    found: dict[GroupKey, list[Table]] = {}
    for table in tables:
        times = needed(table, time_column)
        inside = times.mask() & (times.values >= bounds.start) & (times.values <= bounds.stop)
        kept = bounded(table if inside.all() else table.take(inside), bounds)
        if len(kept):
            found.setdefault(kept.key, []).append(kept)
    for key, parts in found.items():
        yield merged(key, parts)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The arguments of an aggregateWindow."""

    windows: Windows
    bounds: Bounds
    column: str
    source: str
    target: str
    create_empty: bool


@UNIVERSE.function(
    "aggregateWindow",
    required="every fn",
    optional="period offset location column timeSrc timeDst createEmpty",
    pipe="tables",
)
def aggregate_window(session: Session, call: Invocation) -> Stream:
    """One row for each window of each table."""
    stream = call.tables()
    _refuse_location(call)
    every, period = call.get("every", Duration), call.get("period", Duration, ZERO)
    plan = _Plan(
        Windows(every, every if period == ZERO else period, call.get("offset", Duration, ZERO)),
        _bounds(stream),
        call.get("column", str, "_value"),
        call.get("timeSrc", str, "_stop"),
        call.get("timeDst", str, "_time"),
        call.get("createEmpty", bool, True),
    )
    function = call.arguments["fn"]
    if not isinstance(function, (Function, Builtin)):
        raise call.mismatch("fn", "function", function)
    usual = plan.source in ("_start", "_stop") and plan.target == "_time"
    if isinstance(function, Builtin) and function.name in aggregates.KERNELS and usual:
        name, windows, read = function.name, plan.windows, stream.read
        pushable = windows.adjoining and not windows.every.months and windows.offset.ns >= 0
        if read is not None and read.plain and plan.column == "_value" and pushable:
            return stream.then(lambda: (_of_storage(table, name, plan) for table in stream.tables()))
        if name in ("count", "sum", "mean"):
            return each_table(call, lambda table: _fused(table, name, plan))
    if isinstance(function, Builtin) and function.name in aggregates.REDUCERS and usual:
        reducer = aggregates.REDUCERS[function.name]
        return each_table(call, lambda table: _computed(table, reducer, plan))
    return _general(call, function, plan)


Reducer = Callable[[Column, Runs], Column]


def _reduced(column: Column, times: Array, reducer: Reducer, plan: _Plan) -> tuple[Array, Column]:
    """Times and values of the windows of ascending times."""
    starts, stops, low, high = locate(plan.windows, plan.bounds, times)
    shown = starts if plan.source == "_start" else stops
    if not plan.create_empty:
        full = high > low
        shown, low, high = shown[full], low[full], high[full]
    return shown, reducer(column, Runs(low, high))


def _of_storage(table: Table, name: str, plan: _Plan) -> Table:
    """As storage does it: `_start`, `_stop`, `_time`, `_value`, tags."""
    column = needed(table, "_value")
    if not aggregates.accepts(name, column.type):
        raise refuse_type(name, column.type)
    times, values = _reduced(column, needed(table, "_time").values, partial(aggregates.reduce_runs, name), plan)
    return storage_layout(table.key, values, time=Column("_time", ColumnType.TIME, times))


def _fused(table: Table, name: str, plan: _Plan) -> Iterable[Table]:
    """As Flux does count, sum and mean: `_time`, the key, the value."""
    column = aggregated_column(table, plan.column)
    if not aggregates.accepts(name, column.type):
        raise ValueProblem(f"unsupported aggregate column type {column.type}")
    ordered, in_order = by_time(table, "_time")
    times, values = _reduced(needed(ordered, plan.column), in_order, partial(aggregates.reduce_runs, name), plan)
    key = table.key
    for label, ns in (("_start", plan.bounds.start), ("_stop", plan.bounds.stop)):
        key = key.with_value(label, ColumnType.TIME, Time(ns))
    time = Column("_time", ColumnType.TIME, times)
    made = Table(key, (time, *key_columns(key, len(times)), replace(values, label=plan.column)))
    return [made] if len(made) else []


def _computed(table: Table, reducer: Reducer, plan: _Plan) -> Iterable[Table]:
    """As Flux does its other aggregates: the key, the value, `_time`."""
    aggregated_column(table, plan.column)
    ordered, in_order = by_time(table, "_time")
    times, values = _reduced(needed(ordered, plan.column), in_order, reducer, plan)
    made = bounded(Table(table.key, (*key_columns(table.key, len(times)), values)), plan.bounds)
    return [made.with_column(Column("_time", ColumnType.TIME, times))] if len(made) else []


def _general(call: Invocation, function: Function | Builtin, plan: _Plan) -> Stream:
    """Any function: each window is a table of its own, and the results are put together again."""
    stream = call.tables()

    def results(parts: list[Table]) -> list[Table]:
        windowed = stream.then(lambda: iter(parts))
        made = apply(function, _arguments(function, windowed, plan), call.place)
        if not isinstance(made, Stream):
            raise call.mismatch("fn", "function that gives a stream", made)
        return list(made.tables())

    def is_of_table(table: Table) -> Iterator[Table]:
        full = list(window_tables(table, plan.windows, plan.bounds, "_time", False))
        made = results(full)
        if plan.create_empty:
            made = _with_empty(table, made, plan, results)
        timed = (_timed(result, plan) for result in made)
        yield from rejoined(timed, plan.bounds, plan.target)

    def tables() -> Iterator[Table]:
        for table in stream.tables():
            try:
                yield from is_of_table(table)
            except ValueProblem as problem:
                raise RunError(call.place, call.function.name, str(problem)) from problem

    return stream.then(tables)


def _arguments(function: Function | Builtin, windowed: Stream, plan: _Plan) -> dict[str, object]:
    arguments: dict[str, object] = {function.piped() or "tables": windowed}
    takes_column = isinstance(function, Function) or "column" in function.parameters
    return {**arguments, "column": plan.column} if takes_column else arguments


def _with_empty(
    table: Table, made: list[Table], plan: _Plan, results: Callable[[list[Table]], list[Table]]
) -> list[Table]:
    """The results with those of the windows without rows, in the order of the windows.

    What the function makes of no rows is asked once; where that is nothing, or nulls, all such windows get nulls."""
    starts, stops = plan.windows.clipped(plan.bounds)
    times = by_time(table, "_time")[1]
    bare = np.searchsorted(times, starts, "left") == np.searchsorted(times, stops, "left")
    if not bare.any():
        return made
    nothing = table.slice(0, 0)
    pairs = list(zip(starts[bare].tolist(), stops[bare].tolist(), strict=True))
    probe = results([bounded(nothing, Bounds(*pairs[0]))])
    if any(_tells(result) for result in probe):
        made += results([bounded(nothing, Bounds(*pair)) for pair in pairs])
        return sorted(made, key=lambda result: _start_of(result.key))
    shape = next((result for result in (*made, *probe) if result.columns), None)
    if shape is None:
        return made
    key = shape.key
    count = len(pairs)
    columns = []
    for column in shape.columns:
        if column.label in ("_start", "_stop"):
            columns.append(Column(column.label, ColumnType.TIME, (starts if column.label == "_start" else stops)[bare]))
        elif (known := key.get(column.label)) is not None:
            columns.append(constant(column.label, column.type, known.value, count))
        else:
            columns.append(nulls(column.label, column.type, count))
    filled = Table(key, tuple(columns))
    whole = [merged(key, [*made, filled])] if made else [filled]
    return [ordered(result, ["_start"], False) for result in whole]


def _tells(result: Table) -> bool:
    """Whether what a function made of no rows is more than nulls."""
    values = [column for column in result.columns if column.label not in result.key]
    return len(result) > 0 and any(column.mask().any() for column in values)


def _start_of(key: GroupKey) -> int:
    start = key.get("_start")
    return start.value.ns if start is not None and isinstance(start.value, Time) else 0


def _timed(table: Table, plan: _Plan) -> Table:
    source = needed(table, plan.source)
    return table.with_column(replace(source, label=plan.target))
