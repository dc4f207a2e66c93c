"""The checks of a whole table: every window present and proven, totals, cardinality, late arrivals.

Pure functions of values; who asks for them is `stages.roll_up`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ts_migration.manifests import VerdictRecord
from ts_migration.validation.verdict import EVIDENCE_ROWS, Severity, Stage

_NOT_EXPORTED = "; and some of those that are there were not exported: they came late or were written again"


class TableCheck(StrEnum):
    """The checks of a whole table. One place for their names."""

    ALL_WINDOWS_PROVEN = "all_windows_proven"
    TOTALS = "totals"
    CARDINALITY = "cardinality"
    LATE_ARRIVALS = "late_arrivals"
    QUERY_EQUIVALENCE = "query_equivalence"
    QUERY_PERFORMANCE = "query_performance"


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What one window comes to.

    Attributes:
        key: partition key.
        status, reason: of the window's verdicts.
        values: field key -> values encoded.
        series: distinct series.
        refused: lines that the server refused.
        rows: rows exported.
        kept_out: rows that are in the quarantine, refused or rewritten.
        accepted: somebody accepted it, though it only passed.
        untouched, untouched_series: field key -> values, and series, that others had in its range before it was loaded.
    """

    key: str
    status: str
    reason: str
    values: Mapping[str, int]
    series: int
    refused: int
    rows: int = 0
    kept_out: int = 0
    accepted: bool = False
    untouched: Mapping[str, int] = field(default_factory=dict)
    untouched_series: int = 0


@dataclass(frozen=True, slots=True)
class TableTotals:
    """What InfluxDB says of the whole range now: values per field, series, and series with their field keys."""

    counts: Mapping[str, int]
    series: int
    with_fields: int


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """What Timestream says of the whole range now.

    Attributes:
        rows: rows of each window, in the windows' order.
        series: series that its rows make; None where it cannot tell in one query.
        with_fields: the same with their field keys.
        rewritten: keys of windows with no more rows than were exported and other values; None where values were not
            read again.
    """

    rows: Sequence[int]
    series: int | None
    with_fields: int | None
    rewritten: Collection[str] | None = None


def check_table(
    windows: Sequence[WindowResult],
    expected_windows: int,
    source: SourceTotals,
    totals: TableTotals,
    tolerance: float,
    catch_up: str,
) -> tuple[VerdictRecord, ...]:
    """The verdicts of a table.

    Args:
        windows: results of the windows that there are.
        expected_windows: windows of the job's grid.
        source: asked of Timestream now.
        totals: asked of InfluxDB now.
        tolerance: share by which values and rows may differ.
        catch_up: the command that exports again what came late.
    """
    return (
        check_all_proven(windows, expected_windows),
        check_totals(windows, totals, tolerance),
        check_cardinality(windows, source, totals, tolerance),
        check_late_arrivals(windows, source, tolerance, catch_up),
    )


def check_all_proven(windows: Sequence[WindowResult], expected_windows: int) -> VerdictRecord:
    """Every window of the grid is there and proven, or passed and accepted, which is a warning that passes.

    Windows that only passed fail it without blocking.
    """
    statuses = Counter(window.status for window in windows)
    accepted = [window for window in windows if window.accepted]
    open_windows = [window for window in windows if window.status != "proven" and not window.accepted]
    there = len(windows) == expected_windows
    only_passed = there and all(window.status == "passed" for window in open_windows)
    found = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items())) or "none"
    lines = [f"window {window.key}: {window.status}: {window.reason}" for window in (*open_windows, *accepted)]
    if not there:
        lines.insert(0, f"{expected_windows - len(windows):,} windows of the grid are not there")
    passed = there and not open_windows
    unproven = expected_windows - statuses["proven"]
    return _record(
        TableCheck.ALL_WINDOWS_PROVEN,
        passed=passed,
        severity=Severity.WARN if only_passed and (open_windows or accepted) else Severity.ERROR,
        expected=f"{expected_windows:,} windows proven",
        actual=f"{len(windows):,} windows: {found}" + (f", {len(accepted):,} of them accepted" if accepted else ""),
        difference="0" if not unproven else f"{unproven:,} windows" + (", all of them accepted" if passed else ""),
        evidence=lines,
    )


def check_totals(windows: Sequence[WindowResult], totals: TableTotals, tolerance: float) -> VerdictRecord:
    """The sum of the windows' values per field equals what InfluxDB counts over the whole range."""
    expected: Counter[str] = Counter()
    for window in windows:
        expected.update(window.values)
        expected.update(window.untouched)
    refused = sum(window.refused for window in windows)
    lines, worst = [], 0.0
    for key in sorted(expected.keys() | totals.counts.keys()):
        one, other = expected[key], totals.counts.get(key, 0)
        if one != other and not 0 < one - other <= refused:
            worst = max(worst, abs(one - other) / max(one, other))
            lines.append(f"field {key!r}: the windows hold {one:,} values, InfluxDB counts {other:,}")
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


def check_cardinality(
    windows: Sequence[WindowResult], source: SourceTotals, totals: TableTotals, tolerance: float
) -> VerdictRecord:
    """Series, and series with their field keys, of the range: Timestream now against InfluxDB now.

    A row that was kept out may have been the only one of a series; rows that expired in Timestream meanwhile take
    series with them. Where Timestream cannot count them in one query, the windows' own numbers are the bounds. Series
    of others that were there before the load are as many more as InfluxDB may have.
    """
    kept_out = sum(window.kept_out for window in windows)
    expired = sum(max(0, window.rows - now) for window, now in zip(windows, source.rows, strict=True))
    others = sum(window.untouched_series for window in windows)
    fields = max(1, len(totals.counts))
    lines, worst = [], 0.0
    if source.series is None or source.with_fields is None:
        least = max((window.series for window in windows), default=0)
        most = sum(window.series for window in windows) + others
        expected = f"{least:,} to {most:,} series: Timestream cannot count them in one query"
        if not least - kept_out <= totals.series <= most:
            lines, worst = [f"the windows have {least:,} to {most:,} series, InfluxDB has {totals.series:,}"], 1.0
    else:
        expected = f"{source.series:,} series, {source.with_fields:,} with their field keys"
        for name, one, other, each in (
            ("series", source.series, totals.series, 1),
            ("series with field keys", source.with_fields, totals.with_fields, fields),
        ):
            if one == other or 0 < other - one <= others * each:
                continue
            explained = one - other <= kept_out * each if one > other else other - one <= expired * each
            why = ""
            if explained:
                why = ": rows were kept out" if one > other else ": rows expired in Timestream since the export"
            lines.append(f"Timestream has {one:,} {name}, InfluxDB {other:,}{why}")
            worst = max(worst, 0.0 if explained else abs(one - other) / max(one, other))
    passed = worst <= tolerance
    return _record(
        TableCheck.CARDINALITY,
        passed=passed,
        severity=Severity.WARN if lines and passed else Severity.ERROR,
        expected=expected,
        actual=f"{totals.series:,} series, {totals.with_fields:,} with their field keys",
        difference=lines[0] if lines else "0",
        tolerance=f"{tolerance:.4%}" if tolerance else "0",
        stage=Stage.LOAD if lines else None,
        evidence=lines,
    )


def check_late_arrivals(
    windows: Sequence[WindowResult], source: SourceTotals, tolerance: float, catch_up: str
) -> VerdictRecord:
    """Rows of each window in Timestream now against the rows exported: what came late would be lost by a cutover.

    So would what was written again with another value; no tolerance is for that. A window that shrank is a warning: its
    rows expired or were deleted in Timestream, and the bucket keeps them.
    """
    off = [(now - window.rows, now, window) for window, now in zip(windows, source.rows, strict=True)]
    grown = sorted((each for each in off if each[0] > 0), key=lambda each: -each[0])
    shrunk = [each for each in off if each[0] < 0]
    rewritten = [window for window in windows if window.key in (source.rewritten or ())]
    worst = max((more / now for more, now, _ in grown), default=0.0)
    lines = [f"{catch_up} exports, loads and checks those windows again"] if grown or rewritten else []
    lines += [
        f"window {window.key}: {window.rows:,} rows were exported, Timestream has {now:,} now: {more:,} came late"
        for more, now, window in grown
    ]
    lines += [
        f"window {window.key}: {window.rows:,} rows were exported, Timestream has as many now and other values: "
        "some were written again since"
        for more, _, window in off
        if window in rewritten and not more
    ]
    lines += [
        f"window {window.key}: {window.rows:,} rows were exported, Timestream has {now:,} now: expired by its "
        "retention or deleted since; the bucket keeps them" + (_NOT_EXPORTED if window in rewritten else "")
        for _, now, window in shrunk
    ]
    told = [
        f"{len(some):,} window{'s' if len(some) > 1 else ''} {word} by {abs(sum(each[0] for each in some)):,} rows"
        for word, some in (("grew", grown), ("shrank", shrunk))
        if some
    ]
    if rewritten:
        told.append(f"{len(rewritten):,} window{'s hold' if len(rewritten) > 1 else ' holds'} other values")
    passed = worst <= tolerance and not rewritten
    read = "values not read again: reread_source is false" if source.rewritten is None else "all values read again"
    return _record(
        TableCheck.LATE_ARRIVALS,
        passed=passed,
        severity=Severity.WARN if told and passed else Severity.ERROR,
        expected=f"{sum(window.rows for window in windows):,} rows, as exported",
        actual=f"{sum(source.rows):,} rows in Timestream now ({read})",
        difference=", ".join(told) + (f"; next: {catch_up}" if grown or rewritten else "") or "0",
        tolerance=f"{tolerance:.4%}" if tolerance else "0",
        stage=Stage.EXPORT if grown or rewritten else None,
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
