"""A translated expression: DuckDB text with its Timestream type, and how constants and names are written.

Which rewrite an operator or function gets is decided elsewhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from ts_migration.local.timestream.catalog import ArrayType, DataType, RowType, ScalarType, TimeSeriesType
from ts_migration.local.timestream.sql.syntax import Literal

NUMBERS = (ScalarType.INTEGER, ScalarType.BIGINT, ScalarType.DOUBLE)
INTEGERS = (ScalarType.INTEGER, ScalarType.BIGINT)
INTERVALS = (ScalarType.INTERVAL_DAY_TO_SECOND, ScalarType.INTERVAL_YEAR_TO_MONTH)

_MARKS = itertools.count()

_PHYSICAL = {
    ScalarType.VARCHAR: "VARCHAR",
    ScalarType.BOOLEAN: "BOOLEAN",
    ScalarType.BIGINT: "BIGINT",
    ScalarType.DOUBLE: "DOUBLE",
    ScalarType.TIMESTAMP: "BIGINT",
    ScalarType.DATE: "DATE",
    ScalarType.TIME: "BIGINT",
    ScalarType.INTERVAL_DAY_TO_SECOND: "BIGINT",
    ScalarType.INTERVAL_YEAR_TO_MONTH: "BIGINT",
    ScalarType.UNKNOWN: "INTEGER",
    ScalarType.INTEGER: "INTEGER",
}
_SPOKEN = {
    ScalarType.INTERVAL_DAY_TO_SECOND: "interval day to second",
    ScalarType.INTERVAL_YEAR_TO_MONTH: "interval year to month",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """DuckDB text and its type.

    ``finite``: a double that is never NaN or infinite (what is stored never is), so that DuckDB's comparisons are
    Trino's. ``simple``: a column or constant, which may be written twice at no cost. ``constant``: the literal it is.
    """

    sql: str
    type: DataType
    finite: bool = False
    simple: bool = False
    constant: Literal | None = None


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A DuckDB string constant."""
    return "'" + value.replace("'", "''") + "'"


def spoken(data_type: DataType) -> str:
    """A type as error messages name it."""
    match data_type:
        case ScalarType():
            return _SPOKEN.get(data_type, data_type.value.lower())
        case ArrayType(element):
            return f"array({spoken(element)})"
        case TimeSeriesType(value):
            return f"timeseries({spoken(value)})"
        case RowType(fields):
            return f"row({', '.join(spoken(field.type) for field in fields)})"


def physical(data_type: DataType) -> str:
    """The DuckDB type of a Timestream type (the table in ``catalog``)."""
    match data_type:
        case ScalarType():
            return _PHYSICAL[data_type]
        case ArrayType(element):
            return f"{physical(element)}[]"
        case TimeSeriesType(value):
            return f'STRUCT("time" BIGINT, "value" {physical(value)})[]'
        case RowType(fields):
            return f"STRUCT({', '.join(f'f{i} {physical(field.type)}' for i, field in enumerate(fields))})"


def constant(literal: Literal) -> Typed:
    """A constant, its DuckDB type made explicit wherever DuckDB would choose another."""
    return Typed(_constant_sql(literal), literal.type, finite=True, simple=True, constant=literal)


def integer(value: int, data_type: ScalarType = ScalarType.BIGINT) -> Typed:
    """A constant whose physical value is an integer."""
    return constant(Literal(0, value, data_type))


def _constant_sql(literal: Literal) -> str:
    value, data_type = literal.value, literal.type
    if value is None:
        return f"CAST(NULL AS {physical(data_type)})"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return double(value)
    if data_type is ScalarType.DATE:
        return f"(DATE '1970-01-01' + CAST({value} AS INTEGER))"
    return f"CAST({value} AS {physical(data_type)})"


def double(value: float) -> str:
    """A DuckDB double constant that is this very value."""
    if math.isnan(value) or math.isinf(value):
        return f"CAST('{value}' AS DOUBLE)"
    digits = repr(value)
    return f"({digits})" if "e" in digits else f"({digits}e0)"


FAILED = "query failed: "
"""Begins the text of a failure, so that it is found again in DuckDB's message."""


def failure(message: str, data_type: DataType) -> str:
    """An expression of a type that fails with a message (DuckDB text of a string) when it is evaluated.

    DuckDB's own error() is volatile and so not allowed in windows, TRY and elsewhere; a cast that must fail is not.
    """
    return f"CAST(CAST(CAST({text(FAILED)} || {message} AS INTEGER) AS VARCHAR) AS {physical(data_type)})"


def let(values: tuple[Typed, ...], body: Callable[..., str]) -> str:
    """``body`` of the values, each evaluated once: DuckDB's lambdas bind what is not simple.

    ``body`` gets the text of each value and must not contain a sub-query of its own (DuckDB has none inside a lambda).
    """
    bound = [value for value in values if not value.simple]
    if not bound:
        return body(*(value.sql for value in values))
    # A mark of its own stands for the lambda's name until that is known, so that lets may nest in a body.
    mark = f"\0{next(_MARKS)}\0"
    packed = ", ".join(f"a{i} := {value.sql}" for i, value in enumerate(bound))
    places = [mark] if len(bound) == 1 else [f"struct_extract({mark}, 'a{i}')" for i in range(len(bound))]
    names = iter(places)
    inner = body(*(value.sql if value.simple else next(names) for value in values))
    # Distinct names along any nesting: an outer lambda always contains more lambdas than an inner one.
    name = f"v{(packed + inner).count('lambda ')}"
    argument = bound[0].sql if len(bound) == 1 else f"struct_pack({packed})"
    return f"list_transform([{argument}], lambda {name}: {inner.replace(mark, name)})[1]"
