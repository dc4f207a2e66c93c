"""The checks of any range of a table: its parts side by side, and what they come to as results for the reports.

What one part is checked for is in `stages.check_range`; which mapping it is checked by, in `range_mapping`.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from ts_migration.aws import client
from ts_migration.config import Environment, MappingOptions, MigrationJob, MigrationSettings, ValidationRules
from ts_migration.errors import Missing
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.reader import measurements
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.objects import ExportBucket
from ts_migration.operations.range_mapping import choose_mapping
from ts_migration.operations.target import target_of
from ts_migration.reporting.results import MigrationResults, results_of
from ts_migration.stages.check_range import RangeVerdict, check_range
from ts_migration.stages.proof import TableProof, WindowProof, WindowStatus
from ts_migration.stages.range_source import RangeSubject
from ts_migration.timestream.description import describe
from ts_migration.timestream.metering import Meter, MeteredQuery
from ts_migration.timestream.query import Retries
from ts_migration.validation.verdict import Severity
from ts_migration.windows import Window, iso

_MEASUREMENTS = 20
"""Measurements that are named where the one that was looked for is not there."""

Listener = Callable[[str], None]
"""Told a line when something is known."""


@dataclass(frozen=True)
class RangeRequest:
    """What is to be checked.

    Attributes:
        database, table: of the source.
        bucket: that holds the points.
        window: the range.
        options: as a job's `mapping`, where the mapping is not to be found or guessed.
        job: of the configuration that migrates this table into this bucket, if there is one.
        rules, settings: tolerances and retries.
        parts: into how many the range is split; they are checked side by side.
    """

    database: str
    table: str
    bucket: str
    window: Window
    options: MappingOptions | None = None
    job: MigrationJob | None = None
    rules: ValidationRules = field(default_factory=ValidationRules)
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    parts: int = 1

    @property
    def name(self) -> str:
        """Source and range, for people."""
        return f"{self.database}.{self.table} from {iso(self.window.start_ns)} until {iso(self.window.end_ns)}"


@dataclass(frozen=True)
class RangeValidation:
    """What the checks of a range came to, and what they cost."""

    results: MigrationResults
    parts: tuple[RangeVerdict, ...]
    origin: str
    """Where the mapping comes from."""
    meter: Meter
    seconds: float
    hint: str = ""
    """What to look at first where the bucket returned nothing at all."""

    @property
    def empty(self) -> bool:
        """Whether neither side holds anything: nothing was compared, so nothing is proven."""
        return all(part.empty for part in self.parts)

    @property
    def copied_bytes(self) -> int:
        """Bytes exported to compare, and deleted again."""
        return sum(part.copied_bytes for part in self.parts)


def validate_range(
    request: RangeRequest, environment: Environment, bucket: ExportBucket, region: str | None, report: Listener
) -> RangeValidation:
    """Check a range.

    Args:
        request: what is checked.
        environment: names InfluxDB.
        bucket: the export bucket.
        region: of AWS, None for boto3's own.
        report: told the mapping's origin, and each part as it ends.

    Raises:
        Missing: there is no such table or bucket.
        MigrationError: a side could not be read, or no mapping can be chosen.
    """
    began = time.monotonic()
    settings = request.settings
    target = target_of(environment, region)
    query = MeteredQuery(
        client("timestream-query", region), Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    )
    schema = describe(query, request.database, request.table)
    if find(target, request.bucket) is None:
        raise Missing(
            f"there is no bucket {request.bucket!r}", where=target.url, next_step="check --bucket and INFLUXDB_ORG"
        )
    chosen = choose_mapping(schema, request.window, request.bucket, bucket, request.options, request.job)
    report(f"measurement {chosen.mapping.measurement!r}, mapping: {chosen.origin}")
    subject = RangeSubject(
        schema=schema,
        mapping=chosen.mapping,
        bucket=request.bucket,
        rewrite=chosen.rewrite,
        count_tolerance=request.rules.record_count_tolerance,
        sample_threshold=request.rules.sample_accuracy_threshold,
        sample_size=request.rules.sample_size,
    )
    policy = RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)

    def check(part: Window) -> RangeVerdict:
        found = check_range(subject, part, query, bucket, target, policy)
        told = _reason(found) if found.empty else found.status.value
        report(f"{iso(part.start_ns)} to {iso(part.end_ns)}: {told}, {found.rows:,} rows, {found.seconds:.1f} s")
        return found

    windows = split(request.window, request.parts)
    with ThreadPoolExecutor(len(windows), thread_name_prefix="range") as pool:
        parts = tuple(pool.map(check, windows))
    proof = TableProof(
        job=request.job.job_name if request.job else f"{request.database}.{request.table}",
        source=f"{request.database}.{request.table}",
        bucket=request.bucket,
        measurement=chosen.mapping.measurement,
        windows=tuple(_proof(part) for part in parts),
    )
    hint = ""
    if not any(part.found_values for part in parts):
        hint = _hint(request.bucket, chosen.mapping.measurement, measurements(target, request.bucket, _MEASUREMENTS))
    results = results_of([proof], "validation")
    return RangeValidation(results, parts, chosen.origin, query.meter, time.monotonic() - began, hint)


def _hint(bucket: str, measurement: str, known: tuple[str, ...]) -> str:
    """Whether it is the measurement that is another one."""
    if measurement in known:
        return f"the bucket {bucket!r} holds nothing of the measurement {measurement!r} in this range"
    others = ", ".join(map(repr, known)) or "none"
    return (
        f"the bucket {bucket!r} has no measurement {measurement!r}; it has {others}. Next: name it by --measurement, "
        "and by --mapping how rows became points"
    )


def split(window: Window, parts: int) -> list[Window]:
    """A range in at most so many parts of about one length, each named by its start."""
    length = window.end_ns - window.start_ns
    number = max(1, min(parts, length))
    edges = [window.start_ns + length * index // number for index in range(number + 1)]
    return [Window(start, end, iso(start)) for start, end in pairwise(edges)]


def _proof(part: RangeVerdict) -> WindowProof:
    return WindowProof(
        window=part.window,
        status=WindowStatus(part.status.value),
        reason=_reason(part),
        rows=part.rows,
        points=part.points,
        values=part.values,
        series=part.series,
        quarantined=part.quarantined,
        rewritten=part.rewritten,
        seconds={"verdicts": part.seconds},
        verdicts=part.verdicts,
    )


def _reason(part: RangeVerdict) -> str:
    if part.status == "failed":
        return f"{', '.join(verdict.check for verdict in part.verdicts if not verdict.passed)} failed"
    if part.empty:
        return "no rows and no points"
    if part.status == "proven":
        return "source equals bucket, value by value"
    reasons = [f"{one.check} by its tolerance" for one in part.verdicts if one.severity == Severity.WARN]
    if part.quarantined:
        reasons.append(f"{part.quarantined:,} rows that InfluxDB cannot hold exactly")
    reasons += [f"{rows:,} rows rewritten by {rule}" for rule, rows in part.rewritten.items()]
    return "passed, not proven: " + ", ".join(reasons)
