"""One bucket's points: write, delete, snapshot, and the way from log to segments.

The lock orders writers; whoever reads takes a snapshot and needs no lock. One piece of maintenance (flush, compaction,
delete) runs at a time.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.tsm.columns import TsmColumn
from ts_migration.local.influxdb.line_protocol.batch import Batch
from ts_migration.local.influxdb.line_protocol.go_text import to_text
from ts_migration.local.influxdb.points import MIN_TIME_NS
from ts_migration.local.influxdb.storage.compaction import overlapping, sliced
from ts_migration.local.influxdb.storage.field_types import FieldTypes, Judgement, PartialWrite, kept_columns
from ts_migration.local.influxdb.storage.manifest import Manifest, read_manifest, write_manifest
from ts_migration.local.influxdb.storage.records import Deleted, Written, decode, encode
from ts_migration.local.influxdb.storage.restored_files import tag_for, tag_of, with_file
from ts_migration.local.influxdb.storage.runs import FieldId, Part, PartColumn, Run, merge, without
from ts_migration.local.influxdb.storage.segments import Segment, read_segment, write_segment
from ts_migration.local.influxdb.storage.series_ids import SeriesIds
from ts_migration.local.influxdb.storage.shard_files import columns_of
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup, ShardGroups
from ts_migration.local.influxdb.storage.snapshot import Snapshot
from ts_migration.local.influxdb.storage.wal import WriteAheadLog, log_path, read_log, sync_directory

FLUSH_AT_BYTES = 128 << 20
"""Size of the log at which its points become segments: bounds memory and the time a restart takes."""
STALL_AT_BYTES = 4 * FLUSH_AT_BYTES
"""Size of the log at which writers wait for the flush that is under way."""
MERGE_RUNS_AT = 8
"""Runs of one measurement in memory before they are merged to one."""

_LOGGER = logging.getLogger(__name__)

BEYOND_RETENTION = "points beyond retention policy"


class Bucket:
    """The points of one bucket under one directory. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.RLock()
        self._maintenance = threading.RLock()
        self._flushed = threading.Condition(self._lock)
        self._flusher: threading.Thread | None = None
        directory.mkdir(parents=True, exist_ok=True)
        manifest = read_manifest(directory)
        self._ids = SeriesIds()
        self._groups = ShardGroups(manifest.groups)
        self._types = FieldTypes()
        for shard, measurement, name, type_ in manifest.types:
            self._types.pin(shard, measurement, name, type_)
        self._segments = [read_segment(directory / name, self._ids) for name in manifest.segments]
        self._first_log = manifest.first_log
        self._next_file = manifest.next_file
        self._pending: list[Part] = []
        self._runs: dict[str, list[Run]] = {}
        self._flushing: dict[str, list[Run]] = {}
        self._log = WriteAheadLog(directory, self._replay())
        self._remove_strays()

    # Opening and closing

    def _replay(self) -> int:
        number = self._first_log
        while (path := log_path(self._directory, number)).exists():
            for payload in read_log(path):
                self._apply(decode(payload))
            number += 1
        return number

    def _apply(self, record: Written | Deleted) -> None:
        if isinstance(record, Deleted):
            ids = np.array([self._ids.id_of(key) for key in record.keys], dtype=np.int32)
            self._delete_points(ids, record.start_ns, record.stop_ns)
            return
        for group in record.groups:
            self._groups.add(group)
        part = self._renumbered(record.part, record.keys)
        names = [self._ids.series(self._ids.id_of(key)).measurement for key in record.keys]
        self._types.pin_written(record.part, self._groups.find(part.times), names)
        self._pending.append(part)

    def _renumbered(self, part: Part, keys: list[bytes]) -> Part:
        ids = np.array([self._ids.id_of(key) for key in keys], dtype=np.int32)
        return Part(ids[part.series], part.times, part.columns)

    def _remove_strays(self) -> None:
        known = {segment.path.name for segment in self._segments}
        for path in self._directory.glob("segment-*.arrow"):
            if path.name not in known:
                path.unlink()
        for path in self._directory.glob("wal-*.log"):
            if path.name < log_path(self._directory, self._first_log).name:
                path.unlink()

    def close(self) -> None:
        """Finish what is under way; everything acknowledged is on disk anyway."""
        if self._flusher is not None:
            self._flusher.join()
        with self._maintenance, self._lock:
            self._log.close()

    # Writing

    def write(self, batch: Batch, *, oldest_ns: int | None, group_ns: int) -> PartialWrite | str | None:
        """Store a request's points; they are on disk on return.

        Points older than `oldest_ns` are dropped unless others of the request opened their shard group. Returns None
        if all were stored, PartialWrite for a 422, or the words of a 500. Raises LogFailed if the disk refused.
        """
        with self._lock:
            while self._log.size > STALL_AT_BYTES and self._flusher is not None:
                self._flushed.wait(1.0)
            outcome, ticket = self._accept(batch, oldest_ns, group_ns)
            log = self._log
            if self._log.size > FLUSH_AT_BYTES and self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_in_background, name="flush", daemon=True)
                self._flusher.start()
        if ticket is not None:
            log.wait(ticket)
        return outcome

    def _accept(
        self, batch: Batch, oldest_ns: int | None, group_ns: int
    ) -> tuple[PartialWrite | str | None, int | None]:
        if not batch.points:
            return None, None
        shards, alive = self._locate(batch.times, oldest_ns, group_ns)
        judgement = self._types.judge(batch, shards, alive)
        ticket = self._store(batch, shards, judgement.keep)
        return _outcome(judgement, 0 if alive is None else int((~alive).sum())), ticket

    def _locate(
        self, times: npt.NDArray[np.int64], oldest_ns: int | None, group_ns: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
        if oldest_ns is None or int(times.min()) >= oldest_ns:
            return self._groups.find_or_make(times, group_ns), None
        young = times >= oldest_ns
        opened = np.unique(self._groups.find_or_make(times[young], group_ns))
        shards = self._groups.find(times)
        alive = young | np.isin(shards, opened)
        return shards, alive

    def _store(self, batch: Batch, shards: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_] | None) -> int | None:
        series, times = (batch.series, batch.times) if keep is None else (batch.series[keep], batch.times[keep])
        if not len(times):
            return None
        columns: dict[FieldId, PartColumn] = {}
        everything = np.arange(len(times))
        for column in kept_columns(batch, keep):
            dense = len(column.rows) == len(times) and bool((column.rows == everything).all())
            columns[to_text(column.name), column.type] = PartColumn(None if dense else column.rows, column.values)
        part = Part(series, times, columns)
        touched = set(np.unique(shards if keep is None else shards[keep]).tolist())
        groups = [group for group in self._groups.all() if group.start in touched]
        ticket = self._log.append(encode(Written(batch.keys, groups, part)))
        self._pending.append(self._renumbered(part, batch.keys))
        return ticket

    # Reading

    def snapshot(self) -> Snapshot:
        """The bucket as it is now."""
        with self._lock:
            self._settle()
            runs: dict[str, list[Run]] = {}
            for segment in self._segments:
                runs.setdefault(segment.measurement, []).append(segment.run)
            for source in (self._flushing, self._runs):
                for measurement, found in source.items():
                    runs.setdefault(measurement, []).extend(found)
            types: dict[str, dict[ShardGroup, frozenset[FieldId]]] = {}
            for group in self._groups.all():
                for measurement, fields in self._types.pins.get(group.start, {}).items():
                    types.setdefault(measurement, {})[group] = frozenset(fields.items())
            return Snapshot(
                runs={measurement: tuple(found) for measurement, found in runs.items()},
                types=types,
                rank=self._ids.rank(),
                series_of=self._ids.series,
            )

    def figures(self) -> dict[str, int]:
        """The numbers that `/metrics` shows of this bucket."""
        snapshot = self.snapshot()
        return {
            "storage_bucket_measurement_num": len(snapshot.measurements()),
            "storage_bucket_series_num": len(snapshot.series()),
            "storage_wal_size": self._log.size,
            "storage_tsm_files_disk_bytes": sum(_size_of(path) for path in self._directory.glob("segment-*.arrow")),
        }

    def _settle(self) -> None:
        """Turn pending parts into runs: one per measurement, merged with the others when they become many."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        rank = self._ids.rank()
        for measurement, parts in self._by_measurement(pending).items():
            run = merge(parts, rank)
            runs = self._runs.setdefault(measurement, [])
            if run is not None:
                runs.append(run)
            if len(runs) > MERGE_RUNS_AT:
                merged = merge([one.whole() for one in runs], rank)
                self._runs[measurement] = [] if merged is None else [merged]

    def _by_measurement(self, parts: list[Part]) -> dict[str, list[Part]]:
        found: dict[str, list[Part]] = {}
        for part in parts:
            ids = np.unique(part.series)
            names = [self._ids.series(number).measurement for number in ids.tolist()]
            if len(set(names)) == 1:
                found.setdefault(names[0], []).append(part)
                continue
            for name in dict.fromkeys(names):
                chosen = ids[np.array([one == name for one in names])]
                found.setdefault(name, []).append(part.where(np.isin(part.series, chosen)))
        return found

    # Deleting

    def delete(
        self,
        measurement: str | None,
        start_ns: int,
        stop_ns: int,
        where: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> None:
        """Delete points of one or all measurements, both bounds inclusive, of the series whose tags satisfy `where`.

        Durable on return. Where no point of a measurement is left in a shard group, its types are forgotten there.
        """
        self.delete_where(
            lambda name, tags: (measurement is None or name == measurement) and (where is None or where(tags)),
            start_ns,
            stop_ns,
        )

    def delete_where(self, chosen: Callable[[str, Mapping[str, str]], bool], start_ns: int, stop_ns: int) -> None:
        """Delete points between two times, both inclusive, of the series that `chosen` says yes to."""
        with self._maintenance, self._lock:
            snapshot = self.snapshot()
            ids = [
                number
                for number in np.unique(
                    np.concatenate(
                        [run.series for runs in snapshot.runs.values() for run in runs] or [np.empty(0, int)]
                    )
                ).tolist()
                if chosen(self._ids.series(number).measurement, dict(self._ids.series(number).tags))
            ]
            if not ids:
                return
            keys = [self._ids.keys[number] for number in ids]
            ticket = self._log.append(encode(Deleted(keys, start_ns, stop_ns)))
            self._delete_points(np.array(ids, dtype=np.int32), start_ns, stop_ns)
            log = self._log
        log.wait(ticket)

    def _delete_points(self, ids: npt.NDArray[np.int32], start_ns: int, stop_ns: int) -> None:
        self._settle()
        rank = self._ids.rank()
        touched: set[str] = set()
        for measurement, runs in list(self._runs.items()):
            left = [without(run, ids, start_ns, stop_ns, rank) for run in runs]
            if any(new is not old for new, old in zip(left, runs, strict=True)):
                touched.add(measurement)
                self._runs[measurement] = [run for run in left if run is not None]
            if not self._runs[measurement]:
                del self._runs[measurement]
        replaced: list[Segment] = []
        gone: list[Path] = []
        for segment in self._segments:
            run = without(segment.run, ids, start_ns, stop_ns, rank)
            if run is segment.run:
                replaced.append(segment)
                continue
            touched.add(segment.measurement)
            gone.append(segment.path)
            if run is not None:
                replaced.append(self._write(segment.measurement, run, tag_of(segment.path)))
        self._segments = replaced
        self._forget_types(touched, start_ns, stop_ns)
        if gone:
            self._save(replaced)
            for path in gone:
                path.unlink(missing_ok=True)

    def _forget_types(self, measurements: set[str], start_ns: int, stop_ns: int) -> None:
        for group in self._groups.all():
            if group.start > stop_ns or group.end <= start_ns:
                continue
            for measurement in measurements:
                runs = [segment.run for segment in self._segments if segment.measurement == measurement]
                runs += self._runs.get(measurement, [])
                if not any(((run.times >= group.start) & (run.times < group.end)).any() for run in runs):
                    self._types.forget(group.start, measurement)

    # Segments

    def _flush_in_background(self) -> None:
        try:
            self.flush()
        except Exception:
            # Nothing is lost: the points stay in memory and in the log.
            _LOGGER.exception("%s: the flush failed, the next one tries again", self._directory)
        finally:
            with self._lock:
                self._flusher = None
                self._flushed.notify_all()

    def flush(self) -> None:
        """Turn everything in memory into segments and drop the log that held it."""
        with self._maintenance:
            with self._lock:
                self._settle()
                if not self._runs:
                    return
                self._flushing, self._runs = self._runs, {}
                self._log.rotate()
                new_first = self._log.number
                rank = self._ids.rank()
            try:
                fresh = self._written(self._flushing, rank)
                with self._lock:
                    self._save([*self._segments, *fresh], new_first)
                    self._flushing = {}
            except BaseException:
                with self._lock:
                    for measurement, runs in self._flushing.items():
                        self._runs[measurement] = [*runs, *self._runs.get(measurement, [])]
                    self._flushing = {}
                raise
            for path in self._directory.glob("wal-*.log"):
                if path.name < log_path(self._directory, new_first).name:
                    path.unlink()
            self._compact()

    def _written(self, runs: dict[str, list[Run]], rank: npt.NDArray[np.int64]) -> list[Segment]:
        fresh: list[Segment] = []
        for measurement, found in runs.items():
            merged = found[0] if len(found) == 1 else merge([run.whole() for run in found], rank)
            if merged is not None:
                fresh += [self._write(measurement, piece) for piece in sliced(merged, rank)]
        return fresh

    def _compact(self) -> None:
        """Merge segments that overlap in time; called with maintenance held, so that nothing else replaces segments.

        Not among restored files: which of them comes after which is told by their names.
        """
        if any(tag_of(segment.path) for segment in self._segments):
            return
        for group in overlapping(self._segments):
            with self._lock:
                rank = self._ids.rank()
            merged = merge([segment.run.whole() for segment in group], rank)
            pieces = [] if merged is None else sliced(merged, rank)
            fresh = [self._write(group[0].measurement, piece) for piece in pieces]
            old = {segment.path for segment in group}
            with self._lock:
                self._save([*(segment for segment in self._segments if segment.path not in old), *fresh])
            for path in old:
                path.unlink()

    def _write(self, measurement: str, run: Run, tag: str = "") -> Segment:
        with self._lock:
            number, self._next_file = self._next_file, self._next_file + 1
            keys = [self._ids.keys[one] for one in run.series.tolist()]
        path = self._directory / f"segment-{number:08d}{tag}.arrow"
        write_segment(path, measurement, run, keys)
        return read_segment(path, self._ids)

    def _save(self, segments: list[Segment], first_log: int | None = None) -> None:
        """Make these segments the bucket's, on disk first; with `first_log`, they hold all that earlier logs say."""
        first_log = self._first_log if first_log is None else first_log
        sync_directory(self._directory)
        manifest = Manifest(
            segments=[segment.path.name for segment in segments],
            first_log=first_log,
            next_file=self._next_file,
            groups=self._groups.all(),
            types=list(self._types.rows()),
        )
        write_manifest(self._directory, manifest)
        self._segments, self._first_log = segments, first_log

    # Restored files

    def declare(self, groups: list[ShardGroup]) -> None:
        """Make shard groups before any point of them arrives; durable on return."""
        with self._maintenance, self._lock:
            self._groups.add_all(groups)
            self._save(self._segments)

    def groups(self) -> list[ShardGroup]:
        """The shard groups that there are, in time order."""
        with self._lock:
            return self._groups.all()

    def stored(self, group: ShardGroup) -> list[TsmColumn]:
        """What a shard group holds, as the columns of a file; what is in memory becomes a segment first."""
        self.flush()
        snapshot = self.snapshot()
        merged = []
        for runs in snapshot.runs.values():
            found = [part for run in runs if (part := run.part(slice(None), group.start, group.end - 1, None))]
            run = merge(found, snapshot.rank) if found else None
            merged += [run] if run else []
        with self._lock:
            keys = list(self._ids.keys)
        return columns_of(merged, keys)

    def restore(self, group: ShardGroup, name: str, keys: list[bytes], parts: list[Part]) -> None:
        """Put a file's points into a shard group, in place of those of the file of this name; durable on return.

        Of two values of a point that of the file with the later name counts. What was written before comes before all
        of them unless they were there first: it becomes a file now, as a real server reopens a shard that it restores.

        Args:
            group: the shard group.
            name: of the file.
            keys: series keys.
            parts: points; their series are positions in `keys`.
        """
        self.flush()
        tag = tag_for(group, name)
        with self._maintenance, self._lock:
            own = [self._renumbered(part, keys) for part in parts]
            rank = self._ids.rank()
            fresh: list[Segment] = []
            for measurement, found in self._by_measurement(own).items():
                run = merge(found, rank)
                if run is not None:
                    fresh.append(self._write(measurement, run, tag))
                    for field, type_ in run.columns:
                        self._types.pin(group.start, measurement, field, type_)
            segments, old = with_file(self._segments, fresh, tag)
            self._save(segments)
            for segment in old:
                segment.path.unlink()

    def expire(self, before_ns: int) -> None:
        """Drop the shard groups that ended before this time, as retention does, with their types."""
        with self._maintenance, self._lock:
            for group in self._groups.all():
                if group.end <= before_ns:
                    self.delete_where(lambda _name, _tags: True, max(group.start, MIN_TIME_NS), group.end - 1)
                    self._types.forget(group.start)
                    self._groups.remove(group)


def _outcome(judgement: Judgement, beyond_retention: int) -> PartialWrite | str | None:
    for fault in judgement.faults.values():
        return fault if isinstance(fault, PartialWrite) else fault.message
    return PartialWrite(BEYOND_RETENTION, beyond_retention) if beyond_retention else None


def _size_of(path: Path) -> int:
    """Bytes of a file; 0 of one that compaction has just taken away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
