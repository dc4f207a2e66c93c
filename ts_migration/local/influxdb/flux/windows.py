"""Windows of time: where they begin and end, and which of them a time belongs to.

Arithmetic of times only. Windows are counted from 1970 in UTC, moved by an offset; months are counted as months.
"""

from dataclasses import dataclass

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.streams import Bounds
from ts_migration.local.influxdb.flux.tables import Array
from ts_migration.local.influxdb.flux.values import MAX_INT, Duration

MONTHS_OF_INT64 = 3507
"""Months before and after 1970 whose first moment int64 ns can hold."""
MOST_WINDOWS = 10_000_000
"""More windows than this in one range are refused: they would fill the memory of a laptop."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of `period` that begin every `every`, shifted by `offset`."""

    every: Duration
    period: Duration
    offset: Duration

    def __post_init__(self) -> None:
        for name, duration in (("every", self.every), ("period", self.period)):
            if duration.months and duration.ns:
                raise ValueProblem("duration used as an interval cannot mix month and nanosecond units")
            if duration.months < 0 or duration.ns < 0 or not (duration.months or duration.ns):
                raise ValueProblem(f"window {name} must be a positive duration")
        if self.offset.months:
            raise ValueProblem("a window offset in months is not supported by the embedded InfluxDB")

    @property
    def adjoining(self) -> bool:
        """Whether each time is in exactly one window."""
        return self.every == self.period

    def starts(self, bounds: Bounds) -> Array:
        """Starts (ns) of all windows that overlap the bounds, ascending, not clipped."""
        if self.every.months:
            return self._month_starts(bounds)
        every, offset = self.every.ns, self.offset.ns
        reach = self.period.ns if not self.period.months else self.period.months * 31 * 86_400 * 10**9
        first = (bounds.start - reach - offset) // every + 1
        last = (bounds.stop - 1 - offset) // every
        if last - first >= MOST_WINDOWS:
            raise ValueProblem(
                f"more than {MOST_WINDOWS} windows in a range are not supported by the embedded InfluxDB"
            )
        if max(abs(first), abs(last)) * every + abs(offset) > MAX_INT:
            raise ValueProblem(f"windows of {self.every} reach beyond the times that InfluxDB can hold")
        found = np.arange(first, last + 1, dtype=np.int64) * every + offset
        return found[self.ends(found) > bounds.start]

    def _month_starts(self, bounds: Bounds) -> Array:
        offset, step = self.offset.ns, self.every.months
        edges = [max(bounds.start - offset, -MAX_INT), min(bounds.stop - 1 - offset, MAX_INT)]
        months = np.array(edges).astype("datetime64[ns]").astype("datetime64[M]")
        low, high = (int(month) for month in months.astype(np.int64))
        reach = self.period.months or 1 + self.period.ns // (28 * 86_400 * 10**9)
        first = (low - reach) // step * step
        if first < -MONTHS_OF_INT64 or high + reach > MONTHS_OF_INT64:
            raise ValueProblem(f"windows of {self.every} reach beyond the times that InfluxDB can hold")
        numbers = np.arange(first, high + 1, step, dtype=np.int64)
        found = numbers.astype("datetime64[M]").astype("datetime64[ns]").astype(np.int64) + offset
        return found[(self.ends(found) > bounds.start) & (found < bounds.stop)]

    def ends(self, starts: Array) -> Array:
        """Stops (ns, exclusive) of windows that begin at `starts`."""
        if not self.period.months:
            # a stop beyond the last moment of int64 is clipped: ranges end before it
            return np.where(starts > MAX_INT - self.period.ns, MAX_INT, starts + self.period.ns)
        moved = starts - self.offset.ns
        months = moved.astype("datetime64[ns]").astype("datetime64[M]")
        within = moved - months.astype("datetime64[ns]").astype(np.int64)
        later = (months + self.period.months).astype("datetime64[ns]").astype(np.int64)
        ends: Array = later + within + self.offset.ns
        return ends

    def clipped(self, bounds: Bounds) -> tuple[Array, Array]:
        """Starts and stops of all windows that overlap the bounds, cut to them."""
        starts = self.starts(bounds)
        return np.maximum(starts, bounds.start), np.minimum(self.ends(starts), bounds.stop)


def locate(windows: Windows, bounds: Bounds, times: Array) -> tuple[Array, Array, Array, Array]:
    """Rows of each window in ascending times: window starts, stops (clipped), first row, row after the last."""
    starts, stops = windows.clipped(bounds)
    return starts, stops, np.searchsorted(times, starts, "left"), np.searchsorted(times, stops, "left")
