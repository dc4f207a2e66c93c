"""What a name in a query stands for: a field of a type, a tag, or nothing.

Rules: tsdb MapType and FieldDimensions: where shards disagree on a field's type the query takes the first of float,
integer, unsigned, string, boolean, and a field goes before a tag of the same name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.frames import DTYPES, Column, Mask, nulls
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, FieldColumn, FieldType, Points

PRECEDENCE = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED, FieldType.STRING, FieldType.BOOLEAN)
_NUMBERS = PRECEDENCE[:3]


@dataclass(frozen=True, slots=True)
class Schema:
    """Fields with the type that queries give them, and tag keys, of one or several measurements."""

    fields: dict[str, FieldType]
    tags: frozenset[str]


def schema_of(
    measurements: Iterable[tuple[Points, str]], start_ns: int = MIN_TIME_NS, stop_ns: int = MAX_TIME_NS
) -> Schema:
    """The united schema of measurements, of the shards that a query over the range maps (coordinator MapShards)."""
    fields: dict[str, FieldType] = {}
    tags: set[str] = set()
    for points, name in measurements:
        tags.update(points.tag_keys(name))
        for field, type_ in points.field_types(name, start_ns, stop_ns):
            known = fields.get(field)
            if known is None or PRECEDENCE.index(type_) < PRECEDENCE.index(known):
                fields[field] = type_
    return Schema(fields, frozenset(tags))


def key_order(name: str) -> bytes:
    """Sorts names as their bytes sort."""
    return name.encode("utf-8", "surrogateescape")


def cast(column: FieldColumn, type_: FieldType) -> Column | None:
    """A stored column as the type that the query gives it; None where that type cannot hold it.

    Between numbers InfluxDB converts as Go does; anything else has no value.
    """
    if column.type is type_:
        return Column(type_, column.values, column.valid)
    if column.type not in _NUMBERS or type_ not in _NUMBERS:
        return None
    with np.errstate(invalid="ignore"):
        return Column(type_, column.values.astype(DTYPES[type_]), column.valid)


def pick(columns: Iterable[FieldColumn], name: str, type_: FieldType, count: int) -> Column | None:
    """The field of a block as the query's type, joined from the columns of several shards; None without values."""
    found = [made for column in columns if column.name == name and (made := cast(column, type_)) is not None]
    if len(found) <= 1:
        return found[0] if found else None
    values: npt.NDArray[Any] = nulls(count, type_).values
    valid: Mask = np.zeros(count, np.bool_)
    for column in found:
        mask = column.mask
        values[mask] = column.values[mask]
        valid |= mask
    return Column(type_, values, valid)
