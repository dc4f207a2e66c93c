"""Looking for suspected values in every place of the flow: Timestream now, the export, the line protocol, the bucket.

Bounded: some hundreds of values at most; of files and answers only the rows of those values are kept. What the findings
mean is in `validation.trails`; how suspects are found is in `pinpoint` and `narrowing`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ts_migration.errors import Missing, Permanent
from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.connection import Target
from ts_migration.line_protocol.accepted_rows import accept
from ts_migration.line_protocol.mapping import Mapping as PointMapping
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.line_protocol.rewrites import say
from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.ways import way_made
from ts_migration.timestream.points import rows_of_points
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.unload import IncompleteUnload, manifest_files
from ts_migration.validation.point_values import BlockPoints, FramePoints, Keep
from ts_migration.validation.trails import NOTHING, Place, Seen, Suspect, Trail
from ts_migration.validation.untouched import NONE, Untouched
from ts_migration.windows import Window

FRAME_ROWS = 200_000
_TIMES_ASKED = 20
"""Times at which the bucket is asked for points that no reading has brought: a query each."""

Sightings = Mapping[tuple[int, int], Seen]
"""(key, time) -> what was seen; where a value is not, it is not there."""


@dataclass(frozen=True)
class Chain:
    """The manifests of one loaded window, each made from the one before."""

    export: ExportManifest
    converted: LineProtocolManifest
    loaded: LoadManifest


@dataclass(frozen=True)
class Sides:
    """One window, exported and in the bucket `held`."""

    window: Window
    mapping: PointMapping
    export: ExportManifest
    converted: LineProtocolManifest
    held: str
    bucket: ExportBucket
    target: Target
    untouched: Untouched = NONE
    """Values of the bucket that are none of the window's: they were there before it was loaded."""

    def points(self, part: Window) -> Iterator[Block]:
        """The window's points in a part of it, as the bucket has them."""
        found = reader.batches(self.target, self.held, self.mapping.measurement, part)
        for batch in self.untouched.without(found) if len(self.untouched.hashes) else found:
            yield from batch.blocks()

    def accepted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows as they are written: those that are kept out are left out, those that a rule changes are changed."""
        converted = self.converted
        return say(frame, self.mapping, converted.rewrite, accept).accepted if converted.altered else frame


@dataclass(frozen=True)
class Places:
    """One window, everywhere."""

    sides: Sides
    query: TimestreamQuery
    schema: TableSchema


def trace(places: Places, suspects: Sequence[Suspect]) -> tuple[Trail, ...]:
    """Look for each suspect in every place where it is not known yet.

    Raises:
        Transient: a place failed for now.
    """
    if not suspects:
        return ()
    intact = is_as_unloaded(places.sides.bucket, places.sides.export)
    files = way_made(places.sides.converted).files
    looks: dict[Place, Callable[[Places, Sequence[Suspect]], Sightings]] = {
        Place.SOURCE: _in_source,
        Place.EXPORT: _in_export,
        Place.LINE_PROTOCOL: _in_line_protocol,
        Place.BUCKET: _in_bucket,
    }
    seen: dict[Place, list[Seen]] = {}
    for place, look in looks.items():
        unknown = [suspect for suspect in suspects if place not in suspect.known]
        found, reason = _looked(look, places, unknown)
        absent = Seen(unseen=reason) if reason else NOTHING
        seen[place] = [suspect.known.get(place) or found.get(suspect.at, absent) for suspect in suspects]
    return tuple(
        Trail(suspect, {place: seen[place][number] for place in looks}, intact, files)
        for number, suspect in enumerate(suspects)
    )


def is_as_unloaded(bucket: ExportBucket, export: ExportManifest) -> bool | None:
    """Whether the export's files are, by name, size and rows, those of the manifests that UNLOAD itself wrote.

    None where those, or the files, are not there: it cannot be told then.
    """
    known: dict[str, tuple[int, int]] = {}
    told = {file.key: (file.bytes, file.rows) for file in export.files}
    folders = {_folder(key) for key in told}
    try:
        for key in export.aws_manifests:
            for file in manifest_files(bucket.get(key), bucket.uri(key), bucket):
                # A manifest of a group names files of other windows as well, in folders of their own.
                if _folder(file.key) in folders:
                    known[file.key] = (file.bytes, file.rows)
        return known == told and all(bucket.size(file.key) == file.bytes for file in export.files)
    except (Missing, IncompleteUnload):
        return None


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _looked(
    look: Callable[[Places, Sequence[Suspect]], Sightings], places: Places, suspects: Sequence[Suspect]
) -> tuple[Sightings, str]:
    """What one place has, or why it was not looked at."""
    if not suspects:
        return {}, ""
    try:
        return look(places, suspects), ""
    except Missing:
        return {}, "its files are gone"
    except Permanent as error:
        return {}, error.what


def _in_source(places: Places, suspects: Sequence[Suspect]) -> Sightings:
    points = [(suspect.time_ns, suspect.tags) for suspect in suspects]
    sides = places.sides
    rows = rows_of_points(places.query, places.schema, sides.mapping, sides.window, points)
    found = FramePoints(sides.mapping, _only(suspects))
    found.add(sides.accepted(with_all_columns(rows, sides.mapping)))
    return _seen(found)


def _in_export(places: Places, suspects: Sequence[Suspect]) -> Sightings:
    sides = places.sides
    found = FramePoints(sides.mapping, _only(suspects))
    times = pl.Series([suspect.time_ns for suspect in suspects]).unique()
    for frame in export_frames(sides.bucket, sides.export, sides.mapping, FRAME_ROWS):
        found.add(sides.accepted(frame.filter(pl.col("time_ns").is_in(times.implode()))))
    return _seen(found)


def _in_line_protocol(places: Places, suspects: Sequence[Suspect]) -> Sightings:
    found = BlockPoints(_only(suspects))
    times = [suspect.time_ns for suspect in suspects]
    converted = places.sides.converted
    found.add(way_made(converted).blocks_at(places.sides.bucket, converted, times))
    return _seen(found)


def _in_bucket(places: Places, suspects: Sequence[Suspect]) -> Sightings:
    found = BlockPoints(_only(suspects))
    times = sorted({suspect.time_ns for suspect in suspects})
    if len(times) > _TIMES_ASKED:
        raise Permanent(f"more than {_TIMES_ASKED} times")
    sides = places.sides
    for time_ns in times:
        moment = Window(time_ns, time_ns + 1)
        found.add(reader.points(sides.target, sides.held, sides.mapping.measurement, moment))
    return _seen(found)


def with_all_columns(frame: pl.DataFrame, mapping: PointMapping) -> pl.DataFrame:
    """A column that the source no longer has holds nothing but NULL."""
    wanted = {tag.column for tag in mapping.tags} | {field.column for field in mapping.fields}
    absent = sorted(wanted - set(frame.columns))
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent) if absent else frame


def _only(suspects: Sequence[Suspect]) -> Keep:
    """Keeps the values of suspects."""
    wanted = pl.DataFrame(
        {"key": [one.key for one in suspects], "time": [one.time_ns for one in suspects]},
        schema={"key": pl.UInt64, "time": pl.Int64},
    ).unique()

    def keep(table: pl.DataFrame) -> pl.Series:
        there = wanted.with_columns(pl.lit(True).alias("wanted"))
        joined = table.select("key", "time").join(there, on=["key", "time"], how="left", maintain_order="left")
        return joined["wanted"].fill_null(False)

    return keep


def _seen(found: FramePoints | BlockPoints) -> Sightings:
    return {
        (row["key"], row["time"]): Seen(row["bits"], found.named(row["part"], row["field"], row["row"]).value)
        for row in found.table().iter_rows(named=True)
    }
