"""Shard groups: the stretches of time within which a field has one type and that retention drops as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_GO_ZERO_NS = -62_135_596_800 * 10**9
"""Go's time.Truncate counts from year 1: groups of 7 days begin on Mondays (recorded: 30 days begin on 2022-12-22)."""

Ints = npt.NDArray[np.int64]


def default_duration(retention_ns: int) -> int:
    """The shard group duration of a bucket that names none: facts section 3 (v1/services/meta/data.go)."""
    if retention_ns == 0 or retention_ns >= 180 * DAY_NS:
        return 7 * DAY_NS
    if retention_ns >= 2 * DAY_NS:
        return DAY_NS
    return HOUR_NS


@dataclass(frozen=True, slots=True, order=True)
class ShardGroup:
    """A half-open stretch of time in ns, [start, end)."""

    start: int
    end: int


class ShardGroups:
    """The shard groups of a bucket, in time order, made when the first point of their time arrives.

    Changing the bucket's duration changes only groups made later; they never overlap existing ones.
    """

    def __init__(self, groups: list[ShardGroup] | None = None) -> None:
        self._groups = sorted(groups or [])
        self._index()

    def _index(self) -> None:
        self._starts = np.array([group.start for group in self._groups], dtype=np.int64)
        self._ends = np.array([group.end for group in self._groups], dtype=np.int64)

    def __iter__(self) -> "object":
        return iter(self._groups)

    def all(self) -> list[ShardGroup]:
        """Every group, in time order."""
        return list(self._groups)

    def find(self, times: Ints) -> Ints:
        """The start of the group that holds each time; where there is none, `MIN_TIME_NS - 1`."""
        none = MIN_TIME_NS - 1
        if not self._groups:
            return np.full(len(times), none, dtype=np.int64)
        if len(times):
            low, high = int(times.min()), int(times.max())
            at = int(np.searchsorted(self._starts, low, side="right")) - 1
            if at >= 0 and high < self._ends[at]:
                return np.full(len(times), self._starts[at], dtype=np.int64)
        index = np.searchsorted(self._starts, times, side="right") - 1
        clipped = np.maximum(index, 0)
        held = (index >= 0) & (times < self._ends[clipped])
        return np.where(held, self._starts[clipped], none)

    def find_or_make(self, times: Ints, duration_ns: int) -> Ints:
        """The start of the group that holds each time, making groups of this duration where there is none."""
        found = self.find(times)
        missing = times[found < MIN_TIME_NS]
        if not len(missing):
            return found
        offset = -_GO_ZERO_NS % duration_ns
        quotient, rest = np.divmod(missing, duration_ns)
        for number in np.unique(quotient + (rest + offset) // duration_ns).tolist():
            start = number * duration_ns - offset
            self.add(ShardGroup(max(start, MIN_TIME_NS), min(start + duration_ns, MAX_TIME_NS + 1)))
        return self.find(times)

    def add(self, group: ShardGroup) -> None:
        """Add a group, shortened where it would overlap others; nothing where they leave no room."""
        start, end = group.start, group.end
        for other in self._groups:
            if other.start <= start < other.end:
                start = other.end
            elif start < other.start < end:
                end = other.start
        if start < end and ShardGroup(start, end) not in self._groups:
            self._groups = sorted([*self._groups, ShardGroup(start, end)])
            self._index()

    def add_all(self, groups: Iterable[ShardGroup]) -> None:
        """Add many groups, as `add` does; those of a new bucket, which do not overlap, at once."""
        ordered = sorted(set(groups))
        if not self._groups and all(one.end <= other.start for one, other in pairwise(ordered)):
            self._groups = ordered
            self._index()
            return
        for group in ordered:
            self.add(group)

    def remove(self, group: ShardGroup) -> None:
        """Forget a group that retention dropped."""
        self._groups.remove(group)
        self._index()
