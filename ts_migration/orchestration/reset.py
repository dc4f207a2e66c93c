"""`reset` as Dagster sees it: nothing of the table runs, its objects are deleted, its materialisations are taken back.

Dagster cannot forget a materialisation. A newer one without a run takes the old one's place: checks judged the old
one and are no longer current, and `check_state` does not count the window as materialised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Refused
from ts_migration.objects import ExportBucket
from ts_migration.operations.reset import Begun, forget
from ts_migration.orchestration.check_state import is_materialized, standing_partitions
from ts_migration.orchestration.exclusive import only_one
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_ids import new_execution_id
from ts_migration.orchestration.job_record import RESET, JobEnd, tell_ended
from ts_migration.orchestration.job_watch import written_down
from ts_migration.orchestration.leases import is_leased, lease_folder
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import DATA_VERSION_TAG, ROLLED_BACK_TAG, ROLLED_BACK_VERSION, TableNames
from ts_migration.orchestration.run_history import failed_attempts, running_windows


@dataclass(frozen=True)
class ResetResult:
    """What `reset` took back: objects of the export bucket, and materialisations of windows and of the table."""

    objects: int
    materializations: int


def reset(
    config: MigrationConfig,
    begun: Begun,
    bucket: ExportBucket,
    *,
    config_path: Path,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> ResetResult:
    """Delete what a job's table left in the export bucket, and take its materialisations back.

    Args:
        config: the job's configuration.
        begun: what the table left.
        bucket: the export bucket.
        config_path: its lock is held meanwhile.
        report: told how many materialisations are taken back, and of how many.

    Raises:
        Refused: an `execute` works on the configuration, a run works on the table, or copies of what was in the bucket
            before would be lost.
        MigrationError: S3 failed; the same call goes on.
    """
    job = begun.job
    names = TableNames.of(config, job)
    if begun.copies:
        raise Refused(
            f"{len(begun.copies):,} windows held others' points before they were loaded: the copies that can put them "
            "back, and that the checks leave out, would be lost",
            where=f"job {job.job_name!r}",
            next_step=f"ts-migration rollback {job.slug} puts them back and begins the table anew",
        )
    with open_instance() as instance, only_one(instance, config_path, f"ts-migration reset {job.slug}"):
        fail_dead_runs(instance)
        require_stillness(instance, job, names, begun, bucket)
        # First Dagster, then the objects: interrupted in between, no window reads green without its proof.
        taken_back = take_back(instance, names, RESET, report)
        objects = 0 if begun.nothing else forget(begun, bucket)
        job_id = f"{RESET}-{new_execution_id([job])}"
        with written_down(instance, config, [job], job_id, command=RESET, config_path=config_path):
            tell_ended(instance, job_id, JobEnd.SUCCEEDED)
        return ResetResult(objects, taken_back)


def require_stillness(
    instance: dg.DagsterInstance, job: MigrationJob, names: TableNames, begun: Begun, bucket: ExportBucket
) -> None:
    """Refuse while a run works on the table, here or on another machine.

    Raises:
        Refused: one does.
    """
    running = running_windows(instance, names)
    lock_folder = lease_folder(instance)
    there = {found.key for found in bucket.list(begun.place.proof)}
    places = [begun.place.window(window.key) for window in begun.windows]
    leased = [place.key for place in places if place.lease in there and is_leased(bucket, place, lock_folder)]
    if running or leased:
        raise Refused(
            f"runs work on the table: windows {', '.join(running or leased)}",
            where=f"job {job.job_name!r}",
            next_step="wait for it to end, or cancel it, and run the command again then",
        )


def take_back(instance: dg.DagsterInstance, names: TableNames, command: str, report: Callable[[int, int], None]) -> int:
    """Report a roll-back of everything of the table that is materialised or failed; how many there were."""
    wanted: list[tuple[dg.AssetKey, str | None]] = [(names.migrated, None)] * is_materialized(instance, names.migrated)
    # What failed and was never materialised is taken back too: it would read as failed for ever.
    failed = failed_attempts(instance, names)
    for asset in (names.export_files, *names.conversions, names.influxdb_bucket):
        wanted += [(asset, key) for key in sorted(standing_partitions(instance, asset) | failed)]
    tags = {ROLLED_BACK_TAG: command, DATA_VERSION_TAG: ROLLED_BACK_VERSION}
    for number, (asset, partition) in enumerate(wanted, 1):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset, partition=partition, description=f"taken back by `ts-migration {command}`", tags=tags
            )
        )
        report(number, len(wanted))
    return len(wanted)
