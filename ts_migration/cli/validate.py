"""`ts-migration validate`: both systems are read again and compared. `orchestration.validation_run` does the work.

Any range of one table is `validate_range`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.log_file import VALIDATION_LOG, LogFile
from ts_migration.cli.progress import Show
from ts_migration.cli.report import show_report
from ts_migration.cli.validate_range import RangeFlags, check_range, is_whole_job, job_meant, request_of, work_if_any
from ts_migration.cli.work import ConfigOption, OnlyOption, ParallelJobsOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

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
        bool,
        typer.Option(
            "--parallel",
            help="Check as many windows, or parts of the range, at a time as the machine has processors.",
        ),
    ] = False,
    database: Annotated[str | None, typer.Option("--database", help="Source database of the table to check.")] = None,
    table_name: Annotated[str | None, typer.Option("--table", help="Source table to check.")] = None,
    bucket: Annotated[str | None, typer.Option("--bucket", help="Bucket that the table went to.")] = None,
    start_time: Annotated[
        str | None, typer.Option("--start-time", help="Start of any range, included; default: the job's.")
    ] = None,
    end_time: Annotated[
        str | None, typer.Option("--end-time", help="End of the range, excluded; 23:59:59 means through that second.")
    ] = None,
    measurement: Annotated[
        str | None, typer.Option("--measurement", help="Measurement that the points are in; default: as migrated.")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option("--mapping", help="How rows became points, as a job's `mapping`: '{keep_measure_name: false}'."),
    ] = None,
) -> None:
    """Check every loaded window again, on both systems. Exit code 0: proven or accepted, 1: not, 2: could not check.

    With --database, --table, --bucket, --start-time and --end-time any range of any table is checked, without a
    configuration.

    Example: ts-migration validate --config migration_config.yaml --parallel
    """
    flags = RangeFlags(database, table_name, bucket, start_time, end_time, measurement, mapping)
    if flags.given:
        work = work_if_any(config, only)
        job = job_meant(work, only, flags) if work else None
        if work is None or job is None or not is_whole_job(job, flags):
            request = request_of(work, job, flags, _parts(parallel, parallel_jobs))
            raise typer.Exit(check_range(request, region))
        only = job.job_name
    else:
        work = begin(config, only=only)
    raise typer.Exit(_validate(work, only, region, _processes(work, parallel, parallel_jobs)))


def _parts(parallel: bool, parallel_jobs: int | None) -> int:
    import os

    return parallel_jobs or ((os.cpu_count() or 1) if parallel else 1)


def _processes(work: Work, parallel: bool, parallel_jobs: int | None) -> int | None:
    import os

    if parallel and parallel_jobs is None:
        return max(work.config.migration_settings.parallel_jobs, os.cpu_count() or 1)
    return parallel_jobs


def _validate(work: Work, only: str | None, region: str | None, parallel_jobs: int | None) -> int:
    from ts_migration.orchestration.validation_run import validate as run

    log = LogFile(Path.cwd() / VALIDATION_LOG, work.config.migration_settings.log_format)
    log.write(f"validate {work.path}")
    with Show("Checking", log, work.config.migration_settings.progress_monitoring_interval) as show:
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
        if one.failed:
            note(f"next: ts-migration repair --table {one.job} mends failed windows; --dry-run tells how")
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
            # They come in the order in which workers were done with them.
            told.append(f"{len(keys):,} windows ({min(keys)} to {max(keys)}): {text}" if keys else text)
    return told
