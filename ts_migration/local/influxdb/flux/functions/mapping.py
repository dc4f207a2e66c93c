"""Functions that compute columns: map, difference, derivative, elapsed, cumulativeSum, and the to…() conversions."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Function, Invocation, Row
from ts_migration.local.influxdb.flux.functions import conversions
from ts_migration.local.influxdb.flux.functions.declaring import (
    Family,
    all_tables,
    each_table,
    merged_by_key,
    needed,
    split_by,
)
from ts_migration.local.influxdb.flux.operators import as_column
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType, Table, text_bytes
from ts_migration.local.influxdb.flux.values import SECOND, Duration

UNIVERSE = Family()
NUMBERS = (ColumnType.INT, ColumnType.UINT, ColumnType.FLOAT)


@UNIVERSE.function("map", required="fn", optional="mergeKey", pipe="tables")
def map_rows(session: Session, call: Invocation) -> Stream:
    """A new record for each row; columns in byte order of their labels, as the server orders them."""
    stream, function = call.tables(), call.get("fn", Function)
    parameter = function.node.parameters[0].name if function.node.parameters else "r"

    def work(tables: Iterator[Table]) -> Iterator[Table]:
        for table in tables:
            if not len(table):
                continue
            record = function.call({parameter: Row.of(table)}, call.place)
            if isinstance(record, Row):
                record = dict(record.columns)
            if not isinstance(record, dict):
                raise ValueProblem("the function of map must give a record")
            columns = tuple(
                _property(name, record[name], len(table))
                for name in sorted(record, key=lambda name: text_bytes(str(name)))
            )
            labels = [key.label for key in table.key.columns if key.label in record]
            yield from split_by(Table(table.key, columns), labels)

    return stream.then(all_tables(call, [stream], lambda tables: merged_by_key(work(tables))))


def _property(name: str, value: object, count: int) -> Column:
    if value is None:
        raise ValueProblem(f'map object property "{name}" is null for all rows: its type is not known')
    return replace(as_column(value, count), label=name)


@UNIVERSE.function("difference", optional="nonNegative columns keepFirst initialZero", pipe="tables")
def difference(session: Session, call: Invocation) -> Stream:
    """Each value less the one before it."""
    labels = call.strings("columns", ["_value"])
    non_negative, keep_first = call.get("nonNegative", bool, False), call.get("keepFirst", bool, False)
    if call.get("initialZero", bool, False):
        raise ValueProblem("initialZero is not supported by the embedded InfluxDB")

    def work(table: Table) -> Iterable[Table]:
        if not len(table):
            return []
        for label in labels:
            column = _numbers(table, label, "difference")
            values = column.values.astype(np.int64) if column.type is ColumnType.UINT else column.values
            change = np.r_[values[:1] * 0, values[1:] - values[:-1]]
            kind = ColumnType.INT if column.type is ColumnType.UINT else column.type
            valid = np.r_[False, change[1:] >= 0 if non_negative else np.ones(len(table) - 1, np.bool_)]
            table = table.with_column(Column(label, kind, change, valid))
        made = table if keep_first else table.slice(1, len(table))
        return [made] if len(made) else []

    return each_table(call, work)


@UNIVERSE.function("derivative", optional="unit nonNegative columns timeColumn initialZero", pipe="tables")
def derivative(session: Session, call: Invocation) -> Stream:
    """The change of a value in a unit of time."""
    labels, unit = call.strings("columns", ["_value"]), _unit(call)
    if call.get("initialZero", bool, False):
        raise ValueProblem("initialZero is not supported by the embedded InfluxDB")
    stated = call.has("nonNegative")
    non_negative = stated and call.get("nonNegative", bool)

    def work(table: Table) -> Iterable[Table]:
        steps = _steps(table, call.get("timeColumn", str, "_time"))
        if (steps <= 0).any():
            raise ValueProblem("derivative over times that do not rise is not supported by the embedded InfluxDB")
        for label in labels:
            column = _numbers(table, label, "derivative")
            values = column.values
            falls = values[1:] < values[:-1]
            if not stated and falls.any():
                # the documentation and the code of Flux differ about what a missing nonNegative means
                raise ValueProblem("state nonNegative: the embedded InfluxDB does not assume it where values fall")
            change = _signed_change(values)
            rate = np.r_[0.0, change / (steps.astype(np.float64) / unit)]
            valid = np.r_[False, ~falls if non_negative else np.ones(len(falls), np.bool_)]
            table = table.with_column(Column(label, ColumnType.FLOAT, rate, valid))
        made = table.slice(1, len(table))
        return [made] if len(made) else []

    return each_table(call, work)


def _signed_change(values: Array) -> Array:
    if values.dtype == np.uint64:
        high, low = np.maximum(values[1:], values[:-1]), np.minimum(values[1:], values[:-1])
        return np.where(values[1:] < values[:-1], -1.0, 1.0) * (high - low).astype(np.float64)
    return (values[1:] - values[:-1]).astype(np.float64)


@UNIVERSE.function("elapsed", optional="unit timeColumn columnName", pipe="tables")
def elapsed(session: Session, call: Invocation) -> Stream:
    """Whole units of time since the row before."""
    unit, label = _unit(call), call.get("columnName", str, "elapsed")

    def work(table: Table) -> Iterable[Table]:
        steps = _steps(table, call.get("timeColumn", str, "_time"))
        counts = np.sign(steps) * (np.abs(steps) // unit)
        made = table.slice(1, len(table))
        return [made.with_column(Column(label, ColumnType.INT, counts))] if len(made) else []

    return each_table(call, work)


@UNIVERSE.function("cumulativeSum", optional="columns", pipe="tables")
def cumulative_sum(session: Session, call: Invocation) -> Stream:
    """The sum of all values up to each row."""
    labels = call.strings("columns", ["_value"])

    def work(table: Table) -> Iterable[Table]:
        for label in labels:
            column = _numbers(table, label, "cumulativeSum")
            table = table.with_column(replace(column, values=np.cumsum(column.values)))
        return [table]

    return each_table(call, work)


def _unit(call: Invocation) -> int:
    unit = call.get("unit", Duration, Duration(0, SECOND))
    if unit.months or unit.ns <= 0:
        raise ValueProblem("unit must be a positive duration without months")
    return unit.ns


def _steps(table: Table, label: str) -> Array:
    times = needed(table, label)
    if times.type is not ColumnType.TIME or times.valid is not None:
        raise ValueProblem(f"column {label} must be times without nulls")
    return np.diff(times.values)


def _numbers(table: Table, label: str, function: str) -> Column:
    column = needed(table, label)
    if column.type not in NUMBERS:
        raise ValueProblem(f"unsupported {function} column type {label}:{column.type}")
    if column.valid is not None and not column.valid.all():
        raise ValueProblem(f"{function} over nulls is not supported by the embedded InfluxDB")
    return replace(column, valid=None)


def _converting(name: str, target: str) -> None:
    @UNIVERSE.function(name, pipe="tables")
    def convert(session: Session, call: Invocation) -> Stream:
        def work(table: Table) -> Iterable[Table]:
            made = conversions.convert(target, needed(table, "_value"))
            return [table.with_column(replace(as_column(made, len(table)), label="_value"))]

        return each_table(call, work)


for _target in ("Bool", "Float", "Int", "String", "Time", "UInt"):
    _converting(f"to{_target}", _target.lower())
