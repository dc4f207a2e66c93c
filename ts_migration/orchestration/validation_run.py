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
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.execution import Progress, new_job_id, stopping
from ts_migration.orchestration.liveness import fail_dead_runs
from ts_migration.orchestration.pool import run_pool
from ts_migration.orchestration.schedule import Group, Schedule
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.stages.proof import TableProof, proof_of


@dataclass
class TableValidation:
    """What `validate` found for one job."""

    job: str
    source: str
    bucket: str
    windows: int
    checked: int = 0
    proven: int = 0
    checks_passed: int = 0
    checks: int = 0
    problems: list[str] = field(default_factory=list)
    could_not_check: int = 0
    rolled_up: bool = False
    files_gone: bool = False
    """No export file is left, as after the guide's cleanup: digests are compared, differing points cannot be named."""

    @property
    def ok(self) -> bool:
        """Every window of the table is proven, and so are the table's totals."""
        return self.proven == self.windows and not self.problems


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
    job_id = "validation-" + new_job_id(jobs)
    with dg.DagsterInstance.get() as instance:
        fail_dead_runs(instance)
        tables = {job.slug: _Table(job, proof_of(config, job, bucket)) for job in jobs}
        for table in tables.values():
            files = bucket.list(config.place(table.job).bulk)
            table.result.files_gone = bool(table.keys) and next(files, None) is None
        schedule = Schedule(
            {slug: [Group(table.keys, kind=TaskKind.CHECK)] for slug, table in tables.items() if table.keys},
            roll_up=[slug for slug, table in tables.items() if table.all_loaded and table.job.validation_enabled],
        )
        interrupted = False
        try:
            run_pool(
                schedule,
                size=min(parallel_jobs or config.migration_settings.parallel_jobs, max(1, _count(tables))),
                config_path=config_path,
                job_id=job_id,
                log_folder=Path(instance.root_directory) / "logs",
                on_outcome=lambda task, outcome: report(tables[task.job].take_in(task, outcome)),
                on_interrupt=lambda in_flight: report(stopping(in_flight)),
            )
        except KeyboardInterrupt:
            interrupted = True
        results = tuple(table.conclude(proof_of(config, table.job, bucket)) for table in tables.values())
        return ValidationResult(job_id, results, time.monotonic() - began, interrupted)


def _count(tables: "dict[str, _Table]") -> int:
    return sum(len(table.keys) for table in tables.values())


class _Table:
    """Adds up what the checks of one table came to."""

    def __init__(self, job: MigrationJob, proof: TableProof) -> None:
        self.job = job
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
            result.checked += 1
            result.checks += 5
            result.checks_passed += outcome.checks_passed
            if not outcome.ok:
                result.could_not_check += not outcome.checks_failed
                result.problems.append(f"window {key}: {outcome.error}")
            return Progress("checked", task.job, key, result.checked, len(self.keys), outcome, outcome.error)
        result.rolled_up = outcome.ok
        if not outcome.ok:
            result.problems.append(f"whole table: {outcome.error}")
        return Progress("rolled_up", task.job, key, result.checked, len(self.keys), outcome, outcome.error)

    def conclude(self, proof: TableProof) -> TableValidation:
        """Count what is proven now, by the manifests."""
        self.result.proven = sum(window.status == "proven" for window in proof.windows)
        return self.result
