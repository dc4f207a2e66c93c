"""The checks of any range, asked of both systems directly: no export or verdict of before is read, none is kept.

How the source is read is in `range_source`, how verdicts are made in `expectation` and `validation`.
"""

import secrets
import time
from dataclasses import dataclass

from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.manifests import VerdictRecord
from ts_migration.objects import CHECKS_PREFIX, ExportBucket
from ts_migration.stages.expectation import read_held, verdicts_on
from ts_migration.stages.range_source import RangeSubject, read_source
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.unload import attempt_name
from ts_migration.validation.verdict import Status, status_of
from ts_migration.windows import Window


@dataclass(frozen=True)
class RangeVerdict:
    """What the checks of one range came to. Counts are rows, points and values of the source's side."""

    window: Window
    status: Status
    verdicts: tuple[VerdictRecord, ...]
    rows: int
    points: int
    values: dict[str, int]
    series: int
    quarantined: int
    rewritten: dict[str, int]
    found_values: int
    """Values that the bucket returned."""
    copied_bytes: int
    """Bytes that were exported to compare, and deleted again."""
    seconds: float

    @property
    def empty(self) -> bool:
        """Whether neither side holds anything in the range."""
        return not self.rows and not self.found_values


def check_range(
    subject: RangeSubject,
    window: Window,
    query: TimestreamQuery,
    bucket: ExportBucket,
    target: Target,
    policy: RetryPolicy,
    *,
    seed: int | None = None,
) -> RangeVerdict:
    """Read both sides of a range and judge them. Points of other ranges and measurements are not looked at.

    Args:
        subject: table, mapping, bucket and tolerances.
        window: any range; bins of the verdicts are parts of it.
        query: Timestream, asked now.
        bucket: the export bucket, of the table's Region; what is put there is deleted again.
        target: InfluxDB.
        policy: of InfluxDB's retries.
        seed: of the sample; a fresh one by default.

    Raises:
        Missing: there is no such table or bucket.
        Transient, Permanent: one of the sides could not be read.
    """
    started = time.monotonic()
    scratch = f"{CHECKS_PREFIX}{attempt_name()}/"
    chosen = secrets.randbits(32) if seed is None else seed
    try:
        expectation = read_source(subject, window, query, bucket, scratch, chosen)
        found = read_held(
            target, subject.bucket, subject.mapping.measurement, window, expectation.source.sample, policy
        )
        verdicts = verdicts_on(
            expectation,
            found,
            target,
            policy,
            count_tolerance=subject.count_tolerance,
            sample_threshold=subject.sample_threshold,
        )
    finally:
        bucket.delete_prefix(scratch)
    converted = expectation.converted
    return RangeVerdict(
        window=window,
        status=status_of(verdicts, converted.altered),
        verdicts=tuple(verdict.record for verdict in verdicts),
        rows=expectation.export.rows,
        points=converted.points,
        values=converted.values,
        series=converted.series,
        quarantined=converted.quarantined,
        rewritten=converted.rewritten,
        found_values=found.digest.values,
        copied_bytes=expectation.export.bytes,
        seconds=round(time.monotonic() - started, 3),
    )
