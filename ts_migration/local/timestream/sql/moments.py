"""Text to and from times, dates, intervals and durations, in integers and exact to the nanosecond.

Pure calendar arithmetic for constants of a query and for rendering; the same for columns is in ``calendar``.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from fractions import Fraction

from ts_migration.local.timestream.sql.tokens import NANOSECONDS

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_EPOCH = date(1970, 1, 1)
_CLOCK = r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,9}))?)?"
_DATE = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
_TIMESTAMP = re.compile(rf"{_DATE}(?: {_CLOCK})?")
_ISO = re.compile(rf"{_DATE}(?:T(?:{_CLOCK})?(Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?")
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_date(text: str) -> int:
    """Days since 1970-01-01 of ``YYYY-MM-DD``; ValueError if it is none."""
    match = re.fullmatch(_DATE, text.strip())
    if match is None:
        raise ValueError(text)
    return (date(*map(int, match.groups())) - _EPOCH).days


def parse_clock(text: str) -> int:
    """Nanoseconds since midnight of ``HH:MM[:SS[.fraction]]``; ValueError if it is none."""
    match = re.fullmatch(_CLOCK, text.strip())
    if match is None:
        raise ValueError(text)
    return _clock(match.groups())


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch of ``YYYY-MM-DD[ HH:MM[:SS[.fraction]]]`` in UTC, up to nine digits of fraction.

    ValueError if it is none, or outside what 64 bits hold.
    """
    match = _TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return _in_range(_days(match.groups()[:3]) * DAY + _clock(match.groups()[3:]), text)


def parse_iso8601(text: str) -> int:
    """Nanoseconds since the epoch of an ISO 8601 time, its offset applied (none: UTC); ValueError if it is none."""
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    *groups, zone = match.groups()
    offset = 0
    if zone and zone != "Z":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        hours, minutes = int(digits[:2]), int(digits[2:])
        if hours > 18 or minutes > 59:
            raise ValueError(text)
        offset = (hours * HOUR + minutes * MINUTE) * (-1 if zone[0] == "-" else 1)
    return _in_range(_days(groups[:3]) * DAY + _clock(groups[3:]) - offset, text)


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as ``42.8ms``; ValueError if it is none. Halves are rounded away from zero."""
    match = _DURATION.fullmatch(text)
    if match is None or match.group(2).lower() not in NANOSECONDS:
        raise ValueError(text)
    exact = Fraction(match.group(1)) * NANOSECONDS[match.group(2).lower()]
    return _in_range(int(exact + Fraction(1, 2)), text)


def format_timestamp(ns: int, separator: str = " ") -> str:
    """``2022-06-17 08:04:05.000000000`` of nanoseconds since the epoch, UTC."""
    days, rest = divmod(ns, DAY)
    return f"{format_date(days)}{separator}{format_clock(rest)}"


def format_clock(ns: int) -> str:
    """``08:04:05.000000000`` of nanoseconds since midnight."""
    seconds, fraction = divmod(ns, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}.{fraction:09}"


def format_date(days: int) -> str:
    """``2022-06-17`` of days since the epoch."""
    return (_EPOCH + timedelta(days=days)).isoformat()


def format_interval(ns: int) -> str:
    """``1 02:03:04.000000005`` of an interval in nanoseconds: days, then a clock."""
    days, rest = divmod(abs(ns), DAY)
    return f"{'-' if ns < 0 else ''}{days} {format_clock(rest)}"


def format_months(months: int) -> str:
    """``1-2`` (years and months) of an interval in months."""
    years, rest = divmod(abs(months), 12)
    return f"{'-' if months < 0 else ''}{years}-{rest}"


def _days(groups: tuple[str | None, ...] | list[str | None]) -> int:
    year, month, day = (int(group or 0) for group in groups)
    return (date(year, month, day) - _EPOCH).days


def _clock(groups: tuple[str | None, ...] | list[str | None]) -> int:
    hour, minute, second = (int(group or 0) for group in groups[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{hour}:{minute}:{second}")
    return hour * HOUR + minute * MINUTE + second * SECOND + int((groups[3] or "").ljust(9, "0"))


def _in_range(ns: int, text: str) -> int:
    if not INT64_MIN <= ns <= INT64_MAX:
        raise ValueError(text)
    return ns
