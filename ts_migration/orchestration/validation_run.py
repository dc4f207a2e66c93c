"""`validate`: every loaded window is checked again, on both systems, as checks-only runs that Dagster keeps.

What a window is checked for is in `stages.check`; windows that were never loaded are told, not checked.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from ts_migration.aws import client
from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.influxdb.connection import Target
from ts_migration.objects import ExportBucket
from ts_migration.operations.target import target_of
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.execution_result import Progress, stopping
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_ids import job_id_of, new_execution_id
from ts_migration.orchestration.job_record import JobEnd, tell_ended, tell_planned
from ts_migration.orchestration.job_watch import JobWatch, written_down
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.pool import Pool
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration.orchestration.schedule import Group, Schedule
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.passed_windows import passed_windows, refused_of_failed
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import TableProof, proof_of
from ts_migration.stages.roll_up import unmet_of
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import Retries, TimestreamQuery


@dataclass
class TableValidation:
    """What `validate` found for one job. `proven` are windows that this call checked and found so."""

    job: str
    source: str
    bucket: str
    windows: int
    checked: int = 0
    proven: int = 0
    accepted: int = 0
    """Windows that are not proven and were accepted, with the verdicts that this call came to."""
    checks_passed: int = 0
    checks: int = 0
    problems: list[str] = field(default_factory=list)
    failed: int = 0
    """Windows of which a check failed: those are for `repair`."""
    could_not_check: int = 0
    rolled_up: bool = False
    files_gone: bool = False
    """No export file is left, as after the guide's cleanup: digests are compared, differing points cannot be named."""

    @property
    def ok(self) -> bool:
        """Every window of the table is proven or accepted, and so are the table's totals."""
        return self.proven + self.accepted == self.windows and not self.problems


@dataclass(frozen=True)
class ValidationResult:
    """What `validate` found."""

    job_id: str
    tables: tuple[TableValidation, ...]
    seconds: float
    interrupted: bool

    @property
    def ok(self) -> bool:
        """Everything is proven."""
        return not self.interrupted and all(table.ok for table in self.tables)

    @property
    def could_not_check(self) -> bool:
        """At least one window could not be checked at all."""
        return self.interrupted or any(table.could_not_check for table in self.tables)


def validate(
    config: MigrationConfig,
    environment: Environment,
    *,
    config_path: Path,
    only: str | None = None,
    parallel_jobs: int | None = None,
    region: str | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> ValidationResult:
    """Check every loaded window again, then the totals of every table whose windows are all green.

    Raises:
        MigrationError: nothing could be checked: the environment is incomplete, or the proof in S3 cannot be read.
    """
    began = time.monotonic()
    environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    bucket = ExportBucket(client("s3", region=region), environment.s3_export_bucket)
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    job_id = "validation-" + new_execution_id(jobs)
    with (
        open_instance() as instance,
        written_down(instance, config, jobs, job_id, command="validate", config_path=config_path),
    ):
        for job in jobs:
            report(Progress("begun", job.slug, "", 0, len(job.grid), message=job_id_of(job_id, job.slug)))
        fail_dead_runs(instance)
        target = target_of(environment)
        _look_at_source(jobs, region)
        tables = {job.slug: _table(config, job, bucket, target) for job in jobs}
        for table in tables.values():
            files = bucket.list(config.place(table.job).bulk)
            table.result.files_gone = bool(table.keys) and next(files, None) is None
            tell_planned(instance, job_id_of(job_id, table.job.slug), len(table.keys))
        schedule = Schedule(
            {slug: [Group(table.keys, kind=TaskKind.CHECK)] for slug, table in tables.items() if table.keys},
            roll_up=[slug for slug, table in tables.items() if table.all_loaded and table.job.validation_enabled],
        )
        interrupted = False
        pool = Pool(
            schedule,
            instance,
            size=min(parallel_jobs or config.migration_settings.parallel_jobs, max(1, _count(tables))),
            config_path=config_path,
            execution_id=job_id,
            on_outcome=lambda task, outcome: report(tables[task.job].take_in(task, outcome)),
        )
        try:
            with JobWatch.of_pool(instance, job_id, list(tables), pool):
                pool.run(on_interrupt=lambda *in_flight: report(stopping(*in_flight)))
        except KeyboardInterrupt:
            interrupted = True
        cancelled = {slug for slug in tables if interrupted or schedule.is_cancelled(slug)}
        results = tuple(table.conclude(config, bucket, instance) for table in tables.values())
        for result in results:
            _tell_end(instance, job_id_of(job_id, result.job), result, result.job in cancelled)
        interrupted = bool(cancelled)
        return ValidationResult(job_id, results, time.monotonic() - began, interrupted)


def _tell_end(instance: dg.DagsterInstance, job_id: str, result: TableValidation, cancelled: bool) -> None:
    """Write down what the checks of a table came to."""
    end = JobEnd.CANCELLED if cancelled else JobEnd.SUCCEEDED if result.ok else JobEnd.FAILED
    counts = {"ran": result.checked, "failed": result.failed + result.could_not_check}
    tell_ended(instance, job_id, end, next(iter(result.problems), ""), counts)


def _count(tables: "dict[str, _Table]") -> int:
    return sum(len(table.keys) for table in tables.values())


def _look_at_source(jobs: list[MigrationJob], region: str | None) -> None:
    """Describe every table once: a source that cannot be asked is one message, and not one for every window."""
    query = TimestreamQuery(client("timestream-query", region=region), Retries(attempts=2, delay_s=0.5))
    for job in jobs:
        describe(query, job.source_database, job.source_table)


def _table(config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, target: Target) -> "_Table":
    """A job's table by its proof, and by the bucket that InfluxDB has now."""
    bucket_id = target_bucket_id(job, target, retry_policy(config))
    before = proof_of(config, job, bucket)
    table = _Table(job, proof_of(config, job, bucket, bucket_id))
    elsewhere = sum(window.loaded for window in before.windows) - len(table.keys)
    if job.validation_enabled and elsewhere:
        gone = "there is no bucket" if not bucket_id else "another bucket has the name"
        table.result.could_not_check += elsewhere
        # Instead of what is said of windows that were never loaded.
        table.result.problems = [
            f"{target.url}: {gone} {job.target_bucket!r}: {elsewhere} of {len(job.grid)} windows were loaded into one "
            "that is not there any more, so they cannot be checked. "
            "Next: `ts-migration execute` loads them again"
        ]
    return table


class _Table:
    """Adds up what the checks of one table came to."""

    def __init__(self, job: MigrationJob, proof: TableProof) -> None:
        self.job = job
        self.proof = proof
        self.checked: dict[str, str] = {}
        """Window -> what this call found it to be: proven, passed, failed, or why it could not be checked."""
        loaded = [window.key for window in proof.windows if window.loaded]
        self.keys = tuple(loaded) if job.validation_enabled else ()
        self.all_loaded = len(loaded) == len(job.grid)
        self.result = TableValidation(job.slug, job.source, job.target_bucket, windows=len(job.grid))
        if not job.validation_enabled:
            self.result.problems.append("validation_enabled is false: nothing is checked, so nothing is proven")
        elif missing := len(job.grid) - len(loaded):
            self.result.problems.append(
                f"{missing} of {len(job.grid)} windows are not loaded: run `ts-migration execute`"
            )

    def take_in(self, task: Task, outcome: Outcome) -> Progress:
        """Take in one outcome and tell it on."""
        result = self.result
        key = task.keys[0] if task.keys else ""
        if task.kind is TaskKind.CHECK:
            result.checked += bool(outcome.ok or outcome.checks_failed)
            result.proven += outcome.status == "proven"
            result.failed += outcome.checks_failed > 0
            self.checked[key] = outcome.error or outcome.status
            result.checks += 5
            result.checks_passed += outcome.checks_passed
            if not outcome.ok:
                result.could_not_check += not outcome.checks_failed
                result.problems.append(f"window {key}: {outcome.error}")
            return Progress("checked", task.job, key, len(self.checked), len(self.keys), outcome, outcome.error)
        result.rolled_up = outcome.ok
        if not outcome.ok:
            result.problems.append(f"whole table: {outcome.error}")
        return Progress("rolled_up", task.job, key, result.checked, len(self.keys), outcome, outcome.error)

    def conclude(self, config: MigrationConfig, bucket: ExportBucket, instance: dg.DagsterInstance) -> TableValidation:
        """Tell windows that only passed, and take the roll-up back where a window is open again."""
        if not self.job.validation_enabled:
            return self.result
        names, place = TableNames.of(config, self.job), config.place(self.job)
        proof = proof_of(config, self.job, bucket)
        self.result.accepted = sum(window.key in self.checked for window in proof.accepted)
        passed = passed_windows(proof, self.job.slug, place, bucket)
        if passed and self.result.checked:
            self.result.problems.append(passed)
        if self.result.failed and (refused := refused_of_failed(proof, self.job.slug, place, bucket)):
            self.result.problems.append(refused)
        if self.result.rolled_up and (unmet := unmet_of(config, self.job, bucket)):
            self.result.problems.append(unmet)
        open_windows = table_state(instance, names, self.job.grid.keys).why_open
        open_windows |= {window.key: window.reason for window in self.proof.windows if not window.loaded}
        revoke_roll_up(instance, names, open_windows, bucket=bucket, place=place)
        return self.result
