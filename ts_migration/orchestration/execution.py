"""`execute`: finds the windows that are not proven, has worker processes migrate them, and rolls up what is complete.

Progress is told to a callback; nothing is printed here. What is to be done is in `execution_plan`, how tasks reach
worker processes in `pool` and `schedule`, where a job stands in `job_status`, checking again in `validation_run`.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import dagster as dg

from ts_migration.aws import client
from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.errors import MigrationError
from ts_migration.influxdb.connection import Target
from ts_migration.objects import ExportBucket
from ts_migration.operations.target import target_of
from ts_migration.orchestration.announcement import announced
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.exclusive import only_one
from ts_migration.orchestration.execution_plan import JobPlan, plan_job, wanted_windows
from ts_migration.orchestration.execution_result import ExecutionResult, JobResult, Progress, held, stopping
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_heart import InFlight
from ts_migration.orchestration.job_ids import job_id_of, new_execution_id
from ts_migration.orchestration.job_progress import windows_at_work
from ts_migration.orchestration.job_record import JobEnd, tell_ended, tell_planned
from ts_migration.orchestration.job_watch import JobWatch, end_lost_jobs, written_down
from ts_migration.orchestration.liveness import UNFINISHED, fail_dead_runs
from ts_migration.orchestration.names import EXECUTION_TAG, JOB_ID_TAG, TableNames
from ts_migration.orchestration.open_hours import OpenHours
from ts_migration.orchestration.pool import Pool
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration.orchestration.schedule import Schedule
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind
from ts_migration.stages.mending import forget_load
from ts_migration.stages.passed_windows import passed_windows, refused_of_failed
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import proof_of
from ts_migration.stages.roll_up import unmet_of
from ts_migration.stages.rollback_record import require_no_rollback
from ts_migration.stages.table import look_at_table
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import Retries, TimestreamQuery


def execute(
    config: MigrationConfig,
    environment: Environment,
    *,
    config_path: Path,
    only: str | None = None,
    windows: tuple[str, str] | None = None,
    parallel_jobs: int | None = None,
    region: str | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    chosen: Collection[str] | None = None,
    reload: Collection[str] = (),
    export_again: Mapping[str, Collection[str]] | None = None,
    command: str = "execute",
    resumes: str = "",
    on_begun: Callable[[Sequence[str]], None] = lambda _: None,
) -> ExecutionResult:
    """Migrate every window that is not proven yet, and roll up the tables that become complete.

    Args:
        config_path: the file that the configuration was loaded from; worker processes load it again.
        only: name of the one job to work on.
        windows: first and last partition key, both included.
        parallel_jobs: worker processes; by default the configuration's.
        chosen: partition keys to stay with; by default all.
        reload: partition keys whose windows are loaded again though their loads stand.
        export_again: job's slug -> partition keys whose windows are exported again though their exports stand.
        command: which command it is done for.
        resumes: id of the execution that it goes on with.
        on_begun: told the ids of the jobs, once nothing keeps them from beginning.

    Raises:
        MigrationError: nothing was begun: a table is missing, its grid or mapping differs from what it was begun with,
            another `execute` works on this configuration.
    """
    began = time.monotonic()
    environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    bucket = ExportBucket(client("s3", region=region), environment.s3_export_bucket)
    settings = config.migration_settings
    query = TimestreamQuery(
        client("timestream-query", region=region), Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    )
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    execution_id = new_execution_id(jobs)
    with (
        open_instance() as instance,
        only_one(instance, config_path, execution_id),
        written_down(
            instance, config, jobs, execution_id,
            command=command, config_path=config_path, limits=windows, resumes=resumes,
        ),
        announced(config, environment, region, execution_id) as announcement,
    ):  # fmt: skip
        fail_dead_runs(instance)
        end_lost_jobs(instance)
        ids = [job_id_of(execution_id, job.slug) for job in jobs]
        for job, job_id in zip(jobs, ids, strict=True):
            report(Progress("begun", job.slug, "", 0, len(job.grid), message=job_id))
        on_begun(ids)
        schemas = {job.slug: describe(query, job.source_database, job.source_table) for job in jobs}
        for job in jobs:
            # All are looked at before one is begun: what is refused leaves nothing half done.
            require_no_rollback(bucket, config.place(job))
            look_at_table(job, config.place(job), schemas[job.slug], bucket)
        target = target_of(environment)
        for job in jobs:
            for key in reload:
                forget_load(bucket, config.place(job).window(key))
        wanted = {job.slug: wanted_windows(job, windows, chosen) for job in jobs}
        again = {job.slug: frozenset((export_again or {}).get(job.slug, ())) for job in jobs}
        plans = [
            plan_job(config, job, schemas[job.slug], bucket, query, instance, wanted[job.slug], target, again[job.slug])
            for job in jobs
        ]
        run = _Run(config, {plan.result.job: plan for plan in plans}, report)
        for plan in plans:
            plan.result.job_id = job_id_of(execution_id, plan.result.job)
            tell_planned(instance, plan.result.job_id, plan.windows_to_do)
            if plan.result.skipped:
                report(Progress("skipped", plan.job.slug, "", plan.result.skipped, len(plan.job.grid)))
        announcement.began({plan.result.job: plan.windows_to_do for plan in plans})
        hours = OpenHours(settings.allowed_hours, lambda until: report(held(until)))
        schedule = Schedule(
            {plan.job.slug: plan.groups for plan in plans},
            roll_up=[plan.job.slug for plan in plans if plan.completes and plan.job.validation_enabled],
            hold_s=hours.hold_s,
        )
        ending = threading.Lock()

        def end(slug: str, interrupted: bool = False) -> None:
            with ending:
                plan = run.plans[slug]
                if not plan.ended:
                    plan.ended = True
                    plan.result.cancelled = schedule.is_cancelled(slug) or (interrupted and plan.left > 0)
                    try:
                        _conclude(config, plan, bucket, schedule.stopped_by(slug), instance, target)
                    except MigrationError as error:
                        # S3 went away in the midst of it: its windows have told that already, where any ran.
                        if not plan.result.errors:
                            plan.result.errors.append(str(error))
                    if pool.failed_start and plan.left:
                        plan.result.errors.append(f"{plan.left} windows were not tried: {pool.failed_start}")
                    _tell_end(instance, plan.result)

        def end_if_over(slug: str) -> None:
            if schedule.is_over(slug):
                end(slug)

        def on_outcome(task: Task, outcome: Outcome) -> None:
            run.on_outcome(task, outcome)
            end_if_over(task.job)

        pool = Pool(
            schedule,
            instance,
            size=min(parallel_jobs or settings.parallel_jobs, max(1, run.windows_to_do)),
            config_path=config_path,
            execution_id=execution_id,
            on_outcome=announcement.after(on_outcome),
        )

        def stop_job(slug: str) -> None:
            run.cancel(slug)
            pool.cancel(slug)
            end_if_over(slug)

        for plan in plans:
            # One with nothing left to do has ended, whatever becomes of the others.
            end_if_over(plan.job.slug)
        interrupted = False
        try:
            with JobWatch(
                instance,
                execution_id,
                [job.slug for job in jobs],
                on_stop=stop_job,
                on_look=lambda: run.look(instance, execution_id, pool.in_flight),
                heart=lambda: (pool.in_flight, hours.held_until),
            ):
                pool.run(on_interrupt=lambda *in_flight: report(stopping(*in_flight)))
        except KeyboardInterrupt:
            interrupted = True
        for plan in plans:
            end(plan.job.slug, interrupted)
        announcement.ended([plan.result for plan in plans], interrupted=interrupted)
        return ExecutionResult(
            execution_id, tuple(plan.result for plan in plans), time.monotonic() - began, interrupted
        )


def _tell_end(instance: dg.DagsterInstance, result: JobResult) -> None:
    """Write down what a job came to."""
    end = JobEnd.CANCELLED if result.cancelled else JobEnd.SUCCEEDED if result.ok else JobEnd.FAILED
    message = next(iter([*result.errors, result.passed]), "")
    counts = {"ran": result.ran, "failed": result.failed, "rows": result.rows, "points": result.points}
    tell_ended(instance, result.job_id, end, message, counts)


class _Run:
    """Adds up outcomes as they come, from several threads, and tells them on."""

    def __init__(self, config: MigrationConfig, plans: dict[str, JobPlan], report: Callable[[Progress], None]) -> None:
        self.plans = plans
        self._report = report
        self._done = dict.fromkeys(plans, 0)
        self._total = {slug: plan.windows_to_do for slug, plan in plans.items()}

    @property
    def windows_to_do(self) -> int:
        """Windows over all jobs."""
        return sum(self._total.values())

    def look(self, instance: dg.DagsterInstance, execution_id: str, in_flight: Sequence[InFlight]) -> None:
        """Tell what workers are at, job by job."""
        wanted = dg.RunsFilter(tags={EXECUTION_TAG: execution_id}, statuses=UNFINISHED)
        runs = instance.get_runs(wanted)
        for slug in self.plans:
            job_id = job_id_of(execution_id, slug)
            own = [run for run in runs if run.tags.get(JOB_ID_TAG) == job_id]
            found = windows_at_work(instance, own, [task for task in in_flight if task.job == slug])
            self._report(Progress("working", slug, "", self._done[slug], self._total[slug], at_work=found))

    def cancel(self, slug: str) -> None:
        """Tell that a job is being cancelled."""
        self._report(Progress("cancelling", slug, "", self._done[slug], self._total[slug]))

    def on_outcome(self, task: Task, outcome: Outcome) -> None:
        """Take in one outcome; one that was cut short leaves its windows for the next call."""
        if outcome.cancelled:
            return
        plan = self.plans[task.job]
        result = plan.result
        result.seconds = time.monotonic() - plan.began
        key = task.keys[0] if len(task.keys) == 1 else f"{task.keys[0]}..{task.keys[-1]}" if task.keys else ""
        match task.kind:
            case TaskKind.EXPORT_GROUP:
                message = "" if outcome.ok else f"not exported together ({outcome.error}); each window exports alone"
                kind = "exported"
            case TaskKind.WINDOW:
                kind, message = "window", outcome.error
                self._add_window(result, task, outcome)
            case TaskKind.ROLL_UP:
                kind, message = "rolled_up", outcome.error
                result.rolled_up = outcome.ok
                if not outcome.ok:
                    result.errors.append(f"roll-up: {outcome.error}")
        self._report(Progress(kind, task.job, key, self._done[task.job], self._total[task.job], outcome, message))

    def _add_window(self, result: JobResult, task: Task, outcome: Outcome) -> None:
        self._done[task.job] += 1
        result.ran += 1
        result.rows += outcome.rows
        result.points += outcome.points
        result.values += outcome.values
        result.bytes += outcome.bytes
        result.checks += 5
        result.checks_passed += outcome.checks_passed
        result.unproven += outcome.checks_failed > 0
        if not outcome.ok:
            result.failed += 1
            result.for_good += outcome.for_good
            result.errors.append(f"window {task.keys[0]}: {outcome.error}")


def _conclude(
    config: MigrationConfig,
    plan: JobPlan,
    bucket: ExportBucket,
    stopped_by: str,
    instance: dg.DagsterInstance,
    target: Target,
) -> None:
    job, place = plan.job, config.place(plan.job)
    # Who cancels waits for the end, and InfluxDB may be what does not answer.
    held = None if plan.result.cancelled else _id_or_unknown(job, target)
    proof = proof_of(config, job, bucket, held)
    plan.result.proven = sum(window.status == "proven" for window in proof.windows)
    plan.result.passed = passed_windows(proof, job.slug, place, bucket)
    if plan.result.failed and (refused := refused_of_failed(proof, job.slug, place, bucket)):
        plan.result.errors.append(refused)
    plan.result.accepted = len(proof.accepted)
    if job.validation_enabled:
        plan.result.unmet = unmet_of(config, job, bucket) if plan.result.rolled_up else ""
        names = TableNames.of(config, job)
        open_windows = {window.key: window.reason for window in proof.windows if not window.settled}
        in_dagster = table_state(instance, names, job.grid.keys).why_open
        revoke_roll_up(instance, names, in_dagster | open_windows, bucket=bucket, place=place)
    if stopped_by and plan.left:
        plan.result.errors.append(f"{plan.left} windows were not tried: several failed alike: {stopped_by}")


def _id_or_unknown(job: MigrationJob, target: Target) -> str | None:
    """Id of the target bucket; None where InfluxDB went away meanwhile: what ran has told that already."""
    try:
        return target_bucket_id(job, target)
    except MigrationError:
        return None
