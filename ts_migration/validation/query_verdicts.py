"""What the queries of a table come to: query_equivalence and query_performance. Pure functions of answers and times.

How two answers are compared is in `query_answers`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ts_migration.manifests import VerdictRecord
from ts_migration.validation.query_answers import Comparison
from ts_migration.validation.table import TableCheck
from ts_migration.validation.verdict import EVIDENCE_ROWS, Severity


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long one system took, run by run: ms from the question to the last row of its answer."""

    ms: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The middle one, or the mean of the two in the middle."""
        ordered = sorted(self.ms)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

    @property
    def p95(self) -> float:
        """The least that 95 of 100 runs do not exceed (nearest rank): the slowest of up to 20."""
        return sorted(self.ms)[math.ceil(0.95 * len(self.ms)) - 1]

    def __str__(self) -> str:
        return f"median {self.median:,.1f} ms, p95 {self.p95:,.1f} ms" if self.ms else "not measured"


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What asking one pair came to.

    Attributes:
        name: of the pair.
        comparison: of the answers; None where there are none.
        problem: why there is no comparison.
        source, target: latencies of Timestream and InfluxDB.
        max_latency_ms: limit for the 95th percentile of InfluxDB's; None: no limit.
        tolerance: of floats, as text.
    """

    name: str
    comparison: Comparison | None = None
    problem: str = ""
    source: Latencies = Latencies()
    target: Latencies = Latencies()
    max_latency_ms: float | None = None
    tolerance: str = "0"

    @property
    def same(self) -> bool:
        """Whether both systems gave one answer."""
        return self.comparison is not None and self.comparison.same

    @property
    def may_lack_rows(self) -> bool:
        """Whether all that is wrong may be rows that one side lacks: both answered, with rows of the same columns."""
        return self.comparison is not None and not self.comparison.problems

    @property
    def summary(self) -> str:
        """What was found, in a line."""
        return self.comparison.summary if self.comparison else self.problem

    @property
    def in_time(self) -> bool:
        """Whether InfluxDB was measured, and within the limit where there is one."""
        return bool(self.target.ms) and (self.max_latency_ms is None or self.target.p95 <= self.max_latency_ms)


def query_verdicts(
    results: Sequence[QueryResult], unasked: Sequence[str] = (), *, kept_out: bool = False, accepted: bool = False
) -> tuple[VerdictRecord, VerdictRecord]:
    """The two verdicts of a table's queries.

    Args:
        results: of the pairs that were asked.
        unasked: why pairs that every table should be asked were not.
        kept_out: whether windows of the table only passed: rows that are quarantined or within a tolerance are missing
            in InfluxDB's answers too, so that a difference warns, as those windows do.
        accepted: whether somebody accepted those windows: the difference warns and passes, as they do.
    """
    return _equivalence(results, unasked, kept_out, accepted), _performance(results, unasked)


def _equivalence(
    results: Sequence[QueryResult], unasked: Sequence[str], kept_out: bool, accepted: bool
) -> VerdictRecord:
    """Every pair gave the same answer. That nothing could be asked is no pass, and blocks nothing but the proof."""
    unlike = [result for result in results if not result.same]
    lines = [f"{result.name}: {result.summary}" for result in unlike]
    for result in unlike:
        lines += [f"{result.name}: {line}" for line in (result.comparison.examples if result.comparison else ())]
    lines += unasked
    lines += [f"{result.name}: {result.summary}" for result in results if result.same]
    explained = kept_out and all(result.may_lack_rows for result in unlike)
    return VerdictRecord(
        check=TableCheck.QUERY_EQUIVALENCE.value,
        passed=bool(results) and (not unlike or (accepted and explained)),
        severity=(Severity.WARN if (explained if unlike else not results) else Severity.ERROR).value,
        expected=f"{_queries(len(results))} answered alike" if results else "queries answered alike",
        actual=f"{len(results) - len(unlike)} of {len(results)} alike" if results else "nothing was asked",
        difference=_queries(len(unlike)) if unlike else "0",
        tolerance=", ".join(dict.fromkeys(result.tolerance for result in results)) or "0",
        stage=None,
        evidence=tuple(lines[:EVIDENCE_ROWS]),
    )


def _performance(results: Sequence[QueryResult], unasked: Sequence[str]) -> VerdictRecord:
    """InfluxDB answered every pair within its limit. A slow answer is a warning: every value may be there."""
    slow = [result for result in results if not result.in_time]
    lines = [_told(result) for result in (*slow, *(result for result in results if result.in_time))]
    limits = [f"{result.max_latency_ms:,g} ms" for result in results if result.max_latency_ms is not None]
    slowest = max((result.target.p95 for result in results if result.target.ms), default=None)
    return VerdictRecord(
        check=TableCheck.QUERY_PERFORMANCE.value,
        passed=bool(results) and not slow,
        severity=(Severity.WARN if slow or not results else Severity.ERROR).value,
        expected=f"p95 within {', '.join(dict.fromkeys(limits))}" if limits else "measured; no max_latency_ms is set",
        actual="nothing was asked" if slowest is None else f"p95 up to {slowest:,.1f} ms",
        difference=f"{_queries(len(slow))} over the limit or not measured" if slow else "0",
        tolerance="0",
        stage=None,
        evidence=tuple([*lines, *unasked][:EVIDENCE_ROWS]),
    )


def _told(result: QueryResult) -> str:
    limit = "no limit" if result.max_latency_ms is None else f"limit {result.max_latency_ms:,g} ms"
    runs = f"{len(result.target.ms)} run{'' if len(result.target.ms) == 1 else 's'}"
    return f"{result.name}: InfluxDB {result.target} ({runs}, {limit}); Timestream {result.source}"


def _queries(count: int) -> str:
    return f"{count} quer{'y' if count == 1 else 'ies'}"
