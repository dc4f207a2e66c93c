"""What InfluxDB says now about one window: points streamed once past everybody who needs them, counts and types beside.

What is made of it is in `check` and `validation`.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block, SeriesBatch
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.shard_types import types_in_window
from ts_migration.validation.batch_hashes import BatchKeys
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.readings import TargetReading
from ts_migration.validation.sample import SampledRow, SampleLookup
from ts_migration.windows import Window


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
    """

    counts: dict[str, int]
    types: dict[str, tuple[str, ...]]
    window_types: dict[str, tuple[str, ...]]


def ask_figures(target: Target, bucket: str, measurement: str, window: Window) -> TargetFigures:
    """Counts of a window and types of a bucket, asked side by side.

    Raises:
        MigrationError: see `reader`.
    """
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(reader.counts, target, bucket, measurement, window)
        types = reader.field_types(target, bucket, measurement)
        window_types = _window_types(target, bucket, measurement, window, types)
        return TargetFigures(counted.result(), types, window_types)


def read_target(
    target: Target,
    bucket: str,
    measurement: str,
    window: Window,
    sample: tuple[SampledRow, ...],
    refused: list[Block],
    figures: TargetFigures,
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
        figures: of the window and the bucket.

    Raises:
        Transient: nothing of it is to be trusted.
        Permanent: the server refuses, or holds what this tool never writes.
    """
    found = read_points(reader.batches(target, bucket, measurement, window), window, sample)
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
        sample=found.lookup.found,
    )


def _window_types(
    target: Target, bucket: str, measurement: str, window: Window, types: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Types within the window of the fields that the bucket holds with several."""
    if all(len(each) <= 1 for each in types.values()):
        return {}
    info = find(target, bucket)
    return types_in_window(target, bucket, measurement, window, types, info.shard_group_s if info else 0)
