"""Arithmetic and comparison of two typed values. Functions are elsewhere.

Division of integers truncates towards zero and refuses zero, doubles follow IEEE 754 (NaN equals nothing, not even
itself, which DuckDB sees otherwise), and times are integers of nanoseconds.
"""

from __future__ import annotations

from ts_migration.local.timestream.catalog import ArrayType, RowType, ScalarType, TimeSeriesType
from ts_migration.local.timestream.sql import calendar, moments
from ts_migration.local.timestream.sql.coercion import CannotCast, coerce, common_type, meeting_type
from ts_migration.local.timestream.sql.typed import INTEGERS, INTERVALS, NUMBERS, Typed, failure, let, spoken

S = ScalarType

COMPARISONS = ("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
_UNORDERED = (ArrayType, RowType, TimeSeriesType)


class NotApplicable(Exception):
    """The operator does not exist for operands of these types."""

    def __init__(self, operator: str, *operands: Typed) -> None:
        super().__init__(f"'{operator}' cannot be applied to {', '.join(spoken(o.type) for o in operands)}")


def compare(operator: str, left: Typed, right: Typed) -> Typed:
    """A comparison. ``NotApplicable``: the types do not meet; ``CannotCast``: the text is not the time it must be."""
    target = meeting_type(left, right)
    if target is None or isinstance(target, _UNORDERED):
        raise NotApplicable(operator, left, right)
    left, right = coerce(left, target), coerce(right, target)
    if target is not S.DOUBLE or (left.finite and right.finite) or operator.startswith("IS"):
        return Typed(f"({left.sql} {operator} {right.sql})", S.BOOLEAN)

    def body(a: str, b: str) -> str:
        not_a_number = "TRUE" if operator == "<>" else "FALSE"
        return (
            f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL"
            f" WHEN isnan({a}) OR isnan({b}) THEN {not_a_number} ELSE {a} {operator} {b} END"
        )

    return Typed(let((left, right), body), S.BOOLEAN)


def negate(operand: Typed) -> Typed:
    """The unary minus."""
    if operand.type in NUMBERS or operand.type in INTERVALS:
        return Typed(f"(-{operand.sql})", operand.type, finite=operand.finite)
    raise NotApplicable("-", operand)


def arithmetic(operator: str, left: Typed, right: Typed) -> Typed:
    """``+ - * / %`` of numbers, intervals and times. ``NotApplicable`` for anything else."""
    if S.UNKNOWN in (left.type, right.type):
        target = common_type(left.type, right.type)
        if target is None or target not in NUMBERS:
            raise NotApplicable(operator, left, right)
        left, right = coerce(left, target), coerce(right, target)
    if left.type in NUMBERS and right.type in NUMBERS:
        return _numbers(operator, left, right)
    if operator in ("+", "-"):
        return _times(operator, left, right)
    if operator in ("*", "/"):
        return _scaled(operator, left, right)
    raise NotApplicable(operator, left, right)


def _numbers(operator: str, left: Typed, right: Typed) -> Typed:
    target = common_type(left.type, right.type)
    if target is None:
        raise NotApplicable(operator, left, right)
    left, right = coerce(left, target), coerce(right, target)
    if operator == "/" and target in INTEGERS:
        operator = "//"
    return Typed(f"({left.sql} {operator} {right.sql})", target)


def _times(operator: str, left: Typed, right: Typed) -> Typed:
    day, month = S.INTERVAL_DAY_TO_SECOND, S.INTERVAL_YEAR_TO_MONTH
    if operator == "+" and left.type in INTERVALS and right.type in (S.TIMESTAMP, S.DATE):
        left, right = right, left
    kinds = (left.type, right.type)
    if kinds == (S.TIMESTAMP, day) or (left.type == right.type and left.type in INTERVALS):
        return Typed(f"({left.sql} {operator} {right.sql})", left.type)
    if operator == "-" and kinds in ((S.TIMESTAMP, S.TIMESTAMP), (S.DATE, S.TIMESTAMP), (S.TIMESTAMP, S.DATE)):
        return Typed(f"({coerce(left, S.TIMESTAMP).sql} - {coerce(right, S.TIMESTAMP).sql})", day)
    if operator == "-" and kinds == (S.DATE, S.DATE):
        return Typed(f"(({left.sql} - {right.sql}) * {moments.DAY})", day)
    if kinds == (S.TIMESTAMP, month):
        return Typed(let((left, right), lambda t, m: calendar.add_months(t, f"({operator}{m})")), S.TIMESTAMP)
    if kinds == (S.DATE, month):
        return Typed(f"CAST({left.sql} + to_months(CAST({operator}{right.sql} AS INTEGER)) AS DATE)", S.DATE)
    if kinds == (S.DATE, day):
        return Typed(let((left, right), lambda d, i: _date_and_days(operator, d, i)), S.DATE)
    raise NotApplicable(operator, left, right)


def _date_and_days(operator: str, date: str, interval: str) -> str:
    refused = failure("'Cannot add hour, minutes or seconds to a date'", S.DATE)
    days = f"CAST({interval} // {moments.DAY} AS INTEGER)"
    return f"CASE WHEN {interval} % {moments.DAY} <> 0 THEN {refused} ELSE {date} {operator} {days} END"


def _scaled(operator: str, left: Typed, right: Typed) -> Typed:
    if operator == "*" and right.type in INTERVALS:
        left, right = right, left
    if left.type not in INTERVALS or right.type not in NUMBERS:
        raise NotApplicable(operator, left, right)
    if right.type is S.DOUBLE:
        return Typed(f"CAST(trunc({left.sql} {operator} {right.sql}) AS BIGINT)", left.type)
    return Typed(f"({left.sql} {'//' if operator == '/' else '*'} {coerce(right, S.BIGINT).sql})", left.type)


def concatenate(left: Typed, right: Typed) -> Typed:
    """``||`` of texts, or of arrays and elements of one type."""
    for value in (left, right):
        if value.type not in (S.VARCHAR, S.UNKNOWN) and not isinstance(value.type, ArrayType):
            raise NotApplicable("||", left, right)
    target = common_type(left.type, right.type)
    if target is None:
        raise NotApplicable("||", left, right)
    if target is S.UNKNOWN:
        target = S.VARCHAR
    left, right = coerce(left, target), coerce(right, target)
    if target is S.VARCHAR:
        return Typed(f"({left.sql} || {right.sql})", target)
    both = "CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN {0} || {1} END"
    return Typed(let((left, right), both.format), target)


__all__ = ["COMPARISONS", "CannotCast", "NotApplicable", "arithmetic", "compare", "concatenate", "negate"]
