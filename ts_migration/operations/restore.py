"""`restore-export`: makes a Timestream table again from the exports that are kept, and proves it window by window.

A way back that needs neither the old table nor InfluxDB. One window's rows and their proof are `stages.restore`.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.manifests import ExportManifest, TableManifest, read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.currency import files_are_there
from ts_migration.stages.restore import Kept, read_back, require_equal, write_window
from ts_migration.stages.restore_record import RestoredWindow, RestoreManifest
from ts_migration.timestream.ingestion import LONGEST_RETENTION_DAYS, RECORDS_A_REQUEST, Ingestion, TableSettings
from ts_migration.timestream.probe import time_span
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.records import RecordShape
from ts_migration.timestream.window_counts import window_rows
from ts_migration.windows import Grid, Window, iso

_READERS = 16
_SETTLE_S = 2.0
"""Pause before a table is read again that lacks rows just written: Timestream's reads are eventually consistent."""
_NAMED = 5


@dataclass(frozen=True)
class KeptExport:
    """A window whose exported rows are kept, and how its columns are written."""

    window: Window
    manifest: ExportManifest
    shape: RecordShape


@dataclass(frozen=True)
class RestoreLook:
    """What a restore would do.

    Attributes:
        job: whose exports they are.
        exports: windows whose files are there, oldest first.
        not_kept: windows of the table that cannot be restored, with why.
        settings: of the table that is restored into; None where it has to be made.
        holds_rows: whether that table holds any.
        record: of a restore into it that was begun before.
    """

    job: MigrationJob
    exports: tuple[KeptExport, ...]
    not_kept: tuple[tuple[str, str], ...]
    settings: TableSettings | None
    holds_rows: bool
    record: RestoreManifest | None

    @property
    def rows(self) -> int:
        """Rows of all exports."""
        return sum(each.manifest.rows for each in self.exports)

    @property
    def bytes(self) -> int:
        """Bytes of their files."""
        return sum(each.manifest.bytes for each in self.exports)

    @property
    def requests(self) -> int:
        """Requests of WriteRecords that they take."""
        return sum(-(-each.manifest.rows // RECORDS_A_REQUEST) for each in self.exports)


def look_at_exports(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    query: TimestreamQuery,
    ingestion: Ingestion,
    keys: tuple[str, str] | None = None,
) -> RestoreLook:
    """What is kept of a job's table, and what the table is that it would be restored into. Changes nothing.

    Args:
        config: of the job.
        job: whose exports are looked at.
        bucket: the export bucket.
        query, ingestion: Timestream, and the table that is restored into.
        keys: first and last window; by default all.

    Raises:
        Missing: the table was never begun, or a key is none of its windows.
        MigrationError: S3 or Timestream cannot be asked.
    """
    place = config.place(job)
    table = read_manifest(TableManifest, bucket, place.table_manifest)
    if table is None:
        raise Missing(
            "nothing of its table was exported", where=f"job {job.job_name!r}", allowed="a table with exports"
        )
    grid = Grid(table.cron, table.range_start_ns, table.range_end_ns)
    windows = grid.between(*keys) if keys else list(grid)
    dimensions = Mapping.from_json(table.mapping).dimensions

    def look(window: Window) -> KeptExport | str:
        found = read_manifest(ExportManifest, bucket, place.window(window.key).manifest("export"))
        if found is None:
            return "it was not exported"
        if not files_are_there(bucket, found):
            return "its export files are gone, as after a cleanup"
        return KeptExport(window, found, RecordShape.of(found.columns, dimensions))

    with ThreadPoolExecutor(_READERS) as pool:
        looks = list(pool.map(look, windows))
    settings = ingestion.settings()
    holds_rows = settings is not None and time_span(query, ingestion.database, ingestion.table) is not None
    return RestoreLook(
        job,
        tuple(one for one in looks if isinstance(one, KeptExport)),
        tuple((window.key, one) for window, one in zip(windows, looks, strict=True) if isinstance(one, str)),
        settings,
        holds_rows,
        read_manifest(RestoreManifest, bucket, place.restored(ingestion.name)),
    )


def require_restorable(look: RestoreLook, ingestion: Ingestion, *, allow_existing: bool, now_ns: int) -> None:
    """Nothing, where a restore may begin or go on.

    Raises:
        Refused: windows are not kept, the table holds rows of others, or it would not take rows of that age.
    """
    where = f"job {look.job.job_name!r}"
    if look.not_kept:
        named = "; ".join(f"{key}: {why}" for key, why in look.not_kept[:_NAMED])
        raise Refused(
            f"{len(look.not_kept):,} of {len(look.not_kept) + len(look.exports):,} windows are not kept: {named}",
            where=where,
            allowed="windows whose export files lie in the bucket",
            next_step="--window FROM..TO restores those that are kept",
        )
    if look.holds_rows and look.record is None and not allow_existing:
        raise Refused(
            f"the table {ingestion.name} holds rows, and none of them is of a restore",
            where=where,
            allowed="a new table, an empty one, or one that a restore was begun into",
            next_step="--into another table, or --allow-existing-data: rows of the same dimensions, measure name and "
            "time are then written over only by a higher --record-version",
        )
    first = min((each.manifest.window.start_ns for each in look.exports if each.manifest.rows), default=now_ns)
    if look.settings is not None and not look.settings.takes(now_ns - first):
        raise Refused(
            f"the table {ingestion.name} takes no records of {iso(first)}: its magnetic store keeps "
            f"{look.settings.magnetic_days:,} days"
            + ("" if look.settings.takes_late_records else " and takes no late records"),
            where=where,
            next_step="aws timestream-write update-table with EnableMagneticStoreWrites=true and a "
            f"MagneticStoreRetentionPeriodInDays of up to {LONGEST_RETENTION_DAYS:,}; or restore into another table",
        )


@dataclass(frozen=True)
class Restore:
    """What a restore works with."""

    config: MigrationConfig
    look: RestoreLook
    bucket: ExportBucket
    query: TimestreamQuery
    ingestion: Ingestion
    existing_allowed: bool = False
    retention_days: int = LONGEST_RETENTION_DAYS
    """Of the magnetic store of a table that has to be made."""

    def perform(
        self, report: Callable[[str], None] = lambda _: None, on_rows: Callable[[int], None] = lambda _: None
    ) -> RestoreManifest:
        """Make the table where there is none, write every window that is not proven there, and prove it.

        Interrupted, the same call goes on: proven windows that still hold their rows are left alone, and rows that were
        written are accepted again.

        Args:
            report: told of every window.
            on_rows: told how many more rows are written.

        Raises:
            MigrationError: something failed; what is proven stays recorded.
        """
        ingestion, place = self.ingestion, self.config.place(self.look.job)
        if self.look.settings is None:
            ingestion.create(self.retention_days)
            report(f"made the table {ingestion.name}, which keeps {self.retention_days:,} days")
        record = self.look.record or RestoreManifest(
            source=self.look.job.source,
            table=ingestion.name,
            record_version=ingestion.version,
            existing_allowed=self.look.holds_rows,
        )
        key = place.restored(ingestion.name)
        record = record.model_copy(update={"record_version": ingestion.version}).write(self.bucket, key)
        for each in self._open(record):
            proven = self._restored(each, on_rows)
            record = record.with_window(proven).write(self.bucket, key)
            beside = f", beside {proven.others:,} others" if proven.others else ""
            report(f"window {proven.key}: {proven.rows:,} rows, {proven.values:,} values written and proven{beside}")
        return record

    def _open(self, record: RestoreManifest) -> Sequence[KeptExport]:
        """Windows that are not proven, or that do not hold any more what was."""
        database, table = self.ingestion.database, self.ingestion.table
        windows = [each.window for each in self.look.exports]
        held = window_rows(self.query, database, table, windows) if self.look.holds_rows else [0] * len(windows)
        found = []
        for each, rows in zip(self.look.exports, held, strict=True):
            proven = record.window(each.window.key)
            same = proven is not None and proven.export == each.manifest.digest
            if proven is None or not same or rows != proven.rows + proven.others:
                found.append(each)
        return found

    def _restored(self, each: KeptExport, on_rows: Callable[[int], None]) -> RestoredWindow:
        kept = write_window(each.manifest, each.shape, self.bucket, self.ingestion, on_rows)
        found = self._found(each, kept)
        require_equal(
            kept,
            found,
            f"{self.ingestion.name}, window {each.window}",
            "the same command again; where it stays so, restore into another table",
        )
        return RestoredWindow(
            key=each.window.key,
            export=each.manifest.digest,
            rows=kept.rows,
            values=kept.digest.values,
            lanes=kept.digest.lanes,
            others=found.others,
        )

    def _found(self, each: KeptExport, kept: Kept) -> Kept:
        """What the table holds, asked again for a while where it lacks rows that were written just now."""
        if not kept.rows:
            return kept
        database, table = self.ingestion.database, self.ingestion.table
        beside = self.existing_allowed
        for attempt in range(self.ingestion.retries.attempts + 1):
            if attempt:
                self.ingestion.sleep(_SETTLE_S * 2 ** (attempt - 1))
            try:
                found = read_back(
                    each.manifest, each.shape, self.bucket, self.query, database, table, only_exported=beside
                )
            except Missing:
                # A new table's columns come with its first rows.
                continue
            if found.rows >= kept.rows:
                return found
        return found


def nanoseconds_now() -> int:
    """The time of now, ns."""
    return time.time_ns()


def into(text: str, job: MigrationJob) -> tuple[str, str]:
    """Database and table of `--into DATABASE.TABLE`.

    Raises:
        Permanent: it is no such name.
    """
    database, _, table = text.partition(".")
    if not database or not table:
        raise Permanent(f"--into {text!r} names no table", allowed="DATABASE.TABLE", next_step=f"such as {job.source}")
    return database, table
