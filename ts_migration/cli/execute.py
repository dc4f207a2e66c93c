"""`ts-migration execute` and its dry run. `orchestration.execution` and `operations.prerequisites` do the work."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.detached import detach as detached
from ts_migration.cli.job import cancel_job, show_job
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.progress import Show
from ts_migration.cli.report import show_report
from ts_migration.cli.work import ConfigOption, OnlyOption, ParallelJobsOption, RegionOption, Work, begin, window_keys
from ts_migration.errors import ExitCode, MigrationError

if TYPE_CHECKING:
    from ts_migration.operations.findings import Finding
    from ts_migration.orchestration.execution_result import ExecutionResult


def execute(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look: use every component once, migrate nothing.")
    ] = False,
    region: RegionOption = None,
    parallel_jobs: ParallelJobsOption = None,
    only: OnlyOption = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Only these windows: KEY or FROM..TO, both included.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the newest execution, or that of --job-id: its jobs and windows."),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Work in the background, also when the terminal is closed.")
    ] = False,
    job_id: Annotated[
        str | None,
        typer.Option("--job-id", help="Only tell where this job stands: its id, a job's name, or a run of Dagit."),
    ] = None,
    cancel: Annotated[
        str | None, typer.Option("--cancel-job", help="Stop this job now: its id, a job's name, a backfill or a run.")
    ] = None,
) -> None:
    """Migrate every window that is not proven yet, check each, and roll complete tables up.

    Stopped or killed, it goes on where it was when it is started again.

    Example: ts-migration execute --config migration_config.yaml --dry-run
    """
    if cancel is not None:
        raise typer.Exit(cancel_job(cancel, config))
    if job_id is not None and not resume:
        raise typer.Exit(show_job(job_id, config))
    work = begin(config, parallel_jobs=parallel_jobs, only=only)
    jobs = [work.config.job(only)] if only else list(work.config.migration_jobs)
    selection = Selection(only, window_keys(window, jobs))
    if resume:
        resumed = _resumed(work, selection, job_id)
        if resumed is None:
            raise typer.Exit(ExitCode.OK)
        selection = resumed
    if dry_run:
        raise typer.Exit(_dry_run(work, selection.only, region))
    if detach:
        raise typer.Exit(
            detached(lambda begun: run(work, selection, region, parallel_jobs, on_begun=begun), Path.cwd())
        )
    raise typer.Exit(run(work, selection, region, parallel_jobs))


@dataclass(frozen=True)
class Selection:
    """What an execution is about: one job or all, a range of windows, or chosen ones, some of them loaded anew.

    `resumes` is the id of the execution that it goes on with.
    """

    only: str | None = None
    windows: tuple[str, str] | None = None
    chosen: tuple[str, ...] | None = None
    reload: tuple[str, ...] = ()
    resumes: str = ""


def _resumed(work: Work, given: Selection, job_id: str | None) -> Selection | None:
    """What the execution that is gone on with was about, where the command says nothing else; None if it succeeded."""
    from ts_migration.orchestration.home import open_instance
    from ts_migration.orchestration.resuming import resumable

    with open_instance() as instance:
        found = resumable(instance, work.path, job_id)
    if found.succeeded:
        say(f"Nothing to resume: {found.execution_id} succeeded")
        return None
    only = given.only or found.only
    windows = given.windows or found.limits
    limited = f", windows {windows[0]} to {windows[1]}" if windows else ""
    note(f"going on with {found.execution_id}: {only or 'all jobs'}{limited}")
    return Selection(only, windows, resumes=found.execution_id)


def _dry_run(work: Work, only: str | None, region: str | None) -> int:
    from ts_migration.operations.prerequisites import look_at_prerequisites

    say(f"Configuration {work.path}")
    found = look_at_prerequisites(work.config, work.environment, only=only, region=region, report=_show)
    count = 1 if only else len(work.config.migration_jobs)
    say(f"Configuration validation completed: {count} {'job' if count == 1 else 'jobs'} validated")
    if found.ok:
        say("Prerequisites validation passed")
        say("All infrastructure components accessible")
        note(_kept(work, region))
        return ExitCode.OK
    say(f"Prerequisites validation failed: {len(found.failures)} of {len(found.findings)}")
    _tell(found.failures)
    return ExitCode.COULD_NOT_START


def _kept(work: Work, region: str | None) -> str:
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.kept_exports import what_is_kept

    return what_is_kept(ExportBucket(client("s3", region), work.environment.s3_export_bucket))


def _show(finding: "Finding") -> None:
    from ts_migration.operations.findings import FindingStatus

    mark = {FindingStatus.ACCESSIBLE: "+", FindingStatus.NOT_CONFIGURED: "-", FindingStatus.FAILED: "!"}[finding.status]
    detail = f" ({finding.detail})" if finding.detail else ""
    say(f"  {mark} {finding.name}: {finding.status.value}{detail}")


def _tell(failures: "tuple[Finding, ...]") -> None:
    """One message for everything that stands in the way."""
    error_line(str(failures[0]) if len(failures) == 1 else "\n  - ".join(["nothing was begun:", *map(str, failures)]))


def run(
    work: Work,
    selection: Selection,
    region: str | None,
    parallel_jobs: int | None,
    on_begun: Callable[[str], None] = lambda _: None,
) -> int:
    """Look at the prerequisites, migrate what is selected, and tell what came of it; the exit code.

    `on_begun` is told the ids of the jobs, in one text.
    """
    only = selection.only
    from ts_migration.environment import remember
    from ts_migration.operations.prerequisites import look_at_prerequisites

    found = look_at_prerequisites(work.config, work.environment, only=only, region=region, unload=False)
    if not found.ok:
        _tell(found.failures)
        return ExitCode.COULD_NOT_START
    remember(Path.cwd(), config=work.path)
    # Here and not above: Dagster takes a second to import, and a wrong token should not cost it.
    from ts_migration.orchestration.execution import execute as migrate

    settings = work.config.migration_settings
    log = LogFile(Path.cwd() / EXECUTION_LOG, settings.log_format)
    log.write(f"execute {work.path}")
    with Show("Migrating", log, settings.progress_monitoring_interval) as show:
        result = migrate(
            work.config,
            work.environment,
            config_path=work.path,
            only=only,
            windows=selection.windows,
            parallel_jobs=parallel_jobs,
            region=region,
            report=show,
            chosen=selection.chosen,
            reload=selection.reload,
            resumes=selection.resumes,
            on_begun=lambda ids: on_begun(" ".join(ids)),
        )
    return _conclude(work, result, log, only, region)


def _conclude(work: Work, result: "ExecutionResult", log: LogFile, only: str | None, region: str | None) -> int:
    for job in result.jobs:
        counts = f"{job.ran - job.failed:,} windows migrated, {job.failed:,} failed, {job.skipped:,} done before"
        say(f"{job.job}: {counts}, {job.seconds:.1f} s")
        for error in [*job.errors, *filter(None, [job.passed, job.unmet])]:
            log.write(f"{job.job}: {error}")
    how = "finished" if result.ok else "cancelled" if result.cancelled else "not finished"
    log.write(f"{result.job_id} {how} after {result.seconds:.1f} s")
    ran = any(job.ran for job in result.jobs)
    try:
        show_report(work, "execution", only=only, region=region, job_id=result.job_id, write=ran)
    except MigrationError as error:
        if result.ok:
            raise
        # What failed is told below, and most likely for the same reason.
        note(f"no report was made: {error.what.partition(':')[0]}; once it is mended: ts-migration report")
    for job in result.jobs:
        if job.errors:
            error_line(f"job {job.job}: " + "\n  - ".join(["", *job.errors] if len(job.errors) > 1 else job.errors))
    if result.cancelled:
        which = ", ".join(job.job_id for job in result.jobs if job.cancelled) or result.job_id
        error_line(f"{which} cancelled; finished windows stay finished. Next: ts-migration execute --resume goes on")
        return ExitCode.CANCELLED
    for job in result.jobs:
        for told in filter(None, [job.passed, job.unmet]):
            error_line(f"job {job.job}: {told}")
    if not result.ok:
        again = "; what failed is tried again by the same command" if any(job.errors for job in result.jobs) else ""
        note(f"job id {result.job_id}{again}")
        rolled_back = _roll_back(work, result, region)
        for job in result.jobs:
            if job.unproven and job.job not in rolled_back:
                note(f"next: ts-migration repair --table {job.job} mends what failed its checks; --dry-run tells how")
        return ExitCode.FAILED
    accepted = sum(job.accepted for job in result.jobs)
    if accepted:
        say(f"{accepted:,} window{'s' if accepted > 1 else ''} passed and {'are' if accepted > 1 else 'is'} accepted")
    if not ran:
        say("Nothing was left to do")
        return ExitCode.OK
    say(f"Migration finished in {result.seconds:.1f} s, job id {result.job_id}")
    note(_kept(work, region))
    note("next: ts-migration validate")
    return ExitCode.OK


def _roll_back(work: Work, result: "ExecutionResult", region: str | None) -> set[str]:
    """Roll back the jobs that failed for good and say rollback_enabled, and name them; of others tell the command.

    The report is written by then: what failed, where and why outlives what is deleted.
    """
    from ts_migration.cli.rollback import perform

    rolled_back = set()
    for job in result.jobs:
        if not job.failed_for_good:
            continue
        if not work.config.job(job.job).rollback_enabled:
            note(f"rollback_enabled is false; ts-migration rollback {job.job} --dry-run tells what a rollback would do")
            continue
        error_line(f"job {job.job}: {job.failed:,} windows failed for good: it is rolled back (rollback_enabled)")
        try:
            perform(work, job.job, f"{job.failed} windows failed for good in {result.job_id}", region=region)
        except MigrationError as error:
            error_line(f"job {job.job}: not rolled back: {error}")
        else:
            rolled_back.add(job.job)
    return rolled_back
