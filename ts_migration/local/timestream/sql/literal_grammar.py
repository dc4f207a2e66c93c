"""Constants and type names: numbers, strings, TIMESTAMP '…', INTERVAL '…' unit, 15m, and the targets of CAST."""

from __future__ import annotations

from collections.abc import Callable

from ts_migration.local.timestream.catalog import ScalarType
from ts_migration.local.timestream.sql import moments
from ts_migration.local.timestream.sql.cursor import Cursor
from ts_migration.local.timestream.sql.syntax import Literal
from ts_migration.local.timestream.sql.tokens import MONTHS, NANOSECONDS, Kind, Token

_TYPES = {
    "VARCHAR": ScalarType.VARCHAR,
    "BIGINT": ScalarType.BIGINT,
    "INTEGER": ScalarType.INTEGER,
    "INT": ScalarType.INTEGER,
    "DOUBLE": ScalarType.DOUBLE,
    "BOOLEAN": ScalarType.BOOLEAN,
    "TIMESTAMP": ScalarType.TIMESTAMP,
    "DATE": ScalarType.DATE,
    "TIME": ScalarType.TIME,
}
_TYPED_STRINGS: dict[str, tuple[ScalarType, Callable[[str], int]]] = {
    "TIMESTAMP": (ScalarType.TIMESTAMP, moments.parse_timestamp),
    "DATE": (ScalarType.DATE, moments.parse_date),
    "TIME": (ScalarType.TIME, moments.parse_clock),
}
_INT32_MAX = 2**31 - 1


def cast_target(cursor: Cursor) -> ScalarType:
    """Read the type name of a CAST."""
    token = cursor.advance()
    if token.upper not in _TYPES:
        raise cursor.source.refuse(token.at, f"Unknown type: {token.text}")
    if cursor.at_symbol("("):
        raise cursor.source.refuse(cursor.current.at, f"{token.text} with a length or precision is not supported")
    return _TYPES[token.upper]


def literal(cursor: Cursor, *, negative: bool, signed: bool) -> Literal | None:
    """Read a constant if one comes next, else read nothing.

    After a sign (``signed``) only numbers and interval literals count, so that ``-9223372036854775808`` can be said
    and ``-1h`` is one constant.
    """
    token = cursor.current
    if token.kind is Kind.INTEGER:
        cursor.advance()
        return _integer(cursor, token, negative)
    if token.kind is Kind.DOUBLE:
        cursor.advance()
        return _double(cursor, token, negative)
    if token.kind is Kind.INTERVAL:
        cursor.advance()
        return _interval(cursor, token, int(token.text) * (-1 if negative else 1), token.unit)
    if signed:
        return None
    if token.kind is Kind.STRING:
        cursor.advance()
        return Literal(token.at, token.text, ScalarType.VARCHAR)
    return _word_literal(cursor, token)


def _word_literal(cursor: Cursor, token: Token) -> Literal | None:
    if token.upper == "NULL":
        cursor.advance()
        return Literal(token.at, None, ScalarType.UNKNOWN)
    if token.upper in ("TRUE", "FALSE"):
        cursor.advance()
        return Literal(token.at, token.upper == "TRUE", ScalarType.BOOLEAN)
    if token.upper in _TYPED_STRINGS and cursor.peek().kind is Kind.STRING:
        cursor.advance()
        data_type, read = _TYPED_STRINGS[token.upper]
        text = cursor.string()
        try:
            return Literal(token.at, read(text), data_type)
        except ValueError:
            name = token.text.lower()
            raise cursor.source.refuse(token.at, f"'{text}' is not a valid {name} literal") from None
    if token.upper == "INTERVAL" and (cursor.peek().kind is Kind.STRING or cursor.peek().text in ("-", "+")):
        cursor.advance()
        sign = -1 if cursor.take_symbol("-") else 1
        if sign > 0:
            cursor.take_symbol("+")
        return _written_interval(cursor, token, sign)
    return None


def _written_interval(cursor: Cursor, token: Token, sign: int) -> Literal:
    text = cursor.string()
    unit = cursor.advance()
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        raise cursor.source.refuse(token.at, f"'{text}' is not a valid interval literal")
    return _interval(cursor, token, sign * int(text), unit.text.lower())


def _interval(cursor: Cursor, token: Token, count: int, unit: str) -> Literal:
    if unit in NANOSECONDS:
        value, data_type, limit = count * NANOSECONDS[unit], ScalarType.INTERVAL_DAY_TO_SECOND, moments.INT64_MAX
    elif unit in MONTHS:
        value, data_type, limit = count * MONTHS[unit], ScalarType.INTERVAL_YEAR_TO_MONTH, _INT32_MAX
    else:
        raise cursor.source.refuse(token.at, f"'{unit}' is not a unit of intervals")
    if abs(value) > limit:
        raise cursor.source.refuse(token.at, "Interval literal out of range")
    return Literal(token.at, value, data_type)


def _integer(cursor: Cursor, token: Token, negative: bool) -> Literal:
    value = -int(token.text) if negative else int(token.text)
    if not moments.INT64_MIN <= value <= moments.INT64_MAX:
        raise cursor.source.refuse(token.at, f"Invalid numeric literal: {token.text}")
    small = -_INT32_MAX - 1 <= value <= _INT32_MAX
    return Literal(token.at, value, ScalarType.INTEGER if small else ScalarType.BIGINT)


def _double(cursor: Cursor, token: Token, negative: bool) -> Literal:
    value = float(token.text)
    if value in (float("inf"), float("-inf")):
        raise cursor.source.refuse(token.at, f"Invalid numeric literal: {token.text}")
    return Literal(token.at, -value if negative else value, ScalarType.DOUBLE)
