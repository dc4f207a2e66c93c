"""Points of a shard group as columns of TSM files, and back: what backups give and restores take."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.shard_batches import rows_of_keys
from ts_migration.influxdb.tsm.columns import KEY_SEPARATOR, FieldKind, TsmColumn
from ts_migration.local.influxdb.line_protocol.batch import Values, take
from ts_migration.local.influxdb.line_protocol.go_text import to_bytes, to_text
from ts_migration.local.influxdb.points import FieldType
from ts_migration.local.influxdb.storage.runs import Ints, Part, PartColumn, Run

_KINDS = {
    FieldType.FLOAT: FieldKind.FLOAT,
    FieldType.INTEGER: FieldKind.INTEGER,
    FieldType.BOOLEAN: FieldKind.BOOLEAN,
    FieldType.STRING: FieldKind.STRING,
    FieldType.UNSIGNED: FieldKind.UNSIGNED,
}
_TYPES = {kind: type_ for type_, kind in _KINDS.items()}


def parts_of(columns: Iterable[TsmColumn]) -> tuple[list[bytes], list[Part]]:
    """Series keys, and parts whose series are positions among them; fields of the same points are in one part."""
    ids: dict[bytes, int] = {}
    parts: list[Part] = []
    for column in columns:
        keys = [key.partition(KEY_SEPARATOR) for key in column.keys.to_pylist()]
        series = np.array([ids.setdefault(key, len(ids)) for key, _, _ in keys], np.int32)
        fields = np.array([field for _, _, field in keys], object)
        lengths = np.diff(column.offsets)
        for field in dict.fromkeys(fields.tolist()):
            chosen = np.flatnonzero(fields == field)
            rows = rows_of_keys(column.offsets[chosen], lengths[chosen])
            values = column.values[rows] if isinstance(rows, slice) else take(column.values, rows)
            owners, times = np.repeat(series[chosen], lengths[chosen]), column.times[rows]
            like = (one for one in parts if np.array_equal(one.times, times) and np.array_equal(one.series, owners))
            part = next(like, None)
            if part is None:
                parts.append(part := Part(owners, times, {}))
            part.columns[to_text(field), _TYPES[column.kind]] = PartColumn(None, values)
    return list(ids), parts


def columns_of(runs: Iterable[Run], keys: list[bytes]) -> list[TsmColumn]:
    """Columns of a file with the points of runs, a column a type; `keys` are those of all series, by id."""
    by_type: dict[FieldType, list[tuple[list[bytes], Ints, Ints, Values]]] = {}
    for run in runs:
        for (field, type_), rows, values in _fields(run):
            lengths = np.add.reduceat(rows.astype(np.int64), run.starts[:-1])
            held = np.flatnonzero(lengths)
            own = [keys[run.series[at]] + KEY_SEPARATOR + to_bytes(field) for at in held.tolist()]
            by_type.setdefault(type_, []).append((own, lengths[held], run.times[rows], values))
    return [_column(_KINDS[type_], found) for type_, found in by_type.items()]


def _fields(run: Run) -> Iterator[tuple[tuple[str, FieldType], np.ndarray, Values]]:
    for field, column in run.columns.items():
        there = np.ones(run.rows, np.bool_) if column.valid is None else column.valid
        if there.any():
            yield field, there, take(column.values, np.flatnonzero(there))


def _column(kind: FieldKind, found: list[tuple[list[bytes], Ints, Ints, Values]]) -> TsmColumn:
    lengths = np.concatenate([each for _, each, _, _ in found])
    values = [each for _, _, _, each in found]
    return TsmColumn(
        kind,
        pa.array([key for own, _, _, _ in found for key in own], pa.large_binary()),
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate([times for _, _, times, _ in found]),
        pa.concat_arrays(values) if kind is FieldKind.STRING else np.concatenate(values),
    )
