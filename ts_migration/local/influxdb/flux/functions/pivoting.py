"""pivot: values of one column spread over columns named by others."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Invocation
from ts_migration.local.influxdb.flux.functions.declaring import (
    Family,
    all_tables,
    collision,
    merged,
    needed,
    split_by,
)
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType, GroupKey, Table

UNIVERSE = Family()


@UNIVERSE.function("pivot", required="rowKey columnKey valueColumn", pipe="tables")
def pivot(session: Session, call: Invocation) -> Stream:
    """Values of one column spread over columns named by others; rows in order of their first appearance."""
    rows, names = call.strings("rowKey"), call.strings("columnKey")
    value = call.get("valueColumn", str)
    for label in rows:
        if label in names:
            raise ValueProblem(f"column name found in both rowKey and colKey: {label}")
    stream = call.tables()

    def pivoted(tables: Iterator[Table]) -> Iterable[Table]:
        groups: dict[GroupKey, list[tuple[Table, str]]] = {}
        for table in tables:
            for label in (*rows, *names, value):
                if table.get(label) is None:
                    raise ValueProblem(f"specified column does not exist in table: {label}")
            for piece in _named_pieces(table, names):
                groups.setdefault(table.key.without([*names, value]), []).append(piece)
        return [_pivot_group(key, parts, rows, names, value) for key, parts in groups.items()]

    return stream.then(all_tables(call, [stream], pivoted))


def _named_pieces(table: Table, names: list[str]) -> list[tuple[Table, str]]:
    """The table cut by the columns that name new columns, and these names."""
    pieces = split_by(table, names)
    found = []
    for piece in pieces:
        # the names are joined in the order of the table's columns, as the server joins them
        inside = [column for column in piece.columns if column.label in names]
        texts = ["null" if column.value(0) is None else str(column.value(0)) for column in inside]
        if any(column.type is not ColumnType.STRING for column in inside):
            raise ValueProblem("a pivot by columns that are not strings is not supported by the embedded InfluxDB")
        found.append((Table(table.key, piece.columns), "_".join(texts)))
    return found


def _pivot_group(key: GroupKey, parts: list[tuple[Table, str]], rows: list[str], names: list[str], value: str) -> Table:
    kept = [
        column.label
        for column in parts[0][0].columns
        if column.label not in names and column.label != value and (column.label in key or column.label in rows)
    ]
    whole = merged(key, [Table(key, tuple(needed(part, label) for label in kept)) for part, _ in parts])
    codes = _codes(whole, rows)
    _, firsts, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(firsts, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    target = place[inverse]
    columns = list(whole.take(firsts[order]).columns)
    begin = 0
    made: dict[str, Column] = {}
    for part, name in parts:
        spot = target[begin : begin + len(part)]
        begin += len(part)
        made[name] = _placed(made.get(name), needed(part, value), spot, name, len(order))
    for name, column in made.items():
        if name in kept:
            raise ValueProblem(f'pivot would make a second column "{name}"')
        columns.append(replace(column, valid=None) if column.mask().all() else column)
    return Table(key, tuple(columns))


def _codes(table: Table, labels: list[str]) -> Array:
    """One number for each distinct row of columns."""
    codes = np.zeros(len(table), np.int64)
    for label in labels:
        column = needed(table, label)
        values = column.values if column.type is not ColumnType.STRING else column.values.astype(str)
        found = np.unique(values, return_inverse=True)[1]
        if column.valid is not None:
            found = np.where(column.valid, found, found.max() + 1)
        codes = np.unique(codes * (int(found.max(initial=0)) + 1) + found, return_inverse=True)[1]
    return codes


def _placed(before: Column | None, column: Column, spot: Array, name: str, count: int) -> Column:
    """Values put at their rows of the pivoted table; null where nothing is put."""
    if before is not None and before.type is not column.type:
        raise collision(name, column.type, before.type)
    if before is None:
        filler: object = "" if column.type is ColumnType.STRING else 0
        values = np.full(count, filler, column.values.dtype)
        valid = np.zeros(count, np.bool_)
    else:
        values, valid = before.values, before.mask()
    values[spot] = column.values
    valid[spot] = column.mask()
    return Column(name, column.type, values, valid)
