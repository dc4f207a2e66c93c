"""Calendar and clock arithmetic on columns, as DuckDB text over nanoseconds since the epoch.

Everything down to the day is integer arithmetic and exact; months and years go through DuckDB's microsecond
TIMESTAMP with the last three digits kept aside. Names and types of functions are in ``time_functions``.
"""

from __future__ import annotations

from ts_migration.local.timestream.sql.moments import DAY, SECOND


def modulo(ns: str, width: int | str) -> str:
    """The remainder of the division that rounds down: never negative."""
    return f"((({ns}) % {width} + {width}) % {width})"


def floor_to(ns: str, width: int | str) -> str:
    """The multiple of ``width`` at or below, also before the epoch."""
    return f"(({ns}) - {modulo(ns, width)})"


def floor_divide(ns: str, width: int) -> str:
    """Division by a positive constant that rounds down and cannot overflow."""
    return f"((({ns}) // {width}) - CASE WHEN ({ns}) % {width} < 0 THEN 1 ELSE 0 END)"


def timestamp(ns: str) -> str:
    """DuckDB's TIMESTAMP of the microsecond at or before."""
    return f"make_timestamp({floor_divide(ns, 1000)})"


def from_timestamp(sql: str) -> str:
    """Nanoseconds of a DuckDB TIMESTAMP."""
    return f"(epoch_us({sql}) * 1000)"


def truncate_calendar(ns: str, unit: str) -> str:
    """date_trunc to week, month, quarter or year."""
    return from_timestamp(f"CAST(date_trunc('{unit}', {timestamp(ns)}) AS TIMESTAMP)")


def add_months(ns: str, months: str) -> str:
    """The same day and clock that many months on, or the last day of that month where it has no such day."""
    moved = f"{timestamp(ns)} + to_months(CAST({months} AS INTEGER))"
    return f"({from_timestamp(moved)} + {modulo(ns, 1000)})"


def months_between(start: str, end: str) -> str:
    """Complete months from one time to the other, negative if the other is earlier."""
    first, second = timestamp(start), timestamp(end)
    months = f"((year({second}) - year({first})) * 12 + month({second}) - month({first}))"
    reached = add_months(start, months)
    return (
        f"({months} - CASE WHEN {end} >= {start} AND {reached} > {end} THEN 1"
        f" WHEN {end} < {start} AND {reached} < {end} THEN -1 ELSE 0 END)"
    )


def date_of(ns: str) -> str:
    """The UTC date."""
    return f"CAST({timestamp(ns)} AS DATE)"


def of_date(date: str) -> str:
    """Nanoseconds of a date's midnight, UTC."""
    return f"((({date}) - DATE '1970-01-01') * {DAY})"


def fraction_text(ns: str, digits: int) -> str:
    """The first digits of the fraction of a second."""
    padded = f"lpad(CAST({modulo(ns, SECOND)} AS VARCHAR), 9, '0')"
    return padded if digits == 9 else f"left({padded}, {digits})"


def timestamp_text(ns: str, separator: str = " ") -> str:
    """``2022-06-17 08:04:05.000000000``."""
    return f"(strftime({timestamp(ns)}, '%Y-%m-%d{separator}%H:%M:%S.') || {fraction_text(ns, 9)})"


def clock_text(ns: str) -> str:
    """``08:04:05.000000000`` of nanoseconds since midnight."""
    return f"(strftime({timestamp(ns)}, '%H:%M:%S.') || {fraction_text(ns, 9)})"


_CLOCK = "([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\\.([0-9]{1,9}))?)?"
_TIMESTAMP = f"([0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}})(?: {_CLOCK})?"


def parse_timestamp(text: str) -> str:
    """Nanoseconds of text like ``2022-06-17 08:04:05.000000001``; NULL where the text is no time.

    An hour, minute or second that does not exist makes NULL too, because DuckDB's own cast refuses it.
    """
    trimmed = f"trim({text})"
    whole = f"regexp_extract({trimmed}, '^([^.]*)', 1)"
    complete = f"regexp_matches({whole}, ':[0-9]+:') OR NOT contains({whole}, ':')"
    padded = f"CASE WHEN {complete} THEN {whole} ELSE {whole} || ':00' END"
    fraction = f"CAST(rpad(regexp_extract({trimmed}, '\\.([0-9]+)$', 1), 9, '0') AS BIGINT)"
    return (
        f"CASE WHEN regexp_full_match({trimmed}, '{_TIMESTAMP}') AND TRY_CAST({padded} AS TIMESTAMP) IS NOT NULL"
        f" AND NOT regexp_matches({trimmed}, ' 24:')"
        f" THEN epoch_us(TRY_CAST({padded} AS TIMESTAMP)) * 1000 + {fraction} END"
    )


_ISO = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:T(?:" + _CLOCK + ")?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"


def parse_iso8601(text: str) -> str:
    """Nanoseconds of ISO 8601 text, its offset applied (none: UTC); NULL where the text is no such time."""
    zone = f"regexp_extract({text}, 'T.*?([+-][0-9]{{2}}(?::?[0-9]{{2}})?)$', 1)"
    local = f"rtrim(replace(regexp_extract({text}, '^([0-9-]+(?:T[0-9:.]*)?)', 1), 'T', ' '))"
    digits = f"rpad(replace(substr({zone}, 2), ':', ''), 4, '0')"
    minutes = f"(CAST(left({digits}, 2) AS BIGINT) * 60 + CAST(right({digits}, 2) AS BIGINT))"
    offset = f"CASE WHEN {zone} = '' THEN 0 WHEN left({zone}, 1) = '-' THEN -{minutes} ELSE {minutes} END"
    return f"CASE WHEN regexp_full_match({text}, '{_ISO}') THEN {parse_timestamp(local)} - {offset} * {60 * SECOND} END"
