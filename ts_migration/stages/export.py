"""The export stage: one window, or a group of small ones, from Timestream to Parquet files and their manifests.

A window whose manifest still stands is left alone. One that is exported again keeps its manifest until the new export
is whole, and keeps it for good where the source has lost rows since: then it may be their only copy.
The SQL is in `timestream.unload`, the keys are in `objects`.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ts_migration.config import MigrationJob
from ts_migration.errors import Refused
from ts_migration.manifests import ExportManifest, fingerprint, read_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.currency import export_is_usable, window_range
from ts_migration.stages.gone_rows import gone_rows
from ts_migration.stages.progress import Listener, Progress
from ts_migration.stages.scratch_export import export_manifest
from ts_migration.timestream.probe import rows_in
from ts_migration.timestream.query import Page, TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.unload import MAX_GROUP, Unloaded, Unloader, UnloadOptions, attempt_name
from ts_migration.windows import Window

STAGE = "export"
_WINDOWS_AT_A_TIME = 8
"""Windows of a group whose manifests are read and written side by side."""


def export_settings(job: MigrationJob) -> str:
    """Fingerprint of what an export depends on: the table alone. How its files are packed may change at any time."""
    return fingerprint(STAGE, job.source_database, job.source_table)


def current_export(job: MigrationJob, place: TablePlace, window: Window, bucket: ExportBucket) -> ExportManifest | None:
    """The window's manifest where it still stands: same table, same clip, files there or no longer needed."""
    return _usable(job, place, window, bucket, _earlier(job, place, window, bucket))


def _earlier(job: MigrationJob, place: TablePlace, window: Window, bucket: ExportBucket) -> ExportManifest | None:
    """The manifest of an export of the same table and range, or of the range that grew to it, whatever its files do."""
    found = read_manifest(ExportManifest, bucket, place.window(window.key).manifest(STAGE))
    if found is None or found.settings != export_settings(job) or found.window.start_ns != window.start_ns:
        return None
    return found if found.window.end_ns <= window.end_ns else None


def _usable(
    job: MigrationJob, place: TablePlace, window: Window, bucket: ExportBucket, found: ExportManifest | None
) -> ExportManifest | None:
    """The manifest where it is of the whole window, and its files are there or no longer needed."""
    whole = found is not None and found.window == window_range(window)
    rules = job.mapping.rewrite.active
    return found if found and whole and export_is_usable(bucket, place.window(window.key), found, rules) else None


def export_window(
    job: MigrationJob,
    place: TablePlace,
    window: Window,
    schema: TableSchema,
    query: TimestreamQuery,
    bucket: ExportBucket,
    *,
    redo: bool = False,
    options: UnloadOptions | None = None,
    progress: Listener | None = None,
) -> ExportManifest:
    """Export one window, unless its manifest still stands; with `redo` also then, into a fresh folder.

    Raises:
        Refused: it was exported before, and Timestream holds fewer rows now.
        Transient: Timestream or S3 failed for now; a new call begins with a fresh folder.
        Missing, Permanent: see `TimestreamQuery` and `Unloader`.
    """
    current = current_export(job, place, window, bucket)
    if current is not None and not redo:
        return current
    earlier = _earlier(job, place, window, bucket)
    _refuse_lost_rows(job, window, query, earlier)
    started = time.monotonic()
    unloader = Unloader(query, bucket, schema, options or UnloadOptions(), on_page=_listener(window.key, progress))
    own, attempts = place.window(window.key), list[str]()

    def attempt() -> str:
        attempts.append(own.export_attempt(attempt_name()))
        return attempts[-1]

    unloaded = unloader.window(window, attempt)
    copies = _keep_copies(own.aws_manifests, [unloaded], bucket)
    try:
        return _record(job, place, schema, unloaded, earlier, bucket, time.monotonic() - started, copies)
    except Refused:
        for folder in attempts:
            bucket.delete_prefix(folder.rstrip("/") + "/")
        for key in copies.values():
            bucket.delete(key)
        raise


def export_group(
    job: MigrationJob,
    place: TablePlace,
    windows: Sequence[Window],
    schema: TableSchema,
    query: TimestreamQuery,
    bucket: ExportBucket,
    *,
    options: UnloadOptions | None = None,
    progress: Listener | None = None,
) -> list[ExportManifest]:
    """Export windows by as few UNLOADs as there can be (99 windows each), and write one manifest per window.

    Windows whose manifests still stand are left alone. In the order of `windows`. Errors as of `export_window`; windows
    whose manifests were written before an error stand.
    """
    with ThreadPoolExecutor(_WINDOWS_AT_A_TIME) as pool:
        earlier = dict(
            zip(windows, pool.map(lambda window: _earlier(job, place, window, bucket), windows), strict=True)
        )
        standing = pool.map(lambda window: _usable(job, place, window, bucket, earlier[window]), windows)
        done = {window.key: manifest for window, manifest in zip(windows, standing, strict=True)}
        before = {window.key: manifest for window, manifest in earlier.items()}
        missing = [window for window in windows if done[window.key] is None]
        list(pool.map(lambda window: _refuse_lost_rows(job, window, query, earlier[window]), missing))
    label = f"{missing[0].key} to {missing[-1].key}" if missing else ""
    unloader = Unloader(query, bucket, schema, options or UnloadOptions(), on_page=_listener(label, progress))
    for start in range(0, len(missing), MAX_GROUP):
        group = missing[start : start + MAX_GROUP]
        started = time.monotonic()
        results = unloader.group(
            group,
            lambda: f"{place.bulk}groups/{attempt_name()}",
            lambda window: place.window(window.key).export_attempt(attempt_name()),
        )
        seconds = (time.monotonic() - started) / len(group)
        # One UNLOAD's own manifest speaks of many windows: it is kept once, with the first of them.
        copies = _keep_copies(place.window(group[0].key).aws_manifests, results, bucket)

        def record(unloaded: Unloaded, seconds: float = seconds, copies: dict[str, str] = copies) -> ExportManifest:
            return _record(job, place, schema, unloaded, before[unloaded.window.key], bucket, seconds, copies)

        with ThreadPoolExecutor(_WINDOWS_AT_A_TIME) as pool:
            recorded = pool.map(record, results)
            done |= {manifest.window.key: manifest for manifest in recorded}
    return [manifest for manifest in done.values() if manifest is not None]


def _refuse_lost_rows(job: MigrationJob, window: Window, query: TimestreamQuery, found: ExportManifest | None) -> None:
    """Count the source where an export of the same table and range would be replaced: never by fewer rows.

    Raises:
        Refused: rows have expired, or were deleted, since the export.
    """
    if found is None:
        return
    exported = Window(found.window.start_ns, found.window.end_ns, window.key)
    rows = rows_in(query, job.source_database, job.source_table, exported)
    if rows >= found.rows:
        return
    raise _lost(job, window, f"{found.rows:,} rows were exported, and Timestream holds {rows:,} now: rows have expired")


def _lost(job: MigrationJob, window: Window, what: str) -> Refused:
    return Refused(
        f"{what} or were deleted in the source since. The export, the proof and the bucket stay as they are",
        where=f"job {job.job_name!r}, window {window}",
        allowed="an export that replaces another one and holds at least its rows",
        next_step="raise the source table's retention before more rows expire, and accept what was exported; "
        f"`ts-migration reset {job.slug}` takes the source as it is now",
    )


def _keep_copies(folder: str, results: Sequence[Unloaded], bucket: ExportBucket) -> dict[str, str]:
    """Keep AWS's own manifests where no cleanup comes: name -> key of the copy."""
    bodies = {manifest.name: manifest.body for unloaded in results for manifest in unloaded.manifests}
    for name, body in bodies.items():
        bucket.put(folder + name, body, "application/json")
    return {name: folder + name for name in bodies}


def _record(
    job: MigrationJob,
    place: TablePlace,
    schema: TableSchema,
    unloaded: Unloaded,
    earlier: ExportManifest | None,
    bucket: ExportBucket,
    seconds: float,
    copies: dict[str, str],
) -> ExportManifest:
    """Write the stage's manifest, last; `copies` are where AWS's own lie, by name.

    Raises:
        Refused: it would replace an earlier export that has rows which are not in this one.
    """
    own = place.window(unloaded.window.key)
    manifest = export_manifest(schema, unloaded).model_copy(
        update={
            "aws_manifests": tuple(copies[manifest.name] for manifest in unloaded.manifests),
            "settings": export_settings(job),
            "seconds": round(seconds, 3),
        }
    )
    if earlier is not None and (gone := gone_rows(schema, earlier, manifest, bucket)):
        told = f"{gone:,} of the {earlier.rows:,} rows that were exported are not among the {manifest.rows:,} that "
        raise _lost(job, unloaded.window, told + "Timestream holds now: they have expired")
    return manifest.write(bucket, own.manifest(STAGE))


def _listener(window: str, progress: Listener | None) -> "_PageListener | None":
    return None if progress is None else _PageListener(window, progress)


class _PageListener:
    """Tells of an UNLOAD's pages: their rows are known at its end only, what it has scanned before."""

    def __init__(self, window: str, progress: Listener) -> None:
        self._window, self._progress = window, progress

    def __call__(self, page: Page) -> None:
        rows = page.rows[0][0] if page.rows and isinstance(page.rows[0][0], int) else 0
        self._progress(Progress(STAGE, self._window, rows, rows or None, page.bytes_scanned))
