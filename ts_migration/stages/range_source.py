"""The source's side of any range: counts and a sample by queries, all rows by UNLOAD into a scratch folder.

UNLOAD and not SELECT: exact to the bit, one scan, bounded memory (pages of a SELECT would be a million rows of JSON).
The rows pass the pandera checks, encoder and digest that an export's frames pass; nothing of it is kept.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace

import polars as pl

from ts_migration.columns import named
from ts_migration.line_protocol.accepted_rows import Sayable, accept
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.parquet import FrameSize, export_frames
from ts_migration.line_protocol.read_ahead import one_ahead
from ts_migration.line_protocol.rewrites import Said, say
from ts_migration.line_protocol.rules import Rules
from ts_migration.line_protocol.series import MEASURE_NAME
from ts_migration.line_protocol.tally import Tally
from ts_migration.manifests import ExportManifest, FramesRecord, LineProtocolManifest, fingerprint
from ts_migration.objects import ExportBucket
from ts_migration.stages.check import export_reading, source_reading
from ts_migration.stages.expectation import Expectation
from ts_migration.stages.scratch_export import export_manifest
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.readings import sample_rows, source_counts
from ts_migration.timestream.schema import ColumnRole, TableSchema
from ts_migration.timestream.unload import Unloader, attempt_name
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.frames import FrameChecks
from ts_migration.windows import Window

LINES = 10_000
"""Frames are a whole number of these; nothing is written of them here."""


@dataclass(frozen=True)
class RangeSubject:
    """What is compared with what.

    Attributes:
        schema: of the source table.
        mapping: which point each of its rows must be.
        bucket: that holds the points.
        rewrite: rules that rows were rewritten by when they were loaded.
        count_tolerance, sample_threshold, sample_size: as of `validation_rules`.
    """

    schema: TableSchema
    mapping: Mapping
    bucket: str
    rewrite: Rules = field(default_factory=dict)
    count_tolerance: float = 0.0
    sample_threshold: float = 1.0
    sample_size: int = 100


def read_source(
    subject: RangeSubject, window: Window, query: TimestreamQuery, bucket: ExportBucket, scratch: str, seed: int
) -> Expectation:
    """Both readings of the source.

    Args:
        subject: table and mapping.
        window: the range.
        query: Timestream, asked now.
        bucket: the export bucket.
        scratch: prefix that the caller deletes, once no point has to be named any more.
        seed: of the sample.

    Raises:
        Transient, Missing, Permanent: see `Unloader` and `export_frames`.
    """
    schema, mapping = subject.schema, subject.mapping
    counts = source_counts(query, schema, mapping, window)
    with ThreadPoolExecutor(1, thread_name_prefix="sample") as pool:
        asked = pool.submit(sample_rows, query, schema, window, subject.sample_size, seed, counts.total_rows)
        unloader = Unloader(query, bucket, mapped_columns(schema, mapping))
        export = export_manifest(schema, unloader.window(window, lambda: scratch + attempt_name()))
        sample = asked.result()
    # What came to the source since the mapping was frozen is told by the schema check; here it has no place.
    stranger = bool(counts.unmapped)
    checks, digest = FrameChecks(export, mapping), PointDigest(window.start_ns, window.end_ns)
    said = _Said()
    frame_rows = FrameSize(LINES).rows(export.columns)
    with closing(one_ahead(export_frames(bucket, export, mapping, frame_rows), "export-read")) as frames:
        for frame in frames:
            checks.check(frame)
            rows = only_mapped(frame, mapping) if stranger else frame
            said.add(len(frame), say(rows, mapping, subject.rewrite, accept), len(frame) - len(rows), digest, mapping)
    converted = said.manifest(export, mapping, subject.rewrite, digest, checks.record)
    known = only_mapped(sample, mapping) if stranger else sample
    return Expectation(
        window=window,
        mapping=mapping,
        source=source_reading(counts, known, mapping, converted),
        reading=export_reading(export, converted, digest.coverage),
        export=export,
        converted=converted,
        bucket=bucket,
    )


def mapped_columns(schema: TableSchema, mapping: Mapping) -> TableSchema:
    """The table with the columns that the mapping knows."""
    known = {*mapping.dimensions, *(field.column for field in mapping.fields)}
    always = (ColumnRole.TIMESTAMP, ColumnRole.MEASURE_NAME)
    columns = tuple(column for column in schema.columns if column.role in always or column.name in known)
    return replace(schema, columns=columns)


def only_mapped(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Rows of measures that the mapping knows, and of their columns the values that some field takes."""
    name = pl.col(MEASURE_NAME)
    return frame.filter(name.is_in(list(mapping.measure_names))).with_columns(
        pl.when(name.is_in(sorted(names))).then(named(column)).alias(column)
        for column, names in _gated(frame, mapping).items()
    )


def unmapped_values(frame: pl.DataFrame, mapping: Mapping) -> int:
    """What `only_mapped` takes away: rows of measures that the mapping does not know, values that no field takes."""
    name = pl.col(MEASURE_NAME)
    known = frame.filter(name.is_in(list(mapping.measure_names)))
    values = [
        (named(column).is_not_null() & ~name.is_in(sorted(names))).sum().alias(column)
        for column, names in _gated(frame, mapping).items()
    ]
    return len(frame) - len(known) + (sum(known.select(values).row(0)) if values else 0)


def _gated(frame: pl.DataFrame, mapping: Mapping) -> dict[str, set[str]]:
    """Columns that fields take of some measures only -> those measures."""
    takers: dict[str, set[str] | None] = {}
    for source in mapping.fields:
        taken = takers.setdefault(source.column, set())
        if taken is not None:
            takers[source.column] = None if source.measure_names is None else taken | set(source.measure_names)
    return {column: names for column, names in takers.items() if names is not None and column in frame.columns}


@dataclass
class _Said(Tally):
    """What a conversion would have written. `strange` rows are of measures without a place."""

    strange: int = 0

    def add(self, rows: int, said: Said[Sayable], strange: int, digest: PointDigest, mapping: Mapping) -> None:
        self.count(rows, said)
        self.strange += strange
        for batch in said.batches:
            digest.add_frame(batch.accepted, mapping)

    def manifest(
        self, export: ExportManifest, mapping: Mapping, rewrite: Rules, digest: PointDigest, frames: FramesRecord
    ) -> LineProtocolManifest:
        """What a conversion's manifest would say, without a part: no line is kept."""
        return LineProtocolManifest(
            database=export.database,
            table=export.table,
            window=export.window,
            parent=export.digest,
            mapping_digest=mapping.digest,
            settings=fingerprint(),
            parts=(),
            members_key="",
            rows=self.rows,
            points=self.points,
            merged=0,
            quarantined=self.quarantined,
            # Told by the schema check, and no points either.
            empty=self.empty + self.strange,
            values=dict(sorted(self.values.items())),
            text_bytes=0,
            bytes=0,
            expected=digest.record(),
            coverage_key="",
            series=digest.series,
            seconds=0.0,
            rewrite=dict(rewrite),
            rewritten=dict(sorted(self.rewritten.items())),
            frames=frames,
        )
