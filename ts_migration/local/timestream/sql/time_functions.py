"""Functions of times, dates and intervals (developer guide: date / time functions). All exact to the nanosecond.

Formats are MySQL's and must be constants; each specifier is either written exactly or refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ts_migration.local.timestream.catalog import ScalarType
from ts_migration.local.timestream.sql import calendar, moments
from ts_migration.local.timestream.sql.coercion import CannotCast, cast, coerce, meeting_type
from ts_migration.local.timestream.sql.moments import DAY, HOUR, MINUTE, SECOND
from ts_migration.local.timestream.sql.signatures import (
    BadArguments,
    Function,
    constant_text,
    count,
    number,
    wanted,
)
from ts_migration.local.timestream.sql.typed import Typed, failure, integer, let, text

S = ScalarType
_T, _I, _D = S.TIMESTAMP, S.BIGINT, S.INTERVAL_DAY_TO_SECOND

_CLOCK_UNITS = {"nanosecond": 1, "microsecond": 1_000, "millisecond": 1_000_000, "second": SECOND}
_CLOCK_UNITS |= {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}
_MONTH_UNITS = {"month": 1, "quarter": 3, "year": 12}


def _now(arguments: list[Typed], now: int) -> Typed:
    count("now", arguments, 0)
    return integer(now, _T)


def _ago(arguments: list[Typed], now: int) -> Typed:
    (interval,) = wanted("ago", arguments, _D)
    if interval.constant is not None and isinstance(interval.constant.value, int):
        return integer(now - interval.constant.value, _T)
    return Typed(f"({integer(now).sql} - {interval.sql})", _T)


def _current_date(arguments: list[Typed], now: int) -> Typed:
    count("current_date", arguments, 0)
    return integer(now // DAY, S.DATE)


def _current_time(arguments: list[Typed], now: int) -> Typed:
    count("current_time", arguments, 0)
    return integer(now % DAY, S.TIME)


def _scaled(name: str, nanoseconds: int) -> Function:
    """from_milliseconds and its kin: an integer count since the epoch to a time. Constants stay constants."""

    def function(arguments: list[Typed], _now_ns: int) -> Typed:
        (x,) = wanted(name, arguments, _I)
        if x.constant is not None and isinstance(x.constant.value, int):
            value = x.constant.value * nanoseconds
            if not moments.INT64_MIN <= value <= moments.INT64_MAX:
                raise BadArguments(name, arguments, f"{x.constant.value} is outside the range of timestamp")
            return integer(value, _T)
        return Typed(
            x.sql if nanoseconds == 1 else f"({x.sql} * {nanoseconds})", _T, simple=x.simple and nanoseconds == 1
        )

    return function


def _count_of(name: str, nanoseconds: int) -> Function:
    """to_milliseconds and its kin, of a time or an interval."""

    def function(arguments: list[Typed], _now_ns: int) -> Typed:
        count(name, arguments, 1)
        x = arguments[0]
        if x.type not in (_T, _D, S.DATE):
            raise BadArguments(name, arguments)
        x = coerce(x, _T) if x.type is S.DATE else x
        if nanoseconds == 1:
            return Typed(x.sql, _I, simple=x.simple)
        template = f"({{0}} // {nanoseconds})"
        if x.type is _T:
            return Typed(let((x,), lambda ns: calendar.floor_divide(ns, nanoseconds)), _I)
        return Typed(template.format(x.sql), _I)

    return function


def _from_unixtime(arguments: list[Typed], _now_ns: int) -> Typed:
    """Seconds as a double, to the millisecond as in Trino."""
    count("from_unixtime", arguments, 1)
    seconds = coerce(number("from_unixtime", arguments), S.DOUBLE)
    return Typed(f"(CAST(round({seconds.sql} * 1000e0) AS BIGINT) * 1000000)", _T)


def _to_unixtime(arguments: list[Typed], _now_ns: int) -> Typed:
    count("to_unixtime", arguments, 1)
    (x,) = wanted("to_unixtime", [_as_time("to_unixtime", arguments, 0)], _T)
    return Typed(f"(CAST({x.sql} AS DOUBLE) / 1000000000e0)", S.DOUBLE, finite=True)


def _as_time(name: str, arguments: list[Typed], index: int) -> Typed:
    """A timestamp argument; a date is its midnight, a text constant is read."""
    argument = arguments[index]
    if meeting_type(argument, Typed("", _T)) is not _T:
        raise BadArguments(name, arguments)
    return coerce(argument, _T)


def _bin(arguments: list[Typed], _now_ns: int) -> Typed:
    """The multiple of the interval since the epoch at or before the time."""
    count("bin", arguments, 2)
    time = _as_time("bin", arguments, 0)
    width = arguments[1]
    if width.type is not _D:
        raise BadArguments("bin", arguments)
    if width.constant is not None and isinstance(width.constant.value, int):
        if width.constant.value <= 0:
            raise BadArguments("bin", arguments, "the interval must be positive")
        positive = width.constant.value
        return Typed(let((time,), lambda ns: calendar.floor_to(ns, positive)), _T)

    def body(ns: str, size: str) -> str:
        refused = failure("'bin: the interval must be positive'", _T)
        return f"CASE WHEN {size} <= 0 THEN {refused} ELSE {calendar.floor_to(ns, size)} END"

    return Typed(let((time, width), body), _T)


def _unit(name: str, arguments: list[Typed]) -> str:
    unit = constant_text(name, arguments, 0).lower()
    if unit not in _CLOCK_UNITS and unit not in _MONTH_UNITS:
        raise BadArguments(name, arguments, f"'{unit}' is not a valid timestamp field")
    return unit


def _date_trunc(arguments: list[Typed], _now_ns: int) -> Typed:
    count("date_trunc", arguments, 2)
    unit = _unit("date_trunc", arguments)
    time = _as_time("date_trunc", arguments, 1)

    def body(ns: str) -> str:
        if unit in _CLOCK_UNITS and unit != "week":
            return calendar.floor_to(ns, _CLOCK_UNITS[unit])
        return calendar.truncate_calendar(ns, unit)

    return _like_given(arguments[1], Typed(let((time,), body), _T))


def _like_given(given: Typed, result: Typed) -> Typed:
    return cast(result, S.DATE, safe=False) if given.type is S.DATE else result


def _date_add(arguments: list[Typed], _now_ns: int) -> Typed:
    count("date_add", arguments, 3)
    unit = _unit("date_add", arguments)
    (amount,) = wanted("date_add", [arguments[1]], _I)
    time = _as_time("date_add", arguments, 2)
    if unit in _CLOCK_UNITS:
        result = Typed(f"({time.sql} + {amount.sql} * {_CLOCK_UNITS[unit]})", _T)
    else:
        months = _MONTH_UNITS[unit]
        result = Typed(let((time, amount), lambda ns, n: calendar.add_months(ns, f"({n} * {months})")), _T)
    if arguments[2].type is S.DATE and unit in _CLOCK_UNITS and _CLOCK_UNITS[unit] < DAY:
        raise BadArguments("date_add", arguments, f"'{unit}' is not a valid DATE field")
    return _like_given(arguments[2], result)


def _date_diff(arguments: list[Typed], _now_ns: int) -> Typed:
    """Complete units from the first time to the second, rounded towards zero."""
    count("date_diff", arguments, 3)
    unit = _unit("date_diff", arguments)
    start, end = _as_time("date_diff", arguments, 1), _as_time("date_diff", arguments, 2)
    if unit in _CLOCK_UNITS:
        return Typed(f"(({end.sql} - {start.sql}) // {_CLOCK_UNITS[unit]})", _I)
    months = _MONTH_UNITS[unit]
    return Typed(let((start, end), lambda a, b: f"({calendar.months_between(a, b)} // {months})"), _I)


def _part(name: str) -> Function:
    """One field of a time, as extract and the functions of its name give it; of intervals the clock fields too."""

    def function(arguments: list[Typed], _now_ns: int) -> Typed:
        count(name, arguments, 1)
        interval_part = _INTERVAL_PARTS.get(name)
        if arguments[0].type is _D and interval_part is not None:
            return Typed(interval_part.format(arguments[0].sql), _I)
        if arguments[0].type is S.VARCHAR:
            raise BadArguments(name, arguments)
        time = _as_time(name, arguments, 0)
        return Typed(let((time,), lambda ns: f"CAST({_PARTS[name](ns)} AS BIGINT)"), _I)

    return function


def _dated(part: str) -> Callable[[str], str]:
    return lambda ns: f"{part}({calendar.timestamp(ns)})"


def _clocked(within: int, unit: int) -> Callable[[str], str]:
    return lambda ns: f"({calendar.modulo(ns, within)} // {unit})"


_PARTS: dict[str, Callable[[str], str]] = {
    "year": _dated("year"),
    "quarter": _dated("quarter"),
    "month": _dated("month"),
    "week": _dated("week"),
    "week_of_year": _dated("week"),
    "year_of_week": _dated("isoyear"),
    "yow": _dated("isoyear"),
    "day": _dated("day"),
    "day_of_month": _dated("day"),
    "day_of_week": _dated("isodow"),
    "dow": _dated("isodow"),
    "day_of_year": _dated("dayofyear"),
    "doy": _dated("dayofyear"),
    "hour": _clocked(DAY, HOUR),
    "minute": _clocked(HOUR, MINUTE),
    "second": _clocked(MINUTE, SECOND),
    "millisecond": _clocked(SECOND, 1_000_000),
    "microsecond": _clocked(SECOND, 1_000),
    "nanosecond": _clocked(SECOND, 1),
}
_INTERVAL_PARTS = {
    "day": f"({{0}} // {DAY})",
    "hour": f"({{0}} % {DAY} // {HOUR})",
    "minute": f"({{0}} % {HOUR} // {MINUTE})",
    "second": f"({{0}} % {MINUTE} // {SECOND})",
    "millisecond": f"({{0}} % {SECOND} // 1000000)",
    "nanosecond": f"({{0}} % {SECOND})",
}

_SPECIFIERS = {
    "Y": "%Y",
    "m": "%m",
    "d": "%d",
    "H": "%H",
    "k": "%-H",
    "h": "%I",
    "I": "%I",
    "l": "%-I",
    "i": "%M",
    "s": "%S",
    "S": "%S",
    "p": "%p",
    "y": "%y",
    "c": "%-m",
    "e": "%-d",
    "M": "%B",
    "b": "%b",
    "W": "%A",
    "a": "%a",
    "j": "%j",
    "T": "%H:%M:%S",
    "r": "%I:%M:%S %p",
    "%": "%%",
}
"""MySQL's specifiers in the words of DuckDB's strftime; ``%f`` is written apart, the others are refused."""


def _date_format(arguments: list[Typed], _now_ns: int) -> Typed:
    count("date_format", arguments, 2)
    time = _as_time("date_format", arguments, 0)
    pieces = _format_pieces("date_format", arguments)

    def body(ns: str) -> str:
        written = [
            calendar.fraction_text(ns, 6) if piece is None else f"strftime({calendar.timestamp(ns)}, {text(piece)})"
            for piece in pieces
        ]
        return f"({' || '.join(written) or text('')})"

    return Typed(let((time,), body), S.VARCHAR)


def _format_pieces(name: str, arguments: list[Typed]) -> list[str | None]:
    """A MySQL format cut into strftime formats and None for each ``%f`` (six digits of the fraction)."""
    pieces: list[str | None] = []
    current, position, mysql = "", 0, constant_text(name, arguments, 1)
    while position < len(mysql):
        letter = mysql[position]
        position += 1
        if letter != "%":
            current += letter
            continue
        specifier = mysql[position : position + 1]
        position += 1
        if specifier == "f":
            pieces += [current, None] if current else [None]
            current = ""
        elif specifier in _SPECIFIERS:
            current += _SPECIFIERS[specifier]
        else:
            raise BadArguments(name, arguments, f"the format specifier %{specifier} is not supported")
    return [*pieces, current] if current else pieces


def _date_parse(arguments: list[Typed], _now_ns: int) -> Typed:
    count("date_parse", arguments, 2)
    pieces = _format_pieces("date_parse", arguments)
    known = re.sub("%[YmdHMS]|%%|%H:%M:%S", "", pieces[0] or "") if len(pieces) == 1 else "%"
    if "%" in known or pieces[0] is None or "%Y" not in pieces[0]:
        raise BadArguments("date_parse", arguments, "the format needs %Y and may have %m %d %H %i %s %S %T")
    if arguments[0].type is not S.VARCHAR:
        raise BadArguments("date_parse", arguments)
    return Typed(calendar.from_timestamp(f"strptime({arguments[0].sql}, {text(pieces[0])})"), _T)


def _from_iso8601(arguments: list[Typed], _now_ns: int) -> Typed:
    (value,) = wanted("from_iso8601_timestamp", arguments, S.VARCHAR)
    if value.constant is not None and isinstance(value.constant.value, str):
        try:
            return integer(moments.parse_iso8601(value.constant.value), _T)
        except ValueError:
            raise CannotCast(f'Invalid format: "{value.constant.value}"') from None

    def body(v: str) -> str:
        parsed = calendar.parse_iso8601(v)
        message = f"'Invalid format: \"' || {v} || '\"'"
        invalid = f"WHEN {v} IS NOT NULL THEN {failure(message, _T)}"
        return f"CASE WHEN ({parsed}) IS NOT NULL THEN {parsed} {invalid} END"

    return Typed(let((value,), body), _T)


def _from_iso8601_date(arguments: list[Typed], _now_ns: int) -> Typed:
    (value,) = wanted("from_iso8601_date", arguments, S.VARCHAR)
    return cast(value, S.DATE, safe=False)


def _to_iso8601(arguments: list[Typed], _now_ns: int) -> Typed:
    count("to_iso8601", arguments, 1)
    if arguments[0].type is S.DATE:
        return cast(arguments[0], S.VARCHAR, safe=False)
    if arguments[0].type is not _T:
        raise BadArguments("to_iso8601", arguments)
    return Typed(let((arguments[0],), lambda ns: f"({calendar.timestamp_text(ns, 'T')} || 'Z')"), S.VARCHAR)


def _parse_duration(arguments: list[Typed], _now_ns: int) -> Typed:
    count("parse_duration", arguments, 1)
    duration = constant_text("parse_duration", arguments, 0)
    try:
        return integer(moments.parse_duration(duration), _D)
    except ValueError:
        raise CannotCast(f"Invalid duration: {duration}") from None


def _date(arguments: list[Typed], _now_ns: int) -> Typed:
    count("date", arguments, 1)
    return cast(arguments[0], S.DATE, safe=False)


def _last_day_of_month(arguments: list[Typed], _now_ns: int) -> Typed:
    count("last_day_of_month", arguments, 1)
    time = _as_time("last_day_of_month", arguments, 0)
    return Typed(let((time,), lambda ns: f"last_day({calendar.date_of(ns)})"), S.DATE)


def _timezone(arguments: list[Typed], _now_ns: int) -> Typed:
    count("current_timezone", arguments, 0)
    return Typed("'UTC'", S.VARCHAR, simple=True)


TIME_FUNCTIONS: dict[str, Function] = {
    "now": _now,
    "current_timestamp": _now,
    "current_date": _current_date,
    "current_time": _current_time,
    "current_timezone": _timezone,
    "ago": _ago,
    "bin": _bin,
    "from_nanoseconds": _scaled("from_nanoseconds", 1),
    "from_microseconds": _scaled("from_microseconds", 1_000),
    "from_milliseconds": _scaled("from_milliseconds", 1_000_000),
    "from_unixtime": _from_unixtime,
    "from_iso8601_timestamp": _from_iso8601,
    "from_iso8601_date": _from_iso8601_date,
    "to_nanoseconds": _count_of("to_nanoseconds", 1),
    "to_microseconds": _count_of("to_microseconds", 1_000),
    "to_milliseconds": _count_of("to_milliseconds", 1_000_000),
    "to_unixtime": _to_unixtime,
    "to_iso8601": _to_iso8601,
    "date": _date,
    "date_trunc": _date_trunc,
    "date_add": _date_add,
    "date_diff": _date_diff,
    "date_format": _date_format,
    "date_parse": _date_parse,
    "last_day_of_month": _last_day_of_month,
    "parse_duration": _parse_duration,
    **{name: _part(name) for name in _PARTS},
}
