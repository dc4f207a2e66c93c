"""A record of WriteRecords: from the request's members to typed values, or the reason why it cannot be one.

Here belong merging with the common attributes, parsing and the limits of one record, as pure functions. What a table
holds already, versions and retention do not.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ts_migration.local.timestream import naming
from ts_migration.local.timestream.catalog import AttributeKind, ScalarType, TableColumn
from ts_migration.local.timestream.refusals import ValidationError

Members = dict[str, Any]
Value = str | float | int | bool

_NS_PER_UNIT = {"SECONDS": 1_000_000_000, "MILLISECONDS": 1_000_000, "MICROSECONDS": 1_000, "NANOSECONDS": 1}
_INT64_MAX = 2**63 - 1
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_DOUBLE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": True, "false": False}


class RecordRefusedError(Exception):
    """This record cannot be written; the others of the request can."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value and the column it belongs to."""

    column: TableColumn
    value: Value


@dataclass(frozen=True, slots=True)
class IncomingRecord:
    """A record as it will be stored.

    Attributes:
        index: position in the request, from 0.
        time: nanoseconds since the epoch.
    """

    index: int
    dimensions: tuple[tuple[str, str], ...]
    measure_name: str
    time: int
    version: int
    measures: tuple[Measure, ...]

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """Every column that a table must have to hold the record."""
        dimensions = (TableColumn(name, ScalarType.VARCHAR, AttributeKind.DIMENSION) for name, _ in self.dimensions)
        return (*dimensions, *(measure.column for measure in self.measures))


def merged(record: Members, common: Members, index: int) -> Members:
    """A record with the common attributes it does not state itself.

    Raises:
        ValidationError: a dimension or a measure is in both.
    """
    joined = {**common, **record}
    for member in ("Dimensions", "MeasureValues"):
        own, shared = record.get(member) or [], common.get(member) or []
        names = [entry["Name"] for entry in (*shared, *own)]
        if len(names) != len(set(names)):
            raise ValidationError(f"Record {index}: {member} must have unique names, common attributes included.")
        joined[member] = [*shared, *own]
    return joined


def parse_record(members: Members, index: int) -> IncomingRecord:
    """A merged record as typed values.

    Raises:
        ValidationError: the request is malformed as a whole (version below 1, no time, values of both kinds).
        RecordRefusedError: this record breaks a limit or holds a value that is none of its type.
    """
    version = members.get("Version", 1)
    if version < 1:
        raise ValidationError(f"Record {index}: Version must be 1 or greater.")
    measure_name = members.get("MeasureName")
    if measure_name is None:
        raise ValidationError(f"Record {index}: MeasureName is missing.")
    if members.get("Time") is None:
        raise ValidationError(f"Record {index}: Time is missing.")
    problem = naming.measure_name_problem(measure_name)
    if problem:
        raise RecordRefusedError(problem)
    dimensions = _dimensions(members)
    record = IncomingRecord(
        index=index,
        dimensions=dimensions,
        measure_name=measure_name,
        time=_time(members),
        version=version,
        measures=_measures(members, index),
    )
    _refuse_clashes(record)
    _refuse_sizes(record)
    return record


def _dimensions(members: Members) -> tuple[tuple[str, str], ...]:
    dimensions = members.get("Dimensions") or []
    if len(dimensions) > naming.MAX_DIMENSIONS_PER_TABLE:
        raise RecordRefusedError(f"A record has at most {naming.MAX_DIMENSIONS_PER_TABLE} dimensions.")
    for dimension in dimensions:
        problem = naming.column_name_problem(dimension["Name"], naming.MAX_DIMENSION_NAME_BYTES)
        if problem:
            raise RecordRefusedError(f"Dimension: {problem}")
        if not dimension["Value"]:
            raise RecordRefusedError(f"The value of dimension {dimension['Name']!r} is empty.")
    return tuple((dimension["Name"], dimension["Value"]) for dimension in dimensions)


def _time(members: Members) -> int:
    text = members["Time"]
    if not _INTEGER.fullmatch(text):
        raise RecordRefusedError(f"The time {text!r} is not an integer.")
    time = int(text) * _NS_PER_UNIT[members.get("TimeUnit", "MILLISECONDS")]
    if time < 0:
        raise RecordRefusedError(f"The time {text} is negative; records begin at 1970-01-01 00:00:00.")
    if time > _INT64_MAX:
        raise RecordRefusedError(f"The time {text} is later than 2262-04-11 23:47:16.854775807.")
    return time


def _measures(members: Members, index: int) -> tuple[Measure, ...]:
    kind = members.get("MeasureValueType", "DOUBLE")
    values = members.get("MeasureValues") or []
    if kind != "MULTI":
        if values:
            raise ValidationError(f"Record {index}: MeasureValues is only allowed for MeasureValueType MULTI.")
        if members.get("MeasureValue") is None:
            raise ValidationError(f"Record {index}: MeasureValue is missing.")
        scalar = ScalarType(kind)
        if scalar is ScalarType.TIMESTAMP:
            raise ValidationError(f"Record {index}: TIMESTAMP is only allowed in multi-measure records.")
        column = TableColumn(f"measure_value::{scalar.value.lower()}", scalar, AttributeKind.MEASURE_VALUE)
        return (Measure(column, parse_value(members["MeasureValue"], scalar)),)
    if members.get("MeasureValue") is not None:
        raise ValidationError(f"Record {index}: MeasureValue is not allowed for MeasureValueType MULTI.")
    if not values:
        raise ValidationError(f"Record {index}: a multi-measure record has at least one measure value.")
    if len(values) > naming.MAX_MEASURES_PER_RECORD:
        raise RecordRefusedError(f"A record has at most {naming.MAX_MEASURES_PER_RECORD} measures.")
    scale = _NS_PER_UNIT[members.get("TimeUnit", "MILLISECONDS")]
    return tuple(_multi_measure(value, index, scale) for value in values)


def _multi_measure(value: Members, index: int, scale: int) -> Measure:
    problem = naming.column_name_problem(value["Name"], naming.MAX_MEASURE_NAME_BYTES)
    if problem:
        raise RecordRefusedError(f"Measure: {problem}")
    if value["Type"] == "MULTI":
        raise ValidationError(f"Record {index}: the measure {value['Name']!r} cannot itself be of type MULTI.")
    scalar = ScalarType(value["Type"])
    column = TableColumn(value["Name"], scalar, AttributeKind.MULTI)
    return Measure(column, parse_value(value["Value"], scalar, scale))


def parse_value(text: str, scalar: ScalarType, scale: int = 1) -> Value:
    """A measure's text as a value of its type.

    Args:
        scale: nanoseconds in a unit of TIMESTAMP values. They are in the record's TimeUnit (so AWS's SDK for pandas
            writes them; the service's pages do not say) and become nanoseconds.

    Raises:
        RecordRefusedError: it is none, or it is one that Timestream cannot store (NaN, infinities).
    """
    if scalar is ScalarType.VARCHAR:
        return text
    if scalar is ScalarType.BOOLEAN:
        if text.lower() not in _BOOLEANS:
            raise RecordRefusedError(f"The measure value {text!r} is not a BOOLEAN.")
        return _BOOLEANS[text.lower()]
    if scalar is ScalarType.DOUBLE:
        # Not whatever Python's float() takes: NaN, infinities and underscores cannot be written.
        value = float(text) if _DOUBLE.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise RecordRefusedError(f"The measure value {text!r} is not a finite DOUBLE.")
        return value
    factor = scale if scalar is ScalarType.TIMESTAMP else 1
    if not _INTEGER.fullmatch(text) or not -_INT64_MAX - 1 <= int(text) * factor <= _INT64_MAX:
        raise RecordRefusedError(f"The measure value {text!r} is not a {scalar.value} (64-bit integer).")
    return int(text) * factor


def _refuse_clashes(record: IncomingRecord) -> None:
    clashing = {name for name, _ in record.dimensions} & {measure.column.name for measure in record.measures}
    if clashing:
        raise RecordRefusedError(f"A dimension and a measure have the same name: {', '.join(sorted(clashing))}.")


def _refuse_sizes(record: IncomingRecord) -> None:
    series = sum(len(name.encode()) + len(value.encode()) for name, value in record.dimensions)
    if series > naming.MAX_SERIES_BYTES:
        raise RecordRefusedError(
            f"Names and values of the dimensions have {series} bytes; at most {naming.MAX_SERIES_BYTES} are allowed."
        )
    for measure in record.measures:
        if isinstance(measure.value, str) and len(measure.value.encode()) > naming.MAX_VALUE_BYTES:
            raise RecordRefusedError(f"A VARCHAR measure value has at most {naming.MAX_VALUE_BYTES} bytes.")
