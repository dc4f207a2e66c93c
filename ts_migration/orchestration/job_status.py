"""Where every job stands, by Dagster's event log: whoever ran its windows. Nothing is read from S3 here."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.orchestration.check_state import TableCheckState, failed_table_checks, table_check, table_state
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_progress import JobState, state_of
from ts_migration.orchestration.job_record import MIGRATING, TAKING_BACK, JobEnd, JobRecord, job_records
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.run_history import last_error_of, running_windows


@dataclass(frozen=True)
class JobStatus:
    """Where one job stands, by Dagster's event log."""

    job: str
    source: str
    bucket: str
    windows: int
    materialized: int
    green: int
    failed: tuple[str, ...]
    running: tuple[str, ...]
    rolled_up: bool
    last_error: str
    proven: bool = True
    """Whether the roll-up found every window proven or accepted, and no check of the whole table failed.

    Windows with quarantined rows are green, and only passed.
    """
    revoked: bool = False
    """The roll-up was taken back since: a window's checks are green and speak of a bucket that is gone."""
    accepted: bool = False
    """The roll-up found every window proven, or passed and accepted."""
    failed_checks: tuple[str, ...] = ()
    """Checks of the whole table that failed."""
    checked: bool = True
    """validation_enabled: a job that is not checked proves nothing."""
    newest: JobState | None = None
    """Where the newest command stands that worked on the table; None where none did."""
    newest_id: str = ""
    newest_command: str = ""
    not_loaded: tuple[str, ...] = ()
    """Failed windows whose export, conversion, load or reading failed, and no check has spoken of what they hold."""

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What mends failed windows: a repair those that failed their checks, `execute` those not in the bucket."""
        again = f"ts-migration execute --only {self.job} does again what is left of windows that are not loaded"
        mends = f"ts-migration repair --table {self.job} mends windows that are; --dry-run tells how"
        return ((again,) if self.not_loaded else ()) + ((mends,) if len(self.failed) > len(self.not_loaded) else ())

    @property
    def cut_short(self) -> bool:
        """The newest command was cancelled, its process is gone, or what failed was no window, and windows are left."""
        ends = (JobState.CANCELLED, JobState.GONE, *(() if self.failed else (JobState.FAILED,)))
        return self.newest in ends and self.green < self.windows

    @property
    def state(self) -> str:
        """One word for people."""
        if self.newest is not None and not self.newest.over:
            return self.newest.value + ("" if self.newest_command in MIGRATING else f" ({self.newest_command})")
        if self.running:
            return "running"
        if self.cut_short and self.newest is not None:
            return self.newest.value
        if not self.checked and self.materialized == self.windows:
            return "loaded, not proven"
        if self.green == self.windows:
            if self.revoked:
                return "no longer proven"
            if not self.rolled_up:
                return "complete"
            if not self.proven:
                return "migrated, not proven"
            return "migrated, accepted" if self.accepted else "migrated"
        if self.failed:
            return "failed"
        if self.materialized == self.windows:
            return "loaded, not checked"
        return "partly migrated" if self.materialized else "not begun"


def status(config: MigrationConfig) -> list[JobStatus]:
    """Where every job stands, whoever ran its windows: `execute`, a backfill, a click in Dagit."""
    with open_instance() as instance:
        fail_dead_runs(instance)
        newest = {
            (each.begin.assets, each.begin.job): each
            for each in reversed(job_records(instance))
            # How a check, a repair or a rollback ended is told by what it left; that one runs is told here.
            # One that took the table back leaves nothing of what was executed before.
            if each.begin.command in MIGRATING
            or not (state := state_of(instance, each)).over
            or (each.begin.command in TAKING_BACK and state is JobState.SUCCEEDED)
        }
        return [_status(instance, config, job, newest) for job in config.migration_jobs]


def _status(
    instance: dg.DagsterInstance,
    config: MigrationConfig,
    job: MigrationJob,
    records: Mapping[tuple[str, str], JobRecord],
) -> JobStatus:
    names = TableNames.of(config, job)
    newest = records.get(("/".join(names.prefix), job.slug))
    state = table_state(instance, names, job.grid.keys)
    whole = table_check(instance, names) if state.rolled_up else TableCheckState(passed=True)
    failed_checks = failed_table_checks(instance, names) if state.rolled_up else ()
    return JobStatus(
        job=job.slug,
        source=job.source,
        bucket=job.target_bucket,
        windows=len(state.keys),
        materialized=len(state.materialized),
        green=len(state.green),
        failed=tuple(sorted(state.failed)),
        not_loaded=tuple(sorted(state.unfinished)),
        running=running_windows(instance, names),
        rolled_up=state.rolled_up,
        revoked=bool(state.revoked),
        proven=whole.passed and not failed_checks,
        accepted=whole.accepted,
        failed_checks=failed_checks,
        checked=job.validation_enabled,
        newest=state_of(instance, newest) if newest else None,
        newest_id=newest.job_id if newest else "",
        newest_command=newest.begin.command if newest else "",
        last_error="" if state.complete else last_error_of(instance, names) or _message_of(newest),
    )


def _message_of(newest: JobRecord | None) -> str:
    """What the newest command failed for before it came to a window."""
    return newest.message if newest is not None and newest.end is JobEnd.FAILED else ""
