"""`ts-migration monitor`: looks at jobs until they have ended. `orchestration.monitor` looks; `monitor_view` shows."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import note
from ts_migration.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from ts_migration.cli.monitor_view import View, Wanted
    from ts_migration.config import Environment
    from ts_migration.orchestration.monitor import Look, Monitor
    from ts_migration.orchestration.monitored_job import MonitoredJob

LOOK_S = 5.0
"""Jobs are looked at so often at least, and shown every `--update-interval`: the end of one is not waited for."""
FIRST_S = 10.0
"""How long a job that is about to begin is waited for where none runs: people start both in two terminals."""


def monitor(
    more: Annotated[list[str] | None, typer.Argument(metavar="[JOB_ID]...", help="The jobs to look at.")] = None,
    job_ids: Annotated[
        list[str] | None,
        typer.Option("--job-ids", help="The jobs to look at, apart by spaces: --job-ids ONE TWO THREE."),
    ] = None,
    job_id: Annotated[str | None, typer.Option("--job-id", help="The one job to look at, in more detail.")] = None,
    auto_discover: Annotated[
        bool, typer.Option("--auto-discover", help="Look at whatever runs, and what begins meanwhile; the default.")
    ] = False,
    update_interval: Annotated[
        float, typer.Option("--update-interval", min=0.2, help="Seconds between two updates.")
    ] = 10.0,
    max_duration: Annotated[
        float | None, typer.Option("--max-duration", min=0, help="Seconds after which to stop looking: exit code 3.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object an update, a line each.")] = False,
    target: Annotated[
        bool, typer.Option("--target", help="Also CPU, memory, disk and queue of the InfluxDB of INFLUXDB_URL.")
    ] = False,
    logs: Annotated[bool, typer.Option("--logs", help="Follow what the jobs' runs log.")] = False,
    log_group: Annotated[
        str | None, typer.Option("--log-group", help="Follow this log group of CloudWatch Logs as well.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS Region; default: what boto3 finds.")] = None,
) -> None:
    """Watch jobs from any machine that sees Dagster's storage, until all have ended.

    A job is named by the id that execute told, an execution, a backfill, a run, or a job's name. Exit codes: 0 all
    succeeded, 1 one failed or its process is gone, 3 still running after --max-duration, 130 cancelled.

    Example: ts-migration monitor --auto-discover --update-interval 30
    """
    ids = [*(job_ids or ()), *(more or ()), *([job_id] if job_id else ())]
    if auto_discover and ids:
        raise ConfigurationError(["--auto-discover looks at all jobs, and jobs are named too"], where="command line")
    from ts_migration.cli.monitor_view import Wanted
    from ts_migration.environment import activate

    wanted = Wanted(tuple(ids), update_interval, max_duration, as_json, target, logs, log_group, region)
    try:
        code = watch(wanted, activate())
    except KeyboardInterrupt:
        note("no longer watched; the jobs go on")
        code = ExitCode.CANCELLED
    raise typer.Exit(code)


def watch(wanted: "Wanted", environment: "Environment") -> ExitCode:
    """Show jobs until they have ended, or time is over."""
    from ts_migration.cli.monitor_view import surroundings, view_of
    from ts_migration.orchestration.home import open_instance
    from ts_migration.orchestration.monitor import Monitor

    with open_instance() as instance:
        jobs = Monitor(instance, wanted.ids)
        around = surroundings(wanted, environment)
        with view_of(wanted) as show:
            last: Look | None = None
            for look, due in _looks(jobs, wanted):
                last = look
                show.lines(look, around.cloud_lines())
                if due:
                    show.update(look, around.look(look))
            return _end(jobs, last, show)


def _looks(jobs: "Monitor", wanted: "Wanted") -> "Iterator[tuple[Look, bool]]":
    """Look after look, and whether it is to be shown; ends with all jobs, or when time is over."""
    began = time.monotonic()
    shown = 0.0
    while True:
        now = time.monotonic()
        look = jobs.look()
        over = all(job.over for job in look.jobs) and (bool(look.jobs) or now - began >= FIRST_S)
        late = wanted.max_s is not None and now - began >= wanted.max_s
        due = over or late or not shown or now - shown >= wanted.interval_s
        if look.jobs or over or late:
            shown = now if due else shown
            yield look, due
        if over or late:
            return
        pause = min(wanted.interval_s, LOOK_S if look.jobs else 0.5)
        if wanted.max_s is not None:
            pause = min(pause, max(0.05, began + wanted.max_s - time.monotonic()))
        time.sleep(max(0.05, pause - (time.monotonic() - now)))


def _end(jobs: "Monitor", last: "Look | None", show: "View") -> ExitCode:
    """Tell how it ended; the exit code."""
    if last is None or not last.jobs:
        newest = jobs.newest()
        show.finish(newest)
        note("no migration is running" + ("; these are the jobs of the newest command" if newest else ""))
        return ExitCode.OK
    show.finish(last.jobs)
    code = exit_code(last.jobs)
    if code is ExitCode.STILL_RUNNING:
        note("--max-duration is over and jobs still run; next: the same command goes on watching")
    return code


def exit_code(jobs: "tuple[MonitoredJob, ...]") -> ExitCode:
    """What a caller is told of jobs: the worst of them, but first whether any still runs."""
    from ts_migration.orchestration.job_progress import JobState

    states = {job.state for job in jobs}
    if not all(state.over for state in states):
        return ExitCode.STILL_RUNNING
    if states & {JobState.FAILED, JobState.GONE}:
        return ExitCode.FAILED
    return ExitCode.CANCELLED if JobState.CANCELLED in states else ExitCode.OK
