"""`execute --job-id` and `execute --cancel-job`: one job by its id, whoever runs it. No configuration is needed."""

import getpass
import socket
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.progress_row import duration_text
from ts_migration.errors import ExitCode, MigrationError

if TYPE_CHECKING:
    from ts_migration.config import Environment
    from ts_migration.orchestration.cancellation import Named
    from ts_migration.orchestration.job_progress import JobProgress


def show_job(job_id: str, config: str | None) -> int:
    """Tell where a job stands; the exit code tells how it ended.

    Raises:
        Missing: there is no such job.
    """
    from ts_migration.environment import activate
    from ts_migration.orchestration.cancellation import named
    from ts_migration.orchestration.home import open_instance
    from ts_migration.orchestration.job_progress import job_progress
    from ts_migration.orchestration.liveness import fail_dead_runs

    tables = _tables(activate(Path.cwd()), config)
    with open_instance() as instance:
        fail_dead_runs(instance)
        found = named(instance, job_id, tables)
        told = [job_progress(instance, record) for record in found.jobs]
    for progress in told:
        _tell(progress)
    _tell_runs(found)
    return _exit_code(told, found)


def cancel_job(job_id: str, config: str | None) -> int:
    """Stop a job and tell what became of it; exit code 1 where there was nothing to stop, or it would not stop.

    Raises:
        Missing: there is no such job.
    """
    from ts_migration.environment import activate
    from ts_migration.orchestration.cancellation import cancel, named
    from ts_migration.orchestration.home import open_instance
    from ts_migration.orchestration.job_record import MIGRATING

    tables = _tables(activate(Path.cwd()), config)
    log = LogFile(Path.cwd() / EXECUTION_LOG)
    with open_instance() as instance:
        found = named(instance, job_id, tables)
        done = cancel(instance, found, by=f"{getpass.getuser()} on {socket.gethostname()}")
    for one in done:
        line = f"{one.id}: cancelled, it was {one.was}; stopped within {one.seconds:.1f} s"
        if one.was_over:
            line = f"{one.id}: nothing to cancel, it had ended before: {one.was}"
        elif not one.stopped:
            line = f"{one.id}: asked to stop, and it still runs after {one.seconds:.1f} s"
        log.write(line, event="cancel", job=one.id)
        if one.stopped:
            say(line)
        else:
            error_line(line)
    if any(one.stopped for one in done):
        others = [each.again for each in found.jobs if each.begin.command not in MIGRATING]
        again = "; ".join(others) if others else "ts-migration execute --resume goes on from here"
        note(f"what was finished stays finished; next: {again}")
    return ExitCode.OK if any(one.stopped for one in done) else ExitCode.FAILED


def _tables(environment: "Environment", config: str | None) -> dict[str, str]:
    """Job names and slugs of the configuration -> paths of their tables' assets; nothing where there is none."""
    from ts_migration.config import load_config
    from ts_migration.environment import config_path
    from ts_migration.orchestration.names import TableNames

    try:
        loaded = load_config(config_path(config, environment, Path.cwd()))
    except MigrationError:
        # A job that runs must be stoppable while its configuration is being edited.
        return {}
    paths = {job.slug: "/".join(TableNames.of(loaded, job).prefix) for job in loaded.migration_jobs}
    return paths | {job.job_name: paths[job.slug] for job in loaded.migration_jobs}


def _tell(progress: "JobProgress") -> None:
    record, begin = progress.record, progress.record.begin
    say(f"job       {record.job_id}")
    say(f"state     {progress.state.value}")
    say(f"command   {begin.command}, begun {_when(record.began)}, process {begin.pid} on {begin.host}")
    if record.ended is not None:
        say(f"ended     {_when(record.ended)}, after {duration_text(progress.seconds)}")
    say(f"table     {begin.source} to bucket {begin.bucket}")
    if record.to_do is not None:
        words = [f"{progress.done:,} of {progress.windows:,} done", f"{progress.failed:,} failed"]
        if progress.cancelled:
            words.append(f"{progress.cancelled:,} cancelled")
        say(f"windows   {', '.join(words)}")
        rates = f"{progress.rate:,.0f} points/s, {progress.rate_now:,.0f} of late"
        say(f"points    {progress.points:,} of {progress.rows:,} rows; {rates}")
    if progress.left_s is not None:
        say(f"left      about {duration_text(progress.left_s)}")
    for each in progress.at_work:
        say(f"at work   {each.key}: {each.step}, {duration_text(each.seconds)}")
    for error in progress.errors:
        say(f"told      {error}")
    _tell_next(progress)


def _tell_next(progress: "JobProgress") -> None:
    from ts_migration.orchestration.job_progress import JobState
    from ts_migration.orchestration.job_record import MIGRATING

    job_id = progress.record.job_id
    migrates = progress.record.begin.command in MIGRATING
    match progress.state:
        case JobState.GONE | JobState.CANCELLED | JobState.FAILED if not migrates:
            note(f"next: {progress.record.again}")
        case JobState.GONE | JobState.CANCELLED:
            note("next: ts-migration execute --resume goes on from here")
        case JobState.FAILED:
            note("next: ts-migration status names failed windows; ts-migration execute --resume tries them again")
        case JobState.SUCCEEDED:
            note("next: ts-migration validate" if migrates else "next: ts-migration status")
        case _:
            note(f"to stop it: ts-migration execute --cancel-job {job_id}")


def _tell_runs(found: "Named") -> None:
    """What Dagit started, counted by status."""
    if found.backfill is not None:
        say(f"backfill  {found.backfill.backfill_id}")
        say(f"state     {found.backfill.status.value.lower()}")
    if found.runs:
        counts = Counter(run.status.value.lower() for run in found.runs)
        say(f"runs      {', '.join(f'{count:,} {status}' for status, count in sorted(counts.items()))}")


def _exit_code(told: "list[JobProgress]", found: "Named") -> int:
    from ts_migration.orchestration.job_progress import JobState

    states = {progress.state for progress in told}
    ended = {run.status.value for run in found.runs}
    if states & {JobState.FAILED, JobState.GONE} or "FAILURE" in ended:
        return ExitCode.FAILED
    if JobState.CANCELLED in states or "CANCELED" in ended:
        return ExitCode.CANCELLED
    return ExitCode.OK


def _when(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
