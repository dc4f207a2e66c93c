"""Operators of Flux over single values and over columns, null included.

A column meets a column or a single value row by row; the rules of types are those of one value. Integers wrap and
divide towards zero as Go's do. Raises ValueProblem for pairs of types that Flux does not know.
"""

import operator
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType, constant, text_bytes, type_of
from ts_migration.local.influxdb.flux.values import Duration, Time, UInt, type_name

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS: Final = (ColumnType.INT, ColumnType.UINT, ColumnType.FLOAT)


def binary(sign: str, left: object, right: object) -> object:
    """`left sign right`; columns give a column, single values a single value, null gives null."""
    if sign in ("=~", "!~"):
        return _match(sign, left, right)
    if isinstance(left, Duration) and isinstance(right, Duration) and sign in ("==", "!=", "+", "-"):
        return _durations(sign, left, right)
    if isinstance(left, Column) or isinstance(right, Column):
        return _columns(sign, left, right)
    if left is None or right is None:
        return None
    kinds = type_of(left), type_of(right)
    if kinds[0] is None or kinds[1] is None:
        raise _unknown(sign, left, right)
    result = _columns(sign, constant("", kinds[0], left, 1), constant("", kinds[1], right, 1))
    return result.value(0)


def negate(value: object) -> object:
    """Unary minus."""
    if value is None:
        return None
    if isinstance(value, Duration):
        return -value
    if isinstance(value, Column) and value.type in (ColumnType.INT, ColumnType.FLOAT):
        return Column("", value.type, -value.values, value.valid)
    if isinstance(value, (int, float)) and not isinstance(value, (bool, UInt)):
        return -value
    raise ValueProblem(f"unsupported unary operation: -{kind_name(value)}")


def invert(value: object) -> object:
    """Logical not."""
    if value is None:
        return None
    if isinstance(value, Column) and value.type is ColumnType.BOOL:
        return Column("", ColumnType.BOOL, ~value.values, value.valid)
    if isinstance(value, bool):
        return not value
    raise ValueProblem(f"expected bool but found {kind_name(value)}")


def exists(value: object) -> object:
    """True where there is a value."""
    return Column("", ColumnType.BOOL, value.mask()) if isinstance(value, Column) else value is not None


def truth(value: object) -> Array | bool:
    """Where a test holds; null does not. Raises ValueProblem for what is no bool."""
    if isinstance(value, Column):
        if value.type is not ColumnType.BOOL:
            raise ValueProblem(f"expected bool but found {value.type}")
        values: Array = value.values if value.valid is None else value.values & value.valid
        return values
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ValueProblem(f"expected bool but found {type_name(value)}")
    return value


def kind_name(value: object) -> str:
    """The type of a single value or of a column's values."""
    return str(value.type) if isinstance(value, Column) else type_name(value)


def as_column(value: object, count: int) -> Column:
    """A single value repeated, a column as it is. Raises ValueProblem for what no column can hold."""
    if isinstance(value, Column):
        return value
    kind = type_of(value)
    if kind is None:
        raise ValueProblem(f"a column cannot hold a {type_name(value)}")
    return constant("", kind, value, count)


def _unknown(sign: str, left: object, right: object) -> ValueProblem:
    return ValueProblem(f"unsupported binary operation: {kind_name(left)} {sign} {kind_name(right)}")


def _durations(sign: str, left: Duration, right: Duration) -> object:
    if sign in ("==", "!="):
        return (left == right) is (sign == "==")
    other = right if sign == "+" else -right
    return Duration(left.months + other.months, left.ns + other.ns)


def _columns(sign: str, left: object, right: object) -> Column:
    count = len(left) if isinstance(left, Column) else len(right)  # type: ignore[arg-type]
    if left is None or right is None:
        other = left if right is None else right
        kind = ColumnType.BOOL if sign in _COMPARE else getattr(other, "type", None) or ColumnType.BOOL
        return Column("", kind, as_column(other, count).values, np.zeros(count, np.bool_))
    if type_of(left) is None and not isinstance(left, Column):
        raise _unknown(sign, left, right)
    if type_of(right) is None and not isinstance(right, Column):
        raise _unknown(sign, left, right)
    a, b = as_column(left, count), as_column(right, count)
    valid = None if a.valid is None and b.valid is None else a.mask() & b.mask()
    if sign in _COMPARE:
        return Column("", ColumnType.BOOL, _compare(sign, a, b), valid)
    return Column("", a.type, _calculate(sign, a, b, valid), valid)


def _compare(sign: str, a: Column, b: Column) -> Array:
    if a.type in _NUMBERS and b.type in _NUMBERS:
        if {a.type, b.type} == {ColumnType.INT, ColumnType.UINT}:
            return _compare_signs(sign, a, b)
        return np.asarray(_COMPARE[sign](a.values, b.values), np.bool_)
    if a.type is not b.type or (a.type is ColumnType.BOOL and sign not in ("==", "!=")):
        raise _unknown(sign, a, b)
    if a.type is ColumnType.STRING and sign not in ("==", "!="):
        in_bytes = np.frompyfunc(text_bytes, 1, 1)
        return np.asarray(_COMPARE[sign](in_bytes(a.values), in_bytes(b.values)), np.bool_)
    return np.asarray(_COMPARE[sign](a.values, b.values), np.bool_)


def _compare_signs(sign: str, a: Column, b: Column) -> Array:
    """int64 against uint64, never through float64: a negative one is below all, the rest compare as uint64."""
    signed, unsigned = (a, b) if a.type is ColumnType.INT else (b, a)
    negative = signed.values < 0
    as_unsigned = signed.values.astype(np.uint64)
    pair = (as_unsigned, unsigned.values) if signed is a else (unsigned.values, as_unsigned)
    below = sign in ("<", "<=", "!=") if signed is a else sign in (">", ">=", "!=")
    return np.where(negative, below, _COMPARE[sign](*pair))


def _calculate(sign: str, a: Column, b: Column, valid: Array | None) -> Array:
    kind = a.type
    if kind is not b.type or kind not in (*_NUMBERS, ColumnType.STRING):
        raise _unknown(sign, a, b)
    if kind is ColumnType.STRING:
        if sign != "+":
            raise _unknown(sign, a, b)
        return a.values + b.values
    with np.errstate(all="ignore"):
        if sign in "+-*":
            return {"+": np.add, "-": np.subtract, "*": np.multiply}[sign](a.values, b.values)
        if sign == "^":
            if kind is not ColumnType.FLOAT:
                raise ValueProblem("the power of integers is not supported by the embedded InfluxDB")
            return np.power(a.values, b.values)
        if kind is ColumnType.FLOAT:
            return np.divide(a.values, b.values) if sign == "/" else np.fmod(a.values, b.values)
        divisor = b.values
        zero = divisor == 0
        if (zero if valid is None else zero & valid).any():
            raise ValueProblem("cannot divide by zero" if sign == "/" else "cannot mod zero")
        divisor = np.where(zero, np.asarray(1, divisor.dtype), divisor)
        rest = np.fmod(a.values, divisor)
        # exact: what is left over has been taken away, so floor and truncation agree
        return rest if sign == "%" else (a.values - rest) // divisor


def _match(sign: str, left: object, right: object) -> object:
    if left is None:
        return None
    if not isinstance(right, re.Pattern):
        raise _unknown(sign, left, right)
    if isinstance(left, str):
        return (right.search(left) is not None) is (sign == "=~")
    if not isinstance(left, Column) or left.type is not ColumnType.STRING:
        raise _unknown(sign, left, right)
    search = right.search
    found = np.fromiter((search(text) is not None for text in left.values), np.bool_, len(left))
    return Column("", ColumnType.BOOL, found if sign == "=~" else ~found, left.valid)


def elementwise(function: Callable[..., object], kind: ColumnType, *arguments: object) -> object:
    """A function of single values over columns; null where the first argument is null."""
    column = next((argument for argument in arguments if isinstance(argument, Column)), None)
    if column is None:
        return None if arguments[0] is None else function(*arguments)
    count = len(column)
    columns = [as_column(argument, count) for argument in arguments]
    valid = np.logical_and.reduce([each.mask() for each in columns])
    values = [function(*(each.value(row) for each in columns)) for row in np.flatnonzero(valid).tolist()]
    out = constant("", kind, "" if kind is ColumnType.STRING else 0, count).values.copy()
    out[valid] = [value.ns if isinstance(value, Time) else value for value in values]
    return Column("", kind, out, None if valid.all() else valid)
