"""Half-open windows [start, end) in integer nanoseconds, and the grid that cuts a job's range into them.

A grid is a cron expression in UTC. Its windows are whole: the first may start before the job's range and the last may
end after it, and each is clipped to the range before anything is read (Dagster's time partitions are whole windows
only). Nothing here knows Dagster; `orchestration.partitions` builds the same keys from the same grid, and a test holds
them equal.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from croniter import croniter

from ts_migration.errors import ConfigurationError, Missing

NS_PER_S = 1_000_000_000
MIN_TIME_NS = -(2**63)
MAX_TIME_NS = 2**63 - 1

NAMED_GRIDS = {"hour": "0 * * * *", "day": "0 0 * * *", "week": "0 0 * * 1", "month": "0 0 1 * *"}
"""Cron of each named window; weeks begin on Monday (ISO 8601)."""

MAX_WINDOWS = 50_000
"""Dagster's UI is reported to struggle above 30,000 to 40,000 partitions of an asset."""


def to_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware datetime, exactly (a float would lose digits)."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000


def from_ns(ns: int) -> datetime:
    """UTC datetime of a time in nanoseconds, rounded down to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)


def iso(ns: int) -> str:
    """RFC 3339 text of a time in nanoseconds, exact, with as many digits as it needs."""
    seconds, fraction = divmod(ns, NS_PER_S)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    return text + "Z"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open range of time, ns since the epoch, with the partition key that names it."""

    start_ns: int
    end_ns: int
    key: str = ""

    def __str__(self) -> str:
        return f"{self.key or 'range'} [{iso(self.start_ns)}, {iso(self.end_ns)})"

    @property
    def empty(self) -> bool:
        """True where no time lies inside."""
        return self.end_ns <= self.start_ns

    def contains(self, time_ns: int) -> bool:
        """Whether a time lies inside, the end excluded."""
        return self.start_ns <= time_ns < self.end_ns

    def halves(self) -> tuple["Window", "Window"]:
        """Two windows that together are this one, cut in the middle."""
        middle = (self.start_ns + self.end_ns) // 2
        return Window(self.start_ns, middle, self.key), Window(middle, self.end_ns, self.key)


@dataclass(frozen=True)
class Grid:
    """The cut of a range [start_ns, end_ns) into windows at the times of a cron expression, UTC."""

    cron: str
    start_ns: int
    end_ns: int

    @property
    def key_format(self) -> str:
        """strftime format of partition keys: dates where every window starts at midnight, else date and time."""
        minute, hour, *_ = self.cron.split()
        return "%Y-%m-%d" if minute == "0" and hour == "0" else "%Y-%m-%dT%H%M"

    @cached_property
    def edges(self) -> tuple[datetime, ...]:
        """Starts of all windows and the end of the last: the range floored and ceiled to the grid, UTC."""
        start, end = from_ns(self.start_ns), from_ns(self.end_ns)
        if to_ns(end) < self.end_ns:
            end += timedelta(microseconds=1)
        edges = [_at_or_before(self.cron, start)]
        ticks = croniter(self.cron, edges[0])
        while edges[-1] < end:
            edges.append(ticks.get_next(datetime))
            if len(edges) > MAX_WINDOWS + 1:
                raise ConfigurationError(
                    [f"window {self.cron!r} makes more than {MAX_WINDOWS:,} windows; choose a longer one"]
                )
        return tuple(edges)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Partition keys, in time order."""
        return tuple(edge.strftime(self.key_format) for edge in self.edges[:-1])

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Window]:
        return (self._window(index) for index in range(len(self)))

    def window(self, key: str) -> Window:
        """The clipped window of a partition key.

        Raises:
            Missing: the key is not one of this grid's.
        """
        index = bisect.bisect_left(self.keys, key)
        if index == len(self.keys) or self.keys[index] != key:
            known = f"{self.keys[0]} to {self.keys[-1]}, {len(self)} windows of {self.cron!r}" if self.keys else "none"
            raise Missing(f"there is no window {key!r}", allowed=known)
        return self._window(index)

    def between(self, first: str, last: str) -> list[Window]:
        """Windows from one partition key to another, both included."""
        self.window(first), self.window(last)
        return [window for window in self if first <= window.key <= last]

    def _window(self, index: int) -> Window:
        start = max(to_ns(self.edges[index]), self.start_ns)
        end = min(to_ns(self.edges[index + 1]), self.end_ns)
        return Window(start, end, self.keys[index])


def edge_after(cron: str, time_ns: int) -> int:
    """The first time of a cron expression after a time, ns: where a window that holds the time ends."""
    edge: datetime = croniter(cron, from_ns(time_ns)).get_next(datetime)
    return to_ns(edge)


def _at_or_before(cron: str, moment: datetime) -> datetime:
    """The latest tick of the cron at or before a moment."""
    tick: datetime = croniter(cron, moment + timedelta(seconds=1)).get_prev(datetime)
    return tick if tick <= moment else croniter(cron, moment).get_prev(datetime)
