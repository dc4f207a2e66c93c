"""coverage: first and last time, and histograms of series by time on both sides; whose each gap is. Pure."""

import numpy as np
import numpy.typing as npt

from ts_migration.validation.digest import bin_window
from ts_migration.validation.hashing import TIME_BINS
from ts_migration.validation.readings import Reading
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Severity, Stage, Verdict
from ts_migration.windows import Window, iso

_NOTES = 5
"""Gaps of the source that are told beside findings."""
_FILLED_BINS = 3
"""Below so many time bins with values, what lies between them is no gap."""


def check_coverage(reading: Reading, window: Window) -> Verdict:
    """Compare edges and histograms. A difference within the tolerance on counts passes with a warning.

    What is missing here and too much there has moved, which no tolerance allows. Stretches without a value that the
    source has as well are gaps of the source: they are told whatever the check comes to, and fail nothing.
    """
    expected, actual = reading.export.coverage, reading.target.coverage
    findings: list[tuple[Stage, str]] = []
    share = 0.0
    if reading.source.rows != reading.export.rows:
        share = abs(reading.source.rows - reading.export.rows) / max(reading.source.rows, reading.export.rows)
    findings += _edges(reading)
    notes: tuple[str, ...] = ()
    if expected is None:
        findings.append((Stage.CONVERSION, "the histogram of the export is gone or damaged: it cannot be compared"))
        share = 1.0
    else:
        findings += [(Stage.EXPORT, line) for line in _export_gaps(reading, expected, window)]
        notes = _source_gaps(reading, expected, actual, window)
    if expected is not None and not np.array_equal(expected, actual):
        gaps, missing, extra = _migration_gaps(expected, actual, window)
        findings += [(Stage.LOAD, line) for line in gaps]
        share = max(share, 1.0 if missing and extra else (missing + extra) / max(int(expected.sum()), 1))
    if reading.export.series != reading.target.series:
        text = f"{reading.export.series:,} series were exported, {reading.target.series:,} are in the window"
        findings.append((Stage.LOAD, text))
    passed = not findings or 0 < share <= reading.count_tolerance
    told = [text for _, text in findings[: EVIDENCE_ROWS - min(len(notes), _NOTES)]]
    return Verdict(
        check=Check.COVERAGE,
        passed=passed,
        severity=Severity.WARN if findings and passed else Severity.ERROR,
        expected=_text(reading.export.expected.first_ns, reading.export.expected.last_ns, reading.export.series),
        actual=_text(reading.target.digest.first_ns, reading.target.digest.last_ns, reading.target.series),
        difference="0" if not findings else f"{len(findings)} differences, {share:.4%} of the values",
        tolerance=f"{reading.count_tolerance:.4%}" if reading.count_tolerance else "0",
        stage=findings[0][0] if findings else None,
        evidence=(*told, *notes)[:EVIDENCE_ROWS],
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


def _migration_gaps(
    expected: npt.NDArray[np.uint64], actual: npt.NDArray[np.uint64], window: Window
) -> tuple[list[str], int, int]:
    """A line per stretch of time bins in which the histograms differ; values missing and values too many in all."""
    difference = actual.astype(np.int64) - expected.astype(np.int64)
    missing, extra = -np.minimum(difference, 0).sum(axis=0), np.maximum(difference, 0).sum(axis=0)
    empty = (actual.sum(axis=0) == 0) & (expected.sum(axis=0) > 0)
    lines = []
    for first, last in _stretches((difference != 0).any(axis=0)):
        series = int(np.count_nonzero((difference[:, first : last + 1] != 0).any(axis=1)))
        lost, more = int(missing[first : last + 1].sum()), int(extra[first : last + 1].sum())
        counted = f"{lost:,} values missing, {more:,} too many, in {series:,} of the series buckets"
        lines.append(f"{_span(window, first, last)}: {counted}")
        lines += [
            f"a gap of the migration: {_span(window, begin, end)}: the export has values, the bucket has none"
            for begin, end in _stretches(empty)
            if first <= begin <= last
        ]
    return lines, int(missing.sum()), int(extra.sum())


def _export_gaps(reading: Reading, expected: npt.NDArray[np.uint64], window: Window) -> list[str]:
    """Stretches where Timestream has rows now and the export nothing, where its rows were asked bin by bin."""
    if reading.source.bin_rows is None:
        return []
    rows = np.array(reading.source.bin_rows, np.int64)
    but = " (or only rows that are no points)" if _kept_out(reading) else ""
    return [
        f"a gap of the export: {_span(window, first, last)}: Timestream has {int(rows[first : last + 1].sum()):,} rows "
        f"now, the export none{but}"
        for first, last in _stretches((rows > 0) & (expected.sum(axis=0) == 0))
    ]


def _source_gaps(
    reading: Reading, expected: npt.NDArray[np.uint64], actual: npt.NDArray[np.uint64], window: Window
) -> tuple[str, ...]:
    """Stretches without a value inside the window's data, in the source as well as in the bucket."""
    filled = (actual.sum(axis=0) > 0) | (expected.sum(axis=0) > 0)
    if reading.source.bin_rows is not None:
        filled |= np.array(reading.source.bin_rows) > 0
    where = np.flatnonzero(filled)
    if len(where) < _FILLED_BINS:
        return ()
    inner = ~filled
    inner[: where[0]] = inner[where[-1] :] = False
    but = ", or only rows that were kept out" if _kept_out(reading) and reading.source.bin_rows is None else ""
    gaps = _stretches(inner)
    lines = [f"a gap of the source: no values on either side from {_span(window, *gap)}{but}" for gap in gaps]
    if len(lines) > _NOTES:
        lines[_NOTES - 1 :] = [f"and {len(lines) - _NOTES + 1} more gaps of the source"]
    return tuple(lines)


def _kept_out(reading: Reading) -> bool:
    return bool(reading.export.quarantined or reading.export.empty or reading.target.refused)


def _span(window: Window, first: int, last: int) -> str:
    return f"{iso(bin_window(window, first).start_ns)} to {iso(bin_window(window, last).end_ns)}"


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
