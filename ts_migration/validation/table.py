"""The checks of a whole table: every window present and proven, totals, cardinality. Pure functions of values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.manifests import VerdictRecord
from ts_migration.validation.verdict import EVIDENCE_ROWS, Severity, Stage


class TableCheck(StrEnum):
    """The checks of a whole table. One place for their names."""

    ALL_WINDOWS_PROVEN = "all_windows_proven"
    TOTALS = "totals"
    CARDINALITY = "cardinality"
    QUERY_EQUIVALENCE = "query_equivalence"
    QUERY_PERFORMANCE = "query_performance"


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What one window comes to: status with its reason, values encoded per field, series, lines refused."""

    key: str
    status: str
    reason: str
    values: Mapping[str, int]
    series: int
    refused: int


@dataclass(frozen=True, slots=True)
class TableTotals:
    """What InfluxDB says of the whole range: values per field, and series of the measurement over all time."""

    counts: Mapping[str, int]
    series: int


def check_table(
    windows: Sequence[WindowResult], expected_windows: int, totals: TableTotals, tolerance: float
) -> tuple[VerdictRecord, ...]:
    """The three verdicts of a table.

    Args:
        windows: results of the windows that there are.
        expected_windows: windows of the job's grid.
        totals: asked of InfluxDB now.
        tolerance: share of values by which the totals may differ.
    """
    return (
        check_all_proven(windows, expected_windows),
        check_totals(windows, totals, tolerance),
        check_cardinality(windows, totals),
    )


def check_all_proven(windows: Sequence[WindowResult], expected_windows: int) -> VerdictRecord:
    """Every window of the grid is there and proven. Windows that only passed fail it without blocking: see `accept`."""
    statuses = Counter(window.status for window in windows)
    open_windows = [window for window in windows if window.status != "proven"]
    only_passed = all(window.status == "passed" for window in open_windows) and len(windows) == expected_windows
    found = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items())) or "none"
    lines = [f"window {window.key}: {window.status}: {window.reason}" for window in open_windows]
    if len(windows) != expected_windows:
        lines.insert(0, f"{expected_windows - len(windows):,} windows of the grid are not there")
    return _record(
        TableCheck.ALL_WINDOWS_PROVEN,
        passed=not lines,
        severity=Severity.WARN if only_passed and open_windows else Severity.ERROR,
        expected=f"{expected_windows:,} windows proven",
        actual=f"{len(windows):,} windows: {found}",
        difference=f"{expected_windows - statuses['proven']:,} windows" if lines else "0",
        evidence=lines,
    )


def check_totals(windows: Sequence[WindowResult], totals: TableTotals, tolerance: float) -> VerdictRecord:
    """The sum of the windows' values per field equals what InfluxDB counts over the whole range."""
    expected: Counter[str] = Counter()
    for window in windows:
        expected.update(window.values)
    refused = sum(window.refused for window in windows)
    lines, worst = [], 0.0
    for field in sorted(expected.keys() | totals.counts.keys()):
        one, other = expected[field], totals.counts.get(field, 0)
        if one != other and not 0 < one - other <= refused:
            worst = max(worst, abs(one - other) / max(one, other))
            lines.append(f"field {field!r}: the windows hold {one:,} values, InfluxDB counts {other:,}")
    total, counted = sum(expected.values()), sum(totals.counts.values())
    return _record(
        TableCheck.TOTALS,
        passed=worst <= tolerance,
        severity=Severity.WARN if lines and worst <= tolerance else Severity.ERROR,
        expected=f"{total:,} values in {len(expected)} fields",
        actual=f"{counted:,} values in {len(totals.counts)} fields",
        difference=f"{counted - total:+,} values" if lines else "0",
        tolerance=f"{tolerance:.4%}" if tolerance else "0",
        stage=Stage.LOAD if lines else None,
        evidence=lines,
    )


def check_cardinality(windows: Sequence[WindowResult], totals: TableTotals) -> VerdictRecord:
    """The measurement has at least the series of the largest window, and at most those of all windows together.

    More than that are series that this job did not write: told as a warning, for other ranges may hold them.
    """
    least = max((window.series for window in windows), default=0)
    most = sum(window.series for window in windows)
    too_many = totals.series > most
    lines = []
    if totals.series < least:
        lines.append(f"one window alone has {least:,} series, the measurement {totals.series:,}")
    elif too_many:
        lines.append(f"the measurement holds at least {totals.series - most:,} series that this job did not write")
    return _record(
        TableCheck.CARDINALITY,
        passed=not lines or too_many,
        severity=Severity.WARN if too_many else Severity.ERROR,
        expected=f"{least:,} to {most:,} series" if least != most else f"{least:,} series",
        actual=f"{totals.series:,} series",
        difference="0" if not lines else lines[0],
        stage=Stage.LOAD if lines else None,
        evidence=lines,
    )


def _record(
    check: TableCheck,
    *,
    passed: bool,
    severity: Severity,
    expected: str,
    actual: str,
    difference: str,
    evidence: list[str],
    tolerance: str = "0",
    stage: Stage | None = None,
) -> VerdictRecord:
    return VerdictRecord(
        check=check.value,
        passed=passed,
        severity=severity.value,
        expected=expected,
        actual=actual,
        difference=difference,
        tolerance=tolerance,
        stage=stage.value if stage else None,
        evidence=tuple(evidence[:EVIDENCE_ROWS]),
    )
