"""checksum: the digest of the export frames against the digest of what InfluxDB returns. A pure function."""

import shlex

from ts_migration.manifests import DigestRecord
from ts_migration.validation.differences import Differences
from ts_migration.validation.digest import bin_window
from ts_migration.validation.readings import Reading, TargetReading
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Severity, Stage, Verdict
from ts_migration.windows import Window, iso


def check_checksum(reading: Reading, window: Window, differences: Differences | None, measurement: str) -> Verdict:
    """Compare the two digests.

    Args:
        reading: both sides.
        window: whose bins the digests have.
        differences: the values that differ, where the digests do and the export files could still be read; else None.
        measurement: of the points, for the command that would take points away which are too many.

    A difference passes only where the tolerance on counts allows it and every value that both sides have is the same:
    a changed value always fails. So do values that are missing at one place and too many at another: they have moved to
    another time, series or field, and no count is off.
    """
    expected, actual = reading.export.expected, reading.target.digest
    equal = (expected.lanes, expected.values) == (actual.lanes, actual.values)
    gone = reading.target.untouched_gone
    same = equal and not gone
    differing = differing_bins(expected, actual)
    tolerated = not equal and not gone and _tolerated(reading, differences)
    evidence = [] if equal else list(differences.lines if differences else ())
    if reading.target.untouched:
        evidence.insert(0, _before_line(reading.target))
    if not equal and differences is None:
        evidence.append("the export files are gone or unreadable: which values differ can no longer be told")
    spoiled = reading.export.spoiled_parts
    encoded = reading.export.values == expected.counts and not spoiled
    if differences is not None and differences.moved and reading.count_tolerance > 0:
        evidence.insert(0, "values are missing here and too many there: they moved, and no tolerance allows that")
    if not same:
        evidence[:0] = [f"{part} is not what the conversion wrote" for part in spoiled]
    if not same and differences is not None and differences.only_extra and differences.extra_span:
        way_out = _way_out(reading.target.bucket, measurement, differences.extra_span)
        evidence = [*evidence[: EVIDENCE_ROWS - 1], way_out]
    evidence += [_bin_line(window, index, expected, actual) for index in differing]
    return Verdict(
        check=Check.CHECKSUM,
        passed=same or tolerated,
        severity=Severity.WARN if tolerated else Severity.ERROR,
        expected=digest_text(expected),
        actual=digest_text(actual),
        difference=_difference(reading, differences, len(differing)),
        tolerance=_tolerance(reading.count_tolerance),
        stage=None if same else (Stage.LOAD if encoded else Stage.CONVERSION),
        evidence=tuple(evidence[:EVIDENCE_ROWS]),
    )


def differing_bins(expected: DigestRecord, actual: DigestRecord) -> list[int]:
    """Time bins whose digests differ."""
    one = zip(expected.bin_values, expected.bin_lanes, strict=True)
    other = zip(actual.bin_values, actual.bin_lanes, strict=True)
    return [index for index, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]


def digest_text(record: DigestRecord) -> str:
    """Both lanes in hexadecimal, and how many values are in them."""
    return f"{record.lanes[0]:016x}{record.lanes[1]:016x} over {record.values:,} values"


def _way_out(bucket: str, measurement: str, span: tuple[int, int]) -> str:
    """What a load cannot mend. The server's stop is inclusive; a delete cannot choose fields."""
    name = measurement.replace("\\", "\\\\").replace('"', '\\"')
    predicate = shlex.quote(f'_measurement="{name}"')
    delete = f"influx delete --bucket {shlex.quote(bucket)} --start {iso(span[0])} --stop {iso(span[1])}"
    return (
        "points that are too many: writing again cannot mend this. `ts-migration repair` keeps them in the export "
        f"bucket and deletes them. By hand, where nobody needs them: `{delete} --predicate {predicate}` "
        '(AND tag="value" narrows it to a series), then `ts-migration execute`, which writes the window\'s own points '
        "of that time again"
    )


def _tolerated(reading: Reading, differences: Differences | None) -> bool:
    if differences is None or not differences.complete or differences.changed or differences.moved:
        return False
    off = differences.missing + differences.extra
    # Nothing that is missing or too many explains no digest that differs.
    return 0 < off <= reading.count_tolerance * reading.export.expected.values


def _difference(reading: Reading, differences: Differences | None, bins: int) -> str:
    expected, actual, gone = reading.export.expected, reading.target.digest, reading.target.untouched_gone
    told = [f"{gone:,} values that were there before the load"] if gone else []
    if (expected.lanes, expected.values) != (actual.lanes, actual.values):
        more = f"{actual.values - expected.values:+,} values, {bins} of {len(expected.bin_lanes)} time bins differ"
        told.insert(0, differences.summary if differences else more)
    return "; ".join(told) or "0"


def _before_line(target: TargetReading) -> str:
    """That others' values are in the window, by the copy that was made of them before the load."""
    if not target.untouched_gone:
        return f"left out: {target.untouched:,} values that were there before the load, all of them as they were"
    return (
        f"{target.untouched_gone:,} of {target.untouched:,} values that were there before the load are gone or have "
        "another value now: who wrote them may have changed them"
    )


def _tolerance(share: float) -> str:
    return "0" if not share else f"missing or extra values up to {share:.4%}; changed or moved values 0"


def _bin_line(window: Window, index: int, expected: DigestRecord, actual: DigestRecord) -> str:
    part = bin_window(window, index)
    return (
        f"{iso(part.start_ns)} to {iso(part.end_ns)}: expected {expected.bin_values[index]:,} values, "
        f"bucket has {actual.bin_values[index]:,}, digests differ"
    )
