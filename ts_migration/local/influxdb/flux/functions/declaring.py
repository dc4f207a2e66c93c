"""How a function of Flux is declared, and what functions over tables have in common.

No function of Flux itself is here.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from ts_migration.local.influxdb.flux.errors import RunError, ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Builtin, Invocation
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import (
    Array,
    Column,
    ColumnType,
    GroupKey,
    KeyColumn,
    Table,
    concatenate,
    is_constant,
    nulls,
    repeated,
    text_bytes,
)

Body = Callable[[Session, Invocation], object]


class Family:
    """Functions that live in one package of Flux (`""` is what needs no import)."""

    def __init__(self, package: str = "") -> None:
        self.package = package
        self._declared: list[tuple[str, tuple[str, ...], tuple[str, ...], str | None, Body]] = []

    def function(
        self, name: str, required: str = "", optional: str = "", pipe: str | None = None
    ) -> Callable[[Body], Body]:
        """Declares a function with its parameters, separated by spaces; `pipe` names the one that `|>` fills."""

        def declare(body: Body) -> Body:
            self._declared.append((name, tuple(required.split()), tuple(optional.split()), pipe, body))
            return body

        return declare

    def installed(self, session: Session) -> dict[str, object]:
        """The functions for one run."""
        return {
            name: Builtin(
                name,
                {**dict.fromkeys(required, True), **dict.fromkeys(optional, False)},
                partial(body, session),
                pipe,
            )
            for name, required, optional, pipe, body in self._declared
        }


def each_table(call: Invocation, work: Callable[[Table], Iterable[Table]]) -> Stream:
    """A stream that is made table by table; what a table does not allow is told with the place of the call."""
    stream = call.tables()

    def tables() -> Iterator[Table]:
        for table in stream.tables():
            try:
                made = list(work(table))
            except ValueProblem as problem:
                raise RunError(call.place, call.function.name, str(problem)) from problem
            yield from made

    return stream.then(tables)


def all_tables(
    call: Invocation, streams: Iterable[Stream], work: Callable[[Iterator[Table]], Iterable[Table]]
) -> Callable[[], Iterator[Table]]:
    """Tables that can only be made when all of the streams are read."""
    sources = list(streams)

    def tables() -> Iterator[Table]:
        def chained() -> Iterator[Table]:
            for stream in sources:
                yield from stream.tables()

        try:
            made = list(work(chained()))
        except ValueProblem as problem:
            raise RunError(call.place, call.function.name, str(problem)) from problem
        yield from made

    return tables


def merged(key: GroupKey, parts: list[Table]) -> Table:
    """Tables under each other: columns in order of appearance, nulls where a table lacks one.

    Raises ValueProblem in the server's words where a column has two types."""
    if len(parts) == 1:
        return Table(key, parts[0].columns)
    kinds: dict[str, ColumnType] = {}
    for table in parts:
        for column in table.columns:
            known = kinds.setdefault(column.label, column.type)
            if known is not column.type:
                raise collision(column.label, column.type, known)
    columns = []
    for label, kind in kinds.items():
        pieces = [table.get(label) or nulls(label, kind, len(table)) for table in parts]
        columns.append(_stacked(pieces, label))
    return Table(key, tuple(columns))


def collision(label: str, one: ColumnType, other: ColumnType) -> ValueProblem:
    """Two types for one column, in the server's words."""
    return ValueProblem(f'schema collision detected: column "{label}" is both of type {one} and {other}')


def _stacked(pieces: list[Column], label: str) -> Column:
    """Columns under each other; constants of one value stay a constant."""
    first = pieces[0]
    if all(
        piece.valid is None and is_constant(piece.values) and piece.values[0] == first.values[0] for piece in pieces
    ):
        count = sum(map(len, pieces))
        return Column(label, first.type, repeated(first.values, count))
    return concatenate(pieces, label)


def merged_by_key(tables: Iterable[Table]) -> list[Table]:
    """Tables of one key made one, in order of appearance."""
    found: dict[GroupKey, list[Table]] = {}
    for table in tables:
        found.setdefault(table.key, []).append(table)
    return [merged(key, parts) for key, parts in found.items()]


def joined_runs(tables: Iterable[Table]) -> Iterator[Table]:
    """Tables that follow each other with the same columns made one: to regroup them together costs no more than one."""
    waiting: list[Table] = []
    for table in tables:
        if waiting and {c.label: c.type for c in table.columns} != {c.label: c.type for c in waiting[0].columns}:
            yield merged(GroupKey(), waiting)
            waiting = []
        waiting.append(table)
    if waiting:
        yield merged(GroupKey(), waiting)


def split_by(table: Table, labels: list[str]) -> list[Table]:
    """The table cut by the values of columns, which become its key; a column that it lacks does not."""
    columns = [column for label in labels if (column := table.get(label)) is not None]
    varying = [column for column in columns if column.valid is not None or not is_constant(column.values)]
    if not len(table):
        return []
    if not varying:
        return [Table(_row_key(columns, 0), table.columns)]
    codes = np.zeros(len(table), np.int64)
    for column in varying:
        rank = ranks(column)
        codes = np.unique(codes * (int(rank.max()) + 1) + rank, return_inverse=True)[1]
    _, firsts, groups = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    borders = np.searchsorted(groups[order], np.arange(len(firsts) + 1))
    pieces = []
    for number in np.argsort(firsts, kind="stable").tolist():
        rows = order[borders[number] : borders[number + 1]]
        pieces.append(Table(_row_key(columns, int(firsts[number])), table.take(rows).columns))
    return pieces


def _row_key(columns: list[Column], row: int) -> GroupKey:
    return GroupKey(tuple(KeyColumn(column.label, column.type, column.value(row)) for column in columns))


def ranks(column: Column) -> Array:
    """Places of the values in ascending order, equal for equal ones; null comes after everything."""
    values = column.values
    if column.type is ColumnType.STRING:
        values = np.array([text_bytes(text) for text in values], object)
    found: Array = np.unique(values, return_inverse=True)[1].astype(np.int64) if len(values) else np.zeros(0, np.int64)
    if column.valid is not None:
        found = np.where(column.valid, found, len(values))
    return found


def needed(table: Table, label: str) -> Column:
    """A column that must be there. Raises ValueProblem."""
    column = table.get(label)
    if column is None:
        raise ValueProblem(f'column "{label}" does not exist')
    return column
