"""A window's points as they are stored: backups of its shards, read without a query, for `proof: storage`.

A query of a window that is too big ends in a time-out or takes the server's memory; a backup streams files. What they
hold is decoded by `influxdb.tsm`. Counts, samples and types are asked by InfluxQL all the same.
"""

from collections.abc import Iterator, Mapping

from ts_migration.config import MigrationJob
from ts_migration.errors import Permanent
from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import SeriesBatch
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restored_buckets import read_restored
from ts_migration.influxdb.restoring import TOMBSTONES, backup, shards_of
from ts_migration.influxdb.shard_batches import batches_of, cut_to, newest
from ts_migration.influxdb.shard_groups import ShardGroup, groups_of
from ts_migration.influxdb.tsm.columns import TsmColumn
from ts_migration.influxdb.tsm.reader import read_stretches
from ts_migration.manifests import LoadManifest
from ts_migration.objects import ExportBucket
from ts_migration.validation.sample import SampledRow, SampleLookup
from ts_migration.windows import Window

_TSM = ".tsm"


def shards_to_read(
    job: MigrationJob, loaded: LoadManifest, bucket: ExportBucket, target: Target
) -> Mapping[ShardGroup, int]:
    """The shards of the bucket that a window was loaded into.

    Line protocol that was written to a restored bucket later has shards of which its record knows nothing.
    """
    known = read_restored(bucket, job.target_bucket)
    if known is not None and known.bucket_id == loaded.bucket_id:
        window = Window(loaded.window.start_ns, loaded.window.end_ns)
        if all(group in known.by_group for group in groups_of(window, known.shard_group_s)):
            return known.by_group
    return shards_of(target, loaded.bucket_id)


def stored_batches(
    target: Target, shards: Mapping[ShardGroup, int], measurement: str, window: Window
) -> Iterator[SeriesBatch]:
    """A measurement's points in a window, field by field; memory holds those of one shard.

    Raises:
        Permanent: a file cannot be decoded; the shard holds deletes, which only the server applies.
        Transient: a backup broke off.
    """
    for group in sorted(shards):
        if group.start_ns < window.end_ns and window.start_ns < group.end_ns:
            yield from batches_of(_stored(target, shards[group], window), measurement)


def _stored(target: Target, shard: int, window: Window) -> list[TsmColumn]:
    """The points of one shard within a window, of two values of a point the later file's."""
    files: list[tuple[str, list[TsmColumn]]] = []
    for file in backup(target, shard):
        if file.name.endswith(TOMBSTONES) and file.content:
            raise Permanent(
                f"the shard {shard} holds deletes that are not worked into its files yet: only a query sees that",
                where=target.url,
                next_step="set proof: influxql for the job, or wait for the server's next full compaction",
            )
        if not file.name.endswith(_TSM):
            continue
        cut = (cut_to(column, window.start_ns, window.end_ns) for column in read_stretches(file.content))
        found = [column for column in cut if column is not None]
        if found:
            files.append((file.name, found))
    # Names are generation and sequence, and those of one length: their order is the server's.
    ordered = [columns for _, columns in sorted(files, key=lambda each: each[0])]
    return newest(ordered) if len(ordered) > 1 else [column for columns in ordered for column in columns]


def asked_sample(
    target: Target, bucket: str, measurement: str, rows: tuple[SampledRow, ...]
) -> dict[tuple[int, int], tuple[int, str]]:
    """The sampled values, asked by InfluxQL at their times; see `SampleLookup.found`."""
    lookup = SampleLookup(rows)
    for batch in reader.batches_at(target, bucket, measurement, sorted({row.time_ns for row in rows})):
        lookup.look(batch)
    return lookup.found
