"""Figures of a migration as CloudWatch metrics, and how they are put: in batches, and never raising.

`Job` is the one dimension. `WindowFigures` is also what notices add up.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

BATCH = 500
"""PutMetricData takes 1,000 metrics and 1 MB a request."""


@dataclass(frozen=True)
class WindowFigures:
    """What became of one window, whoever ran it.

    Attributes:
        rows: that were exported and converted.
        points: written to InfluxDB.
        quarantined: rows that line protocol cannot say.
        checks_failed: of the five.
        seconds: that its run took.
        ended: Unix time, s.
    """

    job: str
    key: str
    ok: bool
    rows: int = 0
    points: int = 0
    quarantined: int = 0
    checks_failed: int = 0
    seconds: float = 0.0
    ended: float = 0.0
    error: str = ""


def metric_data(figures: Sequence[WindowFigures]) -> list[dict[str, Any]]:
    """The figures as PutMetricData takes them: a sum a job and name, with the time of the newest window of each."""
    by_job: dict[str, list[WindowFigures]] = defaultdict(list)
    for one in figures:
        by_job[one.job].append(one)
    return [datum for job, found in sorted(by_job.items()) for datum in _of_job(job, found)]


def _of_job(job: str, figures: Sequence[WindowFigures]) -> Iterator[dict[str, Any]]:
    loaded = [one for one in figures if one.points and one.seconds > 0]
    seconds = sum(one.seconds for one in loaded)
    values: list[tuple[str, float, str]] = [
        ("RowsExported", sum(one.rows for one in figures), "Count"),
        ("PointsWritten", sum(one.points for one in figures), "Count"),
        ("RowsQuarantined", sum(one.quarantined for one in figures), "Count"),
        ("WindowsMigrated", sum(one.ok for one in figures), "Count"),
        ("WindowsFailed", sum(not one.ok for one in figures), "Count"),
        ("ValidationFailures", sum(one.checks_failed for one in figures), "Count"),
    ]
    if loaded:
        values.append(("PointsPerSecond", sum(one.points for one in loaded) / seconds, "Count/Second"))
    time = datetime.fromtimestamp(max(one.ended for one in figures), UTC)
    for name, value, unit in values:
        yield {
            "MetricName": name,
            "Dimensions": [{"Name": "Job", "Value": job}],
            "Timestamp": time,
            "Value": float(value),
            "Unit": unit,
        }


def put_metrics(cloudwatch: Any, namespace: str, data: Sequence[dict[str, Any]]) -> int:
    """Put metrics in batches; how many requests that took. Errors of boto3 are the caller's."""
    batches = range(0, len(data), BATCH)
    for first in batches:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=list(data[first : first + BATCH]))
    return len(batches)
