"""Points that a window held before its job's first load: copied to the export bucket, and told from the job's.

With the copy a rollback can put back what was there, and a check knows which of the bucket's values it must leave out.
The file's form is in `influxdb.saved_points`, the telling apart in `validation.untouched`.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from ts_migration.errors import Refused
from ts_migration.influxdb.blocks import SeriesBatch
from ts_migration.influxdb.ledger import FoundCopy
from ts_migration.influxdb.saved_points import PointsFile, saved_batches
from ts_migration.line_protocol.names import (
    KEY_SEPARATOR,
    field_key_problem,
    measurement_problem,
    tag_key_problem,
)
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.manifests import DigestRecord, LoadManifest, UntouchedRecord
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.trace import FRAME_ROWS, Sides, with_all_columns
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.point_values import FramePoints
from ts_migration.validation.untouched import NONE, Untouched, value_table
from ts_migration.windows import Window


def save_points(
    batches: Iterable[SeriesBatch], bucket: ExportBucket, key: str, measurement: str, window: Window
) -> DigestRecord:
    """Write points to an object, and read it again: the digest of what it holds.

    Raises:
        Refused: a point has a name or tag that cannot be written again exactly: a copy of it would be of no use.
        Permanent, Transient: S3 or InfluxDB failed.
    """
    digest = PointDigest(window.start_ns, window.end_ns)
    with tempfile.TemporaryFile(prefix="ts-migration-") as body:
        with PointsFile(body) as file:
            for batch in batches:
                _require_sayable(batch, window)
                digest.add_batch(batch)
                file.add(batch)
        body.seek(0)
        bucket.upload(key, body)
    written = digest.record()
    again = PointDigest(window.start_ns, window.end_ns)
    for batch in saved_points(bucket, key, measurement):
        again.add_batch(batch)
    if again.record().lanes != written.lanes:
        raise Refused("a copy of points does not read back as it was written", where=bucket.uri(key))
    return written


def saved_points(bucket: ExportBucket, key: str, measurement: str) -> Iterator[SeriesBatch]:
    """The points of such an object.

    Raises:
        Missing: it is gone.
        Permanent: it is damaged.
    """
    with tempfile.TemporaryFile(prefix="ts-migration-") as body:
        bucket.download(key, body)
        body.seek(0)
        yield from saved_batches(body, measurement)


def copy_found(
    batches: Iterable[SeriesBatch], bucket: ExportBucket, place: WindowPlace, measurement: str, window: Window
) -> FoundCopy:
    """Keep what a part of a window holds before it is loaded."""
    key = f"{place.found}{window.start_ns}-{window.end_ns}.parquet"
    digest = save_points(batches, bucket, key, measurement, window)
    return FoundCopy(
        key=key,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        values=digest.values,
        counts=digest.counts,
        lanes=digest.lanes,
    )


def not_copied(window: Window, copies: Sequence[FoundCopy]) -> list[Window]:
    """Parts of a window that no copy is of: it has grown since."""
    parts, position = [], window.start_ns
    for copy in sorted(copies, key=lambda one: one.start_ns):
        if copy.start_ns > position:
            parts.append(Window(position, min(copy.start_ns, window.end_ns), window.key))
        position = max(position, copy.end_ns)
    if position < window.end_ns:
        parts.append(Window(position, window.end_ns, window.key))
    return parts


def found_values(bucket: ExportBucket, copies: Sequence[FoundCopy], measurement: str) -> pl.DataFrame:
    """All values of copies (`validation.untouched.VALUES_SCHEMA`)."""
    return value_table(batch for copy in copies for batch in saved_points(bucket, copy.key, measurement))


def untouched_values(sides: Sides, copies: Sequence[FoundCopy]) -> pl.DataFrame:
    """The values of copies that no row of the window's export writes over.

    Raises:
        Missing: the export files or a copy are gone.
    """
    found = found_values(sides.bucket, copies, sides.mapping.measurement)
    return found.join(exported_among(sides, found), on=["key", "time"], how="anti")


def exported_among(sides: Sides, values: pl.DataFrame) -> pl.DataFrame:
    """Of values, by `key` and `time`, those that the export has too, whatever it says of them."""
    wanted = values.select("key", "time").unique()
    tables = []
    for frame in export_frames(sides.bucket, sides.export, sides.mapping, FRAME_ROWS):
        points = FramePoints(sides.mapping, lambda table: _is_among(table, wanted))
        points.add(sides.accepted(with_all_columns(frame, sides.mapping)))
        tables.append(points.table().select("key", "time"))
    return pl.concat(tables).unique() if tables else wanted.clear()


def _is_among(table: pl.DataFrame, wanted: pl.DataFrame) -> pl.Series:
    there = wanted.with_columns(pl.lit(True).alias("wanted"))
    joined = table.select("key", "time").join(there, on=["key", "time"], how="left", maintain_order="left")
    return joined["wanted"].fill_null(False)


def keep_untouched(sides: Sides, copies: Sequence[FoundCopy], place: WindowPlace) -> UntouchedRecord | None:
    """Keep, beside the proof, which values of copies a load leaves as they are; None where there are no copies."""
    if not copies:
        return None
    values = untouched_values(sides, copies)
    key = f"{place.found}untouched-{sides.converted.digest[:16]}.bin"
    sides.bucket.put(key, Untouched.of(values).to_bytes())
    counts = values.group_by("field").len().with_columns(pl.col("field").cast(pl.String)).sort("field")
    return UntouchedRecord(
        key=key, values=len(values), counts=dict(counts.iter_rows()), series=values["series"].n_unique()
    )


def untouched_of(bucket: ExportBucket, loaded: LoadManifest) -> Untouched:
    """What a load left as it was.

    Raises:
        Missing, Permanent: it was kept, and is gone or damaged.
    """
    record = loaded.untouched
    return Untouched.from_bytes(bucket.get(record.key), record.values) if record else NONE


def _require_sayable(batch: SeriesBatch, window: Window) -> None:
    problems: dict[str, str | None] = {}
    for series in batch.series:
        problems[series.measurement] = measurement_problem(series.measurement)
        for key, value in series.tags.items():
            problems[key] = tag_key_problem(key)
            if value.endswith("\\") or any(part in value for part in ("\n", "\0", "\\ ", KEY_SEPARATOR)):
                problems[value] = "is a tag value that line protocol cannot say exactly"
    problems |= {column.field: field_key_problem(column.field) for column in batch.columns}
    for name, problem in problems.items():
        if problem:
            raise Refused(
                f"a point that is there before the load could not be put back: {name!r} {problem}",
                where=f"window {window}",
                next_step="choose another target_bucket or mapping.measurement",
            )
