"""Points of one measurement in columns, sorted by series key and time: how they are built, merged and cut.

The one place where "last write wins, fields are united" is decided. No files, no locks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol.batch import Values, concat, take
from ts_migration.local.influxdb.points import FieldType

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
FieldId = tuple[str, FieldType]
"""A field as columns know it: its key, and its type, for shard groups may differ."""


@dataclass(frozen=True, slots=True)
class PartColumn:
    """Values of one field in a part: `rows` says which rows they belong to, None for all rows in order."""

    rows: Ints | None
    values: Values


@dataclass(frozen=True, slots=True)
class Part:
    """Points in the order they were written: series id and time per row, and columns that may have gaps."""

    series: Ids
    times: Ints
    columns: dict[FieldId, PartColumn]

    def where(self, keep: Bools) -> "Part":
        """The rows under True."""
        row_of = np.cumsum(keep) - 1
        columns: dict[FieldId, PartColumn] = {}
        for field, column in self.columns.items():
            rows = np.arange(len(keep)) if column.rows is None else column.rows
            kept = np.flatnonzero(keep[rows])
            if len(kept):
                columns[field] = PartColumn(row_of[rows[kept]], take(column.values, kept))
        return Part(self.series[keep], self.times[keep], columns)


@dataclass(frozen=True, slots=True)
class RunColumn:
    """One value a row, arbitrary where `valid` is False; `valid` None says that every row has one."""

    values: Values
    valid: Bools | None


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted points without duplicates: rows `starts[k]:starts[k + 1]` belong to `series[k]`, times ascending."""

    series: Ids
    starts: Ints
    times: Ints
    columns: dict[FieldId, RunColumn]
    min_time: int
    max_time: int

    @property
    def rows(self) -> int:
        """Number of points."""
        return len(self.times)

    def part(self, chosen: Bools | slice, start_ns: int, stop_ns: int, fields: frozenset[str] | None) -> Part | None:
        """The rows of the chosen series (by position) between two times, both inclusive; None where there are none."""
        rows, series = self._rows(chosen)
        times = self.times[rows]
        inside: Bools | None = None
        if start_ns > self.min_time or stop_ns < self.max_time:
            inside = (times >= start_ns) & (times <= stop_ns)
            if not inside.any():
                return None
            if inside.all():
                inside = None
        if not len(times):
            return None
        columns: dict[FieldId, PartColumn] = {}
        for field, column in self.columns.items():
            if fields is None or field[0] in fields:
                values = column.values[rows] if isinstance(rows, slice) else take(column.values, rows)
                at = None if column.valid is None else np.flatnonzero(column.valid[rows])
                columns[field] = PartColumn(at, values if at is None else take(values, at))
        part = Part(series, times, columns)
        return part if inside is None else part.where(inside)

    def _rows(self, chosen: Bools | slice) -> tuple[Ints | slice, Ids]:
        lengths = np.diff(self.starts)
        if isinstance(chosen, slice):
            first, last, _ = chosen.indices(len(self.series))
            rows = slice(int(self.starts[first]), int(self.starts[max(first, last)]))
            return rows, np.repeat(self.series[chosen], lengths[chosen])
        return np.flatnonzero(np.repeat(chosen, lengths)), np.repeat(self.series[chosen], lengths[chosen])

    def whole(self) -> Part:
        """All rows as a part, to be merged or filtered."""
        columns = {
            field: PartColumn(None, column.values)
            if column.valid is None
            else PartColumn(np.flatnonzero(column.valid), take(column.values, np.flatnonzero(column.valid)))
            for field, column in self.columns.items()
        }
        return Part(np.repeat(self.series, np.diff(self.starts)), self.times, columns)


def merge(parts: list[Part], rank: Ints) -> Run | None:
    """One sorted run of parts given oldest first; `rank` orders series ids by their keys. None where nothing is left.

    Rows of one series and time become one: fields are united, and of two values of one field and type the one written
    later stays. Rows that no column gives a value vanish.
    """
    series = np.concatenate([part.series for part in parts])
    times = np.concatenate([part.times for part in parts])
    target, order = _targets(rank[series], times)
    rows = len(order)
    shifts = np.cumsum([0, *(len(part.times) for part in parts)])
    columns: dict[FieldId, RunColumn] = {}
    for field in dict.fromkeys(field for part in parts for field in part.columns):
        columns[field] = _place(parts, shifts, field, target, rows)
    return _run(series[order], times[order], columns)


def _targets(rank: Ints, times: Ints) -> tuple[Ints | None, Ints]:
    """For each row its place in the result (None: its own), and for each place one row that goes there."""
    if len(times) < 2:
        return None, np.arange(len(times))
    step = np.diff(rank)
    if bool(((step > 0) | ((step == 0) & (times[1:] > times[:-1]))).all()):
        return None, np.arange(len(times))
    order = np.lexsort((times, rank))
    sorted_rank, sorted_times = rank[order], times[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (sorted_rank[1:] != sorted_rank[:-1]) | (sorted_times[1:] != sorted_times[:-1])
    target = np.empty(len(order), dtype=np.int64)
    target[order] = np.cumsum(new) - 1
    return target, order[new]


def _place(parts: list[Part], shifts: Ints, field: FieldId, target: Ints | None, rows: int) -> RunColumn:
    pieces = [
        (part.columns[field], int(shift)) for part, shift in zip(parts, shifts, strict=False) if field in part.columns
    ]
    values = concat([piece.values for piece, _ in pieces])
    if target is None and len(values) == rows and all(piece.rows is None for piece, _ in pieces):
        return RunColumn(values, None)
    at = np.concatenate(
        [(np.arange(len(piece.values)) if piece.rows is None else piece.rows) + shift for piece, shift in pieces]
    )
    # numpy keeps the last of repeated targets: rows are in the order they were written, so the last write wins.
    source = np.full(rows, -1, dtype=np.int64)
    source[at if target is None else target[at]] = np.arange(len(at))
    valid = source >= 0
    return RunColumn(take(values, np.maximum(source, 0)), None if valid.all() else valid)


def _run(series: Ids, times: Ints, columns: dict[FieldId, RunColumn]) -> Run | None:
    masks = [column.valid for column in columns.values() if column.valid is not None]
    if len(masks) == len(columns):
        alive = np.zeros(len(times), dtype=np.bool_)
        for mask in masks:
            alive |= mask
        if not alive.all():
            series, times = series[alive], times[alive]
            at = np.flatnonzero(alive)
            columns = {
                field: RunColumn(take(column.values, at), None if column.valid is None else column.valid[alive])
                for field, column in columns.items()
            }
    if not len(times):
        return None
    starts = np.flatnonzero(np.concatenate((np.ones(1, dtype=np.bool_), series[1:] != series[:-1])))
    return Run(
        series=series[starts].astype(np.int32),
        starts=np.append(starts, len(series)),
        times=times,
        columns=columns,
        min_time=int(times.min()),
        max_time=int(times.max()),
    )


def without(run: Run, series: Ids, start_ns: int, stop_ns: int, rank: Ints) -> Run | None:
    """The run less the points of these series between two times, both inclusive: itself where it has none of them."""
    if run.min_time > stop_ns or run.max_time < start_ns:
        return run
    hit = np.repeat(np.isin(run.series, series), np.diff(run.starts))
    hit &= (run.times >= start_ns) & (run.times <= stop_ns)
    if not hit.any():
        return run
    return None if hit.all() else merge([run.whole().where(~hit)], rank)


def objects(values: Values) -> npt.NDArray[np.object_]:
    """A string column as Python str, surrogateescape; equal strings share one object."""
    encoded = values.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [None if text is None else text.decode("utf-8", "surrogateescape") for text in distinct]
    return texts[np.asarray(encoded.indices)] if len(distinct) else np.empty(0, dtype=object)
