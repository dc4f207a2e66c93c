"""Which rows the source has and the export has not, or the other way round: found by counts over shorter stretches.

Both sides count rows and values over 64 parts of a stretch; the parts that differ are cut again until few rows are
left, which are compared value by value. So a late row of a window of millions costs a few narrow queries.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from ts_migration.columns import named
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.stages.trace import FRAME_ROWS, Places, with_all_columns
from ts_migration.timestream.points import counts_by_part, rows_within
from ts_migration.validation.digest import bin_window, time_bins
from ts_migration.validation.hashing import TIME_BINS
from ts_migration.validation.point_values import FramePoints
from ts_migration.validation.trails import NOTHING, Kind, Place, Seen, Suspect
from ts_migration.validation.verdict import EVIDENCE_ROWS
from ts_migration.windows import Window

FEW = 5_000
"""Rows and values of a stretch that are fetched and compared one by one."""
LOOKS = 12
"""Stretches that are counted or compared at most: each is a query and a pass over the export."""


def source_suspects(places: Places) -> tuple[Suspect, ...]:
    """The first values that Timestream now and the export disagree about, at most 20; none where counts hide them.

    Raises:
        Missing: the export files are gone.
        Permanent: they cannot be read, or Timestream refuses.
        Transient: a side failed for now.
    """
    found: list[Suspect] = []
    stretches = [places.sides.window]
    for _ in range(LOOKS):
        if not stretches or len(found) >= EVIDENCE_ROWS:
            break
        stretch = stretches.pop(0)
        parts = [part for part in (bin_window(stretch, index) for index in range(TIME_BINS)) if not part.empty]
        differing = list(_differing(places, stretch, parts))
        few = [part for part, count in differing if count <= FEW or part.end_ns - part.start_ns == 1]
        if few:
            found += _compared(places, _few_of(few, dict(differing)))
        stretches += [part for part, count in differing if part not in few]
    return tuple(found[:EVIDENCE_ROWS])


def _few_of(parts: list[Window], counts: dict[Window, int]) -> list[Window]:
    """The first of the parts, as many as are few together; at least one."""
    taken: list[Window] = []
    total = 0
    for part in parts:
        total += counts[part]
        if taken and total > FEW:
            break
        taken.append(part)
    return taken


def _differing(places: Places, stretch: Window, parts: list[Window]) -> Iterator[tuple[Window, int]]:
    """Parts whose counts differ, with the larger count."""
    columns = sorted({field.column for field in places.sides.mapping.fields})
    there = [name for name in columns if name in {column.name for column in places.schema.columns}]
    numbered = [Window(part.start_ns, part.end_ns, str(number)) for number, part in enumerate(parts)]
    asked = counts_by_part(places.query, places.schema, there, numbered)
    exported = np.zeros(TIME_BINS, np.int64)
    for frame in export_frames(places.sides.bucket, places.sides.export, places.sides.mapping, FRAME_ROWS):
        inside = frame.filter(_within([stretch]))
        there_are = [named(name).is_not_null().cast(pl.Int64) for name in there]
        weights = inside.select(pl.sum_horizontal(pl.lit(1, pl.Int64), *there_are).alias("all"))["all"].to_numpy()
        bins = time_bins(stretch, inside["time_ns"].to_numpy())
        exported += np.bincount(bins, weights, minlength=TIME_BINS).astype(np.int64)
    for number, part in enumerate(parts):
        counts = asked[str(number)], int(exported[number])
        if counts[0] != counts[1]:
            yield part, max(counts)


def _compared(places: Places, parts: list[Window]) -> list[Suspect]:
    """Values that differ in a few rows."""
    source, export = FramePoints(places.sides.mapping), FramePoints(places.sides.mapping)
    for part in parts:
        rows = rows_within(places.query, places.schema, part)
        source.add(places.sides.accepted(with_all_columns(rows, places.sides.mapping)))
    for frame in export_frames(places.sides.bucket, places.sides.export, places.sides.mapping, FRAME_ROWS):
        export.add(places.sides.accepted(frame.filter(_within(parts))))
    both = source.table().join(export.table(), on=["key", "time"], how="full", suffix="_export", coalesce=True)
    differing = both.filter(pl.col("bits").ne_missing(pl.col("bits_export"))).sort("time", "key").head(EVIDENCE_ROWS)
    return [_suspect(row, source, export) for row in differing.iter_rows(named=True)]


def _suspect(row: dict[str, int], source: FramePoints, export: FramePoints) -> Suspect:
    one = source.named(row["part"], row["field"], row["row"]) if row["bits"] is not None else None
    two = (
        export.named(row["part_export"], row["field_export"], row["row_export"])
        if row["bits_export"] is not None
        else None
    )
    named = one or two
    assert named is not None  # noqa: S101 - one of the sides has it
    kind = Kind.CHANGED if one and two else Kind.MISSING if one else Kind.EXTRA
    known = {
        Place.SOURCE: Seen(row["bits"], one.value) if one else NOTHING,
        Place.EXPORT: Seen(row["bits_export"], two.value) if two else NOTHING,
    }
    return Suspect(kind, row["key"], row["time"], named.point, named.tags, known)


def _within(parts: list[Window]) -> pl.Expr:
    time = pl.col("time_ns")
    return pl.any_horizontal([time.is_between(part.start_ns, part.end_ns, closed="left") for part in parts])
