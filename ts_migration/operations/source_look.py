"""Looks at a job's source table: it is there, can be described and read, has rows in the range, and can be unloaded.

The probe UNLOAD exports one row and reads its manifest as a real one is read; its files are deleted again.
"""

from dataclasses import dataclass

from ts_migration.config import MigrationJob
from ts_migration.errors import MigrationError
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.resolution import resolve
from ts_migration.objects import ExportBucket
from ts_migration.operations.export_bucket_look import PROBE_PREFIX
from ts_migration.operations.findings import Finding, FindingStatus, accessible, failed
from ts_migration.timestream.description import describe
from ts_migration.timestream.probe import rows_in, time_span, unload_one_row
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.unload import PACE, Pace, attempt_name
from ts_migration.windows import Window, iso

_PERMISSIONS = "timestream:Select, timestream:DescribeTable, timestream:ListMeasures and timestream:DescribeEndpoints"
_UNLOAD_PERMISSIONS = (
    "timestream:Unload and timestream:WriteRecords on the table, and s3:GetBucketAcl, s3:PutObject, s3:GetObject and "
    "s3:AbortMultipartUpload on the bucket"
)


@dataclass(frozen=True)
class Source:
    """A job's source table as it was found. `schema` and `mapping` are None where it could not be read or mapped."""

    job: MigrationJob
    finding: Finding
    rows: int = 0
    schema: TableSchema | None = None
    mapping: Mapping | None = None


def look_at_source(query: TimestreamQuery, job: MigrationJob) -> Source:
    """The source table of a job. A range without a row is a failure: it is never what was meant."""
    name = f"Timestream table {job.source}"
    whole = Window(job.start_time, job.end_time)
    try:
        schema = describe(query, job.source_database, job.source_table)
        rows = rows_in(query, job.source_database, job.source_table, whole)
        if rows == 0:
            return Source(job, _no_rows(name, query, job, whole), schema=schema)
    except MigrationError as error:
        return Source(job, failed(name, error, f"allow {_PERMISSIONS}"))
    try:
        mapping = resolve(schema, job.mapping, job.measurement)
    except MigrationError as error:
        return Source(job, failed(name, error), rows, schema)
    return Source(job, accessible(name, f"{rows:,} rows in {len(job.grid):,} windows"), rows, schema, mapping)


def _no_rows(name: str, query: TimestreamQuery, job: MigrationJob, whole: Window) -> Finding:
    """What to say of an empty range: where the table's rows are, if it has any."""
    span = time_span(query, job.source_database, job.source_table)
    where = f"its rows lie between {iso(span[0])} and {iso(span[1])}" if span else "the table is empty"
    detail = f"job {job.job_name!r} has no row from {iso(whole.start_ns)} until {iso(whole.end_ns)}; {where}"
    return Finding(name, FindingStatus.FAILED, detail, "correct start_time and end_time, or take the job out")


def look_at_unload(query: TimestreamQuery, job: MigrationJob, bucket: ExportBucket, pace: Pace = PACE) -> Finding:
    """Whether a one-row UNLOAD of a job's table really lands in the bucket."""
    name = f"UNLOAD of {job.source}"
    folder = f"{PROBE_PREFIX}{attempt_name()}"
    whole = Window(job.start_time, job.end_time)
    try:
        pace.wait()
        size = unload_one_row(query, job.source_database, job.source_table, whole, bucket, folder)
    except MigrationError as error:
        return failed(name, error, f"allow {_UNLOAD_PERMISSIONS}; the bucket must be of the table's account and Region")
    finally:
        _clear(bucket, folder)
    return accessible(name, f"one row landed in {bucket.uri(folder)} ({size:,} bytes) and was deleted")


def _clear(bucket: ExportBucket, folder: str) -> None:
    """Take the probe's files away. One that cannot be deleted is no reason to fail: the guide's cleanup deletes it."""
    try:
        bucket.delete_prefix(f"{folder}/")
    except MigrationError:
        return
