"""The beginning of a table: its grid and mapping, frozen in table.json with the first window and guarded afterwards.

What a mapping is resolved from is in `line_protocol.resolution`; what windows are is in `windows`.
"""

from collections.abc import Callable

from ts_migration.config import MigrationJob
from ts_migration.errors import Permanent, Refused
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.resolution import resolve
from ts_migration.manifests import TableManifest, read_manifest, require_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.growth import release_window
from ts_migration.timestream.schema import ColumnRole, TableSchema
from ts_migration.windows import Grid, Window, iso


def begin_table(
    job: MigrationJob, place: TablePlace, schema: TableSchema, bucket: ExportBucket
) -> tuple[TableManifest, Mapping]:
    """Grid and mapping of a job's table: frozen by the first call, the same ones in every later call.

    A later call may change the end of the range: windows are appended, the last one grows to a later end and is done
    again (`growth`), or windows that nobody began are dropped. Anything else about grid or mapping is refused.

    Raises:
        Refused: the job's window, start or mapping differ from those the table was begun with; no exact mapping can be
            made; an end_time would cut a begun window differently.
        Permanent: the source has drifted: it holds a measure or dimension that the frozen mapping does not know.
    """
    found, mapping = look_at_table(job, place, schema, bucket)
    if found is not None and found.range_end_ns < job.end_time:
        for window in _grown(job, found, place, bucket):
            release_window(bucket, place, window)
    if found is None or found.range_end_ns != job.end_time:
        found = _manifest(job, mapping).write(bucket, place.table_manifest)
    return found, mapping


def look_at_table(
    job: MigrationJob, place: TablePlace, schema: TableSchema, bucket: ExportBucket
) -> tuple[TableManifest | None, Mapping]:
    """What `begin_table` would go by, without writing anything: the frozen grid, if any, and the mapping.

    Raises:
        MigrationError: as of `begin_table`.
    """
    found = read_manifest(TableManifest, bucket, place.table_manifest)
    if found is None:
        return None, resolve(schema, job.mapping, job.measurement)
    frozen = Mapping.from_json(found.mapping)
    _check_grid(job, found, place, bucket)
    _check_options(job, found, schema)
    _check_drift(job, frozen, schema)
    return found, frozen


def require_begun_alike(
    job: MigrationJob, place: TablePlace, schema: Callable[[], TableSchema], bucket: ExportBucket
) -> None:
    """Nothing, where a table was begun with the grid and mapping that its job has now, or was not begun.

    Args:
        schema: of the source; asked for only where the options of the mapping are spelled differently.

    Raises:
        Refused: grid or mapping differ.
        MigrationError: S3 or Timestream could not be asked.
    """
    found = read_manifest(TableManifest, bucket, place.table_manifest)
    if found is None:
        return
    _check_grid(job, found, place, bucket)
    if found.mapping_options != job.mapping_fingerprint:
        _check_options(job, found, schema())


def frozen_mapping(job: MigrationJob, place: TablePlace, bucket: ExportBucket) -> Mapping:
    """The mapping that a job's table was begun with.

    Raises:
        Missing: it was not begun.
    """
    found = require_manifest(
        TableManifest,
        bucket,
        place.table_manifest,
        f"export a window of {job.job_name} first: that freezes the mapping",
    )
    return Mapping.from_json(found.mapping)


def _manifest(job: MigrationJob, mapping: Mapping) -> TableManifest:
    return TableManifest(
        database=job.source_database,
        table=job.source_table,
        job=job.job_name,
        cron=job.grid.cron,
        range_start_ns=job.start_time,
        range_end_ns=job.end_time,
        mapping=mapping.to_json(),
        mapping_digest=mapping.digest,
        mapping_options=job.mapping_fingerprint,
    )


def _way_out(job: MigrationJob, found: TableManifest) -> str:
    """A reset of this job; but where the jobs of a table have changed places, that would take another one's proof."""
    reset = f"put the old value back, or run `ts-migration reset {job.slug}` to begin the table anew"
    if found.job == job.job_name:
        return reset
    return (
        f"if {found.job!r} is another job of this table: put the jobs back in the order in which they were begun, the "
        f"first of them has this place in the export bucket, and nothing is lost; if {job.job_name!r} is its new name: "
        f"{reset}"
    )


def _check_grid(job: MigrationJob, found: TableManifest, place: TablePlace, bucket: ExportBucket) -> None:
    """Partition keys must go on meaning what was proven under them."""
    changes = []
    if job.grid.cron != found.cron:
        changes.append(f"window is {job.grid.cron!r} and was {found.cron!r}")
    if job.start_time != found.range_start_ns:
        changes.append(f"start_time is {iso(job.start_time)} and was {iso(found.range_start_ns)}")
    if changes:
        raise Refused(
            f"the table was begun with another grid: {'; '.join(changes)} (begun by job {found.job!r})",
            where=f"job {job.job_name!r}",
            allowed="the grid that it was begun with, and another end_time",
            next_step=_way_out(job, found),
        )
    if job.end_time == found.range_end_ns:
        return
    old = Grid(found.cron, found.range_start_ns, found.range_end_ns)
    begun = sorted(_begun_otherwise(job, old, place, bucket))
    if begun and job.end_time < found.range_end_ns:
        window = begun[0]
        raise Refused(
            f"end_time {iso(job.end_time)} cuts the window {window.key} differently, which was begun to its end at "
            f"{iso(window.end_ns)}",
            where=f"job {job.job_name!r}",
            allowed="a later end_time, or one that only drops windows that were not begun",
            next_step=_way_out(job, found),
        )


def _grown(job: MigrationJob, found: TableManifest, place: TablePlace, bucket: ExportBucket) -> set[Window]:
    """Begun windows that a later end makes longer, as they were: the last one, unless it ended where the grid's did."""
    return _begun_otherwise(job, Grid(found.cron, found.range_start_ns, found.range_end_ns), place, bucket)


def _begun_otherwise(job: MigrationJob, old: Grid, place: TablePlace, bucket: ExportBucket) -> set[Window]:
    """Begun windows of a former grid that the job's grid cuts differently or does not have."""
    differ = set(old) - set(job.grid)
    return differ & set(_begun(old, place, bucket)) if differ else set()


def _begun(grid: Grid, place: TablePlace, bucket: ExportBucket) -> list[Window]:
    """Windows that were exported. A lease alone is no beginning: the caller may hold it already."""
    keys = {found.key for found in bucket.list(place.proof)}
    return [window for window in grid if place.window(window.key).manifest("export") in keys]


def _check_options(job: MigrationJob, found: TableManifest, schema: TableSchema) -> None:
    """Options may be spelled differently; what they come to may not change."""
    if found.mapping_options == job.mapping_fingerprint:
        return
    if resolve(schema, job.mapping, job.measurement).digest == found.mapping_digest:
        return
    raise Refused(
        "the options of `mapping` differ from those that the table was begun with",
        where=f"job {job.job_name!r}",
        allowed="the mapping that is frozen in table.json: points already written follow it",
        next_step=_way_out(job, found),
    )


def _check_drift(job: MigrationJob, mapping: Mapping, schema: TableSchema) -> None:
    """A measure, dimension or type that came to the source after the mapping was frozen."""
    known_columns = {field.column for field in mapping.fields}
    news = [f"measure {name!r}" for name in sorted({m.name for m in schema.measures} - set(mapping.measure_names))]
    news += [f"dimension {column.name!r}" for column in schema.dimensions if column.name not in mapping.dimensions]
    measures = (*schema.with_role(ColumnRole.MULTI), *schema.with_role(ColumnRole.MEASURE_VALUE))
    news += [f"column {column.name!r}" for column in measures if column.name not in known_columns]
    if news:
        raise Permanent(
            f"the source has drifted from the table's frozen mapping: new {', '.join(news)}",
            where=f"job {job.job_name!r}",
            next_step=f"run `ts-migration reset {job.slug}` to take them in; windows already loaded are redone",
        )
