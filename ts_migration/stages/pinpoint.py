"""Naming the points that differ: the time bins whose digests differ are read again, from the export and the bucket.

Bounded: a million values at a time, and without a tolerance only the first part of what differs. A bin that holds more
is sifted first: cells of a table of sums, by series, field and time, tell which values can be the ones. The comparison
itself is in `validation.differences`.
"""

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from ts_migration.influxdb.blocks import Block
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.manifests import DigestRecord
from ts_migration.stages.trace import FRAME_ROWS, Sides
from ts_migration.validation.checksum import differing_bins
from ts_migration.validation.differences import Differences, compare
from ts_migration.validation.digest import bin_window
from ts_migration.validation.frame_values import TIME_COLUMN
from ts_migration.validation.point_values import BlockPoints, FramePoints, Keep
from ts_migration.validation.readings import Reading
from ts_migration.validation.sieve import Sieve
from ts_migration.windows import Window

VALUES_AT_A_TIME = 1_000_000
"""Values of each side that are compared at a time: some 200 MB."""

Compared = Callable[[FramePoints, BlockPoints], Differences]


def pinpoint(sides: Sides, reading: Reading, refused: Iterable[Block] = ()) -> Differences:
    """Compare the bins that differ, value by value.

    Args:
        sides: of the window.
        reading: both sides of it, whose digests differ.
        refused: points of lines that the server refused: they count as held.

    Raises:
        Missing: the export files are gone.
        Permanent: they are not what their manifest says.
        Transient: a side failed for now.
    """
    kept = list(refused)
    complete = reading.count_tolerance > 0
    found = Differences()
    parts = list(differing_parts(sides, reading.export.expected, reading.target.digest, kept))
    for index, (bins, keep) in enumerate(parts):
        expected, actual = both_sides(sides, bins, kept, keep)
        found += compare(expected, actual)
        # Without a tolerance the verdict is known: some points with their values are enough.
        if not complete and index + 1 < len(parts) and found.lines:
            return Differences(
                found.missing, found.extra, found.changed, found.lines, complete=False, first=found.first
            )
    return found


def differing_parts(
    sides: Sides, expected: DigestRecord, actual: DigestRecord, refused: list[Block]
) -> Iterator[tuple[list[Window], Keep | None]]:
    """The bins that differ, in portions of a bounded number of values; of a heavy bin, portions of its values."""
    for group, values in _groups(expected, actual):
        bins = [bin_window(sides.window, number) for number in group]
        if values <= VALUES_AT_A_TIME:
            yield bins, None
            continue
        sieve = Sieve()
        for frame in _frames(sides, bins):
            sieve.expect(sides.mapping, frame)
        for block in _blocks(sides, bins, refused):
            sieve.find(block)
        yield from ((bins, keep) for keep in sieve.portions(VALUES_AT_A_TIME))


def both_sides(
    sides: Sides, bins: list[Window], refused: list[Block], keep: Keep | None = None
) -> tuple[FramePoints, BlockPoints]:
    """The values of some bins, as exported and as the bucket has them."""
    expected, actual = FramePoints(sides.mapping, keep), BlockPoints(keep)
    for frame in _frames(sides, bins):
        expected.add(frame)
    actual.add(_blocks(sides, bins, refused))
    return expected, actual


def _frames(sides: Sides, bins: list[Window]) -> Iterator[pl.DataFrame]:
    time = pl.col(TIME_COLUMN)
    within = pl.any_horizontal([time.is_between(part.start_ns, part.end_ns, closed="left") for part in bins])
    for frame in export_frames(sides.bucket, sides.export, sides.mapping, FRAME_ROWS):
        yield sides.accepted(frame.filter(within))


def _blocks(sides: Sides, bins: list[Window], refused: list[Block]) -> Iterator[Block]:
    for part in _joined(bins):
        yield from sides.points(part)
        yield from (block for block in refused if part.contains(int(block.times[0])))


def _groups(expected: DigestRecord, actual: DigestRecord) -> Iterator[tuple[list[int], int]]:
    """The differing bins in groups of a bounded number of values, with that number; a heavy bin is alone."""
    group: list[int] = []
    values = 0
    for index in differing_bins(expected, actual):
        weight = max(expected.bin_values[index], actual.bin_values[index])
        if group and values + weight > VALUES_AT_A_TIME:
            yield group, values
            group, values = [], 0
        group.append(index)
        values += weight
    if group:
        yield group, values


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
