"""`ts-migration repair`: mends windows that failed or are stale. `orchestration.repair_run` does the work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.progress import Show
from ts_migration.cli.work import ConfigOption, ParallelJobsOption, RegionOption, Work, begin, window_keys
from ts_migration.errors import ExitCode, Refused

if TYPE_CHECKING:
    from ts_migration.config import MigrationJob
    from ts_migration.orchestration.repair_run import Repair


def repair(
    table: Annotated[
        str | None, typer.Option("--table", help="The table: DATABASE.TABLE or TABLE, or the job's job_name.")
    ] = None,
    config: ConfigOption = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Only these windows: KEY or FROM..TO, both included.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what each window needs; change nothing.")
    ] = False,
    parallel_jobs: ParallelJobsOption = None,
    region: RegionOption = None,
) -> None:
    """Mend windows that failed or are stale, each by the least that it needs, and check those again.

    Exit code 0: mended, 1: not mended, 2: could not.

    Example: ts-migration repair --table ons_energy_data.load_data --window 2023-02-01 --dry-run
    """
    work = begin(config, parallel_jobs=parallel_jobs)
    job = job_of_table(work, table)
    keys = window_keys(window, [job])
    if dry_run:
        from ts_migration.orchestration.repair_run import look

        raise typer.Exit(_tell_needs(look(work.config, work.environment, job, windows=keys, region=region)))
    raise typer.Exit(_repair(work, job, keys, region, parallel_jobs))


def job_of_table(work: Work, table: str | None) -> "MigrationJob":
    """The job that --table names.

    Raises:
        Refused: none is, or several are.
    """
    jobs = work.config.migration_jobs
    if table is None:
        found = list(jobs)
    else:
        found = [job for job in jobs if table in (job.job_name, job.slug)]
        found = found or [job for job in jobs if table == job.source]
        found = found or [job for job in jobs if table == job.source_table]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{job.source} ({job.slug})" for job in jobs)
    raise Refused(
        f"{len(found) or 'no'} jobs of the configuration fit " + (f"--table {table!r}" if table else "no --table"),
        where=str(work.path),
        allowed=known,
        next_step="name one job by --table",
    )


def _tell_needs(found: "Repair") -> int:
    for window in found.windows:
        say(f"{found.job}: window {window.key}: {window.was}: {window.because}")
        say(f"    by its last checks it needs: {window.need}; then its checks")
    _tell_others(found)
    if not found.windows:
        return _tell_nothing(found)
    note(f"nothing was changed; next: ts-migration repair --table {found.job}")
    return ExitCode.OK


def _repair(
    work: Work, job: "MigrationJob", keys: tuple[str, str] | None, region: str | None, parallel_jobs: int | None
) -> int:
    from ts_migration.orchestration.repair_run import repair as run

    log = LogFile(Path.cwd() / EXECUTION_LOG, work.config.migration_settings.log_format)
    log.write(f"repair {work.path} {job.slug}")
    with Show("Repairing", log, work.config.migration_settings.progress_monitoring_interval) as show:
        found = run(
            work.config,
            work.environment,
            job,
            config_path=work.path,
            windows=keys,
            parallel_jobs=parallel_jobs,
            region=region,
            report=show,
        )
    return _conclude(found, log)


def _conclude(found: "Repair", log: LogFile) -> int:
    if not found.windows:
        _tell_others(found)
        return _tell_nothing(found)
    for window in found.windows:
        say(f"{found.job}: window {window.key} was {window.was}: {window.because}")
        outcome = window.outcome
        if outcome is None:
            say("    not tried")
            continue
        if outcome.done:
            say(f"    done: {outcome.done}")
        came_to = outcome.reason or outcome.status if window.mended else f"not mended: {outcome.error}"
        say(f"    now: {came_to}")
        log.write(f"{found.job}: window {window.key}: {outcome.done}: {came_to}")
    _tell_others(found)
    for problem in found.problems:
        error_line(f"job {found.job}: {problem}")
    mended = sum(window.mended for window in found.windows)
    say(f"{found.job}: {mended:,} of {len(found.windows):,} windows mended in {found.seconds:.1f} s")
    if found.interrupted:
        error_line("cancelled; what was mended stays mended. Next: the same command goes on from here")
        return ExitCode.CANCELLED
    if found.ok:
        note("next: ts-migration execute rolls the table up" if found.complete else "next: ts-migration status")
        return ExitCode.OK
    for window in found.windows:
        if not window.mended:
            told = window.outcome.error if window.outcome else "not tried"
            error_line(f"job {found.job}, window {window.key}: {told}")
    note("next: ts-migration report shows what still differs, point by point")
    return ExitCode.COULD_NOT_START if found.could_not else ExitCode.FAILED


def _tell_others(found: "Repair") -> None:
    if missing := found.others.get("missing"):
        windows = "1 window is" if missing == 1 else f"{missing:,} windows are"
        say(f"{found.job}: {windows} not loaded and checked yet: that is for `ts-migration execute`")


def _tell_nothing(found: "Repair") -> int:
    """No window that was named is failed or stale, by the last checks."""
    told = ", ".join(f"{count:,} {status}" for status, count in found.others.items())
    say(f"{found.job}: nothing to repair ({told})")
    note("that is what the last checks say; `ts-migration validate` looks at both systems again")
    return ExitCode.OK
