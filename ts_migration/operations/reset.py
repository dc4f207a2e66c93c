"""`reset`: deletes what a job's table left in the export bucket: it can then be begun with another grid or mapping.

The points in the target bucket stay; that they are the job's own is remembered first, so that loading them again is not
refused. What Dagster remembers is `orchestration.reset`'s affair.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.influxdb.ledger import LoadIntent, read_intent
from ts_migration.influxdb.ownership import OwnRange, own_ranges_key, remember_own_ranges
from ts_migration.manifests import TableManifest, read_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.windows import Grid, Window, iso

_DELETERS = 16
"""Windows whose objects are deleted at a time: each has a dozen objects of one request."""


@dataclass(frozen=True)
class Begun:
    """What a job's table left in the export bucket: the grid it was begun with, its windows, and what was loaded."""

    job: MigrationJob
    place: TablePlace
    grid: Grid
    table: TableManifest | None
    windows: tuple[Window, ...]
    """Windows that have any object under `manifests/`."""
    loads: tuple[tuple[Window, LoadIntent], ...]
    """Windows that were loaded, or begun to be."""

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to take back."""
        return self.table is None and not self.windows

    @property
    def stays(self) -> tuple[str, ...]:
        """Where the job's points stay: `bucket / measurement, from … until …`, a line each."""
        places: dict[tuple[str, str], list[Window]] = {}
        for window, intent in self.loads:
            places.setdefault((intent.bucket, intent.measurement), []).append(window)
        return tuple(
            f"bucket {bucket!r}, measurement {measurement!r}, from {iso(min(windows).start_ns)} "
            f"until {iso(max(windows).end_ns)} (excluded)"
            for (bucket, measurement), windows in places.items()
        )

    @property
    def deletions(self) -> tuple[str, ...]:
        """Commands that delete the points, for ranges that hold no others. InfluxDB deletes its stop, too."""
        places: dict[tuple[str, str], list[Window]] = {}
        for window, intent in self.loads:
            if not intent.found_values:
                places.setdefault((intent.bucket, intent.measurement), []).append(window)
        return tuple(
            f"influx delete --bucket '{bucket}' --start {iso(min(windows).start_ns)} "
            f"--stop {iso(max(windows).end_ns - 1)} --predicate '_measurement=\"{measurement}\"'"
            for (bucket, measurement), windows in places.items()
        )

    @property
    def copies(self) -> tuple[Window, ...]:
        """Windows with a copy of what was there before them, which only a rollback can put back."""
        return tuple(window for window, intent in self.loads if intent.found)


def look_at_begun(config: MigrationConfig, job: MigrationJob, bucket: ExportBucket) -> Begun:
    """Read what a job's table left. Deletes nothing.

    Raises:
        MigrationError: S3 failed, or a manifest is damaged.
    """
    place = config.place(job)
    table = read_manifest(TableManifest, bucket, place.table_manifest)
    grid = Grid(table.cron, table.range_start_ns, table.range_end_ns) if table else job.grid
    keys = {found.key.removeprefix(place.proof).partition("/")[0] for found in bucket.list(place.proof)}
    windows = tuple(window for window in grid if window.key in keys)
    with ThreadPoolExecutor(_DELETERS) as pool:
        intents = list(pool.map(lambda window: read_intent(bucket, place.window(window.key)), windows))
    loads = tuple((window, intent) for window, intent in zip(windows, intents, strict=True) if intent is not None)
    return Begun(job, place, grid, table, windows, loads)


def forget(begun: Begun, bucket: ExportBucket, *, points_stay: bool = True) -> int:
    """Delete a table's manifests and bulk objects, and remember which points are its own; how many objects went.

    Interrupted, it can be run again: what is own is remembered first, table.json goes last.

    Args:
        begun: what the table left.
        bucket: the export bucket.
        points_stay: whether the job's points are in the target bucket still; if not, there is nothing to remember.
    """
    place = begun.place
    if points_stay:
        own = [OwnRange.of(intent, window) for window, intent in begun.loads if not intent.found_values]
        remember_own_ranges(bucket, place, own)
    else:
        bucket.delete(own_ranges_key(place))
    prefixes = [f"{place.bulk}groups/"]
    for window in begun.grid:
        prefixes += [place.window(window.key).bulk, place.window(window.key).proof]
    bucket.delete(place.migrated)
    with ThreadPoolExecutor(_DELETERS) as pool:
        count = sum(pool.map(bucket.delete_prefix, prefixes))
    bucket.delete(place.table_manifest)
    return count + 1
