"""Looks at what a mapping comes to with the rows and the bucket that are there.

Rows that would become one point, fields that the bucket holds with another type, and how many series there will be.

What names and options alone decide is in `line_protocol.resolution`.
"""

from dataclasses import dataclass

from ts_migration.config import MigrationJob
from ts_migration.errors import MigrationError, Missing, Refused
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.operations.findings import Finding, accessible, failed
from ts_migration.stages.collisions import refuse_collisions
from ts_migration.stages.target_types import require_types
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.series import SeriesCounts, series_counts
from ts_migration.windows import Window

_POLICY = RetryPolicy(attempts=3, base_s=0.5)
"""One request that fails must not keep a migration from beginning."""


@dataclass(frozen=True)
class MappingLook:
    """What was found.

    Attributes:
        problems: what would lose values, each as the refusal that `execute` would give.
        series: of the job's range; None where Timestream cannot count them in one query.
    """

    problems: tuple[MigrationError, ...]
    series: SeriesCounts | None = None


def look_at_mapping(
    job: MigrationJob,
    schema: TableSchema,
    mapping: Mapping,
    query: TimestreamQuery,
    target: Target | None,
    *,
    count_series: bool = True,
) -> MappingLook:
    """Ask both systems.

    Args:
        job: its range is looked at as a whole.
        schema: of the source table.
        mapping: resolved.
        query: Timestream.
        target: InfluxDB; None where it is not configured: types are not compared then.
        count_series: whether to count the series, too, which costs a scan.

    Raises:
        MigrationError: one of the two cannot be asked.
    """
    whole = Window(job.start_time, job.end_time)
    problems: list[MigrationError] = []
    try:
        refuse_collisions(job, schema, mapping, [whole], query)
    except Refused as error:
        problems.append(error)
    try:
        if target is not None:
            retrying(lambda: _require_types(job, mapping, target), _POLICY)
    except (Refused, Missing) as error:
        problems.append(error)
    series = None
    if count_series:
        try:
            series = series_counts(query, schema, mapping, whole, job.mapping.rewrite.active)
        except QueryTooLarge:
            series = None
    return MappingLook(tuple(problems), series)


def _require_types(job: MigrationJob, mapping: Mapping, target: Target) -> None:
    """A bucket that is not there yet holds no field."""
    if find(target, job.target_bucket) is not None:
        require_types(job, mapping, target)


def above_limit(job: MigrationJob, series: SeriesCounts) -> str:
    """What is to be said of more series than the job's `series_limit`, "" where there are not more."""
    if series.with_fields <= job.series_limit:
        return ""
    return (
        f"{series.with_fields:,} series with their field keys ({series.series:,} series) are more than series_limit, "
        f"{job.series_limit:,}: InfluxDB keeps an index of them in memory. Next: make dimensions of many values fields "
        "(mapping.dimensions_as_fields), take a larger instance, or raise series_limit"
    )


def mapping_finding(
    job: MigrationJob, schema: TableSchema, mapping: Mapping, query: TimestreamQuery, target: Target | None
) -> Finding:
    """Whether a job's mapping loses nothing, as a finding of the dry run."""
    name = f"mapping of job {job.job_name!r}"
    try:
        look = look_at_mapping(job, schema, mapping, query, target, count_series=False)
    except MigrationError as error:
        return failed(name, error)
    if look.problems:
        return failed(name, look.problems[0])
    tags, fields = (
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((len(mapping.tags), "tag"), (len(mapping.fields), "field"))
    )
    return accessible(name, f"{tags}, {fields}; no two rows become one point")
