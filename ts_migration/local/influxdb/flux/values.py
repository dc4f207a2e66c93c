"""Values that a Flux expression can have outside of tables, and their names in error messages.

Times are ns since 1970 in UTC; durations keep months apart from ns because months have no length of their own.
Conversions between text and values are here; operators are in `operators`.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1
MAX_UINT: Final = 2**64 - 1
SECOND: Final = 1_000_000_000
LONGEST_DURATION: Final = 200
MOST_MONTHS: Final = 12 * 10_000

UNITS: Final[dict[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 7 * 86_400 * SECOND,
}
MONTHS: Final[dict[str, int]] = {"mo": 1, "y": 12}

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})\d*)?(?:Z|([+-])(\d{2}):(\d{2})))?\Z", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """A moment, ns since 1970-01-01T00:00:00Z."""

    ns: int

    def __str__(self) -> str:
        return time_text(self.ns)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: months and ns, both with the sign already applied."""

    months: int
    ns: int

    def __neg__(self) -> "Duration":
        return Duration(-self.months, -self.ns)

    def added_to(self, time_ns: int, times: int = 1) -> int:
        """The moment this many durations after `time_ns`; a day beyond the end of a month becomes its last day."""
        if not self.months:
            return time_ns + times * self.ns
        seconds, rest = divmod(time_ns, SECOND)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        count = moment.year * 12 + moment.month - 1 + times * self.months
        year, month = divmod(count, 12)
        if not 1 <= year <= 9999:
            raise ValueProblem("time out of range")
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        moved = moment.replace(year=year, month=month + 1, day=day)
        since = moved - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * SECOND + rest + times * self.ns

    def __str__(self) -> str:
        if not self.months and not self.ns:
            return "0ns"
        sign = "-" if self.months < 0 or self.ns < 0 else ""
        months, rest = abs(self.months), abs(self.ns)
        parts = []
        for unit, size in (("y", 12), ("mo", 1)):
            count, months = divmod(months, size)
            parts.append(f"{count}{unit}" if count else "")
        for unit in ("w", "d", "h", "m", "s", "ms", "us", "ns"):
            count, rest = divmod(rest, UNITS[unit])
            parts.append(f"{count}{unit}" if count else "")
        return sign + "".join(parts)


class UInt(int):
    """An unsigned integer; Flux has no literal for one, only `uint(v: ...)`."""


def parse_duration(text: str) -> Duration:
    """`1h30m` and the like, without a sign.

    Raises ValueProblem where a part is not a number with a unit."""
    if len(text) > LONGEST_DURATION:
        raise ValueProblem(f"invalid duration {text[:20]}...")
    months = ns = 0
    position = 0
    for found in re.finditer(r"(\d+)(ns|us|µs|μs|ms|mo|s|m|h|d|w|y)", text, re.ASCII):
        if found.start() != position:
            break
        count, unit = int(found[1]), found[2]
        if unit in MONTHS:
            months += count * MONTHS[unit]
        else:
            ns += count * UNITS[unit]
        position = found.end()
    if position != len(text) or not text:
        raise ValueProblem(f"invalid duration {text}")
    if ns > MAX_INT or months > MOST_MONTHS:
        raise ValueProblem(f"duration {text} is out of range")
    return Duration(months, ns)


def parse_time(text: str) -> Time:
    """RFC 3339 with up to nine digits of fraction, or a date alone (midnight UTC).

    Raises ValueProblem where it is not one, or outside of what int64 ns can hold."""
    found = _RFC3339.match(text)
    if found is None:
        raise ValueProblem(f'cannot parse "{text}" as a time')
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        whole = calendar.timegm(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timetuple())
    except ValueError as error:
        raise ValueProblem(f'cannot parse "{text}" as a time: {error}') from error
    if found[8]:
        shift = (int(found[9]) * 60 + int(found[10])) * 60
        whole += -shift if found[8] == "+" else shift
    ns = whole * SECOND + int((found[7] or "").ljust(9, "0"))
    if not MIN_INT <= ns <= MAX_INT:
        raise ValueProblem(f'time "{text}" is out of range')
    return Time(ns)


def time_text(ns: int) -> str:
    """RFC 3339 with the zeros at the end of the fraction left out, as Go prints RFC3339Nano."""
    seconds, fraction = divmod(ns, SECOND)
    text = str(np.datetime64(seconds, "s"))
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"


def float_text(value: float) -> str:
    """The shortest digits that read back as the same float, never with an exponent (Go: FormatFloat 'f', -1)."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        digits, exponent = text.lstrip("-").split("e")
        whole, _, fraction = digits.partition(".")
        figures, point = whole + fraction, len(whole) + int(exponent)
        if point <= 0:
            body = "0." + "0" * -point + figures
        elif point >= len(figures):
            body = figures + "0" * (point - len(figures))
        else:
            body = f"{figures[:point]}.{figures[point:]}"
        return ("-" if text[0] == "-" else "") + body
    return text.removesuffix(".0")


def type_name(value: object) -> str:
    """The Flux name of a value's type, as error messages spell it."""
    for kind, name in (
        (bool, "bool"),
        (UInt, "uint"),
        (int, "int"),
        (float, "float"),
        (str, "string"),
        (Time, "time"),
        (Duration, "duration"),
        (re.Pattern, "regexp"),
        (list, "array"),
        (dict, "record"),
        (type(None), "null"),
    ):
        if isinstance(value, kind):
            return name
    return getattr(value, "flux_type", "function")
