"""What InfluxDB says now about one window: points streamed once past everybody who needs them, counts and types beside.

What is made of it is in `check` and `validation`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block, SeriesBatch
from ts_migration.influxdb.buckets import BucketInfo, find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.shard_types import types_in_window
from ts_migration.manifests import UntouchedRecord
from ts_migration.stages.stored_points import asked_sample
from ts_migration.validation.batch_hashes import BatchKeys
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.readings import TargetReading
from ts_migration.validation.sample import SampledRow, SampleLookup
from ts_migration.validation.untouched import NONE, Untouched
from ts_migration.windows import NS_PER_S, Window


@dataclass
class PointsRead:
    """What the stream of a window's points leaves behind; the points themselves are not kept."""

    digest: PointDigest
    lookup: SampleLookup
    types: dict[str, set[str]] = field(default_factory=dict)
    """Field key -> types that its values have."""
    tag_keys: set[str] = field(default_factory=set)

    def add(self, batches: Iterable[SeriesBatch]) -> None:
        """Take points in."""
        for batch in batches:
            keys = BatchKeys.of(batch)
            self.digest.add_batch(batch, keys)
            self.lookup.look(batch, keys)
            for column in batch.columns:
                self.types.setdefault(column.field, set()).add(column.kind.value)
            for names in {tuple(series.tags) for series in batch.series}:
                self.tag_keys.update(names)


def read_points(batches: Iterator[SeriesBatch], window: Window, sample: tuple[SampledRow, ...]) -> PointsRead:
    """Stream the points of a window through the digest and past the sample's lookup."""
    found = PointsRead(PointDigest(window.start_ns, window.end_ns), SampleLookup(sample))
    found.add(batches)
    return found


@dataclass(frozen=True)
class TargetFigures:
    """What the server says of its points without giving them.

    Attributes:
        counts: field key -> values in the window.
        types: field key -> types over all shards of the bucket.
        window_types: field key -> types over the shards of the window, of fields with several types in the bucket.
        expires_before_ns: points before this time are deleted by the bucket's retention; None where it has none.
    """

    counts: dict[str, int]
    types: dict[str, tuple[str, ...]]
    window_types: dict[str, tuple[str, ...]]
    expires_before_ns: int | None = None

    def without(self, record: UntouchedRecord | None) -> "TargetFigures":
        """The same without the values that were there before the load."""
        if record is None:
            return self
        rest = {field: count - record.counts.get(field, 0) for field, count in self.counts.items()}
        return replace(self, counts={field: count for field, count in rest.items() if count})


def ask_figures(target: Target, bucket: str, measurement: str, window: Window) -> TargetFigures:
    """Counts of a window, types and retention of a bucket, asked side by side.

    Raises:
        MigrationError: see `reader`.
    """
    with ThreadPoolExecutor(2) as pool:
        counted = pool.submit(reader.counts, target, bucket, measurement, window)
        found = pool.submit(find, target, bucket)
        types = reader.field_types(target, bucket, measurement)
        info = found.result()
        window_types = _window_types(target, bucket, measurement, window, types, info)
        expires = time.time_ns() - info.retention_s * NS_PER_S if info and info.retention_s else None
        return TargetFigures(counted.result(), types, window_types, expires)


def read_target(
    target: Target,
    bucket: str,
    measurement: str,
    window: Window,
    sample: tuple[SampledRow, ...],
    refused: list[Block],
    figures: TargetFigures,
    untouched: Untouched = NONE,
    stored: Callable[[], Iterator[SeriesBatch]] | None = None,
) -> TargetReading:
    """One reading of the bucket.

    Args:
        target: InfluxDB.
        bucket: name of the bucket.
        measurement: of the table.
        window: whose points are read.
        sample: rows of Timestream whose values are looked up.
        refused: points of the lines that the server refused while loading. They are added to what the bucket holds:
            export = bucket + refused is then shown by digest, and the window is passed but not proven.
        figures: of the window and the bucket; their counts are without the untouched values.
        untouched: values that were there before the load. They are left out, and have to be there still.
        stored: gives the points of the window as they are stored; by default they are asked for, and the sample's
            values are found among them.

    Raises:
        Transient: nothing of it is to be trusted.
        Permanent: the server refuses, or holds what this tool never writes.
    """
    batches = stored() if stored else reader.batches(target, bucket, measurement, window)
    rest = untouched.without(batches) if len(untouched.hashes) else None
    found = read_points(iter(rest) if rest else batches, window, () if stored else sample)
    read_types = {name: tuple(sorted(kinds)) for name, kinds in found.types.items()}
    tag_keys = tuple(sorted(found.tag_keys))
    found.add(map(SeriesBatch.of, refused))
    return TargetReading(
        counts=figures.counts,
        digest=found.digest.record(),
        coverage=found.digest.coverage,
        series=found.digest.series,
        field_types=figures.types,
        window_types=figures.window_types,
        read_types=read_types,
        tag_keys=tag_keys,
        refused=len(refused),
        bucket=bucket,
        sample=asked_sample(target, bucket, measurement, sample) if stored else found.lookup.found,
        expires_before_ns=figures.expires_before_ns,
        untouched=len(untouched.hashes),
        untouched_gone=len(untouched.hashes) - rest.met if rest else 0,
    )


def _window_types(
    target: Target,
    bucket: str,
    measurement: str,
    window: Window,
    types: dict[str, tuple[str, ...]],
    info: BucketInfo | None,
) -> dict[str, tuple[str, ...]]:
    """Types within the window of the fields that the bucket holds with several."""
    if all(len(each) <= 1 for each in types.values()):
        return {}
    return types_in_window(target, bucket, measurement, window, types, info.shard_group_s if info else 0)
