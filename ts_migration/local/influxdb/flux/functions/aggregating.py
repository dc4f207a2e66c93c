"""Aggregates: one row for each table. count, sum, mean, spread, stddev, median, quantile."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ts_migration.local.influxdb.flux import aggregates, reading
from ts_migration.local.influxdb.flux.aggregates import Runs
from ts_migration.local.influxdb.flux.errors import ReadError, ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Invocation
from ts_migration.local.influxdb.flux.functions.declaring import Family, each_table, needed
from ts_migration.local.influxdb.flux.reading import Read
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import (
    DTYPES,
    STORAGE_NAMES,
    Column,
    ColumnType,
    GroupKey,
    Table,
    constant,
    key_columns,
)

UNIVERSE = Family()


def refuse_type(function: str, kind: ColumnType) -> ReadError:
    """How storage refuses to aggregate a type (seen on 2.7.11)."""
    return ReadError(f"unsupported input type for {function} aggregate: {STORAGE_NAMES[kind]}")


def storage_layout(key: GroupKey, value: Column, *, time: Column | None = None) -> Table:
    """A table as storage builds it: `_start`, `_stop`, `_time` if there is one, `_value`, then the rest of the key."""
    columns = key_columns(key, len(value))
    middle = (value,) if time is None else (time, value)
    return Table(key, (*columns[:2], *middle, *columns[2:]))


def aggregated_column(table: Table, label: str) -> Column:
    """The column that an aggregate works on. Raises ValueProblem in the server's words."""
    column = needed(table, label)
    if label in table.key:
        raise ValueProblem("cannot aggregate columns that are part of the group key")
    return column


def _kernel(name: str) -> None:
    @UNIVERSE.function(name, optional="column", pipe="tables")
    def aggregate(session: Session, call: Invocation) -> Stream:
        label = call.get("column", str, "_value")
        stream = call.tables()
        read = stream.read
        if read is not None and label == "_value" and not (name == "mean" and read.group is not None):
            if read.group is not None and not read.windowed:
                return stream.then(lambda: _of_groups(read, name))
            if not (read.windowed and read.group is not None):
                return stream.then(lambda: _of_tables(stream.tables(), name))

        def reduced(table: Table) -> Iterable[Table]:
            column = aggregated_column(table, label)
            if not aggregates.accepts(name, column.type):
                raise ValueProblem(f"unsupported aggregate column type {column.type}")
            value = aggregates.reduce_runs(name, column, Runs.whole(len(table)))
            return [Table(table.key, (*key_columns(table.key, 1), value))]

        return each_table(call, reduced)


def _of_tables(tables: Iterable[Table], name: str) -> Iterator[Table]:
    """An aggregate that storage makes of each series."""
    for table in tables:
        column = needed(table, "_value")
        if not aggregates.accepts(name, column.type):
            raise refuse_type(name, column.type)
        yield storage_layout(table.key, aggregates.reduce_runs(name, column, Runs.whole(len(table))))


def _of_groups(read: Read, name: str) -> Iterator[Table]:
    """An aggregate that storage makes of each group; counts of different types count together."""
    for values, members in reading.groups(read):
        key = reading.group_key(read, values)
        if name == "count":
            total: object = sum(len(series.times) for series in members)
            yield storage_layout(key, constant("_value", ColumnType.INT, total, 1))
            continue
        for series in members:
            if not aggregates.accepts(name, series.type):
                raise refuse_type(name, series.type)
        kind = reading.same_type(members)
        # each series is summed alone and the sums are added up: the rounding of floats depends on it
        sums = [
            aggregates.reduce_runs(name, Column("_value", kind, series.values), Runs.whole(len(series.values))).values[
                0
            ]
            for series in members
        ]
        column = Column("_value", kind, np.array(sums, DTYPES[kind]))
        yield storage_layout(key, aggregates.reduce_runs("sum", column, Runs.whole(len(sums))))


for _name in ("count", "sum", "mean"):
    _kernel(_name)


def _single(call: Invocation, compute: Callable[[Column, Runs], Column]) -> Stream:
    """An aggregate that Flux makes itself."""
    label = call.get("column", str, "_value")

    def reduced(table: Table) -> Iterable[Table]:
        value = compute(aggregated_column(table, label), Runs.whole(len(table)))
        return [Table(table.key, (*key_columns(table.key, 1), value))]

    return each_table(call, reduced)


@UNIVERSE.function("spread", optional="column", pipe="tables")
def spread(session: Session, call: Invocation) -> Stream:
    """Greatest less smallest value."""
    return _single(call, aggregates.spread)


@UNIVERSE.function("stddev", optional="column mode", pipe="tables")
def stddev(session: Session, call: Invocation) -> Stream:
    """Standard deviation of a sample (or of a population)."""
    mode = call.get("mode", str, "sample")
    return _single(call, lambda column, runs: aggregates.standard_deviation(column, runs, mode))


@UNIVERSE.function("median", optional="column method compression", pipe="tables")
def median(session: Session, call: Invocation) -> Stream:
    """The quantile of one half."""
    return _quantile(call, 0.5)


@UNIVERSE.function("quantile", required="q", optional="column method compression", pipe="tables")
def quantile(session: Session, call: Invocation) -> Stream:
    """The value below which the share `q` of all values lies."""
    q = call.get("q", float)
    if not 0 <= q <= 1:
        raise ValueProblem("quantile must be between 0 and 1")
    return _quantile(call, q)


def _quantile(call: Invocation, q: float) -> Stream:
    method = call.get("method", str, "estimate_tdigest")
    if method == "exact_selector":
        label = call.get("column", str, "_value")

        def selected(table: Table) -> Iterable[Table]:
            row = aggregates.quantile_row(needed(table, label), q)
            return [table.slice(row, row + 1)] if row >= 0 else []

        return each_table(call, selected)
    if method not in ("estimate_tdigest", "exact_mean"):
        raise ValueProblem(f"unknown quantile method {method}")
    return _single(call, lambda column, runs: aggregates.quantile(column, runs, q, method))
