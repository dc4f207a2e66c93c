"""Columns for tests, from plain Python values and back."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm.columns import DTYPES, FieldKind, TsmColumn

Points = Mapping[bytes, Sequence[tuple]]


def column_of(kind: FieldKind, points: Points) -> TsmColumn:
    """Keys in the order given, each with (time, value) points; floats as their bits."""
    every = [point for own in points.values() for point in own]
    values = [value for _, value in every]
    if kind is FieldKind.STRING:
        made = pa.array(values, pa.large_binary())
    elif kind is FieldKind.FLOAT:
        made = np.array(values, np.uint64).view(np.float64)
    else:
        made = np.array(values, DTYPES[kind])
    offsets = np.cumsum([0, *(len(own) for own in points.values())]).astype(np.int64)
    times = np.array([time for time, _ in every], np.int64)
    return TsmColumn(kind, pa.array(list(points), pa.large_binary()), offsets, times, made)


def points_of(column: TsmColumn) -> dict[bytes, list[tuple]]:
    """The reverse of `column_of`."""
    if column.kind is FieldKind.STRING:
        values = column.values.to_pylist()
    else:
        values = (column.values.view(np.uint64) if column.kind is FieldKind.FLOAT else column.values).tolist()
    every = list(zip(column.times.tolist(), values, strict=True))
    bounds = column.offsets.tolist()
    return {
        key: every[start:end] for key, start, end in zip(column.keys.to_pylist(), bounds[:-1], bounds[1:], strict=True)
    }


def bits(value: float) -> int:
    """The 64 bits of a float."""
    return struct.unpack(">Q", struct.pack(">d", value))[0]
