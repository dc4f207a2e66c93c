"""Which worker processes of this machine live, and what to do with runs whose worker does not.

A worker holds a file lock for as long as it lives; the kernel releases it however the process ends, so a dead worker is
known at once and a recycled process id deceives nobody. A run of a dead worker would stay STARTED for ever.
"""

import fcntl
import socket
from pathlib import Path

import dagster as dg

from ts_migration.orchestration.names import WORKER_TAG

_held: list[object] = []
"""Open lock files of this process: closing one would release it."""

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def announce_worker(home: Path, worker_id: str) -> None:
    """Hold this process's lock until it ends."""
    folder = home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / worker_id).open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    _held.append(file)


def is_alive(home: Path, worker_id: str) -> bool:
    """Whether a worker of this machine still runs."""
    path = home / "workers" / worker_id
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    path.unlink(missing_ok=True)
    return False


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of this machine's dead workers as failed and free what they held; the ids of those runs."""
    home, host = Path(instance.root_directory), socket.gethostname()
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        worker_host, _, worker_id = run.tags.get(WORKER_TAG, "").partition("/")
        if worker_host != host or is_alive(home, worker_id):
            continue
        instance.report_run_failed(run, "the process that worked on this run is gone; its window can be run again")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        ended.append(run.run_id)
    return ended


def ask_runs_of_to_end(instance: dg.DagsterInstance, worker_id: str) -> None:
    """Write down that the runs of a worker of this machine are to be cancelled.

    Dagster takes a run that is interrupted without it for a failed one.
    """
    for run in instance.get_runs(dg.RunsFilter(tags=_tags_of(worker_id), statuses=UNFINISHED)):
        instance.report_run_canceling(run)


def cancel_runs_of(instance: dg.DagsterInstance, worker_id: str, since: float) -> None:
    """Write down that what a worker of this machine was at since a time (Unix time) is cancelled; it has ended.

    A run that was interrupted while it started says that it failed, or nothing at all.
    """
    wanted = dg.RunsFilter(tags=_tags_of(worker_id), statuses=[*UNFINISHED, dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(wanted):
        run = record.dagster_run
        if run.is_finished and (record.end_time or 0.0) < since:
            continue
        instance.report_run_canceled(run, "cancelled; the window goes on from here when it is run again")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _tags_of(worker_id: str) -> dict[str, str]:
    return {WORKER_TAG: f"{socket.gethostname()}/{worker_id}"}
