"""Naming the points that differ: the time bins whose digests differ are read again, from the export and the bucket.

Bounded: a million values at a time, and without a tolerance only the first part of what differs. The comparison itself
is in `validation.differences`.
"""

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from ts_migration.influxdb.blocks import Block
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.line_protocol.rewrites import say
from ts_migration.manifests import ExportManifest, LineProtocolManifest
from ts_migration.objects import ExportBucket
from ts_migration.validation.checksum import differing_bins
from ts_migration.validation.differences import Differences, compare
from ts_migration.validation.digest import bin_window
from ts_migration.validation.frame_values import TIME_COLUMN
from ts_migration.validation.point_values import BlockPoints, FramePoints
from ts_migration.validation.readings import Reading
from ts_migration.windows import Window

VALUES_AT_A_TIME = 1_000_000
"""Values of each side that are compared at a time: some 200 MB."""
_FRAME_ROWS = 200_000

Blocks = Callable[[Window], Iterable[Block]]
"""The points of a part of the window, from the bucket."""


def pinpoint(
    bucket: ExportBucket,
    export: ExportManifest,
    converted: LineProtocolManifest,
    mapping: Mapping,
    window: Window,
    reading: Reading,
    blocks: Blocks,
) -> Differences:
    """Compare the bins that differ, value by value.

    Raises:
        Missing: the export files are gone.
        Transient: a side failed for now.
    """
    groups = list(_groups(reading))
    found = Differences()
    for index, group in enumerate(groups):
        parts = [bin_window(window, number) for number in group]
        expected, actual = FramePoints(mapping), BlockPoints()
        for frame in export_frames(bucket, export, mapping, _FRAME_ROWS):
            inside = frame.filter(_within(parts))
            expected.add(say(inside, mapping, converted.rewrite).accepted if converted.altered else inside)
        for part in _joined(parts):
            actual.add(blocks(part))
        found += compare(expected, actual)
        # Without a tolerance the verdict is known: twenty points with both values are enough.
        if reading.count_tolerance <= 0 and index + 1 < len(groups) and found.lines:
            return Differences(found.missing, found.extra, found.changed, found.lines, complete=False)
    return found


def _groups(reading: Reading) -> Iterator[list[int]]:
    """The differing bins in groups of a bounded number of values."""
    expected, actual = reading.export.expected, reading.target.digest
    group: list[int] = []
    values = 0
    for index in differing_bins(expected, actual):
        weight = max(expected.bin_values[index], actual.bin_values[index])
        if group and values + weight > VALUES_AT_A_TIME:
            yield group
            group, values = [], 0
        group.append(index)
        values += weight
    if group:
        yield group


def _within(parts: list[Window]) -> pl.Expr:
    time = pl.col(TIME_COLUMN)
    return pl.any_horizontal([time.is_between(part.start_ns, part.end_ns, closed="left") for part in parts])


def _joined(parts: list[Window]) -> Iterator[Window]:
    """Neighbouring parts as one: fewer queries."""
    current: Window | None = None
    for part in parts:
        if current is not None and current.end_ns == part.start_ns:
            current = Window(current.start_ns, part.end_ns, part.key)
            continue
        if current is not None:
            yield current
        current = part
    if current is not None:
        yield current
