"""Export files as frames: Parquet from the export bucket, checked against the manifest, in bounded memory.

Frames have the table's columns (VARCHAR String, BIGINT Int64, DOUBLE Float64, BOOLEAN Boolean, TIMESTAMP measures Int64
ns) and `time_ns`; the INT96 column `time` is compared with it and dropped. What rows become is the encoder's affair.
"""

import os
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ts_migration.columns import named
from ts_migration.errors import Missing, Permanent, Spoiled
from ts_migration.line_protocol.accepted_rows import TIME
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.series import MEASURE_NAME, drift
from ts_migration.manifests import ExportFile, ExportManifest
from ts_migration.objects import ExportBucket

SOURCE_TIME = "time"
"""Timestream's own time column, INT96 in Parquet."""

FRAME_BYTES = 64 * 1024 * 1024
"""A frame is about this large at most, so that memory stays flat whatever the window and the width of the table."""
FRAME_ROWS = 100_000
"""And has at most about so many rows: enough for vectors, few enough for the processor's caches. The text of 200,000
lines is beyond the 32 MB from which the C library asks the kernel for fresh pages every time: 0.4 s a million rows."""

_UNREADABLE = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowSerializationError, UnicodeDecodeError, OSError)
"""What Arrow raises for bytes that are no Parquet; neither for want of memory nor where it is interrupted."""

_ONE_GET_BYTES = 4 * 1024 * 1024
"""Up to this size one request is quicker than the threads of a parallel transfer."""

_TYPES: dict[str, tuple[type[pl.DataType], int]] = {
    "varchar": (pl.String, 32),
    "bigint": (pl.Int64, 8),
    "double": (pl.Float64, 8),
    "boolean": (pl.Boolean, 1),
    "timestamp": (pl.Int64, 8),
}
"""Type in frames, and an estimate of bytes a value."""


@dataclass(frozen=True, slots=True)
class FrameSize:
    """Rows of a frame: a whole number of write requests, within the bounds of memory."""

    batch_size: int

    def rows(self, columns: dict[str, str]) -> int:
        """Rows of a frame of these columns."""
        width = sum(_TYPES[kind][1] for kind in columns.values())
        bound = max(1, min(FRAME_ROWS, FRAME_BYTES // max(width, 1)))
        return self.batch_size * max(1, bound // self.batch_size)


def export_frames(
    bucket: ExportBucket, manifest: ExportManifest, mapping: Mapping, frame_rows: int
) -> Generator[pl.DataFrame, None, None]:
    """All rows of an export, in frames of `frame_rows` rows (the last of a file may be shorter).

    Files are copied to temporary disk one by one, the next one ahead of time.

    Raises:
        Missing: a file is not in the bucket.
        Spoiled: one cannot be read, or its rows and columns are not those that the manifest speaks of.
        Permanent: one has another size than the manifest says; the source has drifted.
    """
    check_columns(manifest.columns, mapping)
    with closing(_located_frames(bucket, manifest, frame_rows)) as frames:
        for frame, where in frames:
            yield _as_mapped(frame, manifest, mapping, where)


def unmapped_frames(
    bucket: ExportBucket, manifest: ExportManifest, frame_rows: int
) -> Generator[pl.DataFrame, None, None]:
    """The same frames with the columns that were exported, whatever a mapping knows. Errors as of `export_frames`."""
    with closing(_located_frames(bucket, manifest, frame_rows)) as frames:
        for frame, _ in frames:
            yield frame


def _located_frames(
    bucket: ExportBucket, manifest: ExportManifest, frame_rows: int
) -> Generator[tuple[pl.DataFrame, str], None, None]:
    """Frames with where they come from."""
    for file, body in _downloaded(bucket, manifest.files):
        with body:
            rows = 0
            for frame in _file_frames(body, manifest, bucket.uri(file.key), frame_rows):
                rows += len(frame)
                yield frame, bucket.uri(file.key)
            if rows != file.rows:
                raise Spoiled(
                    f"the file holds {rows:,} rows, the manifest says {file.rows:,}", where=bucket.uri(file.key)
                )


def check_columns(columns: dict[str, str], mapping: Mapping) -> None:
    """The exact time and every type must be known.

    Raises:
        Permanent: they are not.
    """
    unknown = {name: kind for name, kind in columns.items() if kind not in _TYPES}
    if unknown or columns.get(TIME) != "bigint":
        raise Permanent(f"the export has columns that cannot be read: {unknown or 'no time_ns'}")


def _file_frames(
    body: "tempfile._TemporaryFileWrapper[bytes]", manifest: ExportManifest, where: str, frame_rows: int
) -> Iterator[pl.DataFrame]:
    try:
        file = pq.ParquetFile(body.name, coerce_int96_timestamp_unit="ns")
        found = file.schema_arrow.names
    except _UNREADABLE as error:
        raise _spoiled("not a Parquet file", error, where) from error
    if set(found) != set(manifest.columns):
        raise Spoiled(
            f"the file has the columns {', '.join(found)}; the manifest says {', '.join(manifest.columns)}", where=where
        )
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in _batches(file, frame_rows, list(manifest.columns), where):
        # Batches end where row groups end: gather, and cut into frames of the rows asked for.
        while rows + batch.num_rows >= frame_rows:
            take = frame_rows - rows
            yield _frame([*pending, batch.slice(0, take)], manifest, where)
            batch, pending, rows = batch.slice(take), [], 0
        if batch.num_rows:
            pending.append(batch)
            rows += batch.num_rows
    if pending:
        yield _frame(pending, manifest, where)


def _batches(file: pq.ParquetFile, rows: int, columns: list[str], where: str) -> Iterator[pa.RecordBatch]:
    """Batches of a file whose footer is sound, as far as its pages are."""
    try:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            batch.validate(full=True)  # text that is no UTF-8, which nobody behind this asks about
            yield batch
    except _UNREADABLE as error:
        raise _spoiled("the file is damaged", error, where) from error


def _spoiled(what: str, error: Exception, where: str) -> Spoiled:
    """What an unreadable file is told as.

    Raises:
        OSError: it is one of this machine's disk, which says nothing of the file.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    return Spoiled(f"{what}: {' '.join(str(error).split())}", where=where)


def _frame(batches: list[pa.RecordBatch], manifest: ExportManifest, where: str) -> pl.DataFrame:
    """Batches as one frame of exact types, its times compared and inside the window."""
    frame = pl.DataFrame(pa.Table.from_batches(batches)).rechunk()
    for name, kind in manifest.columns.items():
        wanted, found = _TYPES[kind][0], frame.schema[name]
        if kind == "timestamp" and found == pl.Datetime("ns"):
            frame = frame.with_columns(named(name).to_physical())
        elif found != wanted:
            raise Spoiled(f"the column {name!r} is {found} in the file and {kind} in the manifest", where=where)
    return _checked_times(frame, manifest, where)


def _checked_times(frame: pl.DataFrame, manifest: ExportManifest, where: str) -> pl.DataFrame:
    window, time = manifest.window, pl.col(TIME)
    tests = {
        "nulls": time.is_null().any(),
        "outside": (~time.is_between(window.start_ns, window.end_ns, closed="left")).any(),
    }
    if SOURCE_TIME in frame.columns:
        tests["differ"] = pl.col(SOURCE_TIME).ne_missing(time).any()
    found = frame.select(**tests).row(0, named=True)
    faults = {
        "nulls": "a row without a time",
        "outside": "a row outside the manifest's window",
        "differ": "a row whose INT96 time differs from to_nanoseconds(time)",
    }
    for name, fault in faults.items():
        if found.get(name):
            raise Spoiled(f"the file holds {fault}", where=where)
    return frame.drop(SOURCE_TIME, strict=False)


def _as_mapped(frame: pl.DataFrame, manifest: ExportManifest, mapping: Mapping, where: str) -> pl.DataFrame:
    """The frame with all of the mapping's columns: one that the table no longer names holds nothing but NULL.

    Raises:
        Permanent: a column that the mapping does not know holds a value.
    """
    known = {MEASURE_NAME, TIME, *mapping.dimensions, *(field.column for field in mapping.fields)}
    strangers = [name for name in frame.columns if name not in known and frame[name].null_count() < len(frame)]
    if strangers:
        raise drift(f"{where}: the export holds values in the column {', '.join(map(repr, strangers))}")
    absent = known - set(frame.columns)
    if MEASURE_NAME in absent:
        raise Permanent("the export has no column measure_name", where=where)
    types = {tag.column: pl.String for tag in mapping.tags} | dict.fromkeys(mapping.dimensions, pl.String)
    filled = [pl.lit(None, dtype=types.get(name, _lost_type(name, mapping))).alias(name) for name in sorted(absent)]
    return frame.with_columns(filled) if filled else frame


def _lost_type(column: str, mapping: Mapping) -> type[pl.DataType]:
    """A type that the mapping's field takes, for a column without a single value."""
    kinds = {"float": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean, "string": pl.String}
    for field in mapping.fields:
        if field.column == column:
            return pl.Int64 if field.rfc3339 else kinds[field.type.value]
    return pl.String


def _downloaded(
    bucket: ExportBucket, files: tuple[ExportFile, ...]
) -> Iterator[tuple[ExportFile, "tempfile._TemporaryFileWrapper[bytes]"]]:
    """Files on temporary disk, in order; the next is fetched while one is read."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="export-download") as pool:
        ahead: Future[tempfile._TemporaryFileWrapper[bytes]] | None = None
        try:
            for position, file in enumerate(files):
                body = (ahead or pool.submit(_download, bucket, file)).result()
                ahead = pool.submit(_download, bucket, files[position + 1]) if position + 1 < len(files) else None
                yield file, body
        finally:
            if ahead is not None:
                ahead.cancel()
                if not ahead.cancelled() and ahead.exception() is None:
                    ahead.result().close()


def _download(bucket: ExportBucket, file: ExportFile) -> "tempfile._TemporaryFileWrapper[bytes]":
    # Not a context manager: the file is read and closed by another thread.
    body = tempfile.NamedTemporaryFile(prefix="ts-migration-", suffix=".parquet")  # noqa: SIM115
    try:
        if file.bytes <= _ONE_GET_BYTES:
            body.write(bucket.get(file.key))
        else:
            bucket.download(file.key, body)
        body.flush()
        size = body.seek(0, os.SEEK_END)
        if size != file.bytes:
            raise Permanent(
                f"the file has {size:,} bytes, the manifest says {file.bytes:,}",
                where=bucket.uri(file.key),
                next_step="run the export of this window again",
            )
    except Missing as error:
        body.close()
        raise Missing(error.what, where=error.where, next_step="run the export of this window again") from error
    except BaseException:
        body.close()
        raise
    return body
