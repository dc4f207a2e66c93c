"""The check stage: both sides of one window read once, five verdicts, bound to the digests of what they judged.

The checks themselves are pure functions of `validation`. Where the sides differ, `location` names the first values that
do, with what every place has of them.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl

from ts_migration.config import MigrationConfig, MigrationJob, ValidationRules
from ts_migration.errors import Missing, Permanent
from ts_migration.influxdb.blocks import Block, SeriesBatch
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.refused import read_refused
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.accepted_rows import accept
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rewrites import say
from ts_migration.manifests import (
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    VerdictsManifest,
    require_manifest,
)
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.currency import window_range
from ts_migration.stages.found_points import untouched_of
from ts_migration.stages.location import locate
from ts_migration.stages.pinpoint import pinpoint
from ts_migration.stages.stored_points import shards_to_read, stored_batches
from ts_migration.stages.table import frozen_mapping
from ts_migration.stages.target_reading import ask_figures, read_target
from ts_migration.stages.trace import Chain, Places, Sides, with_all_columns
from ts_migration.stages.ways import way_made
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.readings import SourceCounts, sample_rows, source_counts
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.window_counts import window_rows
from ts_migration.validation.blame import NOT_LOOKED, Trails, blamed
from ts_migration.validation.checksum import check_checksum
from ts_migration.validation.coverage import check_coverage
from ts_migration.validation.coverage_cells import coverage_of_cells
from ts_migration.validation.differences import Differences
from ts_migration.validation.digest import Coverage, bin_window, coverage_from_bytes
from ts_migration.validation.hashing import TIME_BINS
from ts_migration.validation.readings import ExportReading, Reading, SourceReading
from ts_migration.validation.record_count import check_record_count
from ts_migration.validation.refused_lines import refused_blocks
from ts_migration.validation.sample import check_sample, sampled_rows
from ts_migration.validation.schema import check_schema
from ts_migration.validation.verdict import Verdict, status_of
from ts_migration.windows import Window


def check_window(
    config: MigrationConfig,
    job: MigrationJob,
    window: Window,
    bucket: ExportBucket,
    query: TimestreamQuery,
    target: Target,
    *,
    schema: TableSchema | None = None,
    seed: int | None = None,
) -> VerdictsManifest:
    """Read both sides of a loaded window, judge them, and write the verdicts.

    Args:
        config: tolerances, retries and the place of the objects.
        job: whose table it is.
        window: of the job's grid.
        bucket: the export bucket.
        query: Timestream, asked now.
        target: InfluxDB.
        schema: of the table; described anew where it is not given.
        seed: of the sample; a fresh one by default.

    Raises:
        Missing: a stage before has not finished.
        Permanent: the manifests do not belong together: an earlier stage was run again.
        Transient: one of the two sides failed for now, after all retries.
    """
    started = time.monotonic()
    table = config.place(job)
    place = table.window(window.key)
    settings = config.migration_settings
    policy = RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)
    described = schema or describe(query, job.source_database, job.source_table)
    rules = config.validation_rules
    chosen = secrets.randbits(32) if seed is None else seed
    with ThreadPoolExecutor(8) as pool:
        # All that does not wait for another answer is asked side by side; Timestream, the slowest, first.
        frozen = pool.submit(frozen_mapping, job, table, bucket)
        counts = pool.submit(lambda: source_counts(query, described, frozen.result(), window))
        made = _ask_manifests(pool, job, place, window, bucket)
        mapping = frozen.result()
        chain = _belonging_together(made(), job, place, window, mapping, bucket)
        sample = pool.submit(sample_rows, query, described, window, rules.sample_size, chosen, chain.export.rows)
        stored = _stored(job, chain, mapping, window, bucket, target, policy)
        reading = _reading(
            query, job, counts, sample, chain, mapping, window, rules, bucket, place, target, policy, stored
        )
    untouched = untouched_of(bucket, chain.loaded)
    sides = Sides(window, mapping, chain.export, chain.converted, chain.loaded.bucket, bucket, target, untouched)
    places = Places(sides, query, described)
    differences = None
    if reading.export.expected.lanes != reading.target.digest.lanes:
        differences = differences_of(sides, reading, policy, refused_points(bucket, place, chain.loaded))
    location = retrying(lambda: locate(places, reading, differences), policy)
    verdicts = judge(reading, mapping, window, location.differences, location.trails)
    kept_out = chain.converted.altered + chain.loaded.refused_lines
    return VerdictsManifest(
        database=job.source_database,
        table=job.source_table,
        window=window_range(window),
        export=chain.export.digest,
        line_protocol=chain.converted.digest,
        load=chain.loaded.digest,
        mapping_digest=mapping.digest,
        rules=rules.fingerprint,
        verdicts=tuple(verdict.record for verdict in verdicts),
        status=status_of(verdicts, kept_out).value,
        seconds=round(time.monotonic() - started, 3),
    ).write(bucket, place.verdicts)


def _reading(
    query: TimestreamQuery,
    job: MigrationJob,
    counts: "Future[SourceCounts]",
    sample: "Future[pl.DataFrame]",
    chain: Chain,
    mapping: Mapping,
    window: Window,
    rules: ValidationRules,
    bucket: ExportBucket,
    place: WindowPlace,
    target: Target,
    policy: RetryPolicy,
    stored: Callable[[], Iterator[SeriesBatch]] | None,
) -> Reading:
    """Both sides of the window. The source is asked already; the points are streamed once its sample is there."""
    held = chain.loaded.bucket
    figures = retrying(lambda: ask_figures(target, held, mapping.measurement, window), policy)
    asked = figures.without(chain.loaded.untouched)
    coverage = kept_coverage(bucket, chain)
    refused = refused_points(bucket, place, chain.loaded)
    untouched = untouched_of(bucket, chain.loaded)
    bins = _bin_rows(query, job, window, counts.result(), chain.export.rows)
    told = source_reading(counts.result(), sample.result(), mapping, chain.converted, bins)
    actual = retrying(
        lambda: read_target(target, held, mapping.measurement, window, told.sample, refused, asked, untouched, stored),
        policy,
    )
    suspected = chain.converted.expected.lanes != actual.digest.lanes
    # Loading spoiled parts again would spoil the bucket again.
    spoiled = way_made(chain.converted).spoiled(bucket, chain.converted) if suspected else ()
    return Reading(
        source=told,
        export=export_reading(chain.export, chain.converted, coverage, spoiled),
        target=actual,
        count_tolerance=rules.record_count_tolerance,
        sample_threshold=rules.sample_accuracy_threshold,
    )


def _stored(
    job: MigrationJob,
    chain: Chain,
    mapping: Mapping,
    window: Window,
    bucket: ExportBucket,
    target: Target,
    policy: RetryPolicy,
) -> Callable[[], Iterator[SeriesBatch]] | None:
    """What gives the window's points as they are stored, where the job is to be proven by that."""
    if job.proof != "storage":
        return None
    shards = retrying(lambda: shards_to_read(job, chain.loaded, bucket, target), policy)
    return lambda: stored_batches(target, shards, mapping.measurement, window)


def judge(
    reading: Reading,
    mapping: Mapping,
    window: Window,
    differences: Differences | None = None,
    trails: Trails = NOT_LOOKED,
) -> tuple[Verdict, ...]:
    """The five verdicts of a reading; their stages are those that the trails show, where there are any."""
    counted = check_record_count(reading)
    verdicts = (
        counted,
        check_checksum(reading, window, differences, mapping.measurement),
        check_sample(reading, counted),
        check_schema(reading, mapping),
        check_coverage(reading, window),
    )
    return tuple(blamed(verdict, trails) for verdict in verdicts)


def chain_of(job: MigrationJob, place: WindowPlace, window: Window, mapping: Mapping, bucket: ExportBucket) -> Chain:
    """The window's manifests.

    Raises:
        Missing: one is not there.
        Permanent: they do not belong together.
    """
    return _belonging_together(_manifests(job, place, window, bucket), job, place, window, mapping, bucket)


def _manifests(job: MigrationJob, place: WindowPlace, window: Window, bucket: ExportBucket) -> Chain:
    """The window's manifests, whether or not they belong together."""
    with ThreadPoolExecutor(3) as pool:
        return _ask_manifests(pool, job, place, window, bucket)()


def _ask_manifests(
    pool: ThreadPoolExecutor, job: MigrationJob, place: WindowPlace, window: Window, bucket: ExportBucket
) -> Callable[[], Chain]:
    """Ask for the window's manifests side by side; what waits for them."""
    name = f"window {window.key} of {job.job_name}"
    keys = [place.manifest(stage) for stage in ("export", "line_protocol", "load")]
    export = pool.submit(require_manifest, ExportManifest, bucket, keys[0], f"export the {name} first")
    converted = pool.submit(require_manifest, LineProtocolManifest, bucket, keys[1], f"convert the {name} first")
    loaded = pool.submit(require_manifest, LoadManifest, bucket, keys[2], f"load the {name} first")
    return lambda: Chain(export.result(), converted.result(), loaded.result())


def _belonging_together(
    chain: Chain, job: MigrationJob, place: WindowPlace, window: Window, mapping: Mapping, bucket: ExportBucket
) -> Chain:
    """The same manifests, each made from the one before."""
    broken = [
        text
        for wrong, text in (
            (chain.export.window != window_range(window), "the export is of another range"),
            (chain.converted.parent != chain.export.digest, "the conversion was made from another export"),
            (chain.converted.mapping_digest != mapping.digest, "the conversion was made with another mapping"),
            (chain.loaded.parent != chain.converted.digest, "the load was made from another conversion"),
        )
        if wrong
    ]
    if broken:
        raise Permanent(
            f"the stages of the window {window.key} of {job.job_name} do not belong together: {'; '.join(broken)}",
            where=bucket.uri(place.proof),
            next_step="run the window again: `ts-migration execute` redoes only what has changed",
        )
    return chain


def _bin_rows(
    query: TimestreamQuery, job: MigrationJob, window: Window, counts: SourceCounts, exported: int
) -> tuple[int, ...] | None:
    """Rows of each time bin in Timestream now; not asked where it has as many rows as were exported."""
    if counts.total_rows == exported:
        return None
    parts = [bin_window(window, index) for index in range(TIME_BINS)]
    rows = window_rows(query, job.source_database, job.source_table, [part for part in parts if not part.empty])
    return (*rows, *(0 for part in parts if part.empty))


def source_reading(
    counts: SourceCounts,
    sample: pl.DataFrame,
    mapping: Mapping,
    converted: LineProtocolManifest,
    bins: tuple[int, ...] | None = None,
) -> SourceReading:
    """The source's answers as the checks take them; sampled rows that are in the quarantine are left out."""
    left_out = 0
    if converted.altered and not sample.is_empty():
        accepted = say(with_all_columns(sample, mapping), mapping, converted.rewrite, accept).accepted
        left_out, sample = len(sample) - len(accepted), accepted
    return SourceReading(
        rows=counts.total_rows,
        values=counts.field_values(mapping),
        first_ns=counts.first_ns,
        last_ns=counts.last_ns,
        sample=sampled_rows(with_all_columns(sample, mapping), mapping),
        sample_quarantined=left_out,
        unmapped=counts.unmapped,
        bin_rows=bins,
    )


def kept_coverage(bucket: ExportBucket, chain: Chain) -> Coverage | None:
    """The histogram of the export frames, where it is still there and whole: a new conversion makes it again."""
    converted = chain.converted
    if converted.coverage_cells is None and not converted.coverage_key:
        return None
    try:
        body = bucket.get(converted.coverage_key) if converted.coverage_cells is None else b""
    except Missing:
        return None
    try:
        cells = converted.coverage_cells
        return coverage_from_bytes(body) if cells is None else coverage_of_cells(cells)
    except Permanent:
        return None


def export_reading(
    export: ExportManifest,
    converted: LineProtocolManifest,
    coverage: Coverage | None,
    spoiled_parts: tuple[str, ...] = (),
) -> ExportReading:
    """What the manifests say, with the histogram that lies beside them."""
    frames = converted.frames if converted.frames and converted.frames.rows == export.rows else None
    return ExportReading(
        rows=export.rows,
        accounted_rows=converted.points + converted.merged + converted.quarantined + converted.empty,
        quarantined=converted.quarantined,
        empty=converted.empty,
        values=converted.values,
        expected=converted.expected,
        coverage=coverage,
        series=converted.series,
        frame_failures=frames.failures if frames else None,
        spoiled_parts=spoiled_parts,
        rewritten=converted.rewritten,
    )


def refused_points(bucket: ExportBucket, place: WindowPlace, loaded: LoadManifest) -> list[Block]:
    """The points of the lines that the server refused while loading: kept apart, they belong to the comparison."""
    if not loaded.refused_lines:
        return []
    lines = [each.line for each in read_refused(bucket.get(place.refused))]
    if len(lines) != loaded.refused_lines:
        raise Permanent(
            f"{len(lines):,} refused lines are kept, the load's manifest tells {loaded.refused_lines:,}",
            where=bucket.uri(place.refused),
            next_step="load the window again",
        )
    return refused_blocks(lines)


def differences_of(
    sides: Sides, reading: Reading, policy: RetryPolicy, refused: Sequence[Block] = ()
) -> Differences | None:
    """The values that differ, as long as the export files are there; all of them where a tolerance depends on it.

    Refused lines are accounted for: their points are not missing.
    """
    try:
        return retrying(lambda: pinpoint(sides, reading, refused), policy)
    except Permanent:
        # Gone, or not what their manifest says.
        return None
