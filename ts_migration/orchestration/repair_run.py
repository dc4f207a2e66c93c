"""`repair`: windows that failed or are stale are looked at, mended by the least that they need, and checked again.

Each is a run or two that Dagster keeps; no other window is touched. What a window needs is decided in `stages.repair`
and `stages.mending`. The table is not rolled up here, for that reads the whole of it: `execute` or the sensor does.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import dagster as dg

from ts_migration.aws import client
from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.manifests import DamagedManifest
from ts_migration.objects import ExportBucket
from ts_migration.operations.target import target_of
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.exclusive import only_one
from ts_migration.orchestration.execution_result import Progress, stopping
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_ids import new_execution_id
from ts_migration.orchestration.job_record import JobEnd, tell_ended, tell_planned
from ts_migration.orchestration.job_watch import JobWatch, end_lost_jobs, written_down
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.pool import Pool
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration.orchestration.schedule import Group, Schedule
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.damage import damaged_windows, names_of
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import TableProof, WindowStatus, proof_of
from ts_migration.stages.repair import is_to_be_repaired, need_of

SET_ASIDE = "set aside what cannot be read (a copy is kept under `damaged/`)"


@dataclass
class WindowRepair:
    """One window: what it was and needs, and after a repair what was done and what it came to."""

    key: str
    was: str
    because: str
    need: str
    outcome: Outcome | None = None

    @property
    def mended(self) -> bool:
        """Whether every check of it passes now."""
        return self.outcome is not None and self.outcome.ok

    @property
    def could_not(self) -> bool:
        """Whether a stage or the checks could not run, or the window was not tried."""
        return not self.mended and not (self.outcome and self.outcome.checks_failed)


@dataclass
class Repair:
    """What `repair` found and did for one job.

    Attributes:
        job, source: whose table it is.
        windows: those that are failed or stale, in order.
        others: status -> windows that were named and are for no repair.
        job_id: of the runs; "" where nothing was to be done.
        interrupted: cut short.
        complete: nothing but the roll-up of the table is left to do.
    """

    job: str
    source: str
    windows: list[WindowRepair]
    others: dict[str, int]
    job_id: str = ""
    seconds: float = 0.0
    interrupted: bool = False
    complete: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Every window is mended."""
        return not self.interrupted and all(window.mended for window in self.windows)

    @property
    def could_not(self) -> bool:
        """A window could not be looked at or worked on."""
        return any(window.could_not for window in self.windows)


def look(
    config: MigrationConfig,
    environment: Environment,
    job: MigrationJob,
    *,
    windows: tuple[str, str] | None = None,
    region: str | None = None,
) -> Repair:
    """What there is to repair, by the manifests in S3 and the bucket that there is; nothing is changed.

    Args:
        config: of the job.
        environment: names the servers.
        job: whose table it is.
        windows: first and last partition key, both included; by default all windows.
        region: of the export bucket.

    Raises:
        MigrationError: S3 or InfluxDB cannot be asked, or there is no such window.
    """
    environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    bucket = ExportBucket(client("s3", region=region), environment.s3_export_bucket)
    only = {window.key for window in job.grid.between(*windows)} if windows else None
    held = target_bucket_id(job, target_of(environment), retry_policy(config))
    try:
        return _found(config, job, proof_of(config, job, bucket, held, only=only), bucket)
    except DamagedManifest:
        wanted = set(job.grid.keys) if only is None else only
        damaged = damaged_windows(config.place(job), sorted(wanted), bucket)
        if not damaged:
            raise
        rest = proof_of(config, job, bucket, held, only=wanted - damaged.keys())
        return _found(config, job, rest, bucket, damaged)


def _found(
    config: MigrationConfig,
    job: MigrationJob,
    proof: TableProof,
    bucket: ExportBucket,
    damaged: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Repair:
    place = config.place(job)
    wanted = [window for window in proof.windows if is_to_be_repaired(window)]
    others = {
        status.value: count
        for status in WindowStatus
        if (count := sum(window.status is status for window in proof.windows if not is_to_be_repaired(window)))
    }
    repairs = [
        WindowRepair(one.key, one.status.value, one.reason, need_of(one, place.window(one.key), bucket))
        for one in wanted
    ]
    repairs += [
        WindowRepair(
            key, "damaged", f"{names_of(keys)} cannot be read", f"{SET_ASIDE}, and do again what is missing then"
        )
        for key, keys in damaged.items()
    ]
    return Repair(job.slug, job.source, sorted(repairs, key=lambda one: one.key), others)


def repair(
    config: MigrationConfig,
    environment: Environment,
    job: MigrationJob,
    *,
    config_path: Path,
    windows: tuple[str, str] | None = None,
    parallel_jobs: int | None = None,
    region: str | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Repair:
    """Mend every window that failed or is stale.

    Args:
        config: of the job.
        environment: names the servers.
        job: whose table it is.
        config_path: the file of the configuration; worker processes load it again.
        windows: first and last partition key, both included; by default all windows.
        parallel_jobs: worker processes; by default the configuration's.
        region: AWS Region.
        report: told of every window that is done.

    Raises:
        MigrationError: nothing was begun: see `look`; an `execute` works on this configuration.
    """
    began = time.monotonic()
    job_id = "repair-" + new_execution_id([job])
    with (
        open_instance() as instance,
        only_one(instance, config_path, job_id),
        written_down(instance, config, [job], job_id, command="repair", config_path=config_path),
    ):
        report(Progress("begun", job.slug, "", 0, len(job.grid), message=job_id))
        fail_dead_runs(instance)
        end_lost_jobs(instance)
        found = look(config, environment, job, windows=windows, region=region)
        tell_planned(instance, job_id, len(found.windows))
        if not found.windows:
            tell_ended(instance, job_id, JobEnd.SUCCEEDED, "nothing to repair")
            return found
        found.job_id = job_id
        by_key = {window.key: window for window in found.windows}

        def take_in(task: Task, outcome: Outcome) -> None:
            by_key[task.keys[0]].outcome = outcome
            done = sum(window.outcome is not None for window in found.windows)
            told = ": ".join(filter(None, (outcome.done, outcome.error or outcome.reason or outcome.status)))
            report(Progress("repaired", task.job, task.keys[0], done, len(by_key), outcome, told))

        schedule = Schedule({job.slug: [Group(tuple(by_key), kind=TaskKind.REPAIR)]}, roll_up=[])
        pool = Pool(
            schedule,
            instance,
            size=min(parallel_jobs or config.migration_settings.parallel_jobs, len(by_key)),
            config_path=config_path,
            execution_id=job_id,
            on_outcome=take_in,
        )
        try:
            with JobWatch.of_pool(instance, job_id, [job.slug], pool):
                pool.run(on_interrupt=lambda *in_flight: report(stopping(*in_flight)))
        except KeyboardInterrupt:
            found.interrupted = True
        found.interrupted |= schedule.is_cancelled(job.slug)
        if stopped_by := schedule.stopped_by(job.slug):
            found.problems.append(f"several windows failed alike, the others were not tried: {stopped_by}")
        _conclude(config, job, found, instance)
        _tell_end(instance, found)
    found.seconds = time.monotonic() - began
    return found


def _tell_end(instance: dg.DagsterInstance, found: Repair) -> None:
    """Write down what became of the windows."""
    end = JobEnd.CANCELLED if found.interrupted else JobEnd.SUCCEEDED if found.ok else JobEnd.FAILED
    left = [one for one in found.windows if not one.mended]
    message = f"{len(left)} of {len(found.windows)} windows are not mended" if left else ""
    tell_ended(instance, found.job_id, end, message, {"ran": len(found.windows), "failed": len(left)})


def _conclude(config: MigrationConfig, job: MigrationJob, found: Repair, instance: dg.DagsterInstance) -> None:
    """Take the roll-up back where a window is still open; see whether it is all that is left."""
    names = TableNames.of(config, job)
    state = table_state(instance, names, job.grid.keys)
    found.complete = state.complete and not state.rolled_up
    failed = {window.key: window.outcome.error for window in found.windows if window.outcome and not window.mended}
    if failed:
        revoke_roll_up(instance, names, failed)
