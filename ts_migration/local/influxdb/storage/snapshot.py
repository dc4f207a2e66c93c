"""A bucket as its readers see it at one moment: `points.Points` over runs in memory and segments on disk."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.line_protocol.go_text import to_bytes
from ts_migration.local.influxdb.points import (
    MAX_TIME_NS,
    MIN_TIME_NS,
    FieldColumn,
    FieldType,
    Series,
    SeriesBlock,
)
from ts_migration.local.influxdb.storage.runs import FieldId, Part, Run, RunColumn, merge, objects
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup

ROWS_AT_A_TIME = 1_000_000
"""Rows merged in one go while blocks are streamed: bounds the memory of a reader."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Implements `points.Points`. Runs are given oldest first; nothing in a snapshot ever changes."""

    runs: Mapping[str, tuple[Run, ...]]
    types: Mapping[str, Mapping[ShardGroup, frozenset[FieldId]]]
    """Measurement -> shard group -> fields with their types there."""
    rank: npt.NDArray[np.int64]
    series_of: Callable[[int], Series]

    def measurements(self) -> list[str]:
        """Names of the measurements that hold points, in byte order."""
        return sorted(self.runs, key=to_bytes)

    def field_types(
        self, measurement: str, start_ns: int = MIN_TIME_NS, stop_ns: int = MAX_TIME_NS
    ) -> list[tuple[str, FieldType]]:
        """Field keys with their types, in byte order of the key; several rows where shard groups differ.

        Of the shard groups that overlap the range, both bounds inclusive.
        """
        if measurement not in self.runs:
            return []
        found: set[FieldId] = set()
        for group, fields in self.types.get(measurement, {}).items():
            if group.start <= stop_ns and group.end > start_ns:
                found |= fields
        return sorted(found, key=lambda field: (to_bytes(field[0]), field[1].value))

    def tag_keys(self, measurement: str) -> list[str]:
        """Tag keys of the measurement, in byte order."""
        return sorted({key for series in self.series(measurement) for key, _ in series.tags}, key=to_bytes)

    def series(self, measurement: str | None = None) -> list[Series]:
        """Series of one or all measurements, in byte order of their series keys."""
        wanted = self.runs.values() if measurement is None else [self.runs.get(measurement, ())]
        ids = [run.series for runs in wanted for run in runs]
        return [self.series_of(number) for number in self._sorted(ids).tolist()]

    def _sorted(self, ids: list[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
        if not ids:
            return np.empty(0, dtype=np.int32)
        distinct = np.unique(np.concatenate(ids))
        ordered: npt.NDArray[np.int32] = distinct[np.argsort(self.rank[distinct])]
        return ordered

    def blocks(
        self,
        measurement: str,
        start_ns: int = MIN_TIME_NS,
        stop_ns: int = MAX_TIME_NS,
        fields: frozenset[str] | None = None,
        where: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> Iterator[SeriesBlock]:
        """Blocks of the series whose tags satisfy `where`, in byte order of series keys; both bounds inclusive.

        With `fields`, only those columns are read, and rows in which none of them has a value are left out. Series
        without a row in the range are left out.
        """
        runs = [
            run
            for run in self.runs.get(measurement, ())
            if run.min_time <= stop_ns and run.max_time >= start_ns and _has_field(run, fields)
        ]
        ids = self._sorted([run.series for run in runs])
        if where is not None:
            chosen = [bool(where(dict(self.series_of(number).tags))) for number in ids.tolist()]
            ids = ids[np.array(chosen, dtype=np.bool_)] if len(ids) else ids
        for group in self._groups(ids, runs):
            parts = [part for run in runs if (part := self._part(run, group, where, start_ns, stop_ns, fields))]
            merged = merge(parts, self.rank) if parts else None
            if merged is not None:
                yield from _blocks(merged, self.series_of)

    def _groups(self, ids: npt.NDArray[np.int32], runs: list[Run]) -> Iterator[npt.NDArray[np.int32]]:
        """Neighbouring series in portions of about ROWS_AT_A_TIME rows."""
        if not len(ids):
            return
        rows = np.zeros(len(self.rank), dtype=np.int64)
        for run in runs:
            rows[run.series] += np.diff(run.starts)
        portion = np.cumsum(rows[ids]) // ROWS_AT_A_TIME
        cuts = np.flatnonzero(np.diff(portion)) + 1
        yield from np.split(ids, cuts)

    def _part(
        self,
        run: Run,
        group: npt.NDArray[np.int32],
        where: object,
        start_ns: int,
        stop_ns: int,
        fields: frozenset[str] | None,
    ) -> Part | None:
        places = self.rank[run.series]
        first = int(np.searchsorted(places, self.rank[group[0]]))
        last = int(np.searchsorted(places, self.rank[group[-1]], side="right"))
        if first >= last:
            return None
        if where is None:
            return run.part(slice(first, last), start_ns, stop_ns, fields)
        chosen = np.zeros(len(run.series), dtype=np.bool_)
        chosen[first:last] = np.isin(run.series[first:last], group)
        return run.part(chosen, start_ns, stop_ns, fields) if chosen.any() else None


def _has_field(run: Run, fields: frozenset[str] | None) -> bool:
    return fields is None or any(name in fields for name, _ in run.columns)


def _blocks(run: Run, series_of: Callable[[int], Series]) -> Iterator[SeriesBlock]:
    columns = [(name, type_, column, _counts(run, column)) for (name, type_), column in run.columns.items()]
    columns.sort(key=lambda column: (to_bytes(column[0]), column[1].value))
    texts = {(name, type_): objects(column.values) for name, type_, column, _ in columns if type_ is FieldType.STRING}
    lengths = np.diff(run.starts)
    for number, series_id in enumerate(run.series.tolist()):
        rows = slice(int(run.starts[number]), int(run.starts[number + 1]))
        found = tuple(
            FieldColumn(
                name,
                type_,
                texts[name, type_][rows] if type_ is FieldType.STRING else column.values[rows],
                None if counts is None or counts[number] == lengths[number] else column.valid[rows],  # type: ignore[index]
            )
            for name, type_, column, counts in columns
            if counts is None or counts[number]
        )
        yield SeriesBlock(series_of(series_id), run.times[rows], found)


def _counts(run: Run, column: RunColumn) -> npt.NDArray[np.int64] | None:
    """How many values each series has in a column; None where every row has one."""
    if column.valid is None:
        return None
    counts: npt.NDArray[np.int64] = np.add.reduceat(column.valid.astype(np.int64), run.starts[:-1])
    return counts
