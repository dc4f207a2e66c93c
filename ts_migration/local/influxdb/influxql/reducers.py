"""Aggregates and selectors over segments: rows sorted into groups and windows, each reduced at once.

Rules: influxql/query/call_iterator.go and functions.go of InfluxDB 2.7.11. A reducer takes `starts`, the first row of
each segment, and answers either rows (a selector) or values (an aggregate). Nothing here knows windows or tags.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.frames import Column
from ts_migration.local.influxdb.points import FieldType

Places = npt.NDArray[np.int64]
_NUMBERS = frozenset((FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED))
_ALL = frozenset(FieldType)
ALLOWED: dict[str, frozenset[FieldType]] = dict.fromkeys(
    ("sum", "mean", "spread", "median", "stddev", "percentile"), _NUMBERS
)
ALLOWED |= dict.fromkeys(("count", "first", "last", "mode", "distinct"), _ALL)
ALLOWED |= dict.fromkeys(("min", "max"), _ALL - {FieldType.STRING})


def check_type(call: str, type_: FieldType) -> None:
    """Refuse a function on a type, in InfluxDB's words."""
    if type_ not in ALLOWED[call]:
        raise StatementError(f"unsupported {call} iterator type: *query.{type_.value}InterruptIterator")


def lengths_of(starts: Places, count: int) -> Places:
    """Rows of each segment."""
    return np.diff(starts, append=count)


def segments_of(starts: Places, count: int) -> Places:
    """The segment of each row."""
    return np.repeat(np.arange(len(starts)), lengths_of(starts, count))


def summed(values: npt.NDArray[Any], starts: Places) -> npt.NDArray[Any]:
    """Sums; integers wrap around as int64 does."""
    if values.dtype == np.float64:
        return np.bincount(segments_of(starts, len(values)), values, len(starts))
    with np.errstate(over="ignore"):
        return np.asarray(np.add.reduceat(values, starts))


def selected(name: str, times: Places, values: npt.NDArray[Any], starts: Places) -> Places:
    """The row that min, max, first or last chooses in each segment.

    Equal extremes: the earliest for min and max, the larger value for first and last, but false for the first boolean.
    """
    if name in ("min", "max"):
        ranked = values.view(np.uint8) if values.dtype == np.bool_ else values
        extreme = (np.minimum if name == "min" else np.maximum).reduceat(ranked, starts)
        candidates = np.flatnonzero(ranked == extreme[segments_of(starts, len(values))])
        return _first_of(candidates, starts, len(values), times[candidates])
    extreme = (np.minimum if name == "first" else np.maximum).reduceat(times, starts)
    candidates = np.flatnonzero(times == extreme[segments_of(starts, len(values))])
    if len(candidates) == len(starts):
        return candidates
    ranks = np.unique(values[candidates], return_inverse=True)[1].astype(np.int64)
    prefers_less = name == "first" and values.dtype == np.bool_
    return _first_of(candidates, starts, len(values), ranks if prefers_less else -ranks)


def _first_of(candidates: Places, starts: Places, count: int, key: Places) -> Places:
    """The candidate with the least key in each segment, the foremost among equals."""
    segment = segments_of(starts, count)[candidates]
    order = np.lexsort((np.arange(len(candidates)), key, segment))
    first = np.flatnonzero(np.diff(segment[order], prepend=-1))
    return np.asarray(candidates[order[first]], np.int64)


def percentile(share: float, values: npt.NDArray[Any], starts: Places) -> tuple[Places, Places]:
    """The chosen rows, and the segments that have one: a share that rounds to none or past the end has none."""
    lengths = lengths_of(starts, len(values))
    place = np.floor(lengths * share / 100.0 + 0.5).astype(np.int64) - 1
    has = np.flatnonzero((place >= 0) & (place < lengths))
    order = np.lexsort((values, segments_of(starts, len(values))))
    return np.asarray(order[(starts + place)[has]], np.int64), has


def median(values: npt.NDArray[Any], starts: Places) -> npt.NDArray[np.float64]:
    """The middle value, or the middle of the two middle ones."""
    lengths = lengths_of(starts, len(values))
    ordered = values[np.lexsort((values, segments_of(starts, len(values))))]
    high = ordered[starts + lengths // 2]
    low = ordered[starts + np.maximum(lengths // 2 - 1, 0)]
    with np.errstate(over="ignore"):
        halves = low.astype(np.float64) + (high - low).astype(np.float64) / 2
    return np.asarray(np.where(lengths % 2 == 0, halves, high.astype(np.float64)))


def stddev(values: npt.NDArray[Any], starts: Places) -> Column:
    """The deviation of a sample; null where there is one row only."""
    lengths = lengths_of(starts, len(values))
    segment = segments_of(starts, len(values))
    numbers = values.astype(np.float64)
    means = np.bincount(segment, numbers, len(starts)) / lengths
    squares = np.bincount(segment, (numbers - means[segment]) ** 2, len(starts))
    found = np.sqrt(squares / np.maximum(lengths - 1, 1))
    return Column(FieldType.FLOAT, found, None if (lengths > 1).all() else lengths > 1)


def distinct(times: Places, values: npt.NDArray[Any], starts: Places) -> Places:
    """The first row of every value in each segment, by time, then value."""
    segment = segments_of(starts, len(values))
    ranks = np.unique(values, return_inverse=True)[1]
    order = np.lexsort((times, ranks, segment))
    fresh = (np.diff(segment[order], prepend=-1) != 0) | (np.diff(ranks[order], prepend=-1) != 0)
    found = order[fresh]
    return np.asarray(found[np.lexsort((ranks[found], times[found], segment[found]))], np.int64)


def mode(times: Places, values: npt.NDArray[Any], starts: Places) -> Places:
    """A row of the most frequent value of each segment; among equals the value seen earliest, for booleans true."""
    segment = segments_of(starts, len(values))
    ranks = np.unique(values, return_inverse=True)[1]
    order = np.lexsort((times, ranks, segment))
    runs = np.flatnonzero((np.diff(segment[order], prepend=-1) != 0) | (np.diff(ranks[order], prepend=-1) != 0))
    frequency = np.diff(runs, append=len(order))
    rows = order[runs]
    preference = -ranks[rows] if values.dtype == np.bool_ else times[rows]
    best = np.lexsort((preference, -frequency, segment[rows]))
    first = np.flatnonzero(np.diff(segment[rows][best], prepend=-1))
    return np.asarray(rows[best[first]], np.int64)
