"""Looks at what a job asks of its table: the grid and mapping that it was begun with, and a retention that fits.

The first is what `execute` does before anything else; what may change in a begun table is in `stages.table`.
"""

from ts_migration.config import MigrationJob
from ts_migration.errors import MigrationError, Refused
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.operations.findings import Finding, accessible, failed
from ts_migration.stages.table import look_at_table
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import NS_PER_S, iso

_DAY_NS = 86_400 * NS_PER_S


def look_at_begun_table(job: MigrationJob, place: TablePlace, schema: TableSchema, bucket: ExportBucket) -> Finding:
    """Whether a job's grid and mapping are those that its table was begun with, and the source has not drifted."""
    name = f"grid and mapping of job {job.job_name!r}"
    try:
        begun, _ = look_at_table(job, place, schema, bucket)
    except MigrationError as error:
        return failed(name, error)
    return accessible(name, "as the table was begun with" if begun else "free: the table was not begun yet")


def look_at_retention(job: MigrationJob, now_ns: int) -> Finding | None:
    """Whether the target bucket will keep what is migrated; None where the job sets no retention.

    Args:
        job: its retention is set when the table is rolled up.
        now_ns: the time of now.
    """
    if job.retention_days is None:
        return None
    name = f"retention of job {job.job_name!r}"
    try:
        refuse_short_retention(job, now_ns)
    except Refused as error:
        return failed(name, error)
    return accessible(name, f"{job.retention_days:,} days reach back beyond start_time")


def refuse_short_retention(job: MigrationJob, now_ns: int) -> None:
    """Refuse a retention that ends after the range begins: InfluxDB would drop proven points at the roll-up.

    Raises:
        Refused: start_time lies further back than retention_days.
    """
    if job.retention_days is None or job.start_time >= now_ns - job.retention_days * _DAY_NS:
        return
    # Whole days, rounded up: the age that a retention must exceed.
    age = -(-(now_ns - job.start_time) // _DAY_NS)
    raise Refused(
        f"retention_days is {job.retention_days:,}, and the oldest data of the range is up to {age:,} days old "
        f"(start_time {iso(job.start_time)}): InfluxDB would drop migrated points as soon as the table is done",
        where=f"job {job.job_name!r}",
        allowed=f"a retention_days above {age:,}, or none",
        next_step="raise retention_days or take it out, or move start_time to what is to be kept",
    )
