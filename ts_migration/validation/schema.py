"""schema: exported batches against DESCRIBE; the bucket's fields, types, tags and retention. Pure."""

from ts_migration.line_protocol.mapping import Mapping
from ts_migration.validation.readings import Reading
from ts_migration.validation.verdict import EVIDENCE_ROWS, Check, Stage, Verdict
from ts_migration.windows import iso


def check_schema(reading: Reading, mapping: Mapping) -> Verdict:
    """Field keys, types and tag keys of the window's points, what the mapping lacks, and pandera's findings.

    A field that has another type in other shards of the bucket is told and fails no window but those that hold it.
    """
    target = reading.target
    wanted = {field.field: field.type.value for field in mapping.fields if reading.export.values.get(field.field)}
    tags = {tag.tag for tag in mapping.tags}
    findings = [(Stage.EXPORT, line) for line in (*_unmapped_findings(reading), *_frame_findings(reading))]
    for field in sorted(wanted.keys() - target.field_types.keys()):
        findings.append((Stage.LOAD, f"field {field!r} ({wanted[field]}) is not in the bucket"))
    notes: list[str] = []
    for field in sorted(wanted.keys() & target.field_types.keys()):
        types, own = target.field_types[field], target.window_types.get(field)
        if own is None and types != (wanted[field],):
            text = f"field {field!r}: mapped to {wanted[field]}, the bucket holds {' and '.join(types)}"
            findings.append((Stage.LOAD, text))
        elif own is not None and own != (wanted[field],):
            text = f"field {field!r}: mapped to {wanted[field]}, the window holds {' and '.join(own) or 'no value'}"
            findings.append((Stage.LOAD, text))
        elif own is not None:
            notes.append(f"field {field!r}: elsewhere in the bucket it has other types: {' and '.join(types)}")
    for field, types in sorted(target.read_types.items()):
        if field not in wanted:
            text = f"field {field!r} ({', '.join(types)}) is in the window and not in the mapping"
            findings.append((Stage.LOAD, text))
        elif types != (wanted[field],) and target.field_types.get(field) == (wanted[field],):
            findings.append((Stage.LOAD, f"field {field!r}: read back as {', '.join(types)}, not {wanted[field]}"))
    first, expires = reading.export.expected.first_ns, target.expires_before_ns
    if first is not None and expires is not None and first < expires:
        text = f"the bucket's retention deletes points before {iso(expires)}, the window's begin at {iso(first)}"
        findings.append((Stage.LOAD, text))
    for tag in sorted(set(target.tag_keys) - tags):
        findings.append((Stage.LOAD, f"tag {tag!r} is in the window and not in the mapping"))
    return Verdict(
        check=Check.SCHEMA,
        passed=not findings,
        expected=f"{len(wanted)} fields, at most {len(tags)} tags",
        actual=f"{len(target.read_types)} fields, {len(target.tag_keys)} tags",
        difference=f"{len(findings)} differences" if findings else "0",
        stage=findings[0][0] if findings else None,
        evidence=tuple(text for _, text in findings[:EVIDENCE_ROWS]) or tuple(notes[:EVIDENCE_ROWS]),
    )


def _unmapped_findings(reading: Reading) -> list[str]:
    """What the source holds in this window and the mapping does not know. A new column without a value harms nobody."""
    return [
        f"{what} came to Timestream after the mapping was frozen: {count:,} in this window, none of them in "
        "InfluxDB; `ts-migration reset` takes them in"
        for what, count in sorted(reading.source.unmapped.items())
        if count
    ]


def _frame_findings(reading: Reading) -> tuple[str, ...]:
    if reading.export.frame_failures is None:
        return ("the exported batches were not checked: run the conversion of this window again",)
    return reading.export.frame_failures
