"""Which type two values meet at, and how a value is cast to a type, implicitly and by CAST and TRY_CAST.

Rules are Trino's, with what Timestream adds: text literals become times where a time is wanted, and doubles are
written as Java writes them. Operators and functions are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from ts_migration.local.timestream.catalog import ArrayType, DataType, RowField, RowType, ScalarType
from ts_migration.local.timestream.sql import calendar, moments
from ts_migration.local.timestream.sql.syntax import Literal
from ts_migration.local.timestream.sql.typed import INTEGERS, NUMBERS, Typed, constant, failure, let, physical, spoken

S = ScalarType

_TEXT_LITERALS: dict[DataType, Callable[[str], int]] = {
    S.TIMESTAMP: moments.parse_timestamp,
    S.DATE: moments.parse_date,
    S.TIME: moments.parse_clock,
}


class CannotCast(Exception):
    """No rule leads from one type to the other, or the constant has no such value."""


def common_type(left: DataType, right: DataType) -> DataType | None:
    """The type both values can be brought to; None if there is none."""
    if left == right:
        return left
    if S.UNKNOWN in (left, right):
        return right if left is S.UNKNOWN else left
    if left in NUMBERS and right in NUMBERS:
        return S.DOUBLE if S.DOUBLE in (left, right) else S.BIGINT
    if {left, right} == {S.DATE, S.TIMESTAMP}:
        return S.TIMESTAMP
    if isinstance(left, ArrayType) and isinstance(right, ArrayType):
        element = common_type(left.element, right.element)
        return None if element is None else ArrayType(element)
    if isinstance(left, RowType) and isinstance(right, RowType) and len(left.fields) == len(right.fields):
        types = [common_type(a.type, b.type) for a, b in zip(left.fields, right.fields, strict=True)]
        return RowType(tuple(RowField(None, found) for found in types if found)) if all(types) else None
    return None


def meeting_type(left: Typed, right: Typed) -> DataType | None:
    """Like ``common_type``, and a text literal meets a time as that time."""
    for one, other in ((left, right), (right, left)):
        if other.type in _TEXT_LITERALS and one.type is S.VARCHAR and one.constant is not None:
            return other.type
    return common_type(left.type, right.type)


def coerce(value: Typed, target: DataType) -> Typed:
    """Bring a value to a type that ``common_type`` or ``meeting_type`` found. ``CannotCast``: the text is no time."""
    if value.type == target:
        return value
    if value.constant is not None:
        folded = _fold(value.constant, target)
        if folded is not None:
            return constant(folded)
    if value.type is S.DATE and target is S.TIMESTAMP:
        return Typed(calendar.of_date(value.sql), S.TIMESTAMP, simple=value.simple)
    if value.type is S.UNKNOWN:
        return constant(Literal(0, None, target)) if isinstance(target, ScalarType) else _null(target)
    finite = value.finite or value.type in INTEGERS
    return Typed(f"CAST({value.sql} AS {physical(target)})", target, finite=finite, simple=value.simple)


def _null(target: DataType) -> Typed:
    return Typed(f"CAST(NULL AS {physical(target)})", target, simple=True)


def _fold(literal: Literal, target: DataType) -> Literal | None:
    if not isinstance(target, ScalarType):
        return None
    if literal.value is None:
        return Literal(literal.at, None, target)
    if isinstance(literal.value, str):
        return Literal(literal.at, _read_text(literal.value, target), target)
    if target is S.DOUBLE:
        return Literal(literal.at, float(literal.value), target)
    if target is S.TIMESTAMP and literal.type is S.DATE:
        return Literal(literal.at, int(literal.value) * moments.DAY, target)
    return Literal(literal.at, literal.value, target) if target in INTEGERS else None


def _read_text(value: str, target: ScalarType) -> int:
    try:
        return _TEXT_LITERALS[target](value)
    except ValueError:
        raise CannotCast(f"Value cannot be cast to {spoken(target)}: {value}") from None


def cast(value: Typed, target: ScalarType, *, safe: bool) -> Typed:
    """CAST, or TRY_CAST if ``safe``. ``CannotCast`` where Trino has no such cast, or it is not supported."""
    if value.type == target:
        return value
    if value.type is S.UNKNOWN:
        return coerce(value, target)
    if value.constant is not None and isinstance(value.constant.value, str) and target in _TEXT_LITERALS:
        try:  # A constant stays one, so that a comparison with it can be pushed down; a bad one fails when it is run.
            return coerce(value, target)
        except CannotCast:
            pass
    rule = _RULES.get((value.type, target)) if isinstance(value.type, ScalarType) else None
    if rule is None:
        raise CannotCast(f"Cannot cast {spoken(value.type)} to {spoken(target)}")
    finite = value.type in INTEGERS or value.type is S.BOOLEAN  # text may say NaN
    return Typed(rule(value, safe), target, finite=finite)


def _direct(target: str) -> Callable[[Typed, bool], str]:
    def rule(value: Typed, safe: bool) -> str:
        return f"{'TRY_CAST' if safe else 'CAST'}({value.sql} AS {target})"

    return rule


def _rounded(target: str) -> Callable[[Typed, bool], str]:
    def rule(value: Typed, safe: bool) -> str:
        return f"{'TRY_CAST' if safe else 'CAST'}(round({value.sql}) AS {target})"

    return rule


def _checked(result: ScalarType, allowed: str) -> Callable[[Typed, bool], str]:
    """A cast from text that DuckDB would do for more texts than Trino: spaces, ``1_000``, ``1.5`` to an integer."""
    target = physical(result)

    def rule(value: Typed, safe: bool) -> str:
        def body(v: str) -> str:
            known = f"WHEN regexp_full_match({v}, '{allowed}') AND TRY_CAST({v} AS {target}) IS NOT NULL"
            return f"CASE {known} THEN TRY_CAST({v} AS {target}){_otherwise(v, result, safe)} END"

        return let((value,), body)

    return rule


def _boolean_of_text(value: Typed, safe: bool) -> str:
    def body(v: str) -> str:
        known = f"WHEN lower({v}) IN ('t', 'true', '1') THEN TRUE WHEN lower({v}) IN ('f', 'false', '0') THEN FALSE"
        return f"CASE {known}{_otherwise(v, S.BOOLEAN, safe)} END"

    return let((value,), body)


def _time_of_text(result: ScalarType, read: Callable[[str], str]) -> Callable[[Typed, bool], str]:
    def rule(value: Typed, safe: bool) -> str:
        def body(v: str) -> str:
            parsed = read(v)
            return (
                parsed if safe else f"CASE WHEN ({parsed}) IS NOT NULL THEN {parsed}{_otherwise(v, result, safe)} END"
            )

        return let((value,), body)

    return rule


def _otherwise(value: str, target: ScalarType, safe: bool) -> str:
    """The ELSE of a cast that failed; text that is NULL stays NULL."""
    message = f"'Cannot cast ''' || {value} || ''' to {spoken(target)}'"
    return "" if safe else f" WHEN {value} IS NOT NULL THEN {failure(message, target)}"


def _via(read: Callable[[str], str]) -> Callable[[Typed, bool], str]:
    def rule(value: Typed, _safe: bool) -> str:
        return let((value,), read)

    return rule


def java_double(value: str) -> str:
    """A double as Java's Double.toString writes it: 35.5, 1.0E-5, 1.6554878837710001E9, NaN, Infinity.

    The digits are those of DuckDB's shortest text; only their arrangement differs outside [1e-3, 1e7).
    """
    # Java wants two digits where it can have them, which only shows among the very last doubles.
    plain = f"CASE WHEN abs({value}) <= 1e-322 AND {value} <> 0 THEN printf('%.1e', abs({value}))"
    plain = f"({plain} ELSE CAST(abs({value}) AS VARCHAR) END)"
    mantissa = f"split_part({plain}, 'e', 1)"
    all_digits = f"replace({mantissa}, '.', '')"
    digits = f"rtrim(ltrim({all_digits}, '0'), '0')"
    whole = f"split_part({mantissa}, '.', 1)"
    zeros = f"(length({all_digits}) - length(ltrim({all_digits}, '0')))"
    position = f"(CASE WHEN {whole} = '0' THEN -{zeros} ELSE length({whole}) - 1 END)"
    written = f"CASE WHEN contains({plain}, 'e') THEN CAST(split_part({plain}, 'e', 2) AS BIGINT) ELSE 0 END"
    rest = f"CASE WHEN length({digits}) > 1 THEN substr({digits}, 2) ELSE '0' END"
    scientific = f"(left({digits}, 1) || '.' || {rest} || 'E' || CAST({position} + {written} AS VARCHAR))"
    sign = f"CASE WHEN signbit({value}) THEN '-' ELSE '' END"
    return (
        f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) THEN {sign} || 'Infinity'"
        f" WHEN {value} = 0 OR (abs({value}) >= 1e-3 AND abs({value}) < 1e7) THEN {sign} || {plain}"
        f" WHEN {value} IS NOT NULL THEN {sign} || {scientific} END"
    )


_DOUBLE_TEXT = r"[+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"

_RULES: dict[tuple[DataType, ScalarType], Callable[[Typed, bool], str]] = {
    (S.INTEGER, S.BIGINT): _direct("BIGINT"),
    (S.INTEGER, S.DOUBLE): _direct("DOUBLE"),
    (S.INTEGER, S.BOOLEAN): _direct("BOOLEAN"),
    (S.INTEGER, S.VARCHAR): _direct("VARCHAR"),
    (S.BIGINT, S.INTEGER): _direct("INTEGER"),
    (S.BIGINT, S.DOUBLE): _direct("DOUBLE"),
    (S.BIGINT, S.BOOLEAN): _direct("BOOLEAN"),
    (S.BIGINT, S.VARCHAR): _direct("VARCHAR"),
    (S.DOUBLE, S.BIGINT): _rounded("BIGINT"),
    (S.DOUBLE, S.INTEGER): _rounded("INTEGER"),
    (S.DOUBLE, S.BOOLEAN): _via(lambda v: f"({v} <> 0)"),
    (S.DOUBLE, S.VARCHAR): _via(java_double),
    (S.BOOLEAN, S.BIGINT): _direct("BIGINT"),
    (S.BOOLEAN, S.INTEGER): _direct("INTEGER"),
    (S.BOOLEAN, S.DOUBLE): _direct("DOUBLE"),
    (S.BOOLEAN, S.VARCHAR): _direct("VARCHAR"),
    (S.VARCHAR, S.BIGINT): _checked(S.BIGINT, "[+-]?[0-9]+"),
    (S.VARCHAR, S.INTEGER): _checked(S.INTEGER, "[+-]?[0-9]+"),
    (S.VARCHAR, S.DOUBLE): _checked(S.DOUBLE, _DOUBLE_TEXT),
    (S.VARCHAR, S.BOOLEAN): _boolean_of_text,
    (S.VARCHAR, S.TIMESTAMP): _time_of_text(S.TIMESTAMP, calendar.parse_timestamp),
    (S.VARCHAR, S.DATE): _checked(S.DATE, "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"),
    (S.TIMESTAMP, S.VARCHAR): _via(calendar.timestamp_text),
    (S.TIMESTAMP, S.DATE): _via(calendar.date_of),
    (S.TIMESTAMP, S.TIME): _via(lambda v: calendar.modulo(v, moments.DAY)),
    (S.DATE, S.VARCHAR): _direct("VARCHAR"),
    (S.DATE, S.TIMESTAMP): _via(calendar.of_date),
    (S.TIME, S.VARCHAR): _via(calendar.clock_text),
}
