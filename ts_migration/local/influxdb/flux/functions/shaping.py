"""Functions that change columns and keys: keep, drop, rename, duplicate, set, fill, group, union, columns, keys."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Function, Invocation, apply
from ts_migration.local.influxdb.flux.functions.declaring import (
    Family,
    all_tables,
    each_table,
    joined_runs,
    merged_by_key,
    needed,
    split_by,
)
from ts_migration.local.influxdb.flux.functions.sources import from_read
from ts_migration.local.influxdb.flux.operators import truth
from ts_migration.local.influxdb.flux.session import Session, joint_bounds
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import (
    Column,
    ColumnType,
    GroupKey,
    Table,
    constant,
    key_columns,
    type_of,
)
from ts_migration.local.influxdb.flux.values import Time

UNIVERSE = Family()


def _chosen(call: Invocation) -> Callable[[str], bool]:
    """Whether a column is named by `columns` or found by `fn`."""
    if call.has("columns") == call.has("fn"):
        raise ValueProblem(f"{call.function.name} error: must provide exactly one of columns or fn")
    if call.has("columns"):
        labels = call.strings("columns")
        return lambda label: label in labels
    function = call.get("fn", Function)
    return lambda label: truth(apply(function, {"column": label}, call.place)) is True


def _mutated(call: Invocation, kept: Callable[[str], bool]) -> Stream:
    """Tables with some of their columns, tables that then share a key put together."""
    stream = call.tables()

    def cut(table: Table) -> Table:
        columns = tuple(column for column in table.columns if kept(column.label))
        return Table(GroupKey(tuple(column for column in table.key.columns if kept(column.label))), columns)

    if stream.read is not None and stream.read.plain and _keeps_apart(call):
        return stream.then(lambda: (made for made in map(cut, stream.tables()) if made.columns))
    work = all_tables(call, [stream], lambda tables: merged_by_key(t for t in map(cut, tables) if t.columns))
    return stream.then(work)


def _keeps_apart(call: Invocation) -> bool:
    """Whether tables of one range stay apart without being compared: only what all of them share is dropped."""
    dropped = call.function.name == "drop" and call.has("columns")
    return dropped and set(call.strings("columns")) <= {"_start", "_stop", "_time", "_value"}


@UNIVERSE.function("keep", optional="columns fn", pipe="tables")
def keep(session: Session, call: Invocation) -> Stream:
    """Only these columns."""
    return _mutated(call, _chosen(call))


@UNIVERSE.function("drop", optional="columns fn", pipe="tables")
def drop(session: Session, call: Invocation) -> Stream:
    """All but these columns."""
    chosen = _chosen(call)
    return _mutated(call, lambda label: not chosen(label))


@UNIVERSE.function("rename", optional="columns fn", pipe="tables")
def rename(session: Session, call: Invocation) -> Stream:
    """Other labels for columns."""
    if call.has("columns") == call.has("fn"):
        raise ValueProblem("rename error: must provide exactly one of columns or fn")
    names = call.arguments.get("columns")
    if names is not None and (not isinstance(names, dict) or any(not isinstance(name, str) for name in names.values())):
        raise call.mismatch("columns", "record of strings", names)

    def renamed(label: str) -> str:
        if isinstance(names, dict):
            return str(names.get(label, label))
        name = apply(call.get("fn", Function), {"column": label}, call.place)
        if not isinstance(name, str):
            raise call.mismatch("fn", "function that gives a string", name)
        return name

    def work(table: Table) -> Iterable[Table]:
        for label in names if isinstance(names, dict) else ():
            if table.get(label) is None:
                raise ValueProblem(f'rename error: column "{label}" doesn\'t exist')
        columns = tuple(replace(column, label=renamed(column.label)) for column in table.columns)
        if len({column.label for column in columns}) < len(columns):
            raise ValueProblem("rename error: two columns would have one label")
        return [Table(GroupKey(tuple(replace(k, label=renamed(k.label)) for k in table.key.columns)), columns)]

    return each_table(call, work)


@UNIVERSE.function("duplicate", required="column as", pipe="tables")
def duplicate(session: Session, call: Invocation) -> Stream:
    """A column once more under another label, not part of the key."""
    source, target = call.get("column", str), call.get("as", str)

    def work(table: Table) -> Iterable[Table]:
        if table.get(source) is None:
            raise ValueProblem(f'duplicate error: column "{source}" doesn\'t exist')
        made = table.with_column(replace(needed(table, source), label=target))
        return [replace(made, key=made.key.without([target]))]

    return each_table(call, work)


@UNIVERSE.function("set", required="key value", pipe="tables")
def set_column(session: Session, call: Invocation) -> Stream:
    """A column with one text for all rows."""
    label, value = call.get("key", str), call.get("value", str)

    def work(table: Table) -> Table:
        made = table.with_column(constant(label, ColumnType.STRING, value, len(table)))
        return replace(made, key=made.key.with_value(label, ColumnType.STRING, value)) if label in made.key else made

    stream = call.tables()
    return stream.then(all_tables(call, [stream], lambda tables: merged_by_key(map(work, tables))))


@UNIVERSE.function("fill", optional="column value usePrevious", pipe="tables")
def fill(session: Session, call: Invocation) -> Stream:
    """Values for nulls: one value for all, or the one before."""
    label, previous = call.get("column", str, "_value"), call.get("usePrevious", bool, False)
    value = call.arguments.get("value")
    if (value is None) is not previous:
        raise ValueProblem("fill requires exactly one of value or usePrevious")

    def work(table: Table) -> Iterable[Table]:
        column = table.get(label)
        if column is None:
            raise ValueProblem(f"fill column not found: {label}")
        if previous:
            return [table.with_column(_previous(column))]
        if type_of(value) is not column.type:
            raise ValueProblem(f"fill column type mismatch: {column.type}/{type_of(value)}")
        if column.valid is None:
            return [table]
        filled = column.values.copy()
        filled[~column.valid] = value.ns if isinstance(value, Time) else value
        return [table.with_column(Column(label, column.type, filled))]

    return each_table(call, work)


def _previous(column: Column) -> Column:
    if column.valid is None:
        return column
    last = np.maximum.accumulate(np.where(column.valid, np.arange(len(column)), -1))
    valid = last >= 0
    return Column(column.label, column.type, column.values[np.maximum(last, 0)], None if valid.all() else valid)


@UNIVERSE.function("group", optional="columns mode", pipe="tables")
def group(session: Session, call: Invocation) -> Stream:
    """Other columns for the key; storage groups by tags itself, and then `_start` and `_stop` stay in the key."""
    labels, mode = call.strings("columns", []), call.get("mode", str, "by")
    if mode not in ("by", "except"):
        raise ValueProblem('invalid group mode: must be "by" or "except"')
    stream = call.tables()
    by_tags = mode == "by" and "_time" not in labels and "_value" not in labels
    if stream.read is not None and stream.read.plain and by_tags:
        return from_read(replace(stream.read, group=tuple(labels)), stream.origins)

    def regrouped(tables: Iterator[Table]) -> Iterable[Table]:
        pieces: list[Table] = []
        for table in joined_runs(tables):
            chosen = labels if mode == "by" else [label for label in table.labels() if label not in labels]
            pieces += split_by(table, sorted(chosen))
        return sorted(merged_by_key(pieces), key=lambda table: table.key)

    return stream.then(all_tables(call, [stream], regrouped))


@UNIVERSE.function("union", required="tables")
def union(session: Session, call: Invocation) -> Stream:
    """Several streams as one; tables of one key are put under each other."""
    streams = call.arguments.get("tables")
    if not isinstance(streams, list) or any(not isinstance(stream, Stream) for stream in streams):
        raise call.mismatch("tables", "[stream]", streams)
    origins = frozenset[object]().union(*(stream.origins for stream in streams))
    return Stream(all_tables(call, streams, merged_by_key), origins, joint_bounds(streams))  # type: ignore[arg-type]


@UNIVERSE.function("columns", optional="column", pipe="tables")
def column_labels(session: Session, call: Invocation) -> Stream:
    """The labels of each table's columns."""
    return _labels(call, lambda table: table.labels())


@UNIVERSE.function("keys", optional="column", pipe="tables")
def key_labels(session: Session, call: Invocation) -> Stream:
    """The labels of each table's group key."""
    return _labels(call, lambda table: [column.label for column in table.key.columns])


def _labels(call: Invocation, named: Callable[[Table], list[str]]) -> Stream:
    label = call.get("column", str, "_value")

    def work(table: Table) -> Iterable[Table]:
        texts = np.array(named(table), object)
        column = Column(label, ColumnType.STRING, texts)
        return [Table(table.key, (*key_columns(table.key, len(texts)), column))]

    return each_table(call, work)
