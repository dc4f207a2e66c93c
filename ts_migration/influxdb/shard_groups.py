"""Shard groups: the stretches of time that a bucket's points are kept in, as the server itself would cut them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ts_migration.windows import NS_PER_S, Window

_GO_ZERO_NS = -62_135_596_800 * NS_PER_S
"""Groups begin at multiples of their duration since year 1, as Go's time.Truncate counts."""


@dataclass(frozen=True, slots=True, order=True)
class ShardGroup:
    """A half-open stretch of time, ns."""

    start_ns: int
    end_ns: int


def groups_of(window: Window, duration_s: int) -> Iterator[ShardGroup]:
    """The whole groups of a duration that hold any time of a window, in time order."""
    duration = duration_s * NS_PER_S
    start = window.start_ns - (window.start_ns - _GO_ZERO_NS) % duration
    while start < window.end_ns:
        yield ShardGroup(start, start + duration)
        start += duration
