"""Functions that keep rows as they are: first, last, min, max, limit, tail, sort, top, bottom, unique, distinct."""

from collections.abc import Iterable, Iterator

import numpy as np

from ts_migration.local.influxdb.flux import aggregates
from ts_migration.local.influxdb.flux.aggregates import Runs
from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Invocation
from ts_migration.local.influxdb.flux.functions.aggregating import refuse_type
from ts_migration.local.influxdb.flux.functions.declaring import Family, each_table, needed, ranks
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import Array, ColumnType, Table, constant, key_columns

UNIVERSE = Family()


def _selector(name: str) -> None:
    @UNIVERSE.function(name, optional="column", pipe="tables")
    def select(session: Session, call: Invocation) -> Stream:
        label = call.get("column", str, "_value")
        stream = call.tables()
        if stream.read is not None and label == "_value":
            by_time = stream.read.group is not None and not stream.read.windowed and name in ("first", "last")
            return stream.then(lambda: _of_storage(stream.tables(), name, by_time))

        def selected(table: Table) -> Iterable[Table]:
            column = needed(table, label)
            if not aggregates.accepts(name, column.type):
                kind = f"{name.capitalize()}Selector"
                raise ValueProblem(
                    f"invalid use of function: *universe.{kind} has no implementation for type {column.type}"
                )
            row = int(aggregates.pick(name, column, Runs.whole(len(table)))[0])
            return [table.slice(row, row + 1)] if row >= 0 else []

        return each_table(call, selected)


def _of_storage(tables: Iterable[Table], name: str, by_time: bool) -> Iterator[Table]:
    """A selector that storage runs: in a group, first and last go by time and not by the order of rows."""
    for table in tables:
        if not aggregates.accepts(name, needed(table, "_value").type):
            raise refuse_type(name, needed(table, "_value").type)
        column = needed(table, "_time" if by_time else "_value")
        function = {"first": "min", "last": "max"}[name] if by_time else name
        row = int(aggregates.pick(function, column, Runs.whole(len(table)))[0])
        if row >= 0:
            yield table.slice(row, row + 1)


for _name in aggregates.SELECTORS:
    _selector(_name)


@UNIVERSE.function("limit", required="n", optional="offset", pipe="tables")
def limit(session: Session, call: Invocation) -> Stream:
    """The first rows of each table after an offset."""
    count, offset = _counts(call)
    return each_table(call, lambda table: _full(table.slice(offset, offset + count)))


@UNIVERSE.function("tail", required="n", optional="offset", pipe="tables")
def tail(session: Session, call: Invocation) -> Stream:
    """The last rows of each table before an offset."""
    count, offset = _counts(call)

    def last(table: Table) -> Iterable[Table]:
        stop = max(len(table) - offset, 0)
        return _full(table.slice(max(stop - count, 0), stop))

    return each_table(call, last)


def _counts(call: Invocation) -> tuple[int, int]:
    count, offset = call.get("n", int), call.get("offset", int, 0)
    if count < 0 or offset < 0:
        raise ValueProblem("n and offset must not be negative")
    return count, offset


def _full(table: Table) -> list[Table]:
    return [table] if len(table) else []


@UNIVERSE.function("sort", optional="columns desc", pipe="tables")
def sort(session: Session, call: Invocation) -> Stream:
    """Orders the rows of each table; null comes last, or first where the order is descending."""
    labels, descending = call.strings("columns", ["_value"]), call.get("desc", bool, False)
    return each_table(call, lambda table: [ordered(table, labels, descending)])


def ordered(table: Table, labels: list[str], descending: bool) -> Table:
    """The rows in the order of columns; a column that the table lacks does not count."""
    keys = [ranks(column) for label in labels if (column := table.get(label)) is not None]
    if not keys or not len(table):
        return table
    if descending:
        keys = [-key for key in keys]
    return table.take(np.lexsort(keys[::-1]))


def _extremes(name: str, descending: bool) -> None:
    @UNIVERSE.function(name, required="n", optional="columns", pipe="tables")
    def take(session: Session, call: Invocation) -> Stream:
        count, labels = call.get("n", int), call.strings("columns", ["_value"])
        return each_table(call, lambda table: _full(ordered(table, labels, descending).slice(0, count)))


_extremes("top", True)
_extremes("bottom", False)


@UNIVERSE.function("unique", optional="column", pipe="tables")
def unique(session: Session, call: Invocation) -> Stream:
    """The first row for each value of a column."""
    label = call.get("column", str, "_value")
    return each_table(call, lambda table: [table.take(_first_rows(table, label))])


@UNIVERSE.function("distinct", optional="column", pipe="tables")
def distinct(session: Session, call: Invocation) -> Stream:
    """The values of a column, each once, as `_value`."""
    label = call.get("column", str, "_value")

    def values(table: Table) -> Iterable[Table]:
        column = table.get(label)
        if column is None:
            found = constant("_value", ColumnType.STRING, "", 1)
        else:
            rows = _first_rows(table, label)
            taken = column.take(rows)
            found = type(taken)("_value", taken.type, taken.values, taken.valid)
        key = table.key.without(["_value"])
        return [Table(key, (*key_columns(key, len(found)), found))]

    return each_table(call, values)


def _first_rows(table: Table, label: str) -> Array:
    found = ranks(needed(table, label))
    return np.sort(np.unique(found, return_index=True)[1]) if len(found) else np.zeros(0, np.int64)
