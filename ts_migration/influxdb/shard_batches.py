"""Columns of TSM files as batches of points, in the form in which the server's answers come.

Of several files the order is the server's: of two values of one series, field and time the later file's counts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import BlockColumn, SeriesBatch, SeriesId
from ts_migration.influxdb.shard_rows import KINDS
from ts_migration.influxdb.tsm.columns import KEY_SEPARATOR, FieldKind, TsmColumn, TsmDamaged

_FIELD_TYPES = {kind: type_ for type_, kind in KINDS.items()}
_COMMA, _EQUALS = re.compile(rb"(?<!\\),"), re.compile(rb"(?<!\\)=")
"""What ends a tag and a tag's key: not where a backslash stands before it [models/points.go]."""
_ESCAPED, _ESCAPED_IN_MEASUREMENT = re.compile(rb"\\([,= ])"), re.compile(rb"\\([, ])")
_POINTS = 200_000
"""Points of a batch, about: what is made of them takes several times as much memory."""


def batches_of(columns: Iterable[TsmColumn], measurement: str | None = None) -> Iterator[SeriesBatch]:
    """The points of one measurement, or of all, a field at a time.

    Raises:
        Permanent: a field is unsigned, which this tool never writes.
        TsmDamaged: a key is no series key.
    """
    known: dict[bytes, SeriesId] = {}
    for column in columns:
        keys = [key.partition(KEY_SEPARATOR) for key in column.keys.to_pylist()]
        series = [known.get(key) or known.setdefault(key, series_of(key)) for key, _, _ in keys]
        mine = np.array([measurement in (None, one.measurement) for one in series], np.bool_)
        if column.kind not in _FIELD_TYPES:
            if mine.any():
                raise Permanent(f"the field {_text(keys[int(np.argmax(mine))][2])!r} is unsigned")
            continue
        lengths = np.diff(column.offsets)
        fields = np.array([key[2] for key in keys], object)
        for field in dict.fromkeys(fields[mine].tolist()):
            chosen = np.flatnonzero(mine & (fields == field))
            yield from _of_field(column, _text(field), chosen, lengths, series)


def _of_field(
    column: TsmColumn, field: str, chosen: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], series: list[SeriesId]
) -> Iterator[SeriesBatch]:
    """Batches of about so many points; keys that lie side by side are cut out in one."""
    ends = np.cumsum(lengths[chosen])
    cuts = np.unique(np.searchsorted(ends, np.arange(_POINTS, int(ends[-1]) + _POINTS, _POINTS)) + 1)
    for part in np.split(chosen, cuts[cuts < len(chosen)]):
        rows = rows_of_keys(column.offsets[part], lengths[part])
        values = BlockColumn(field, _FIELD_TYPES[column.kind], _values(column, rows))
        of_keys = tuple(series[at] for at in part.tolist())
        yield SeriesBatch(of_keys, lengths[part].astype(np.int64), column.times[rows], (values,))


def rows_of_keys(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Any:
    """Positions of the points of keys: a slice where they lie side by side."""
    if bool((starts[1:] == (starts + lengths)[:-1]).all()):
        return slice(int(starts[0]), int(starts[-1] + lengths[-1]))
    shift = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return shift + np.arange(len(shift))


def _values(column: TsmColumn, rows: Any) -> npt.NDArray[Any]:
    if not isinstance(column.values, pa.Array):
        values: npt.NDArray[Any] = column.values[rows]
        return values
    chosen = column.values[rows] if isinstance(rows, slice) else column.values.take(pa.array(rows))
    result = np.empty(len(chosen), object)
    result[:] = [_text(value) for value in chosen.to_pylist()]
    return result


def series_of(key: bytes) -> SeriesId:
    """Measurement and tags of a series key, without their escapes.

    Raises:
        TsmDamaged: it is none. Files have no checksum over keys: a bit that flipped in one may make it so.
    """
    if b"\\" not in key:
        plain, *pairs = _text(key).split(",")
        _require_tags(key, all("=" in pair for pair in pairs))
        return SeriesId(plain, dict(pair.split("=", 1) for pair in pairs))
    measurement, *tags = (_EQUALS.split(piece, 1) for piece in _COMMA.split(key))
    _require_tags(key, all(len(tag) == 2 for tag in tags))
    plain_name = _ESCAPED_IN_MEASUREMENT.sub(rb"\1", b"=".join(measurement))
    return SeriesId(_text(plain_name), {_plain(name): _plain(value) for name, value in tags})


def _require_tags(key: bytes, good: bool) -> None:
    if not good:
        raise TsmDamaged(
            "the key is no series key: a tag has no value",
            where=f"TSM key {key[:200].decode(errors='backslashreplace')!r}",
            next_step="build the file again, or fetch it again from the server",
        )


def _plain(text: bytes) -> str:
    """A name without its escapes; every other backslash is one of the name's own."""
    return _text(_ESCAPED.sub(rb"\1", text))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def newest(files: Sequence[Sequence[TsmColumn]]) -> list[TsmColumn]:
    """The columns of several files of one shard, oldest first, as one: of two values of a point the later file's."""
    by_kind: dict[FieldKind, list[TsmColumn]] = {}
    for columns in files:
        for column in columns:
            by_kind.setdefault(column.kind, []).append(column)
    return [parts[0] if len(parts) == 1 else _merged(parts) for parts in by_kind.values()]


def _merged(parts: Sequence[TsmColumn]) -> TsmColumn:
    keys = pa.concat_arrays([part.keys for part in parts]).dictionary_encode()
    numbers = np.asarray(keys.indices).astype(np.int64)
    owners = np.repeat(numbers, np.concatenate([np.diff(part.offsets) for part in parts]))
    times = np.concatenate([part.times for part in parts])
    order = np.lexsort((times, owners))  # stable: equal ones stay as the files came
    owners, times = owners[order], times[order]
    last = np.ones(len(owners), np.bool_)
    last[:-1] = (owners[1:] != owners[:-1]) | (times[1:] != times[:-1])
    kept = np.flatnonzero(last)
    order, owners, times = order[kept], owners[kept], times[kept]
    starts = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1]))) if len(owners) else np.empty(0, int)
    values = (
        pa.concat_arrays([part.values for part in parts]).take(pa.array(order))
        if parts[0].kind is FieldKind.STRING
        else np.concatenate([part.values for part in parts])[order]
    )
    held = keys.dictionary.take(pa.array(owners[starts]))
    return TsmColumn(parts[0].kind, held, np.append(starts, len(owners)).astype(np.int64), times, values)


def cut_to(column: TsmColumn, start_ns: int, end_ns: int) -> TsmColumn | None:
    """The points of a column within a half-open range; None where there are none."""
    return _where(column, (column.times >= start_ns) & (column.times < end_ns))


def at_times(column: TsmColumn, times: npt.NDArray[np.int64]) -> TsmColumn | None:
    """The points of a column at some times; None where there are none."""
    return _where(column, np.isin(column.times, times))


def _where(column: TsmColumn, inside: npt.NDArray[np.bool_]) -> TsmColumn | None:
    if bool(inside.all()):
        return column if len(inside) else None
    rows = np.flatnonzero(inside)
    if not len(rows):
        return None
    before = np.concatenate(([0], np.cumsum(inside)))[column.offsets]
    held = np.flatnonzero(np.diff(before))
    values = column.values.take(pa.array(rows)) if column.kind is FieldKind.STRING else column.values[rows]
    keys = column.keys.take(pa.array(held))
    return TsmColumn(column.kind, keys, before[np.append(held, len(before) - 1)], column.times[rows], values)
