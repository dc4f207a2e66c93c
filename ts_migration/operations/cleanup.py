"""`cleanup`: deletes the export and converted files of windows whose proof is green; manifests and reports stay.

The guide's `aws s3 rm` deletes the same objects and asks nobody. Logs and results are put into an archive in `archive`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.manifests import ExportManifest, read_manifest
from ts_migration.objects import CHECKS_PREFIX, ExportBucket, ObjectInfo
from ts_migration.stages.proof import WindowProof, proof_of

_DELETERS = 16
_SCRATCH_AGE = timedelta(days=1)


@dataclass(frozen=True)
class JobFiles:
    """The bulk objects of one job's table.

    Attributes:
        job: slug.
        to_delete: those that the proof needs no more.
        younger: objects that are green and not old enough.
        held_back: windows that are not green and have files, with why.
    """

    job: str
    to_delete: tuple[ObjectInfo, ...]
    younger: int
    held_back: tuple[tuple[str, str], ...]

    @property
    def bytes(self) -> int:
        """What a deletion frees."""
        return sum(found.size for found in self.to_delete)


def look_at_files(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    *,
    before: datetime | None = None,
    force: bool = False,
) -> JobFiles:
    """What of a job's files may go. Deletes nothing.

    Args:
        config: the rules that the proof is read by.
        job: whose table it is.
        bucket: the export bucket.
        before: only objects that were written before this time; by default all.
        force: also the files of windows that are not green.

    Raises:
        MigrationError: S3 failed, or a manifest is damaged.
    """
    place = config.place(job)
    there = {found.key: found for found in bucket.list(place.bulk)}
    windows = proof_of(config, job, bucket).windows
    with ThreadPoolExecutor(_DELETERS) as pool:
        files = list(pool.map(lambda window: _keys_of(window, there, config, job, bucket), windows))
    owners = dict(zip((window.key for window in windows), files, strict=True))
    green = {window.key for window in windows if window.cleared}
    held_back = tuple(
        (window.key, f"{window.status.value}: {window.reason}")
        for window in windows
        if owners[window.key] and window.key not in green
    )
    held = set() if force else {key for name, _ in held_back for key in owners[name]}
    owned = set().union(*owners.values())
    free = [
        found
        for key, found in there.items()
        # What belongs to no window, such as UNLOAD's manifest of a group, goes with the last of them.
        if key not in held and (key in owned or not held)
    ]
    old = [found for found in free if before is None or found.modified is None or found.modified < before]
    return JobFiles(job.slug, tuple(old), len(free) - len(old), () if force else held_back)


def _keys_of(
    window: WindowProof, there: dict[str, ObjectInfo], config: MigrationConfig, job: MigrationJob, bucket: ExportBucket
) -> set[str]:
    """A window's bulk objects: those under its own prefix, and its files of an export that several windows share."""
    place = config.place(job).window(window.key)
    own = {key for key in there if key.startswith(place.bulk)}
    export = read_manifest(ExportManifest, bucket, place.manifest("export"))
    return own | ({file.key for file in export.files if file.key in there} if export else set())


def look_at_left_scratch(bucket: ExportBucket, now: datetime) -> tuple[ObjectInfo, ...]:
    """What checks exported to compare with, and could not delete because they were killed: no check takes a day."""
    return tuple(
        found for found in bucket.list(CHECKS_PREFIX) if found.modified and now - found.modified > _SCRATCH_AGE
    )


def delete_scratch(scratch: Sequence[ObjectInfo], bucket: ExportBucket) -> None:
    """Delete those objects."""
    with ThreadPoolExecutor(_DELETERS) as pool:
        list(pool.map(lambda found: bucket.delete(found.key), scratch))


def delete_files(files: Sequence[JobFiles], bucket: ExportBucket) -> Counter[str]:
    """Delete what may go; bytes freed by job."""
    freed: Counter[str] = Counter()
    with ThreadPoolExecutor(_DELETERS) as pool:
        for job, size in pool.map(lambda pair: _delete(bucket, *pair), _pairs(files)):
            freed[job] += size
    return freed


def _pairs(files: Sequence[JobFiles]) -> Iterator[tuple[str, ObjectInfo]]:
    for each in files:
        yield from ((each.job, found) for found in each.to_delete)


def _delete(bucket: ExportBucket, job: str, found: ObjectInfo) -> tuple[str, int]:
    bucket.delete(found.key)
    return job, found.size
