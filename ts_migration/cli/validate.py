"""`ts-migration validate`: both systems are read again and compared. `orchestration.validation_run` does the work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, say
from ts_migration.cli.log_file import VALIDATION_LOG, LogFile
from ts_migration.cli.progress import Show
from ts_migration.cli.report import show_report
from ts_migration.cli.work import ConfigOption, OnlyOption, ParallelJobsOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode, Refused

if TYPE_CHECKING:
    from ts_migration.orchestration.validation_run import ValidationResult

_SHOWN_PROBLEMS = 20
_WITHOUT_FILES = (
    "its export files are gone; compared were the digests that the manifests keep, counts and samples with both "
    "systems. Only the points that differ could not be named, where a window fails"
)


def validate(
    config: ConfigOption = None,
    only: OnlyOption = None,
    region: RegionOption = None,
    parallel_jobs: ParallelJobsOption = None,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="Check as many windows at a time as the machine has processors.")
    ] = False,
    database: Annotated[str | None, typer.Option("--database", help="Source database of the table to check.")] = None,
    table_name: Annotated[str | None, typer.Option("--table", help="Source table to check.")] = None,
    bucket: Annotated[str | None, typer.Option("--bucket", help="Bucket that the table went to.")] = None,
    start_time: Annotated[
        str | None, typer.Option("--start-time", help="Start of the job's range; a part of it is refused for now.")
    ] = None,
    end_time: Annotated[
        str | None, typer.Option("--end-time", help="End of the job's range; a part of it is refused for now.")
    ] = None,
) -> None:
    """Check every loaded window again, on both systems. Exit code 0: proven or accepted, 1: not, 2: could not check.

    Example: ts-migration validate --config migration_config.yaml --parallel
    """
    work = begin(config, only=only)
    only = _one_table(work, database, table_name, bucket, start_time, end_time) or only
    raise typer.Exit(_validate(work, only, region, _processes(work, parallel, parallel_jobs)))


def _processes(work: Work, parallel: bool, parallel_jobs: int | None) -> int | None:
    import os

    if parallel and parallel_jobs is None:
        return max(work.config.migration_settings.parallel_jobs, os.cpu_count() or 1)
    return parallel_jobs


def _one_table(
    work: Work, database: str | None, table_name: str | None, bucket: str | None, start: str | None, end: str | None
) -> str | None:
    """The job that --database, --table and --bucket name, or None where none of the flags is given.

    Raises:
        Refused: no job is that table, or a range was given that is not the job's own.
    """
    if not any((database, table_name, bucket, start, end)):
        return None
    from ts_migration.config_values import exclusive_end_ns, time_ns

    jobs = [
        job
        for job in work.config.migration_jobs
        if database in (None, job.source_database)
        and table_name in (None, job.source_table)
        and bucket in (None, job.target_bucket)
    ]
    if len(jobs) != 1:
        known = ", ".join(f"{job.source} -> {job.target_bucket}" for job in work.config.migration_jobs)
        raise Refused(
            f"{len(jobs) or 'no'} jobs of the configuration fit --database, --table and --bucket",
            where=str(work.path),
            allowed=known,
            next_step="name one job's table; tables outside of a configuration cannot be checked yet",
        )
    job = jobs[0]
    try:
        whole = (start is None or time_ns(start) <= job.start_time) and (
            end is None or exclusive_end_ns(end) >= job.end_time
        )
    except ValueError as error:
        raise Refused("--start-time or --end-time is no time", allowed=str(error)) from None
    if not whole:
        raise Refused(
            "a range inside a job cannot be checked yet",
            where=f"job {job.job_name!r}",
            next_step="leave --start-time and --end-time out: every window of the job is then checked",
        )
    return job.job_name


def _validate(work: Work, only: str | None, region: str | None, parallel_jobs: int | None) -> int:
    from ts_migration.orchestration.validation_run import validate as run

    log = LogFile(Path.cwd() / VALIDATION_LOG)
    log.write(f"validate {work.path}")
    with Show("Checking", log) as show:
        result = run(
            work.config,
            work.environment,
            config_path=work.path,
            only=only,
            parallel_jobs=parallel_jobs,
            region=region,
            report=show,
        )
    return _conclude(work, result, log, only, region)


def _conclude(work: Work, result: "ValidationResult", log: LogFile, only: str | None, region: str | None) -> int:
    for one in result.tables:
        told = f"{one.proven:,} proven" + (f", {one.accepted:,} accepted" if one.accepted else "")
        say(f"{one.job}: {one.checked:,} of {one.windows:,} windows checked, {told}")
        if one.files_gone and one.checked:
            say(f"{one.job}: {_WITHOUT_FILES}")
        for problem in one.problems:
            log.write(f"{one.job}: {problem}")
    log.write(f"{result.job_id} {'proven' if result.ok else 'not proven'} after {result.seconds:.1f} s")
    if any(one.checked for one in result.tables):
        # Where nothing could be checked, a new report would repeat what earlier runs found as if it were known now.
        show_report(work, "validation", only=only, region=region, job_id=result.job_id)
    for one in result.tables:
        problems = _together(one.problems)
        for problem in problems[:_SHOWN_PROBLEMS]:
            error_line(f"job {one.job}: {problem}")
        if len(problems) > _SHOWN_PROBLEMS:
            error_line(f"job {one.job}: and {len(problems) - _SHOWN_PROBLEMS} more")
    if result.interrupted:
        error_line("cancelled before everything was checked")
        return ExitCode.CANCELLED
    if result.could_not_check:
        return ExitCode.COULD_NOT_START
    if not result.ok:
        return ExitCode.FAILED
    accepted = sum(one.accepted for one in result.tables)
    but = f"Every window is proven but for {accepted:,}, which passed and were accepted" if accepted else ""
    say(f"{but or 'Every value is proven'}; checked in {result.seconds:.1f} s")
    return ExitCode.OK


def _together(problems: list[str]) -> list[str]:
    """Problems, those that many windows share told once with the windows."""
    windows: dict[str, list[str]] = {}
    for problem in problems:
        head, found, text = problem.partition(": ")
        key = head.removeprefix("window ")
        if found and key != head:
            windows.setdefault(text.replace(key, "…"), []).append(key)
        else:
            windows[problem] = []
    told = []
    for text, keys in windows.items():
        if len(keys) == 1:
            told.append(f"window {keys[0]}: {text.replace('…', keys[0])}")
        else:
            told.append(f"{len(keys):,} windows ({keys[0]} to {keys[-1]}): {text}" if keys else text)
    return told
