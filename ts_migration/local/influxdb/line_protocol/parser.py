"""A write request's body to points: ordinary lines by `vectorised`, the others one by one by `scalar`.

Which parser read a line cannot be told from the result; a property test holds the two together.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol import scalar, stored, vectorised
from ts_migration.local.influxdb.line_protocol.batch import Batch, BatchColumn, LineProtocolError, concat, make_values
from ts_migration.local.influxdb.line_protocol.go_text import to_text
from ts_migration.local.influxdb.points import FieldType


def parse(body: bytes, multiplier_ns: int, now_ns: int) -> Batch:
    """The points of a body whose timestamps count `multiplier_ns`; lines without one get `now_ns` cut to that unit.

    Raises LineProtocolError naming every line that is refused, with the server's reasons.
    """
    ordinary = vectorised.read(body, multiplier_ns, now_ns)
    if ordinary is None:
        return _batch(body, list(_points(body, _logical_lines(body), multiplier_ns, now_ns)))
    if not len(ordinary.messy):
        return ordinary.batch(body)
    spans, consumed = _resolve(body, ordinary.messy, ordinary.line_starts)
    messy = list(_points(body, spans, multiplier_ns, now_ns))
    if consumed is not None:
        ordinary = ordinary.without(consumed)
    return _merge(ordinary.batch(body), _batch(body, messy))


def parse_scalar(body: bytes, multiplier_ns: int, now_ns: int) -> Batch:
    """The same by the scalar parser alone: the reference that `parse` is held to."""
    return _batch(body, list(_points(body, _logical_lines(body), multiplier_ns, now_ns)))


def fields_of_line(batch: Batch, row: int) -> list[stored.Field]:
    """The fields of one point in the order of its line, parsed again: for messages, which need that order."""
    start, end = batch.lines[row]
    block = batch.body[start:end]
    point = scalar.parse_point(block[scalar.skip_blank(block, 0) :], 1, 0)
    return stored.fields_of(point.fields)


def _logical_lines(body: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(body):
        end = scalar.scan_line(body, start)
        yield start, min(end, len(body))
        start = end + 1


def _resolve(
    body: bytes, messy: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
) -> tuple[list[tuple[int, int]], npt.NDArray[np.bool_] | None]:
    """Logical lines that begin at messy physical lines, and the physical lines that they swallow beyond their first."""
    spans: list[tuple[int, int]] = []
    consumed: npt.NDArray[np.bool_] | None = None
    done = 0
    for line in messy.tolist():
        start = int(starts[line])
        if start < done:
            continue
        end = scalar.scan_line(body, start)
        spans.append((start, min(end, len(body))))
        done = end + 1
        last = int(np.searchsorted(starts, done))
        if last > line + 1:
            consumed = np.zeros(len(starts), dtype=np.bool_) if consumed is None else consumed
            consumed[line + 1 : last] = True
    return spans, consumed


Parsed = tuple[int, int, scalar.RawPoint]


def _points(body: bytes, spans: Iterable[tuple[int, int]], multiplier_ns: int, now_ns: int) -> Iterator[Parsed]:
    failed: list[str] = []
    for start, end in spans:
        block = body[start:end]
        skip = scalar.skip_blank(block, 0)
        if skip >= len(block) or block[skip] == 0x23:
            continue
        line = block[skip:]
        if line[-1] == 0x0A:
            line = line[:-1]
        try:
            point = scalar.parse_point(line, multiplier_ns, now_ns)
        except scalar.LineError as error:
            failed.append(f"unable to parse '{to_text(line)}': {error}")
            continue
        if not failed:
            yield start, start + skip + len(line), point
    if failed:
        raise LineProtocolError("\n".join(failed))


def _batch(body: bytes, points: list[Parsed]) -> Batch:
    keys: dict[bytes, int] = {}
    series = np.empty(len(points), dtype=np.int32)
    columns: dict[tuple[bytes, FieldType], tuple[list[int], list[object]]] = {}
    poison: dict[int, str] = {}
    for row, (_, _, point) in enumerate(points):
        series[row] = keys.setdefault(point.key, len(keys))
        for field in stored.fields_of(point.fields):
            value: object = field.value
            if isinstance(value, stored.Poison):
                poison.setdefault(row, value.message)
                value = b"" if field.type is FieldType.STRING else 0
            if field.type is not None:
                rows, values = columns.setdefault((field.key, field.type), ([], []))
                rows.append(row)
                values.append(value)
    return Batch(
        keys=list(keys),
        series=series,
        times=np.array([point.time_ns for _, _, point in points], dtype=np.int64),
        columns=[
            BatchColumn(name, type_, np.array(rows, dtype=np.int64), make_values(values, type_))
            for (name, type_), (rows, values) in columns.items()
        ],
        body=body,
        lines=np.array([(start, end) for start, end, _ in points], dtype=np.int64).reshape(-1, 2),
        poison=poison,
    )


def _merge(left: Batch, right: Batch) -> Batch:
    """Two batches of one body as one, points in the order of their lines."""
    starts = np.concatenate((left.lines[:, 0], right.lines[:, 0]))
    order = np.argsort(starts, kind="stable")
    row_of = np.empty(len(order), dtype=np.int64)
    row_of[order] = np.arange(len(order))
    keys = {key: n for n, key in enumerate(left.keys)}
    renumber = np.array([keys.setdefault(key, len(keys)) for key in right.keys], dtype=np.int32)
    series = np.concatenate((left.series, renumber[right.series])) if len(right.keys) else left.series
    columns: dict[tuple[bytes, FieldType], list[BatchColumn]] = {}
    for batch, shift in ((left, 0), (right, left.points)):
        for column in batch.columns:
            moved = BatchColumn(column.name, column.type, row_of[column.rows + shift], column.values)
            columns.setdefault((column.name, column.type), []).append(moved)
    return Batch(
        keys=list(keys),
        series=series[order],
        times=np.concatenate((left.times, right.times))[order],
        columns=[
            BatchColumn(name, type_, np.concatenate([p.rows for p in parts]), concat([p.values for p in parts]))
            for (name, type_), parts in columns.items()
        ],
        body=left.body,
        lines=np.concatenate((left.lines, right.lines))[order],
        poison={int(row_of[row + left.points]): message for row, message in right.poison.items()},
    )
