"""coverage: first and last time, and histograms of series by time on both sides; what lies in which gap. Pure."""

import numpy as np
import numpy.typing as npt

from ts_migration.validation.digest import bin_window
from ts_migration.validation.hashing import TIME_BINS
from ts_migration.validation.readings import Reading
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Severity, Stage, Verdict
from ts_migration.windows import Window, iso


def check_coverage(reading: Reading, window: Window) -> Verdict:
    """Compare edges and histograms. A difference within the tolerance on counts passes with a warning."""
    expected, actual = reading.export.coverage, reading.target.coverage
    findings: list[tuple[Stage, str]] = []
    share = 0.0
    if reading.source.rows != reading.export.rows:
        share = abs(reading.source.rows - reading.export.rows) / max(reading.source.rows, reading.export.rows)
    findings += _edges(reading)
    if expected is None:
        findings.append((Stage.CONVERSION, "the histogram of the export is gone: series by time cannot be compared"))
        share = 1.0
    elif not np.array_equal(expected, actual):
        gaps, off = _gaps(expected, actual, window)
        findings += [(Stage.LOAD, line) for line in gaps]
        share = max(share, off / max(int(expected.sum()), 1))
    if reading.export.series != reading.target.series:
        text = f"{reading.export.series:,} series were exported, {reading.target.series:,} are in the window"
        findings.append((Stage.LOAD, text))
    passed = not findings or 0 < share <= reading.count_tolerance
    return Verdict(
        check=Check.COVERAGE,
        passed=passed,
        severity=Severity.WARN if findings and passed else Severity.ERROR,
        expected=_text(reading.export.expected.first_ns, reading.export.expected.last_ns, reading.export.series),
        actual=_text(reading.target.digest.first_ns, reading.target.digest.last_ns, reading.target.series),
        difference="0" if not findings else f"{len(findings)} differences, {share:.4%} of the values",
        tolerance=f"{reading.count_tolerance:.4%}" if reading.count_tolerance else "0",
        stage=findings[0][0] if findings else None,
        evidence=tuple(text for _, text in findings[:EVIDENCE_ROWS]) or _empty_stretches(actual, window),
    )


def _edges(reading: Reading) -> list[tuple[Stage, str]]:
    """First and last time of the source, the export and the bucket.

    A row without a value and one in the quarantine are no points: where there are any, the source's edges may lie
    further out than those of the points.
    """
    source, export, target = reading.source, reading.export.expected, reading.target.digest
    all_points = not reading.export.quarantined and not reading.export.empty
    findings = []
    for name, asked, exported, loaded in (
        ("first", source.first_ns, export.first_ns, target.first_ns),
        ("last", source.last_ns, export.last_ns, target.last_ns),
    ):
        if all_points and asked != exported:
            text = f"the {name} row of Timestream is at {_moment(asked)}, of the export at {_moment(exported)}"
            findings.append((Stage.EXPORT, text))
        if exported != loaded:
            text = f"the {name} point of the export is at {_moment(exported)}, of the bucket at {_moment(loaded)}"
            findings.append((Stage.LOAD, text))
    return findings


def _gaps(expected: npt.NDArray[np.uint64], actual: npt.NDArray[np.uint64], window: Window) -> tuple[list[str], int]:
    """A line per stretch of time bins in which the histograms differ, and how many values are off in all."""
    difference = actual.astype(np.int64) - expected.astype(np.int64)
    missing, extra = -np.minimum(difference, 0).sum(axis=0), np.maximum(difference, 0).sum(axis=0)
    buckets = (difference != 0).sum(axis=0)
    lines = []
    for first, last in _stretches(buckets > 0):
        start, end = bin_window(window, first).start_ns, bin_window(window, last).end_ns
        series = int(np.count_nonzero((difference[:, first : last + 1] != 0).any(axis=1)))
        lost, more = int(missing[first : last + 1].sum()), int(extra[first : last + 1].sum())
        counted = f"{lost:,} values missing, {more:,} too many, in {series:,} of the series buckets"
        lines.append(f"{iso(start)} to {iso(end)}: {counted}")
    return lines, int(missing.sum() + extra.sum())


def _empty_stretches(actual: npt.NDArray[np.uint64], window: Window) -> tuple[str, ...]:
    """Stretches without a value inside the window's data, on both sides alike: for the reader, no fault."""
    filled = actual.sum(axis=0) > 0
    where = np.flatnonzero(filled)
    if len(where) < 3:
        return ()
    inner = ~filled
    inner[: where[0]] = inner[where[-1] :] = False
    ranges = [(bin_window(window, first), bin_window(window, last)) for first, last in _stretches(inner)]
    lines = [f"no values on either side from {iso(one.start_ns)} to {iso(other.end_ns)}" for one, other in ranges]
    return tuple(lines[:EVIDENCE_ROWS])


def _stretches(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of set flags, both ends included."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(flags).tolist():
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    assert all(last < TIME_BINS for _, last in runs)  # noqa: S101
    return runs


def _moment(time_ns: int | None) -> str:
    return "no time at all" if time_ns is None else iso(time_ns)


def _text(first_ns: int | None, last_ns: int | None, series: int) -> str:
    if first_ns is None or last_ns is None:
        return "no points"
    return f"{series:,} series, {iso(first_ns)} to {iso(last_ns)}"
