"""How a function says what it takes: checks of count and type for all families of functions. No function is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ts_migration.local.timestream.catalog import DataType, ScalarType
from ts_migration.local.timestream.sql.coercion import coerce, common_type
from ts_migration.local.timestream.sql.typed import INTEGERS, NUMBERS, Typed, spoken

Function: TypeAlias = Callable[[list[Typed], int], Typed]
"""A scalar function: typed arguments and the time of the query (ns) to a typed value."""


class BadArguments(Exception):
    """The function does not take these arguments."""

    def __init__(self, function: str, arguments: Sequence[Typed], hint: str = "") -> None:
        given = ", ".join(spoken(argument.type) for argument in arguments)
        super().__init__(f"Unexpected parameters ({given}) for function {function}{'. ' if hint else ''}{hint}")


def count(function: str, arguments: Sequence[Typed], low: int, high: int | None = None) -> None:
    """Refuse the wrong number of arguments."""
    if not low <= len(arguments) <= (low if high is None else high):
        raise BadArguments(function, arguments)


def wanted(function: str, arguments: Sequence[Typed], *types: DataType) -> list[Typed]:
    """The arguments brought to these types: integers widen, NULL is of any type; everything else must match."""
    count(function, arguments, len(types))
    found = []
    for argument, target in zip(arguments, types, strict=True):
        if common_type(argument.type, target) != target:
            raise BadArguments(function, arguments)
        found.append(coerce(argument, target))
    return found


def number(function: str, arguments: list[Typed], index: int = 0) -> Typed:
    """A numeric argument as it is; NULL becomes a double."""
    argument = arguments[index]
    if argument.type is ScalarType.UNKNOWN:
        return coerce(argument, ScalarType.DOUBLE)
    if argument.type not in NUMBERS:
        raise BadArguments(function, arguments)
    return argument


def constant_text(function: str, arguments: list[Typed], index: int) -> str:
    """An argument that must be a text constant (a format, a unit)."""
    literal = arguments[index].constant
    if literal is None or not isinstance(literal.value, str):
        raise BadArguments(function, arguments, f"argument {index + 1} must be a constant text")
    return literal.value


def constant_integer(function: str, arguments: list[Typed], index: int) -> int:
    """An argument that must be an integer constant."""
    literal = arguments[index].constant
    if literal is None or literal.type not in INTEGERS or not isinstance(literal.value, int):
        raise BadArguments(function, arguments, f"argument {index + 1} must be a constant integer")
    return literal.value


def one_type(function: str, arguments: list[Typed]) -> list[Typed]:
    """All arguments brought to the one type they meet at."""
    target: DataType = ScalarType.UNKNOWN
    for argument in arguments:
        met = common_type(target, argument.type)
        if met is None:
            raise BadArguments(function, arguments)
        target = met
    return [coerce(argument, target) for argument in arguments]
