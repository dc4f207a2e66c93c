"""Constants of an expression worked out before it runs: `now()`, dates, sums of times and durations, numbers.

Rules: influxdata/influxql ast.go (Reduce). What depends on a column stays as it is.
"""

import re
from datetime import UTC, datetime, timedelta

from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.syntax import (
    Binary,
    Call,
    Duration,
    Expr,
    Integer,
    Literal,
    Number,
    Paren,
    String,
    Time,
    Unsigned,
)

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def looks_like_time(text: str) -> bool:
    """Whether a string is taken for a point in time."""
    return re.match(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is not None


def time_ns(text: str) -> int:
    """A date, a date and time, or an RFC 3339 time in UTC, in ns.

    Raises StatementError in InfluxQL's words.
    """
    match = _DATE.fullmatch(text)
    # Only RFC 3339 has a T, and it must then name its zone.
    if match is None or (match[4] is not None and ("T" in text) != (match[8] is not None)):
        raise StatementError("invalid timestamp string")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    except ValueError:
        raise StatementError("invalid timestamp string") from None
    seconds = moment.days * 86_400 + moment.seconds
    zone = match[8]
    if zone and zone != "Z":
        shift = int(zone[1:3]) * 3_600 + int(zone[4:6]) * 60
        seconds -= shift if zone[0] == "+" else -shift
    return seconds * 1_000_000_000 + int((match[7] or "").ljust(9, "0"))


def rfc3339(ns: int) -> str:
    """A time in ns as RFC 3339 without its fraction."""
    return (_EPOCH + timedelta(seconds=ns // 1_000_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def fold(expr: Expr, now_ns: int | None = None) -> Expr:
    """The expression with its constant parts worked out; `now()` only where the time is given."""
    match expr:
        case Call(name="now", arguments=()) if now_ns is not None:
            return Time(now_ns)
        case Call(name=name, arguments=arguments):
            return Call(name, tuple(fold(argument, now_ns) for argument in arguments))
        case Paren(inner=inner):
            folded = fold(inner, now_ns)
            return folded if isinstance(folded, Literal) else Paren(folded)
        case Binary(operator=operator, left=left, right=right):
            left, right = fold(left, now_ns), fold(right, now_ns)
            result = _constant(operator, left, right)
            return Binary(operator, left, right) if result is None else result
    return expr


def _constant(operator: str, left: Expr, right: Expr) -> Expr | None:
    if operator not in ("+", "-", "*", "/", "%"):
        return None
    match left, right:
        case (Time(value=a) | Integer(value=a), Duration(value=b)) if operator in ("+", "-"):
            return Time(a + b if operator == "+" else a - b)
        case (String(value=text), Duration(value=b)) if operator in ("+", "-") and looks_like_time(text):
            return Time(time_ns(text) + (b if operator == "+" else -b))
        case (Duration(value=b), Time(value=a) | Integer(value=a)) if operator == "+":
            return Time(a + b)
        case (Duration(value=b), String(value=text)) if operator == "+" and looks_like_time(text):
            return Time(time_ns(text) + b)
        case (Time(value=a), Integer(value=b)) if operator in ("+", "-"):
            return Time(a + b if operator == "+" else a - b)
        case (Time(value=a), Time(value=b)) if operator == "-":
            return Duration(a - b)
        case (Time(value=a), String(value=text)) if operator == "-" and looks_like_time(text):
            return Duration(a - time_ns(text))
        case (Duration(value=a), Duration(value=b)) if operator in ("+", "-"):
            return Duration(a + b if operator == "+" else a - b)
        case (Duration(value=a), Integer(value=b)) if operator == "*":
            return Duration(a * b)
        case (Duration(value=a), Integer(value=b)) if operator == "/":
            return Duration(_quotient(a, b) if b else 0)
    return _number(operator, left, right)


def _number(operator: str, left: Expr, right: Expr) -> Expr | None:
    if not isinstance(left, Integer | Number | Unsigned) or not isinstance(right, Integer | Number | Unsigned):
        return None
    a, b = left.value, right.value
    if operator == "/":
        return Number(float(a) / float(b) if b else 0.0)
    if operator == "%":
        if isinstance(a, float) or isinstance(b, float):
            return None
        return Integer(a - b * _quotient(a, b)) if b else Integer(0)
    result = a + b if operator == "+" else a - b if operator == "-" else a * b
    if isinstance(result, float):
        return Number(result)
    if -(2**63) <= result < 2**63:
        return Integer(result)
    return Unsigned(result) if 0 <= result < 2**64 else None


def _quotient(a: int, b: int) -> int:
    """Division towards zero, as Go's integers divide."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient
