"""The order-independent digest of points: the same class for export frames and for what a bucket gives back.

Two 64-bit lanes, each the sum modulo 2^64 over all values of mix(mix(mix(k) ^ t) ^ (v + type)), kept with counts per
field, 64 time bins and a histogram of series by time. Definition and vectors: `docs/digest.md`; arithmetic: `hashing`.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from isal import isal_zlib

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import Block, BlockColumn, SeriesBatch
from ts_migration.line_protocol.mapping import Mapping as PointMapping
from ts_migration.manifests import DigestRecord
from ts_migration.validation.batch_hashes import BatchKeys, batch_sums
from ts_migration.validation.frame_values import TIME_COLUMN, SeriesRegistry, values_of
from ts_migration.validation.hashing import (
    I64,
    MASK,
    SERIES_BUCKETS,
    TIME_BINS,
    U64,
    StringHashes,
    point_hashes,
    series_buckets,
)
from ts_migration.windows import Window

_COVERAGE_LEVEL = 1
"""Most of a histogram is zeros: a fifth of zlib's time, which a small window feels."""

Coverage = npt.NDArray[np.uint64]


class Binning:
    """The time bins of a vector of times: 64 equal bins of ceil((end - start) / 64) ns each."""

    def __init__(self, window: Window, times: I64) -> None:
        self.bins = time_bins(window, times).astype(np.uint8)
        self.counts = np.bincount(self.bins, minlength=TIME_BINS)
        sorted_already = len(times) < 2 or bool(np.all(self.bins[1:] >= self.bins[:-1]))
        self._order = None if sorted_already else np.argsort(self.bins, kind="stable")
        self._filled = np.flatnonzero(self.counts)
        self._starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])[self._filled]

    def sums(self, hashes: U64) -> U64:
        """Sum modulo 2^64 of the hashes of each bin."""
        result = np.zeros(TIME_BINS, np.uint64)
        if len(self._filled):
            ordered = hashes if self._order is None else hashes[self._order]
            result[self._filled] = np.add.reduceat(ordered, self._starts)
        return result


def time_bins(window: Window, times: I64) -> I64:
    """The time bin of each time of a window."""
    since_start = times.view(np.uint64) - np.uint64(window.start_ns & MASK)
    return (since_start // np.uint64(bin_width(window))).astype(np.int64)


def bin_width(window: Window) -> int:
    """ns of one time bin, rounded up so that 64 of them cover the window."""
    return max(1, -(-(window.end_ns - window.start_ns) // TIME_BINS))


def bin_window(window: Window, index: int) -> Window:
    """The part of a window that a time bin covers."""
    width = bin_width(window)
    start = window.start_ns + index * width
    return Window(min(start, window.end_ns), min(start + width, window.end_ns), window.key)


class PointDigest:
    """Adds points in any order and in any portions; digests of parts of one window can be merged.

    Args:
        window_start_ns: start of the window, included. Every point must lie inside.
        window_end_ns: end of the window, excluded.
    """

    def __init__(self, window_start_ns: int, window_end_ns: int) -> None:
        self.window = Window(window_start_ns, window_end_ns)
        self.counts: Counter[str] = Counter()
        self.coverage: Coverage = np.zeros((SERIES_BUCKETS, TIME_BINS), np.uint64)
        """Values by series bucket and time bin."""
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._bin_values = np.zeros(TIME_BINS, np.int64)
        self._bin_lanes = np.zeros((2, TIME_BINS), np.uint64)
        self._series = _SeriesSet()
        self._strings = StringHashes()
        self._registry: SeriesRegistry | None = None

    def add_frame(self, frame: pl.DataFrame, mapping: PointMapping) -> None:
        """Add an export frame: dimensions and measure_name as String, `time_ns` Int64, measures typed as exported.

        Raises:
            Permanent: a row lies outside the window, or the frame does not fit the mapping.
        """
        if frame.is_empty():
            return
        if self._registry is None or self._registry.mapping != mapping:
            self._registry = SeriesRegistry(mapping)
        registry = self._registry
        times = frame[TIME_COLUMN].to_numpy()
        self._require_inside(times)
        numbers = registry.numbers_of(frame)
        whole = Binning(self.window, times)
        per_row = np.zeros(len(frame), np.int64)
        for values in values_of(frame, registry, numbers, self._strings):
            rows = values.rows
            own, at = (numbers, times) if rows is None else (numbers[rows], times[rows])
            keys = [registry.keys[lane, values.slot][own] for lane in (0, 1)]
            self._add(keys, at, values.bits, whole if rows is None else Binning(self.window, at))
            per_row[slice(None) if rows is None else rows] += 1
            if isinstance(values.fields, int):
                self.counts[mapping.fields[values.fields].field] += len(values.bits)
            else:
                for index, count in enumerate(np.bincount(values.fields, minlength=len(mapping.fields)).tolist()):
                    if count:
                        self.counts[mapping.fields[index].field] += count
        self._cover(registry.buckets[numbers], whole, per_row)
        kept = per_row > 0
        self._see_times(times if kept.all() else times[kept])
        seen = np.zeros(len(registry.series), np.bool_)
        seen[numbers[kept]] = True
        self._series.add(registry.series[seen])

    def add_block(self, measurement: str, tags: Mapping[str, str], times: I64, columns: Iterable[BlockColumn]) -> None:
        """Add points of one series as a bucket gives them back.

        Raises:
            Permanent: a point lies outside the window.
        """
        self.add_batch(SeriesBatch.of(Block(measurement, dict(tags), times, tuple(columns))))

    def add_blocks(self, blocks: Iterable[Block]) -> None:
        """Add all of a stream of blocks."""
        for block in blocks:
            self.add_batch(SeriesBatch.of(block))

    def add_batch(self, batch: SeriesBatch, keys: BatchKeys | None = None) -> None:
        """Add points of several series as a bucket gives them back.

        Args:
            batch: of points that are nowhere else added.
            keys: of the batch, where they are made already.

        Raises:
            Permanent: a point lies outside the window.
        """
        if not len(batch.times):
            return
        self._require_inside(batch.times)
        keys = keys or BatchKeys.of(batch)
        sums, per_point = batch_sums(batch, keys, self._strings)
        for column in batch.columns:
            self.counts[column.field] += column.count
        bins = time_bins(self.window, batch.times)
        cells = series_buckets(keys.series)[keys.owners] * TIME_BINS + bins
        # Points of one series and bin lie side by side: few runs of long series, and no sum over bins point by point.
        starts = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1])
        values = np.add.reduceat(per_point, starts)
        np.add.at(self.coverage.reshape(-1), cells[starts], values.astype(np.uint64))
        np.add.at(self._bin_values, bins[starts], values)
        for lane in (0, 1):
            np.add.at(self._bin_lanes[lane], bins[starts], np.add.reduceat(sums[lane], starts))
        self._see_times(batch.times if per_point.all() else batch.times[per_point > 0])
        held = np.bincount(keys.owners, per_point, minlength=len(keys.series)) > 0
        self._series.add(keys.series[held])

    def merge(self, other: "PointDigest") -> None:
        """Add everything that another digest of the same window holds.

        Raises:
            ValueError: its window is another one: bins would not mean the same.
        """
        if (other.window.start_ns, other.window.end_ns) != (self.window.start_ns, self.window.end_ns):
            raise ValueError(f"digests of different windows cannot be merged: {self.window} and {other.window}")
        self.counts.update(other.counts)
        self.coverage += other.coverage
        self._bin_values += other._bin_values
        self._bin_lanes += other._bin_lanes
        self._series.add(other._series.hashes)
        for edge in (other.first_ns, other.last_ns):
            if edge is not None:
                self._see_times(np.array([edge], np.int64))

    def record(self) -> DigestRecord:
        """The digest as manifests keep it."""
        pairs = zip(self._bin_lanes[0].tolist(), self._bin_lanes[1].tolist(), strict=True)
        return DigestRecord(
            lanes=self.lanes,
            values=int(self._bin_values.sum()),
            counts=dict(sorted(self.counts.items())),
            bin_values=tuple(self._bin_values.tolist()),
            bin_lanes=tuple(pairs),
            first_ns=self.first_ns,
            last_ns=self.last_ns,
        )

    @property
    def lanes(self) -> tuple[int, int]:
        """The two sums over everything that was added."""
        lanes = [sum(self._bin_lanes[lane].tolist()) & MASK for lane in (0, 1)]
        return lanes[0], lanes[1]

    def coverage_bytes(self) -> bytes:
        """The histogram as zlib-compressed little-endian uint32, series bucket by series bucket."""
        if int(self.coverage.max()) > 2**32 - 1:
            raise Permanent(
                "more than 2^32 values of one series bucket in one time bin", next_step="use shorter windows"
            )
        return bytes(isal_zlib.compress(self.coverage.astype("<u4"), _COVERAGE_LEVEL))

    @property
    def series(self) -> int:
        """Distinct series with at least one value."""
        return len(self._series.hashes)

    def _add(self, keys: Sequence[U64 | np.uint64], times: I64, bits: U64, binning: Binning) -> None:
        unsigned = times.view(np.uint64)
        for lane in (0, 1):
            self._bin_lanes[lane] += binning.sums(point_hashes(keys[lane], unsigned, bits, lane))
        self._bin_values += binning.counts

    def _cover(self, buckets: I64, binning: Binning, weights: I64 | None) -> None:
        flat = buckets * TIME_BINS + binning.bins
        size = SERIES_BUCKETS * TIME_BINS
        if len(flat) < size // 16:
            np.add.at(self.coverage.reshape(-1), flat, np.uint64(1) if weights is None else weights.astype(np.uint64))
        else:
            self.coverage += (
                np.bincount(flat, weights, minlength=size).astype(np.uint64).reshape(SERIES_BUCKETS, TIME_BINS)
            )

    def _see_times(self, times: I64) -> None:
        if len(times):
            first, last = int(times.min()), int(times.max())
            self.first_ns = first if self.first_ns is None else min(first, self.first_ns)
            self.last_ns = last if self.last_ns is None else max(last, self.last_ns)

    def _require_inside(self, times: I64) -> None:
        first, last = int(times.min()), int(times.max())
        if first < self.window.start_ns or last >= self.window.end_ns:
            outside = first if first < self.window.start_ns else last
            raise Permanent(f"a point at {outside} ns lies outside the window", where=str(self.window))


class _SeriesSet:
    """Distinct series hashes at eight bytes each: a Python set of ten million would take 600 MB."""

    _PENDING = 100_000

    def __init__(self) -> None:
        self._known = np.empty(0, np.uint64)
        self._pending: list[U64] = []
        self._count = 0

    def add(self, hashes: U64) -> None:
        self._pending.append(hashes)
        self._count += len(hashes)
        if self._count > self._PENDING + len(self._known):
            self._compact()

    def _compact(self) -> None:
        self._known = np.unique(np.concatenate([self._known, *self._pending]))
        self._pending, self._count = [], 0

    @property
    def hashes(self) -> U64:
        """All of them, ascending."""
        if self._pending:
            self._compact()
        return self._known


def coverage_from_bytes(body: bytes) -> Coverage:
    """The histogram that `coverage_bytes` wrote.

    Raises:
        Permanent: it is damaged.
    """
    try:
        flat = np.frombuffer(zlib.decompress(body), "<u4")
    except zlib.error as error:
        raise Permanent(f"the coverage histogram is damaged: {error}") from error
    if len(flat) != SERIES_BUCKETS * TIME_BINS:
        raise Permanent(f"the coverage histogram has {len(flat)} entries, not {SERIES_BUCKETS * TIME_BINS}")
    return flat.astype(np.uint64).reshape(SERIES_BUCKETS, TIME_BINS)
