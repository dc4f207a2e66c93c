"""Runs the expressions of a query: names, literals, operators, functions, records, rows of tables.

A function over rows (of `filter` or `map`) is evaluated once for a whole table: `r.column` is then a column, and every
operator works on columns. Where Flux would leave a row out of a branch, the branch sees only the other rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ts_migration.local.influxdb.flux import syntax
from ts_migration.local.influxdb.flux.errors import Location, ProgramError, ValueProblem, refusal, unsupported
from ts_migration.local.influxdb.flux.operators import (
    as_column,
    binary,
    elementwise,
    exists,
    invert,
    kind_name,
    negate,
    truth,
)
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType, Table, type_of
from ts_migration.local.influxdb.flux.values import MAX_INT, MIN_INT, Duration, Time, float_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """What `r` is in a function over rows: the columns of a table, or of a part of it."""

    columns: Mapping[str, Column]
    count: int
    flux_type: str = field(default="record", repr=False)

    @classmethod
    def of(cls, table: Table) -> "Row":
        return cls({column.label: column for column in table.columns}, len(table))

    def take(self, rows: Array) -> "Row":
        return Row({name: column.take(rows) for name, column in self.columns.items()}, int(np.count_nonzero(rows)))


@dataclass(frozen=True, slots=True)
class Package:
    """An imported package: its members by name, and those that exist in Flux but not here."""

    path: str
    members: Mapping[str, object]
    flux_type: str = field(default="package", repr=False)


class Scope:
    """Names and their values, looked up outwards."""

    def __init__(self, values: dict[str, object] | None = None, outer: "Scope | None" = None) -> None:
        self.values = values or {}
        self.outer = outer

    def find(self, name: str) -> tuple[bool, object]:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return True, scope.values[name]
            scope = scope.outer
        return False, None

    def restricted(self, rows: Array) -> "Scope":
        """The same names for a part of the rows: columns and rows of a table are cut to it."""
        values = {name: _restricted(value, rows) for name, value in self.values.items()}
        return Scope(values, self.outer.restricted(rows) if self.outer else None)


def _restricted(value: object, rows: Array) -> object:
    if isinstance(value, (Column, Row)):
        return value.take(rows)
    if isinstance(value, dict):
        return {name: _restricted(inner, rows) for name, inner in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Function:
    """A function written in the query."""

    node: syntax.FunctionNode
    scope: Scope
    flux_type: str = field(default="function", repr=False)

    def call(self, arguments: Mapping[str, object], place: Location) -> object:
        known = {parameter.name for parameter in self.node.parameters}
        for name in arguments:
            if name not in known:
                raise refusal(place, f"found unexpected argument {name}")
        scope = Scope({}, self.scope)
        for parameter in self.node.parameters:
            if parameter.name in arguments:
                scope.values[parameter.name] = arguments[parameter.name]
            elif parameter.default is not None:
                scope.values[parameter.name] = evaluate(parameter.default, self.scope)
            else:
                raise refusal(place, f"missing required argument {parameter.name}")
        if not isinstance(self.node.body, syntax.Block):
            return evaluate(self.node.body, scope)
        for statement in self.node.body.statements:
            if isinstance(statement, syntax.Assignment):
                scope.values[statement.name] = evaluate(statement.value, scope)
            elif isinstance(statement, (syntax.Return, syntax.Expression)):
                result = evaluate(statement.value, scope)
                if isinstance(statement, syntax.Return):
                    return result
        raise refusal(place, "missing return statement in block")

    def piped(self) -> str | None:
        return next((parameter.name for parameter in self.node.parameters if parameter.piped), None)


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of Flux itself. `parameters` maps names to whether they must be given; `pipe` names the piped one."""

    name: str
    parameters: Mapping[str, bool]
    run: Callable[["Invocation"], object]
    pipe: str | None = None
    flux_type: str = field(default="function", repr=False)

    def call(self, arguments: Mapping[str, object], place: Location) -> object:
        for name in arguments:
            if name not in self.parameters and name != self.pipe:
                expected = ", ".join(self.parameters)
                raise refusal(place, f"found unexpected argument {name} (Expected one of {expected})")
        for name, required in self.parameters.items():
            if required and name not in arguments:
                raise refusal(place, f"missing required argument {name}")
        if self.pipe and self.pipe not in arguments:
            raise refusal(place, f"missing required argument {self.pipe}")
        try:
            return self.run(Invocation(self, dict(arguments), place))
        except ValueProblem as problem:
            raise ProgramError(
                [(place, f"error calling function {self.name!r}: {problem}".replace("'", '"'))]
            ) from problem

    def piped(self) -> str | None:
        return self.pipe


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a builtin: its arguments, with the types checked where they are asked for."""

    function: Builtin
    arguments: dict[str, object]
    place: Location

    def has(self, name: str) -> bool:
        return name in self.arguments

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        """The argument, or its default. Raises ProgramError where its type is another."""
        if name not in self.arguments and default is not None:
            return default
        value = self.arguments.get(name)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            raise self.mismatch(name, "float", value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.mismatch(name, _TYPE_NAMES.get(kind, kind.__name__.lower()), value)
        return value

    def strings(self, name: str, default: list[str] | None = None) -> list[str]:
        """An argument that is an array of strings."""
        value = self.arguments.get(name, default)
        if not isinstance(value, list) or any(not isinstance(text, str) for text in value):
            raise self.mismatch(name, "[string]", value)
        return [str(text) for text in value]

    def tables(self) -> Stream:
        return self.get(self.function.pipe or "tables", Stream)

    def mismatch(self, name: str, expected: str, value: object) -> ProgramError:
        return refusal(self.place, f"expected {expected} but found {kind_name(value)} (argument {name})")


_TYPE_NAMES = {
    int: "int",
    float: "float",
    str: "string",
    bool: "bool",
    Duration: "duration",
    Time: "time",
    Stream: "stream",
}


def evaluate(node: syntax.Node, scope: Scope) -> object:
    """The value of an expression. Raises ProgramError with the place where it went wrong."""
    try:
        return _EVALUATORS[type(node)](node, scope)
    except ValueProblem as problem:
        raise refusal(node.place, str(problem)) from problem


def apply(function: object, arguments: Mapping[str, object], place: Location) -> object:
    """Calls what an expression gave as a function."""
    if isinstance(function, (Function, Builtin)):
        return function.call(arguments, place)
    raise refusal(place, f"cannot call {kind_name(function)} as a function")


def _identifier(node: syntax.Identifier, scope: Scope) -> object:
    found, value = scope.find(node.name)
    if not found:
        raise refusal(node.place, f"undefined identifier {node.name}")
    return value


def _literal(node: syntax.Literal, scope: Scope) -> object:
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value > MAX_INT:
        raise ValueProblem(f"invalid integer literal {node.value}: value out of range")
    return node.value


def _interpolation(node: syntax.Interpolation, scope: Scope) -> object:
    result: object = ""
    for part in node.parts:
        result = binary("+", result, shown(evaluate(part, scope)))
    return result


def shown(value: object) -> object:
    """A value as `string(v:)` and `${...}` print it."""
    if isinstance(value, Column):
        return value if value.type is ColumnType.STRING else elementwise(_text, ColumnType.STRING, value)
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, (str, int, Time, Duration)):
        return str(value)
    raise ValueProblem(f"cannot convert {kind_name(value)} to string")


def _array(node: syntax.ArrayNode, scope: Scope) -> object:
    return [evaluate(item, scope) for item in node.items]


def _record(node: syntax.RecordNode, scope: Scope) -> object:
    properties: dict[str, object] = {}
    if node.base is not None:
        base = evaluate(node.base, scope)
        if not isinstance(base, (Row, dict)):
            raise ValueProblem(f"expected record but found {kind_name(base)}")
        properties.update(base.columns if isinstance(base, Row) else base)
    for name, value in node.properties:
        properties[name] = evaluate(value, scope)
    return properties


def _member(node: syntax.Member, scope: Scope) -> object:
    target = evaluate(node.target, scope)
    if isinstance(target, Row):
        return target.columns.get(node.name)
    if isinstance(target, dict):
        if node.name not in target:
            raise ValueProblem(f"record is missing label {node.name}")
        return target[node.name]
    if isinstance(target, Package):
        if node.name not in target.members:
            raise unsupported(node.place, f"{target.path}.{node.name}")
        return target.members[node.name]
    raise ValueProblem(f"expected record but found {kind_name(target)}")


def _index(node: syntax.Index, scope: Scope) -> object:
    target, position = evaluate(node.target, scope), evaluate(node.position, scope)
    if isinstance(target, list) and isinstance(position, int) and not isinstance(position, bool):
        if not 0 <= position < len(target):
            raise ValueProblem(f"cannot access element {position} of array of length {len(target)}")
        return target[position]
    if isinstance(position, str) and isinstance(target, (Row, dict)):
        return _member(syntax.Member(node.place, node.target, position), scope)
    raise ValueProblem(f"cannot index {kind_name(target)} with {kind_name(position)}")


def _unary(node: syntax.Unary, scope: Scope) -> object:
    if node.operator == "-" and isinstance(node.operand, syntax.Literal) and node.operand.value == -MIN_INT:
        return MIN_INT
    value = evaluate(node.operand, scope)
    if node.operator == "exists":
        return exists(value)
    if node.operator == "not":
        return invert(value)
    return negate(value) if node.operator == "-" else value


def _binary(node: syntax.Binary, scope: Scope) -> object:
    return binary(node.operator, evaluate(node.left, scope), evaluate(node.right, scope))


def _logical(node: syntax.Logical, scope: Scope) -> object:
    """Short-circuit, row by row: the right side sees only the rows that the left side leaves open."""
    left = truth(evaluate(node.left, scope))
    wanted = node.operator == "and"
    if isinstance(left, bool):
        if left is not wanted:
            return left
        right = truth(evaluate(node.right, scope))
        return right if isinstance(right, bool) else Column("", ColumnType.BOOL, right)
    open_rows = left if wanted else ~left
    result = left.copy()
    if open_rows.any():
        right_truth = truth(evaluate(node.right, scope.restricted(open_rows)))
        result[open_rows] = right_truth
    return Column("", ColumnType.BOOL, result)


def _conditional(node: syntax.Conditional, scope: Scope) -> object:
    test = truth(evaluate(node.test, scope))
    if isinstance(test, bool):
        return evaluate(node.consequent if test else node.alternate, scope)
    parts = [
        (rows, evaluate(branch, scope.restricted(rows)))
        for rows, branch in ((test, node.consequent), (~test, node.alternate))
        if rows.any()
    ]
    return _merged(parts, len(test))


def _merged(parts: list[tuple[Array, object]], count: int) -> object:
    """The branches of a conditional put together again."""
    kinds = {_kind(value) for _, value in parts if value is not None}
    if not kinds:
        return None
    if len(kinds) > 1 or None in kinds:
        names = " and ".join(kind_name(value) for _, value in parts)
        raise ValueProblem(f"the branches of a conditional must have one type, found {names}")
    kind = kinds.pop()
    assert isinstance(kind, ColumnType)  # noqa: S101 - None was ruled out above
    columns = [(rows, None if value is None else as_column(value, int(rows.sum()))) for rows, value in parts]
    sample = next(column for _, column in columns if column is not None)
    values = np.empty(count, sample.values.dtype)
    values[:] = "" if kind is ColumnType.STRING else 0
    valid = np.zeros(count, np.bool_)
    for rows, column in columns:
        if column is not None:
            values[rows], valid[rows] = column.values, column.mask()
    return Column("", kind, values, None if valid.all() else valid)


def _kind(value: object) -> ColumnType | None:
    return value.type if isinstance(value, Column) else type_of(value)


def _function(node: syntax.FunctionNode, scope: Scope) -> object:
    return Function(node, scope)


def _call(node: syntax.Call, scope: Scope, piped: object = None) -> object:
    function = evaluate(node.function, scope)
    arguments = {name: evaluate(value, scope) for name, value in node.arguments}
    if piped is not None:
        name = function.piped() if isinstance(function, (Function, Builtin)) else None
        if name is None:
            raise refusal(node.place, "function does not take a pipe argument")
        arguments[name] = piped
    return apply(function, arguments, node.place)


def _pipe(node: syntax.Pipe, scope: Scope) -> object:
    return _call(node.call, scope, evaluate(node.left, scope))


_EVALUATORS: dict[type[syntax.Node], Callable[..., object]] = {
    syntax.Identifier: _identifier,
    syntax.Literal: _literal,
    syntax.Interpolation: _interpolation,
    syntax.ArrayNode: _array,
    syntax.RecordNode: _record,
    syntax.Member: _member,
    syntax.Index: _index,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.Logical: _logical,
    syntax.Conditional: _conditional,
    syntax.FunctionNode: _function,
    syntax.Call: _call,
    syntax.Pipe: _pipe,
}
