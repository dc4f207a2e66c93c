"""The kinds of values that the configuration is written in: times, durations, names; each refuses with what it allows.

A mistake in one is a ValueError whose text is what is allowed; `config` makes the line for the reader of it.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from croniter import CroniterError, croniter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ts_migration.allowed_hours import ALLOWED, AllowedHours
from ts_migration.windows import MAX_TIME_NS, MIN_TIME_NS, NAMED_GRIDS, NS_PER_S, to_ns

_TIME_ALLOWED = "a time such as 2023-01-01T00:00:00Z, from 1678 to 2261; without an offset it is read as UTC"
_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?$")


def time_ns(value: object) -> int:
    """Nanoseconds since the epoch of a time in the configuration, exact to the nanosecond.

    Raises:
        ValueError: it is none, or one that no Timestream table can hold (int64 ns: 1677-09-21 to 2262-04-11).
    """
    time = _any_time_ns(value)
    # A minute of room: the exclusive end of a range lies after its last second.
    if not MIN_TIME_NS <= time <= MAX_TIME_NS - 60 * NS_PER_S:
        raise ValueError(_TIME_ALLOWED)
    return time


def _any_time_ns(value: object) -> int:
    if isinstance(value, datetime):
        return to_ns(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date):
        return to_ns(datetime(value.year, value.month, value.day, tzinfo=UTC))
    match = _TIME.match(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(_TIME_ALLOWED)
    day, clock, fraction, offset = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{'+00:00' if offset in (None, 'Z') else offset}")
    except ValueError:
        raise ValueError(_TIME_ALLOWED) from None
    return to_ns(whole) + int((fraction or "").ljust(9, "0"))


def exclusive_end_ns(value: object) -> int:
    """The exclusive end of a range. `23:59:59` with no fraction means through that whole second."""
    end = time_ns(value)
    return end + NS_PER_S if end % (60 * NS_PER_S) == 59 * NS_PER_S else end


_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d|w)$")
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _duration_s(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value.strip())
        if not match:
            raise ValueError("a duration such as 12h, 7d or 30d")
        return int(match[1]) * _DURATION_UNITS[match[2]]
    return value


def _cron(value: object) -> str:
    if isinstance(value, str) and value in NAMED_GRIDS:
        return NAMED_GRIDS[value]
    if isinstance(value, str) and len(value.split()) == 5 and _fires(value):
        return " ".join(value.split())
    raise ValueError(f"{', '.join(NAMED_GRIDS)} or a cron expression of five fields, UTC")


def _fires(cron: str) -> bool:
    """Whether a cron expression is one and has times at all: `0 0 31 2 *` has none."""
    try:
        croniter(cron, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except CroniterError:
        return False
    return True


def _bucket_name(value: object) -> object:
    """InfluxDB keeps names that begin with an underscore to itself, and refuses quotes (docs, bucket naming)."""
    if isinstance(value, str) and (value.startswith("_") or '"' in value or not value.strip()):
        raise ValueError("a bucket's name, not empty, without quotes, that does not begin with _")
    return value


def _connections(value: object) -> object:
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
        return value
    raise ValueError("auto, or a whole number from 1 to 64")


def _compression(value: object) -> object:
    if value == "none":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9:
        return value
    raise ValueError("none, or a gzip level from 0 to 9")


_OWNER = re.compile(r"^(team:[A-Za-z0-9_.-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$")


def _owner(value: object) -> object:
    """Owners as Dagster takes them."""
    if isinstance(value, str) and not _OWNER.match(value):
        raise ValueError("an e-mail address, or a team as team:name")
    return value


def _timestream_name(value: object) -> object:
    if isinstance(value, str) and (not re.fullmatch(r"[a-zA-Z0-9_.-]{1,256}", value) or set(value) == {"."}):
        raise ValueError("letters, digits, _ . and -, at most 256")
    return value


def _hours(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(ALLOWED)
    AllowedHours.parse(value)
    return value


TimeNs = Annotated[int, BeforeValidator(time_ns)]
EndNs = Annotated[int, BeforeValidator(exclusive_end_ns)]
DurationS = Annotated[int, BeforeValidator(_duration_s)]
Cron = Annotated[str, BeforeValidator(_cron)]
Connections = Annotated[int | None, BeforeValidator(_connections)]
Compression = Annotated[int | None, BeforeValidator(_compression)]
Text = Annotated[str, Field(min_length=1)]
Owner = Annotated[str, BeforeValidator(_owner)]
TimestreamName = Annotated[str, BeforeValidator(_timestream_name)]
BucketName = Annotated[str, BeforeValidator(_bucket_name)]
Hours = Annotated[str, BeforeValidator(_hours)]


class Section(BaseModel):
    """What all sections share: no unknown keys, no change after loading, no silent conversions between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
