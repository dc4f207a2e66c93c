"""`ts-migration catch-up`: takes in what came to the source since. `orchestration.catch_up` does the work."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.progress import Show
from ts_migration.cli.report import show_report
from ts_migration.cli.work import ConfigOption, OnlyOption, ParallelJobsOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.operations.arrivals import Arrivals
    from ts_migration.orchestration.catch_up import CatchUpResult, EndTimeChange


def catch_up(
    config: ConfigOption = None,
    only: OnlyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what came and what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Change end_time in the configuration without asking.")] = False,
    region: RegionOption = None,
    parallel_jobs: ParallelJobsOption = None,
) -> None:
    """Migrate rows that came to the source since their windows were exported, or at or after end_time, until none come.

    Windows that grew are exported, loaded and checked again. Rows at or after end_time need a later one: it is changed
    in the configuration file, after a question, and the former file is kept beside it.

    Example: ts-migration catch-up --dry-run
    """
    work = begin(config, parallel_jobs=parallel_jobs, only=only)
    if dry_run:
        _dry_run(work, only, region)
        return
    from ts_migration.environment import remember
    from ts_migration.operations.prerequisites import look_at_prerequisites

    found = look_at_prerequisites(work.config, work.environment, only=only, region=region, unload=False)
    if not found.ok:
        error_line("\n  - ".join(["nothing was begun:", *map(str, found.failures)]))
        raise typer.Exit(ExitCode.COULD_NOT_START)
    remember(Path.cwd(), config=work.path)
    from ts_migration.orchestration.catch_up import catch_up as run

    log = LogFile(Path.cwd() / EXECUTION_LOG, work.config.migration_settings.log_format)
    log.write(f"catch-up {work.path}")

    def on_look(number: int, arrivals: "tuple[Arrivals, ...]") -> None:
        for line in _told(arrivals):
            say(f"pass {number}: {line}")
            log.write(f"pass {number}: {line}")

    with Show("Catching up", log, work.config.migration_settings.progress_monitoring_interval) as show:
        result = run(
            work.environment,
            config_path=work.path,
            only=only,
            parallel_jobs=parallel_jobs,
            region=region,
            report=show,
            on_look=on_look,
            agree=lambda change: _agree(change, yes, log),
        )
    raise typer.Exit(_conclude(begin(config, only=only), result, log, only, region))


def _dry_run(work: Work, only: str | None, region: str | None) -> None:
    from ts_migration.config_end_time import difference, with_end_times
    from ts_migration.orchestration.catch_up import look_at_arrivals

    found = look_at_arrivals(work.config, work.environment, only=only, region=region)
    for line in _told(found):
        say(line)
    ends = {each.job.job_name: each.new_end_ns for each in found if each.new_end_ns is not None}
    if ends:
        before = work.path.read_text(encoding="utf-8")
        for line in difference(before, with_end_times(before, ends), str(work.path)):
            say(line)


def _told(found: "tuple[Arrivals, ...]") -> list[str]:
    """What came, a line for each job and kind."""
    from ts_migration.cutover.readiness import notes_of
    from ts_migration.windows import iso

    lines = []
    for one in found:
        slug = one.job.slug
        for window in one.late[:10]:
            lines.append(
                f"{slug}: window {window.key}: {window.exported:,} rows were exported, {window.now:,} are there now"
            )
        if len(one.late) > 10:
            lines.append(f"{slug}: and {len(one.late) - 10:,} more windows that grew")
        for window in one.rewritten[:10]:
            lines.append(f"{slug}: window {window.key}: some of its {window.now:,} rows were written again since")
        if len(one.rewritten) > 10:
            lines.append(f"{slug}: and {len(one.rewritten) - 10:,} more windows with other values")
        if one.new_end_ns is not None:
            lines.append(
                f"{slug}: {one.after_end.rows:,} rows at or after end_time {iso(one.job.end_time)}; "
                f"a range until {iso(one.new_end_ns)} holds them"
            )
        lines += notes_of(one)
        if one.nothing:
            lines.append(f"{slug}: nothing new in the source")
    return lines


def _agree(change: "EndTimeChange", yes: bool, log: LogFile) -> bool:
    """Show how the configuration would change, and change it if somebody says yes."""
    from ts_migration.config_end_time import difference, write_keeping_former

    for line in difference(change.before, change.after, str(change.path)):
        say(line)
    if not yes and (not sys.stdin.isatty() or not typer.confirm(f"Change {change.path}?", err=True)):
        return False
    former = write_keeping_former(change.path, change.before, change.after)
    note(f"{change.path} has the later end_time; the former file is {former}")
    note("a running `dagster dev` or daemon goes by the former one until its code location is reloaded")
    log.write(f"end_time changed in {change.path}, the former file is {former}")
    return True


def _conclude(work: Work, result: "CatchUpResult", log: LogFile, only: str | None, region: str | None) -> int:
    jobs = [job for one in result.passes for job in one.jobs]
    windows = sum(job.ran for job in jobs)
    seconds = sum(one.seconds for one in result.passes)
    count = f"{len(result.passes)} pass{'' if len(result.passes) == 1 else 'es'}"
    log.write(f"catch-up {'finished' if result.ok else 'not finished'} after {count}, {seconds:.1f} s")
    if windows:
        show_report(work, "execution", only=only, region=region)
    for job in result.passes[-1].jobs if result.passes else ():
        for message in [*job.errors, *filter(None, [job.passed])]:
            error_line(f"job {job.job}: {message}")
    if result.interrupted:
        error_line("cancelled; finished windows stay finished. Next: the same command goes on from here")
        return ExitCode.CANCELLED
    if result.declined:
        error_line(
            f"rows at or after end_time were left: {work.path} was not changed. Next: `ts-migration catch-up --yes`, "
            "or write the end_time that is shown above and run `ts-migration catch-up` again"
        )
        return ExitCode.FAILED
    if not result.still:
        error_line(
            f"the source is not still after {count}: it is written to. Next: stop its writers and run "
            "`ts-migration catch-up` again, or let them write to both systems and set cutover.dual_write_since"
        )
        return ExitCode.FAILED
    if not result.ok:
        return ExitCode.FAILED
    migrated = f"{windows:,} window{'' if windows == 1 else 's'} migrated"
    say(f"The source is still: {migrated} in {count}, {seconds:.1f} s")
    note("next: ts-migration cutover --status")
    return ExitCode.OK
