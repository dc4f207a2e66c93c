"""Expressions over whole columns: arithmetic, comparisons and patterns, with nulls.

Rules: influxdata/influxql ast.go (ValuerEval): two integers divide to a float, a division by zero is zero, an operation
with a missing value is null, a comparison with one is false. No Python loop visits rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import StatementError, unsupported
from ts_migration.local.influxdb.influxql.frames import DTYPES, Column, Mask, constant
from ts_migration.local.influxdb.influxql.syntax import Binary, Expr, Paren, Regex, VarRef, text_of
from ts_migration.local.influxdb.points import FieldType

Lookup = Callable[[Expr], Column | None]
"""The column behind a reference or a call; None where there is none, which is null in every row."""

_NUMBERS = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED)
_COMPARISONS = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def evaluate(expr: Expr, lookup: Lookup, count: int) -> Column | None:
    """The expression's value in each of `count` rows; None is null in every row."""
    match expr:
        case VarRef() | syntax.Call():
            return lookup(expr)
        case Paren(inner=inner):
            return evaluate(inner, lookup, count)
        case syntax.String(value=text):
            return constant(text, count)
        case syntax.Boolean(value=truth):
            return Column(FieldType.BOOLEAN, np.full(count, truth))
        case syntax.Integer(value=number) | syntax.Duration(value=number) | syntax.Time(value=number):
            return Column(FieldType.INTEGER, np.full(count, number, np.int64))
        case syntax.Unsigned(value=number):
            return Column(FieldType.UNSIGNED, np.full(count, number, np.uint64))
        case syntax.Number(value=fraction):
            return Column(FieldType.FLOAT, np.full(count, fraction))
        case Binary(operator="=~" | "!~" as operator, left=left, right=Regex() as pattern):
            return _matches(operator, evaluate(left, lookup, count), pattern, count)
        case Binary():
            left_column = _positive_as_unsigned(expr.left, expr.right, lookup, count)
            right_column = _positive_as_unsigned(expr.right, expr.left, lookup, count)
            return _combine(expr, left_column, right_column, count)
    raise unsupported(f"the expression {text_of(expr)} is")


def holds(expr: Expr, lookup: Lookup, count: int) -> Mask:
    """In which rows a condition is true."""
    column = evaluate(expr, lookup, count)
    if column is None or column.type is not FieldType.BOOLEAN:
        return np.zeros(count, np.bool_)
    return column.values if column.valid is None else column.values & column.valid


def _positive_as_unsigned(expr: Expr, other: Expr, lookup: Lookup, count: int) -> Column | None:
    """An integer constant beside an unsigned column is unsigned."""
    column = evaluate(expr, lookup, count)
    if isinstance(expr, syntax.Integer) and expr.value >= 0:
        beside = evaluate(other, lookup, 0 if isinstance(other, syntax.Literal) else count)
        if beside is not None and beside.type is FieldType.UNSIGNED:
            return Column(FieldType.UNSIGNED, np.full(count, expr.value, np.uint64))
    return column


def _matches(operator: str, column: Column | None, pattern: Regex, count: int) -> Column:
    if column is None or column.type is not FieldType.STRING:
        return Column(FieldType.BOOLEAN, np.zeros(count, np.bool_))
    valid = column.mask
    verdicts = {text: pattern.pattern.search(text) is not None for text in set(column.values[valid].tolist())}
    found = np.zeros(count, np.bool_)
    found[valid] = np.fromiter(map(verdicts.__getitem__, column.values[valid]), np.bool_, int(valid.sum()))
    return Column(FieldType.BOOLEAN, (found if operator == "=~" else ~found) & valid)


def _combine(expr: Binary, left: Column | None, right: Column | None, count: int) -> Column | None:
    operator = expr.operator
    if operator in ("AND", "OR"):
        return _logic(operator, left, right, count)
    if left is None or right is None:
        return Column(FieldType.BOOLEAN, np.zeros(count, np.bool_)) if operator in _COMPARISONS else None
    valid = _both(left.valid, right.valid)
    if operator in _COMPARISONS:
        return Column(FieldType.BOOLEAN, _compared(operator, left, right, count) & (True if valid is None else valid))
    if left.type in _NUMBERS and right.type in _NUMBERS:
        type_, values = _arithmetic(expr, left, right)
        return Column(type_, values, valid)
    if left.type is right.type is FieldType.BOOLEAN and operator in ("&", "|", "^"):
        function = {"&": np.logical_and, "|": np.logical_or, "^": np.logical_xor}[operator]
        return Column(FieldType.BOOLEAN, function(left.values, right.values), valid)
    kinds = f"{left.type.value} and {right.type.value}"
    raise StatementError(f"type error: {text_of(expr)}: incompatible types: {kinds}")


def _logic(operator: str, left: Column | None, right: Column | None, count: int) -> Column:
    sides = [
        np.zeros(count, np.bool_)
        if side is None or side.type is not FieldType.BOOLEAN
        else side.values & (True if side.valid is None else side.valid)
        for side in (left, right)
    ]
    return Column(FieldType.BOOLEAN, sides[0] & sides[1] if operator == "AND" else sides[0] | sides[1])


def _both(left: Mask | None, right: Mask | None) -> Mask | None:
    if left is None or right is None:
        return right if left is None else left
    return left & right


def _compared(operator: str, left: Column, right: Column, count: int) -> Mask:
    if left.type in _NUMBERS and right.type in _NUMBERS:
        a, b = left.values, right.values
        if FieldType.FLOAT in (left.type, right.type):
            a, b = a.astype(np.float64), b.astype(np.float64)
        return np.asarray(_COMPARISONS[operator](a, b), np.bool_)
    if left.type is not right.type or operator not in ("=", "!="):
        return np.zeros(count, np.bool_)
    return np.asarray(_COMPARISONS[operator](left.values, right.values), np.bool_)


def _arithmetic(expr: Binary, left: Column, right: Column) -> tuple[FieldType, npt.NDArray[Any]]:
    operator, types = expr.operator, {left.type, right.type}
    if types == {FieldType.INTEGER, FieldType.UNSIGNED}:
        raise StatementError(f"type error: {text_of(expr)}: cannot use {operator} with an integer and unsigned")
    whole = FieldType.FLOAT not in types
    if operator in ("&", "|", "^"):
        if not whole:
            raise StatementError(f"type error: {text_of(expr)}: cannot use {operator} with a float")
        function = {"&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor}[operator]
        return left.type, function(left.values, right.values)
    type_ = left.type if whole and operator != "/" else FieldType.FLOAT
    a, b = left.values.astype(DTYPES[type_]), right.values.astype(DTYPES[type_])
    with np.errstate(all="ignore"):
        if operator in ("/", "%"):
            zero = (b == 0) if operator == "/" or whole else np.zeros(len(b), np.bool_)
            divisor = np.where(zero, DTYPES[type_](1), b)
            found = np.divide(a, divisor) if operator == "/" else np.fmod(a, divisor)
            return type_, np.where(zero, DTYPES[type_](0), found)
        return type_, {"+": np.add, "-": np.subtract, "*": np.multiply}[operator](a, b)
