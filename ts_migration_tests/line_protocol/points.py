"""What lines mean, told by the reference parser, and what rows should mean by a mapping, told row by row.

Both ways are independent of the encoder: the parser shares no code with the product, the expectation is plain Python.
"""

import struct
from typing import Any

from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.windows import iso
from ts_migration_tests.line_protocol.reference_parser import RawField, RawPoint, read

Point = tuple[str, tuple[tuple[str, str], ...], int, tuple[tuple[str, str, Any], ...]]
"""Measurement, tags, time in ns, fields as (key, type, value); floats as their bits, so that -0.0 is not 0.0."""


def parsed(text: bytes) -> list[Point]:
    """Points of a body, cut and read as InfluxDB does; any line that it would refuse fails the test."""
    points, refused = read(text)
    assert refused == []
    return [_point(point) for point in points]


def _point(point: RawPoint) -> Point:
    assert point.time_ns is not None
    tags = tuple(sorted((key.decode(), value.decode()) for key, value in point.tags.items()))
    fields = tuple(sorted((field.key.decode(), field.type, _value(field)) for field in point.fields))
    return point.measurement.decode(), tags, point.time_ns, fields


def _value(field: RawField) -> Any:
    value = field.value
    if isinstance(value, bytes):
        return value.decode()
    return bits(value) if isinstance(value, float) else value


def bits(value: float) -> int:
    """A float as its bits: NaN equals itself, and -0.0 is not 0.0."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def expected(row: dict[str, Any], mapping: Mapping) -> Point | None:
    """The point that a row should become, or None where it has no field."""
    name = row["measure_name"]
    tags = {
        tag.tag: row[tag.column]
        for tag in mapping.tags
        if row[tag.column] and (tag.measure_names is None or name in tag.measure_names)
    }
    fields = []
    for field in mapping.fields:
        value = row[field.column]
        if value is None or (field.measure_names is not None and name not in field.measure_names):
            continue
        if field.rfc3339:
            value = iso(value)
        fields.append((field.field, field.type.value, bits(float(value)) if field.type is FieldType.FLOAT else value))
    return (mapping.measurement, tuple(sorted(tags.items())), row["time_ns"], tuple(sorted(fields))) if fields else None
