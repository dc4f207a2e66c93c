"""Runs on disk: one Arrow IPC file a run, uncompressed, mapped into memory when read. Never changed, only replaced."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgpack
import numpy as np
import pyarrow as pa

from ts_migration.local.influxdb.points import FieldType
from ts_migration.local.influxdb.storage.runs import Run, RunColumn
from ts_migration.local.influxdb.storage.series_ids import SeriesIds


@dataclass(frozen=True, slots=True)
class Segment:
    """A run and the file it is mapped from."""

    path: Path
    measurement: str
    run: Run


def write_segment(path: Path, measurement: str, run: Run, keys: list[bytes]) -> None:
    """Write a run and the keys of its series, in its order; durable on return, the directory's entry apart."""
    names: list[tuple[bytes, str, bool]] = []
    arrays: list[pa.Array] = [pa.array(run.times)]
    for (name, type_), column in run.columns.items():
        names.append((name.encode("utf-8", "surrogateescape"), type_.value, column.valid is not None))
        arrays.append(_plain(column))
        if column.valid is not None:
            arrays.append(pa.array(column.valid.view(np.uint8)))
    described = {
        "measurement": measurement.encode("utf-8", "surrogateescape"),
        "keys": keys,
        "starts": run.starts.tobytes(),
        "columns": names,
        "range": [run.min_time, run.max_time],
    }
    schema = pa.schema(
        [pa.field(str(n), array.type) for n, array in enumerate(arrays)],
        metadata={b"run": msgpack.packb(described, use_bin_type=True)},
    )
    with path.open("wb") as file:
        with pa.ipc.new_file(file, schema) as writer:
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        file.flush()
        os.fsync(file.fileno())


def _plain(column: RunColumn) -> pa.Array:
    if not isinstance(column.values, np.ndarray):
        return column.values
    return pa.array(column.values.view(np.uint8) if column.values.dtype == np.bool_ else column.values)


def read_segment(path: Path, series_ids: SeriesIds) -> Segment:
    """Map a segment; its series get their ids of this process."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source)
        described = msgpack.unpackb(table.schema.metadata[b"run"])
        batch = table.get_batch(0)
    columns: dict[tuple[str, FieldType], RunColumn] = {}
    at = 1
    for name, type_name, gaps in described["columns"]:
        type_ = FieldType(type_name)
        raw = batch.column(at)
        values = raw if type_ is FieldType.STRING else raw.to_numpy()
        valid = batch.column(at + 1).to_numpy().view(np.bool_) if gaps else None
        if type_ is FieldType.BOOLEAN:
            values = values.view(np.bool_)
        columns[name.decode("utf-8", "surrogateescape"), type_] = RunColumn(values, valid)
        at += 2 if gaps else 1
    run = Run(
        series=np.array([series_ids.id_of(key) for key in described["keys"]], dtype=np.int32),
        starts=np.frombuffer(described["starts"], dtype=np.int64),
        times=batch.column(0).to_numpy(),
        columns=columns,
        min_time=described["range"][0],
        max_time=described["range"][1],
    )
    return Segment(path, described["measurement"].decode("utf-8", "surrogateescape"), run)
