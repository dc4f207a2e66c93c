"""Whether Timestream still has the values that were exported: a row written again with another value changes no count.

Neighbouring windows are exported once more by one UNLOAD into a scratch folder and digested. A digest is a sum over
values, so that of a stretch is the sum of its windows'; only where they differ is the stretch halved, down to a window.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.line_protocol.accepted_rows import TIME, accept
from ts_migration.line_protocol.parquet import SOURCE_TIME, FrameSize, export_frames
from ts_migration.line_protocol.read_ahead import one_ahead
from ts_migration.line_protocol.rewrites import say
from ts_migration.line_protocol.series import MEASURE_NAME
from ts_migration.line_protocol.tally import Tally
from ts_migration.manifests import ExportManifest, read_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.gone_rows import new_rows
from ts_migration.stages.proof import WindowProof
from ts_migration.stages.range_source import (
    LINES,
    RangeSubject,
    mapped_columns,
    only_mapped,
    unmapped_values,
)
from ts_migration.stages.scratch_export import scratch_export
from ts_migration.stages.table import frozen_mapping
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.readings import new_column_values
from ts_migration.timestream.schema import TableSchema
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.hashing import MASK
from ts_migration.windows import Window

STRETCH_ROWS = 20_000_000
"""Rows exported again by one UNLOAD: so many lie in S3 for the while."""
_STRETCHES_AT_A_TIME = 2

Lanes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ExportedValues:
    """What was exported of one window.

    Attributes:
        window: of the grid.
        rows: exported.
        quarantined: of them, rows that are no points.
        lanes: of the digest of all others.
        quarantined_digest: of the rows that are no points; None where it is not known.
    """

    window: Window
    rows: int
    quarantined: int
    lanes: Lanes
    quarantined_digest: int | None = None


@dataclass(frozen=True, slots=True)
class _Sum:
    """Rows, rows kept out and digest of a stretch of time, and values that the mapping has no place for."""

    rows: int
    quarantined: int
    lanes: Lanes
    quarantined_digest: int | None
    unmapped: int = 0

    @classmethod
    def of(cls, windows: Sequence[ExportedValues]) -> "_Sum":
        return cls(
            sum(each.rows for each in windows),
            sum(each.quarantined for each in windows),
            (sum(each.lanes[0] for each in windows) & MASK, sum(each.lanes[1] for each in windows) & MASK),
            _quarantined(windows),
        )

    def differs(self, exported: "_Sum") -> bool:
        """From what was exported. Quarantined rows of which no digest is known are told by their number alone."""
        known = exported.quarantined_digest is not None
        return exported != (self if known else replace(self, quarantined_digest=None))


def _quarantined(windows: Sequence[ExportedValues]) -> int | None:
    """Digest of the quarantined rows of windows; None where that of one is not known."""
    digests = [each.quarantined_digest for each in windows if each.quarantined]
    known = [digest for digest in digests if digest is not None]
    return sum(known) & MASK if len(known) == len(digests) else None


def rewritten_windows(
    subject: RangeSubject,
    windows: Sequence[ExportedValues],
    query: TimestreamQuery,
    bucket: ExportBucket,
    *,
    stretch_rows: int = STRETCH_ROWS,
) -> tuple[Window, ...]:
    """Windows of which Timestream has other values now than were exported, in time order.

    Args:
        subject: table, mapping and rewrite rules of the export.
        windows: those of which Timestream has as many rows as were exported; others differ by their count already.
        query: Timestream, asked now.
        bucket: the export bucket; what is put there is deleted again.
        stretch_rows: rows that one UNLOAD may have.

    Raises:
        Transient, Missing, Permanent: see `Unloader` and `export_frames`.
    """
    with ThreadPoolExecutor(_STRETCHES_AT_A_TIME, thread_name_prefix="source-values") as pool:
        found = pool.map(
            lambda stretch: _differing(subject, stretch, query, bucket), list(_stretches(windows, stretch_rows))
        )
        return tuple(each.window for stretch in found for each in stretch)


def rewritten_in(
    config: MigrationConfig,
    job: MigrationJob,
    windows: Sequence[WindowProof],
    counts: Sequence[int],
    query: TimestreamQuery,
    bucket: ExportBucket,
) -> tuple[Window, ...]:
    """The same of a job's windows, by its frozen mapping; none where the configuration wants no values read again.

    Windows that are not converted yet have no digest to compare with, and are left out: their checks have not run. Of a
    window that shrank, what is left is compared row by row with the export, as long as its files are there: what came
    late, or was written again, is hidden by what has expired.

    Args:
        config, job: whose windows they are.
        windows: of which Timestream may have other values than were exported.
        counts: rows that Timestream has now in each of them. Those that grew are left out, for they are named already.
        query, bucket: see `rewritten_windows`.
    """
    found = list(zip(windows, counts, strict=True))
    shrunk = [each.window for each, now in found if 0 < now < each.rows and each.exported_lanes is not None]
    known = [
        ExportedValues(each.window, each.rows, each.quarantined, each.exported_lanes, each.quarantined_digest)
        for each, now in found
        if each.exported_lanes is not None and now == each.rows
    ]
    if not config.validation_rules.reread_source or not (known or shrunk):
        return ()
    subject = RangeSubject(
        describe(query, job.source_database, job.source_table),
        frozen_mapping(job, config.place(job), bucket),
        job.target_bucket,
        job.mapping.rewrite.active,
    )
    changed = [window for window in shrunk if _has_new_rows(subject, config.place(job), window, query, bucket)]
    return tuple(
        sorted((*rewritten_windows(subject, known, query, bucket), *changed), key=lambda window: window.start_ns)
    )


def _has_new_rows(
    subject: RangeSubject, place: TablePlace, window: Window, query: TimestreamQuery, bucket: ExportBucket
) -> bool:
    """Whether Timestream has a row now that was not exported as it is. False where the export's files are gone."""
    exported = read_manifest(ExportManifest, bucket, place.window(window.key).manifest("export"))
    if exported is None:
        return False
    if new_column_values(query, subject.schema, subject.mapping, window):
        return True
    with scratch_export(_mapped(subject), window, query, bucket) as now:
        columns = [name for name in now.columns if name not in (SOURCE_TIME, TIME, MEASURE_NAME)]
        return bool(new_rows(columns, exported, now, bucket))


def _stretches(windows: Sequence[ExportedValues], most: int) -> Iterator[list[ExportedValues]]:
    """Windows that touch, as many as have `most` rows together; windows without a row are left out."""
    stretch: list[ExportedValues] = []
    reaches: int | None = None
    rows = 0
    for each in sorted(windows, key=lambda one: one.window.start_ns):
        if stretch and (reaches != each.window.start_ns or rows + each.rows > most):
            yield stretch
            stretch, rows = [], 0
        reaches = each.window.end_ns
        if each.rows:
            stretch.append(each)
            rows += each.rows
    if stretch:
        yield stretch


def _differing(
    subject: RangeSubject, stretch: Sequence[ExportedValues], query: TimestreamQuery, bucket: ExportBucket
) -> list[ExportedValues]:
    window = stretch[0].window if len(stretch) == 1 else Window(stretch[0].window.start_ns, stretch[-1].window.end_ns)
    if not _values_now(subject, window, query, bucket).differs(_Sum.of(stretch)):
        return []
    if len(stretch) == 1:
        return list(stretch)
    half = len(stretch) // 2
    return [
        *_differing(subject, stretch[:half], query, bucket),
        *_differing(subject, stretch[half:], query, bucket),
    ]


def _values_now(subject: RangeSubject, window: Window, query: TimestreamQuery, bucket: ExportBucket) -> _Sum:
    schema, mapping = subject.schema, subject.mapping
    digest = PointDigest(window.start_ns, window.end_ns)
    tally = Tally()
    unmapped = new_column_values(query, schema, mapping, window)
    with scratch_export(_mapped(subject), window, query, bucket) as export:
        frame_rows = FrameSize(LINES).rows(export.columns)
        with closing(one_ahead(export_frames(bucket, export, mapping, frame_rows), "export-read")) as frames:
            for frame in frames:
                unmapped += unmapped_values(frame, mapping)
                said = say(only_mapped(frame, mapping), mapping, subject.rewrite, accept)
                tally.count(len(frame), said)
                for encoded in said.batches:
                    digest.add_frame(encoded.accepted, mapping)
    return _Sum(tally.rows, tally.quarantined, digest.record().lanes, tally.quarantined_digest, unmapped)


def _mapped(subject: RangeSubject) -> TableSchema:
    return mapped_columns(subject.schema, subject.mapping)
