"""What lines mean, told by the embedded server's scalar parser, and what rows should mean, told row by row.

Both ways are independent of the encoder: the parser shares no code with it, and the expectation is plain Python.
"""

import math
import struct
from typing import Any

from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.local.influxdb.line_protocol import scalar, stored
from ts_migration.windows import iso

Point = tuple[str, tuple[tuple[str, str], ...], int, tuple[tuple[str, str, Any], ...]]
"""Measurement, tags, time in ns, fields as (key, type, value); floats as their bits, so that -0.0 is not 0.0."""


def parsed(text: bytes) -> list[Point]:
    """Points of a body, split and read as influxd does; any line that it would refuse fails the test."""
    points, start = [], 0
    while start < len(text):
        end = scalar.scan_line(text, start)
        points.append(_parsed_line(text[start:end]))
        start = end + 1
    return points


def _parsed_line(line: bytes) -> Point:
    raw = scalar.parse_point(line, 1, 0)
    tags = tuple(sorted((key.decode(), value.decode()) for key, value in stored.tags_of(raw.key)))
    fields = tuple(sorted((field.key.decode(), *_value(field)) for field in stored.fields_of(raw.fields)))
    return stored.measurement_of(raw.key).decode(), tags, raw.time_ns, fields


def _value(field: stored.Field) -> tuple[str, Any]:
    assert field.type is not None
    value = field.value
    if isinstance(value, bytes):
        return "string", value.decode()
    if isinstance(value, bool):
        return "boolean", value
    return ("float", _bits(value)) if isinstance(value, float) else ("integer", value)


def _bits(value: float) -> int:
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
        fields.append((field.field, field.type.value, _bits(float(value)) if field.type is FieldType.FLOAT else value))
    return (mapping.measurement, tuple(sorted(tags.items())), row["time_ns"], tuple(sorted(fields))) if fields else None


def readable(tags: dict[str, str]) -> bool:
    """Whether tags in their one possible spelling read back as they are, before a string that would show a misreading."""
    spelled = "".join(
        f",{key}=" + value.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ") for key, value in tags.items()
    )
    point = ("m", tuple(sorted(tags.items())), 1, (("f", "string", ' =,"\n'),))
    try:
        return parsed(f'm{spelled} f=" =,\\"\n" 1\nm f=1i 2\n'.encode()) == [
            point,
            ("m", (), 2, (("f", "integer", 1),)),
        ]
    except scalar.LineError:
        return False


def unsayable(row: dict[str, Any], mapping: Mapping) -> bool:
    """Whether a row holds anything that cannot be written exactly."""
    name = row["measure_name"]
    tags = {
        f"tag{at}": row[tag.column]
        for at, tag in enumerate(mapping.tags)
        if row[tag.column] and (tag.measure_names is None or name in tag.measure_names)
    }
    if not readable(tags) or any("\n" in value or "#!~#" in value for value in tags.values()):
        return True
    for field in mapping.fields:
        value = row[field.column]
        if value is None or (field.measure_names is not None and name not in field.measure_names):
            continue
        if field.type is FieldType.FLOAT and (not math.isfinite(value) or int(float(value)) != int(value)):
            return True
    return not -(2**63) + 2 <= row["time_ns"] <= 2**63 - 2
