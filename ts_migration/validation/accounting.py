"""Verdicts that need no second reading: a stage's own manifest against what it says it did.

They stop a window before its next stage; the five checks of a loaded window are elsewhere in this package.
"""

from ts_migration.manifests import ExportManifest, LineProtocolManifest, VerdictRecord
from ts_migration.timestream.schema import ColumnRole, TableSchema
from ts_migration.validation.verdict import EVIDENCE_ROWS, Severity, Stage

TIME_NS = "time_ns"
"""The export's own column: `to_nanoseconds("time")`, BIGINT."""


def export_schema_verdict(manifest: ExportManifest, schema: TableSchema) -> VerdictRecord:
    """The exported columns and types are those that DESCRIBE tells, and the files' rows add up to the manifest's."""
    described = {column.name: column.type.value for column in schema.columns if column.role is not ColumnRole.TIMESTAMP}
    exported = {name: kind.lower() for name, kind in manifest.columns.items() if name not in (TIME_NS, "time")}
    findings = [
        f"column {name!r}: described as {described.get(name, 'absent')}, exported as {exported.get(name, 'absent')}"
        for name in sorted(described.keys() | exported.keys())
        if described.get(name) != exported.get(name)
    ]
    if manifest.columns.get(TIME_NS, "").lower() != "bigint":
        findings.append(f"column {TIME_NS!r}: expected bigint, exported as {manifest.columns.get(TIME_NS, 'absent')}")
    rows = sum(file.rows for file in manifest.files)
    if rows != manifest.rows:
        findings.append(f"the files hold {rows:,} rows, the manifest says {manifest.rows:,}")
    return _record(
        "export_schema",
        findings,
        expected=f"{len(described)} columns, {manifest.rows:,} rows",
        actual=f"{len(exported)} columns, {rows:,} rows in {len(manifest.files)} files",
        stage=Stage.EXPORT,
    )


def conversion_verdict(manifest: LineProtocolManifest) -> VerdictRecord:
    """rows = points + merged + quarantined + empty, and parts, members and values add up."""
    accounted = manifest.points + manifest.merged + manifest.quarantined + manifest.empty
    findings = []
    if accounted != manifest.rows:
        findings.append(
            f"{manifest.rows:,} rows, but {manifest.points:,} points + {manifest.merged:,} merged + "
            f"{manifest.quarantined:,} quarantined + {manifest.empty:,} empty = {accounted:,}"
        )
    lines = sum(part.lines for part in manifest.parts)
    if lines != manifest.points:
        findings.append(f"the parts hold {lines:,} lines, the manifest says {manifest.points:,} points")
    written = sum(manifest.values.values())
    if written != manifest.expected.values:
        findings.append(f"{written:,} values were written, the export frames hold {manifest.expected.values:,}")
    return _record(
        "conversion",
        findings,
        expected=f"{manifest.rows:,} rows, {manifest.expected.values:,} values",
        actual=f"{accounted:,} rows accounted for, {written:,} values written",
        stage=Stage.CONVERSION,
    )


def _record(check: str, findings: list[str], *, expected: str, actual: str, stage: Stage) -> VerdictRecord:
    return VerdictRecord(
        check=check,
        passed=not findings,
        severity=Severity.ERROR.value,
        expected=expected,
        actual=actual,
        difference="; ".join(findings[:3]) if findings else "0",
        tolerance="0",
        stage=stage.value if findings else None,
        evidence=tuple(findings[:EVIDENCE_ROWS]),
    )
