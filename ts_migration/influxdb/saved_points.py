"""Points read back from a bucket as a Parquet file, and the file as points again: copies that can be put back exactly.

A row is a value; a row group has the values of one field, of series that lie side by side. Where the files lie, and
what they are kept for, is for `stages`.
"""

import json
from collections.abc import Iterator
from typing import IO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import BlockColumn, SeriesBatch, SeriesId
from ts_migration.line_protocol.mapping import FieldType

_COLUMNS = {
    FieldType.FLOAT: ("float", pa.float64()),
    FieldType.INTEGER: ("integer", pa.int64()),
    FieldType.BOOLEAN: ("boolean", pa.bool_()),
    FieldType.STRING: ("string", pa.binary()),
}
_SCHEMA = pa.schema(
    [
        ("series", pa.string()),
        ("time_ns", pa.int64()),
        ("field", pa.binary()),
        ("type", pa.string()),
        *_COLUMNS.values(),
    ]
)
"""`series` is the JSON of the tags; texts that may be no UTF-8 are bytes."""


class PointsFile:
    """Writes points to an open file; used as a context, at whose end the file is whole."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(stream, _SCHEMA, compression="zstd")

    def add(self, batch: SeriesBatch) -> None:
        """Add the points of a batch."""
        series = pa.array([json.dumps(one.tags) for one in batch.series], pa.string())
        owners = np.repeat(np.arange(len(batch.series)), batch.lengths)
        for column in batch.columns:
            rows = np.arange(len(batch.times)) if column.valid is None else np.flatnonzero(column.valid)
            if not len(rows):
                continue
            values = {name: pa.nulls(len(rows), kind) for name, kind in _COLUMNS.values()}
            name, kind = _COLUMNS[column.kind]
            values[name] = _array(column.values[rows], kind)
            fixed = {
                "series": series.take(pa.array(owners[rows])),
                "time_ns": pa.array(batch.times[rows]),
                "field": pa.repeat(pa.scalar(_encoded(column.field), pa.binary()), len(rows)),
                "type": pa.repeat(pa.scalar(column.kind.value), len(rows)),
            }
            self._writer.write_table(pa.table({**fixed, **values}, schema=_SCHEMA))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def saved_batches(stream: IO[bytes], measurement: str) -> Iterator[SeriesBatch]:
    """The points of a file, a batch per row group: points of several fields come in several batches.

    Raises:
        Permanent: the file is damaged.
    """
    try:
        file = pq.ParquetFile(stream)
        for index in range(file.num_row_groups):
            yield _batch(file.read_row_group(index), measurement)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise Permanent(f"a copy of points is damaged: {error}") from error


def _batch(group: pa.Table, measurement: str) -> SeriesBatch:
    kind = FieldType(group["type"][0].as_py())
    series = group["series"].combine_chunks().dictionary_encode()
    owners = series.indices.to_numpy(zero_copy_only=False)
    starts = np.concatenate([[0], np.flatnonzero(owners[1:] != owners[:-1]) + 1])
    texts = series.dictionary.to_pylist()
    ids = tuple(SeriesId(measurement, json.loads(texts[owner])) for owner in owners[starts].tolist())
    lengths = np.diff(np.append(starts, len(owners)))
    found = group[_COLUMNS[kind][0]].combine_chunks()
    values = found.to_numpy(zero_copy_only=False)
    if kind is FieldType.STRING:
        values = np.array([each.decode("utf-8", "surrogateescape") for each in found.to_pylist()], object)
    column = BlockColumn(group["field"][0].as_py().decode("utf-8", "surrogateescape"), kind, values)
    return SeriesBatch(ids, lengths, group["time_ns"].to_numpy(), (column,))


def _array(values: "np.ndarray[tuple[int], np.dtype[np.generic]]", kind: pa.DataType) -> pa.Array:
    if kind == pa.binary():
        return pa.array([_encoded(str(value)) for value in values.tolist()], kind)
    return pa.array(values, kind)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
