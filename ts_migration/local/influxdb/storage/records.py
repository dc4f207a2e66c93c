"""What the write-ahead log says: points in columns, and deletes, as msgpack with raw column bytes."""

from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.local.influxdb.line_protocol.batch import Values, numpy_type
from ts_migration.local.influxdb.points import FieldType
from ts_migration.local.influxdb.storage.runs import Part, PartColumn
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup


@dataclass(frozen=True, slots=True)
class Written:
    """Points that were accepted: series ids of the part are positions in `keys`; `groups` are those they fell into."""

    keys: list[bytes]
    groups: list[ShardGroup]
    part: Part


@dataclass(frozen=True, slots=True)
class Deleted:
    """A delete that was carried out: the series are named, so that no predicate has to be kept."""

    keys: list[bytes]
    start_ns: int
    stop_ns: int


def encode(record: Written | Deleted) -> bytes:
    """The payload of a record."""
    if isinstance(record, Deleted):
        return _pack({"delete": [record.start_ns, record.stop_ns], "keys": record.keys})
    columns = [
        [
            name.encode("utf-8", "surrogateescape"),
            type_.value,
            None if column.rows is None else column.rows.astype(np.uint32).tobytes(),
            *_value_bytes(column.values),
        ]
        for (name, type_), column in record.part.columns.items()
    ]
    return _pack(
        {
            "keys": record.keys,
            "groups": [[group.start, group.end] for group in record.groups],
            "series": record.part.series.astype(np.int32).tobytes(),
            "times": record.part.times.tobytes(),
            "columns": columns,
        }
    )


def decode(payload: bytes) -> Written | Deleted:
    """The record of a payload."""
    content = msgpack.unpackb(payload)
    if "delete" in content:
        return Deleted(content["keys"], *content["delete"])
    columns = {
        (name.decode("utf-8", "surrogateescape"), FieldType(type_)): PartColumn(
            None if rows is None else np.frombuffer(rows, dtype=np.uint32).astype(np.int64),
            _values(FieldType(type_), *raw),
        )
        for name, type_, rows, *raw in content["columns"]
    }
    part = Part(np.frombuffer(content["series"], np.int32), np.frombuffer(content["times"], np.int64), columns)
    return Written(content["keys"], [ShardGroup(*group) for group in content["groups"]], part)


def _pack(content: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(content, use_bin_type=True)
    return packed


def _value_bytes(values: Values) -> list[bytes]:
    if isinstance(values, np.ndarray):
        return [values.tobytes()]
    offsets, content = string_buffers(values)
    return [(offsets - offsets[0]).tobytes(), content]


def string_buffers(values: pa.Array) -> tuple[npt.NDArray[np.int64], bytes]:
    """Offsets and bytes of a large_binary array, slices included."""
    _, raw_offsets, raw = values.buffers()
    offsets = np.frombuffer(raw_offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    if raw is None:
        return offsets, b""
    return offsets, raw.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()


def _values(type_: FieldType, raw: bytes, content: bytes = b"") -> Values:
    if type_ is not FieldType.STRING:
        return np.frombuffer(raw, dtype=numpy_type(type_))
    count = len(raw) // 8 - 1
    return pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(raw), pa.py_buffer(content)])
