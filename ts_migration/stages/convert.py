"""The conversion stage: one window's Parquet files to the parts that are loaded, quarantine, digest and manifest.

A window whose manifest still stands is left alone. Rows are streamed in frames: memory does not grow with the window.
What can be said, the digest and the files (`load_ways`) know nothing of each other; they meet here.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO

import polars as pl

from ts_migration.config import MigrationJob
from ts_migration.errors import Missing, Refused, Spoiled
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.parquet import FrameSize, export_frames
from ts_migration.line_protocol.read_ahead import one_ahead
from ts_migration.line_protocol.rejects import QuarantineWriter
from ts_migration.line_protocol.rewrites import say
from ts_migration.line_protocol.tally import Tally
from ts_migration.manifests import (
    ExportManifest,
    FramesRecord,
    LineProtocolManifest,
    Part,
    fingerprint,
    read_manifest,
    require_manifest,
)
from ts_migration.objects import ExportBucket, TablePlace, WindowPlace
from ts_migration.stages.conversion_digest import Sums, digest_rows
from ts_migration.stages.currency import conversion_is_usable, is_loaded, window_range
from ts_migration.stages.progress import Listener, Progress
from ts_migration.stages.ways import way_made, way_of
from ts_migration.validation.coverage_cells import cells_of
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.frames import FrameChecks
from ts_migration.windows import Window, iso

STAGE = "convert"
MANIFEST = "line_protocol"
COVERAGE_NAME = "coverage.bin"
DAMAGED_SUFFIX = ".damaged"
"""Behind the key of an export file that could not be converted: it is kept, and belongs to the export no more."""

Observer = Callable[[pl.DataFrame], None]
"""Sees every exported frame as it was read, before any row is set apart."""


def convert_settings(job: MigrationJob) -> str:
    """Fingerprint of what the parts depend on beside mapping and export: the way that they are loaded by."""
    return fingerprint(STAGE, *way_of(job).settings(job))


def current_conversion(
    job: MigrationJob, place: TablePlace, window: Window, mapping: Mapping, bucket: ExportBucket
) -> LineProtocolManifest | None:
    """The window's manifest where it still stands: same export, mapping and clip, parts there or already loaded, and no
    row that other rewrite rules would treat differently.

    How they were made to be loaded matters only until they are.
    """
    own = place.window(window.key)
    found = read_manifest(LineProtocolManifest, bucket, own.manifest(MANIFEST))
    export = read_manifest(ExportManifest, bucket, own.manifest("export"))
    if found is None or export is None or found.parent != export.digest:
        return None
    if found.mapping_digest != mapping.digest or found.window != window_range(window):
        return None
    if not found.follows(job.mapping.rewrite.active):
        return None
    if found.settings != convert_settings(job) and not is_loaded(bucket, own, found):
        return None
    return found if conversion_is_usable(bucket, own, found) else None


def convert_window(
    job: MigrationJob,
    place: TablePlace,
    window: Window,
    mapping: Mapping,
    bucket: ExportBucket,
    *,
    observe: Observer | None = None,
    progress: Listener | None = None,
) -> LineProtocolManifest:
    """Convert one window, unless its manifest still stands.

    Raises:
        Missing: the window is not exported, or was cut differently then, or its files are gone.
        Spoiled: a file cannot be read, or has other rows than its manifest says. It is set aside, so that the next
            export of the window makes it anew.
        Permanent: a file is not what its manifest says, or the source has drifted from the mapping.
        Transient: S3 failed for now.
    """
    current = current_conversion(job, place, window, mapping, bucket)
    if current is not None:
        return current
    started = time.monotonic()
    own = place.window(window.key)
    export = require_manifest(
        ExportManifest, bucket, own.manifest("export"), f"export the window {window.key} of {job.job_name} first"
    )
    if export.window != window_range(window):
        was = f"[{iso(export.window.start_ns)}, {iso(export.window.end_ns)})"
        raise Missing(
            f"the window was exported as {was} and is now {window}",
            where=job.job_name,
            next_step="run the export of this window again",
        )
    earlier = read_manifest(LineProtocolManifest, bucket, own.manifest(MANIFEST))
    if earlier is not None and is_loaded(bucket, own, earlier):
        # It stays until there is a new one: it tells what the bucket holds, and what was kept out of it.
        _refuse_left_points(job, window, earlier)
    else:
        # The old manifest goes first: killed in between, the window must not look converted by half-written parts.
        bucket.delete(own.manifest(MANIFEST))
    digest = PointDigest(window.start_ns, window.end_ns)
    checks = FrameChecks(export, mapping)

    def seen(frame: pl.DataFrame) -> None:
        checks.check(frame)
        if observe:
            observe(frame)

    folders = {way.folder(own) for way in (way_of(job), *([way_made(earlier)] if earlier else []))}
    try:
        written = _write_parts(job, own, window, export, mapping, bucket, digest, seen, progress, folders)
    except Spoiled as error:
        raise _set_aside(job, bucket, error) from error
    manifest = _manifest(job, own, export, mapping, written, digest, checks.record, time.monotonic() - started)
    return manifest.write(bucket, own.manifest(MANIFEST))


def _set_aside(job: MigrationJob, bucket: ExportBucket, error: Spoiled) -> Spoiled:
    """Take a damaged file out of the export: it has the right size, and would stand for ever otherwise."""
    key = bucket.key_of(error.where)
    bucket.move(key, key + DAMAGED_SUFFIX)
    return Spoiled(
        f"{error.what}; it was set aside as {bucket.uri(key)}{DAMAGED_SUFFIX}",
        where=error.where,
        next_step=f"`ts-migration execute --only {job.slug}`, or in Dagit the export of this window and what follows "
        "it, exports it again",
    )


def _refuse_left_points(job: MigrationJob, window: Window, found: LineProtocolManifest) -> None:
    """Refuse to take back what a rewrite rule has written to the bucket: those points would stay there.

    Raises:
        Refused: a rule that rewrote rows of this window, which are loaded, is not there any more, or is another one.
    """
    rules = job.mapping.rewrite.active
    gone = [rule for rule in found.rewritten if rules.get(rule) != found.rewrite.get(rule)]
    if gone:
        told = ", ".join(f"{rule}: {found.rewrite[rule]} ({found.rewritten[rule]:,} rows)" for rule in gone)
        raise Refused(
            "the bucket holds points of this window that rules of mapping.rewrite made, and the rules have changed: "
            f"{told}; those points would stay beside the new ones",
            where=f"job {job.job_name!r}, window {window}",
            allowed="the rules that the window was loaded with, and further ones",
            next_step=f"put the rule back, or run `ts-migration reset {job.slug}` and delete the points by the command "
            "that it prints",
        )


@dataclass
class _Written(Tally):
    """Sums over the frames of a window, and the parts they became."""

    reasons: Counter[str] = field(default_factory=Counter)
    parts: tuple[Part, ...] = ()
    text_bytes: int = 0
    indexed: bool = False
    coverage_cells: dict[int, int] | None = None


def _manifest(
    job: MigrationJob,
    own: WindowPlace,
    export: ExportManifest,
    mapping: Mapping,
    written: _Written,
    digest: PointDigest,
    frames: FramesRecord,
    seconds: float,
) -> LineProtocolManifest:
    return LineProtocolManifest(
        database=job.source_database,
        table=job.source_table,
        window=export.window,
        parent=export.digest,
        mapping_digest=mapping.digest,
        settings=convert_settings(job),
        parts=written.parts,
        members_key=way_of(job).folder(own) + way_of(job).index_name if written.indexed else "",
        rows=written.rows,
        points=written.points,
        merged=0,
        quarantined=written.quarantined,
        empty=written.empty,
        values=dict(sorted(written.values.items())),
        text_bytes=written.text_bytes,
        bytes=sum(part.bytes for part in written.parts),
        expected=digest.record(),
        coverage_key=own.proof + COVERAGE_NAME if written.coverage_cells is None else "",
        series=digest.series,
        seconds=round(seconds, 3),
        rewrite=job.mapping.rewrite.active,
        rewritten=dict(sorted(written.rewritten.items())),
        reasons=dict(sorted(written.reasons.items())),
        frames=frames,
        quarantined_digest=written.quarantined_digest if written.quarantined else None,
        coverage_cells=written.coverage_cells,
        form=way_of(job).name,
    )


def _write_parts(
    job: MigrationJob,
    own: WindowPlace,
    window: Window,
    export: ExportManifest,
    mapping: Mapping,
    bucket: ExportBucket,
    digest: PointDigest,
    observe: Observer,
    progress: Listener | None,
    folders: Iterable[str],
) -> _Written:
    """Stream the export through form and digest into parts, their index, histogram and quarantine."""
    written = _Written()
    way = way_of(job)
    frame_rows = FrameSize(job.batch_size).rows(export.columns)
    with (
        tempfile.TemporaryFile(prefix="ts-migration-") as quarantine_file,
        # A thread of its own: numpy leaves Python's lock alone while the next frame is encoded.
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="digest") as digesting,
        way.writer(job, own, window, bucket) as writer,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="convert-clear") as clearing,
        closing(one_ahead(export_frames(bucket, export, mapping, frame_rows), "export-read")) as frames,
    ):
        # What an earlier conversion left goes while the first frame is read, and before a part is written.
        cleared = clearing.submit(_clear, bucket, folders)
        quarantine = QuarantineWriter(quarantine_file)
        digested: Future[dict[int, Sums]] | None = None
        for frame in frames:
            observe(frame)
            said = say(frame, mapping, job.mapping.rewrite.active, writer.form)
            if digested:
                digested.result()
            digested = digesting.submit(digest_rows, digest, said, mapping, writer.divided)
            cleared.result()
            writer.take(said, digested)
            quarantine.add(said.rejects)
            written.count(len(frame), said)
            if progress:
                progress(Progress(STAGE, export.window.key, written.rows, export.rows, writer.text_bytes))
        if digested:
            digested.result()
        cleared.result()
        index = writer.finish()
        written.indexed, written.coverage_cells = index is not None, cells_of(digest.coverage)
        with ThreadPoolExecutor(2, thread_name_prefix="convert-put") as putting:
            put = []
            if written.coverage_cells is None:
                put.append(putting.submit(bucket.put, own.proof + COVERAGE_NAME, digest.coverage_bytes()))
            else:
                bucket.delete(own.proof + COVERAGE_NAME)
            if index is not None:
                key = way.folder(own) + way.index_name
                put.append(putting.submit(bucket.put, key, index, "application/json"))
            quarantine.close()
            _put_quarantine(bucket, own, quarantine.rows, quarantine_file)
            writer.await_sent()
            for each in put:
                each.result()
        written.parts, written.text_bytes, written.reasons = tuple(writer.parts), writer.text_bytes, quarantine.reasons
    return written


def _clear(bucket: ExportBucket, folders: Iterable[str]) -> None:
    for folder in folders:
        bucket.delete_prefix(folder)


def _put_quarantine(bucket: ExportBucket, own: WindowPlace, rows: int, body: IO[bytes]) -> None:
    """The quarantine of this conversion; one that an earlier conversion left is not true any more."""
    if not rows:
        bucket.delete(own.quarantine)
        return
    body.seek(0)
    bucket.upload(own.quarantine, body)
