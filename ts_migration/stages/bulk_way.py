"""Into a bucket by shard files: a file a batch and shard group, decoded and compared before it is restored.

See `load_ways`. How files are made is in `shard_files`; which bucket they may go into, in `influxdb.restored_buckets`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from ts_migration.config import MigrationJob
from ts_migration.errors import Missing, Permanent, Spoiled
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.bodies import Delivered
from ts_migration.influxdb.buckets import BucketInfo
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import Ledger
from ts_migration.influxdb.restored_buckets import RestoredBucket, WantedBucket, ensure_restored, read_restored
from ts_migration.influxdb.restorer import FileToSend, Restorer
from ts_migration.influxdb.restoring import settle_writes
from ts_migration.influxdb.retries import retrying
from ts_migration.influxdb.shard_batches import at_times, batches_of
from ts_migration.influxdb.shard_groups import ShardGroup
from ts_migration.influxdb.tsm.reader import read_stretches
from ts_migration.manifests import LineProtocolManifest, LoadName, Manifest, read_manifest
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.load_ways import FilesWriter, Load, Sent, Shipment
from ts_migration.stages.shard_files import ShardsWriter
from ts_migration.stages.shard_index import (
    FILES_A_WINDOW,
    INDEX_NAME,
    ShardFile,
    parts_to_read,
    read_shard_index,
    require_as_exported,
)
from ts_migration.windows import Window

_ANEW = "run the conversion of this window again"
_EPOCH_S = 1_577_836_800
"""2020: generations are seconds since then, so that a later load's files come after all that a shard holds, and nine
digits last until 2051."""
_LAST_SEQUENCE = 999_999_999


class BulkWay:
    """See `load_ways.LoadWay`."""

    name: LoadName = "bulk"
    index_name = INDEX_NAME
    files = "shard file"

    def settings(self, job: MigrationJob) -> tuple[object, ...]:
        """How the bucket's time is cut into shards."""
        return (self.name, job.shard_group_duration)

    def folder(self, place: WindowPlace) -> str:
        """Of the files."""
        return place.shards

    def writer(self, job: MigrationJob, place: WindowPlace, window: Window, bucket: ExportBucket) -> FilesWriter:
        """Of shard files."""
        return ShardsWriter(bucket, self.folder(place), window, job.shard_group_duration)

    def ensure_bucket(self, job: MigrationJob, bucket: ExportBucket, target: Target) -> BucketInfo:
        """Only a bucket that this job has made by a restore."""
        return ensure_restored(wanted_bucket(job), bucket, target)

    def shipment(self, load: Load) -> Shipment:
        """The files, each with its shard."""
        index = read_shard_index(load.bucket, load.converted)
        if index is None:
            raise Missing(
                "the index of the shard files is gone",
                where=load.bucket.uri(load.converted.members_key),
                next_step=_ANEW,
            )
        points = sum(file.points for file in index.files)
        if points != load.converted.points:
            raise Spoiled(
                f"the index tells {points:,} points, the manifest {load.converted.points:,}",
                where=load.bucket.uri(load.converted.members_key),
                next_step=_ANEW,
            )
        restored = read_restored(load.bucket, load.job.target_bucket)
        return _Files(load, index.files, restored)

    def spoiled(self, bucket: ExportBucket, converted: LineProtocolManifest) -> tuple[str, ...]:
        """Files, by their CRCs, every block and the digests of what they hold."""
        try:
            index = read_shard_index(bucket, converted)
        except Permanent:
            return tuple(bucket.uri(part.key) for part in converted.parts)
        spoiled = []
        window = _window_of(converted)
        for file in index.files if index else ():
            try:
                require_as_exported(bucket.get(file.key), file, window, bucket.uri(file.key))
            except Missing:
                continue
            except Permanent:
                spoiled.append(bucket.uri(file.key))
        return tuple(spoiled)

    def blocks_at(self, bucket: ExportBucket, converted: LineProtocolManifest, times: Iterable[int]) -> Iterator[Block]:
        """Points of the files whose shards hold the times."""
        wanted = np.array(sorted(set(times)), np.int64)
        if not len(wanted):
            return
        index = read_shard_index(bucket, converted)
        if index is None:
            raise Missing("the index of the shard files is gone", where=bucket.uri(converted.members_key))
        window = _window_of(converted)
        for file in parts_to_read(index.files, wanted.tolist()):
            body = bucket.get(file.key)
            require_as_exported(body, file, window, bucket.uri(file.key))
            for column in read_stretches(body):
                found = at_times(column, wanted)
                if found is not None:
                    yield from (block for batch in batches_of((found,)) for block in batch.blocks())


def wanted_bucket(job: MigrationJob) -> WantedBucket:
    """The bucket that a job restores into."""
    whole = Window(job.start_time, job.end_time)
    return WantedBucket(job.job_name, job.target_bucket, whole, job.shard_group_duration)


def _window_of(converted: LineProtocolManifest) -> Window:
    found = converted.window
    return Window(found.start_ns, found.end_ns, found.key)


class ShardGeneration(Manifest):
    """Under which names a load puts its files. It lies in the ledger: a load that goes on keeps its names."""

    stage: Literal["shard_generation"] = "shard_generation"
    generation: int


class _Files:
    """Files on their way."""

    keeps_each = True

    def __init__(self, load: Load, files: Sequence[ShardFile], restored: RestoredBucket | None) -> None:
        self.load = load
        self.files = files
        self.restored = restored
        self.lines: Sequence[int] = [file.points for file in files]
        self.restorer = Restorer(load.target, load.job.write_connections, load.policy)

    @property
    def sent_bytes(self) -> int:
        return self.restorer.counts.bytes

    def send(
        self, numbers: Sequence[int], ledger: Ledger, on_delivered: Callable[[Delivered], None], *, held: bool
    ) -> Sent:
        """Every file is fetched, decoded and compared when its turn comes."""
        shards = {number: self._shard_of(self.files[number]) for number in numbers}
        generation = self._generation(resumed=bool(ledger.acknowledged))
        for shard in sorted(set(shards.values())) if held else ():
            retrying(lambda shard=shard: settle_writes(self.load.target, shard), self.load.policy)  # type: ignore[misc]
        self.restorer.restore((self._file(number, shards[number], generation) for number in numbers), on_delivered)
        counts = self.restorer.counts
        return Sent(counts.bytes, counts.requests, counts.retries, self.restorer.highest)

    def _file(self, number: int, shard: int, generation: int) -> FileToSend:
        return FileToSend(number, shard, self._name(generation, number), self.lines[number], self._reader(number))

    def _shard_of(self, file: ShardFile) -> int:
        found = self.restored.by_group.get(ShardGroup(file.start_ns, file.end_ns)) if self.restored else None
        if found is None:
            raise Permanent(
                f"the bucket {self.load.job.target_bucket!r} has no shard for {file.key}: shard_group_duration was "
                "changed since it was made",
                where=f"job {self.load.job.job_name!r}, window {self.load.window}",
                next_step="put shard_group_duration back, or `ts-migration rollback` the job and begin anew",
            )
        return found

    def _reader(self, number: int) -> Callable[[], bytes]:
        file, load = self.files[number], self.load

        def read() -> bytes:
            body = retrying(lambda: load.bucket.get(file.key), load.policy)
            require_as_exported(body, file, load.window, load.bucket.uri(file.key))
            return body

        return read

    def _generation(self, *, resumed: bool) -> int:
        """That of the load that is gone on with; else a later one: of what the shards hold nothing may come after."""
        load = self.load
        key = f"{load.place.ledger}generation-{load.converted.digest[:16]}.json"
        known = read_manifest(ShardGeneration, load.bucket, key)
        if known is not None and resumed:
            return known.generation
        now = int(time.time()) - _EPOCH_S
        chosen = max(now, known.generation + 1) if known else now
        return ShardGeneration(generation=chosen).write(load.bucket, key).generation

    def _name(self, generation: int, number: int) -> str:
        """Generation and sequence: two windows never give a shard the same name."""
        keys = self.load.job.grid.keys
        sequence = keys.index(self.load.window.key) * FILES_A_WINDOW + number + 1
        if sequence > _LAST_SEQUENCE:
            raise Permanent(
                f"the window is the {keys.index(self.load.window.key) + 1:,}. of its job, which is more than the names "
                "of shard files can tell apart",
                where=f"job {self.load.job.job_name!r}, window {self.load.window}",
                allowed=f"{_LAST_SEQUENCE // FILES_A_WINDOW:,} windows of a job",
                next_step="choose longer windows",
            )
        return f"{generation:09d}-{sequence:09d}.tsm"
