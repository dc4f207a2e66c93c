"""record_count: Timestream counted now, rows exported, values encoded, values counted by InfluxDB. A pure function."""

from collections.abc import Mapping

from ts_migration.validation.readings import Reading
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Severity, Stage, Verdict


def check_record_count(reading: Reading) -> Verdict:
    """Compare the four counts, field by field; the first pair that differs names the stage."""
    source, export, target = reading.source, reading.export, reading.target
    tolerance = reading.count_tolerance
    findings: list[tuple[Stage, str, float]] = []
    if source.rows != export.rows:
        share = _share(source.rows, export.rows)
        text = f"Timestream has {source.rows:,} rows now, the export {export.rows:,}"
        if source.rows < export.rows:
            text += ": Timestream holds fewer rows than were exported: expired or deleted since"
        findings.append((Stage.EXPORT, text, share))
    if export.accounted_rows != export.rows:
        text = f"the export has {export.rows:,} rows, the conversion accounts for {export.accounted_rows:,}"
        findings.append((Stage.CONVERSION, text, 1.0))
    encoded_stage = Stage.EXPORT if source.rows != export.rows else Stage.CONVERSION
    for field, one, other in _differing(source.values, export.values):
        if 0 < one - other <= export.quarantined + export.dropped:
            continue
        text = f"field {field!r}: Timestream has {one:,} values now, {other:,} were encoded"
        findings.append((encoded_stage, text, _share(one, other)))
    for field, one, other in _differing(export.values, target.counts):
        if 0 < one - other <= target.refused:
            continue
        text = f"field {field!r}: {one:,} values were encoded, InfluxDB counts {other:,}"
        findings.append((Stage.LOAD, text, _share(one, other)))
    worst = max((share for _, _, share in findings), default=0.0)
    expected, encoded, counted = (sum(each.values()) for each in (source.values, export.values, target.counts))
    return Verdict(
        check=Check.RECORD_COUNT,
        passed=worst <= tolerance,
        severity=Severity.WARN if findings and worst <= tolerance else Severity.ERROR,
        expected=f"{source.rows:,} rows, {expected:,} values in Timestream now",
        actual=f"{export.rows:,} rows exported, {encoded:,} values encoded, {counted:,} in InfluxDB",
        difference=_difference(source.rows - export.rows, expected - counted, worst),
        tolerance=f"{tolerance:.4%}" if tolerance else "0",
        stage=findings[0][0] if findings else None,
        evidence=tuple(text for _, text, _ in findings[:EVIDENCE_ROWS]) or _quarantine_note(reading),
    )


def _differing(one: Mapping[str, int], other: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Keys whose counts differ, with both counts."""
    pairs = [(key, one.get(key, 0), other.get(key, 0)) for key in sorted(one.keys() | other.keys())]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _share(one: int, other: int) -> float:
    return abs(one - other) / max(one, other, 1)


def _difference(rows: int, values: int, worst: float) -> str:
    if not worst:
        return "0"
    return f"{rows:+,} rows, {values:+,} values (worst {worst:.4%})"


def _quarantine_note(reading: Reading) -> tuple[str, ...]:
    notes = []
    if reading.export.quarantined:
        notes.append(f"in the quarantine and not in the bucket: {reading.export.quarantined:,} rows")
    if reading.export.rewritten:
        told = ", ".join(f"{rows:,} by {rule}" for rule, rows in sorted(reading.export.rewritten.items()))
        notes.append(f"rows that were rewritten, as the job's mapping.rewrite says: {told}")
    if reading.target.refused:
        notes.append(f"refused by the server and kept beside the quarantine: {reading.target.refused:,} lines")
    return tuple(notes)
