"""Which processes of this machine that run windows live, and what to do with the runs of those that do not.

A worker of a command holds a file lock for as long as it lives, and so does the process of a run that Dagster started.
The kernel releases it however the process ends, so a dead one is known at once and a recycled process id deceives
nobody. A run of a dead process would stay STARTED for ever and keep its slots of pools.
"""

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import dagster as dg

from ts_migration.orchestration.names import WORKER_TAG

_held: list[object] = []
"""Open lock files of this process: closing one would release it."""

LOCKS = "workers"
"""Folder of lock files in Dagster's home, named by worker or run, with the machine's name in them."""

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def announce_worker(home: Path, worker_id: str) -> None:
    """Hold this process's lock until it ends."""
    _held.append(_locked(home, worker_id))


@contextmanager
def announced_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """Hold a lock for a run that has this process to itself, as Dagster's own runs do, while the block lasts."""
    if instance.is_ephemeral or worker_of(run):
        yield
        return
    home = Path(instance.root_directory)
    with _locked(home, run.run_id):
        try:
            yield
        finally:
            # While it is locked: a file that is there and free is one of a process that died.
            _lock_file(home, run.run_id).unlink(missing_ok=True)


def worker_of(run: dg.DagsterRun) -> str:
    """`host/id` of the command's worker process that has a run; empty where Dagster started it.

    One that somebody executes again in Dagit has its parent's tags, and not its worker.
    """
    return "" if run.parent_run_id else run.tags.get(WORKER_TAG, "")


def is_alive(home: Path, worker_id: str) -> bool:
    """Whether a worker of this machine still runs."""
    path = _lock_file(home, worker_id)
    return path.exists() and not list(_left_behind([path]))


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of this machine's dead processes as failed and free what they held; the ids of those runs."""
    home, host = Path(instance.root_directory), socket.gethostname()
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        worker_host, _, worker_id = worker_of(run).partition("/")
        if worker_host == host and not is_alive(home, worker_id):
            _end(instance, run)
            ended.append(run.run_id)
    for name in _left_behind((home / LOCKS).glob("[!.]*")):
        # Dagster fails a run whose process is gone, where its code server lives; slots of pools it leaves claimed.
        if found := instance.get_run_by_id(name):
            _end(instance, found)
            ended.append(found.run_id)
    return ended


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """A run's process is gone."""
    if not run.is_finished:
        instance.report_run_failed(run, "the process that worked on this run is gone; its window can be run again")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _lock_file(home: Path, name: str) -> Path:
    return home / LOCKS / name


def _locked(home: Path, name: str) -> IO[str]:
    """The lock file of a process or run. It comes to its place locked and written, so that nobody takes it for free."""
    path = _lock_file(home, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{name}.{os.getpid()}")
    file = fresh.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(socket.gethostname())
    file.flush()
    fresh.rename(path)
    return file


def _left_behind(paths: Iterable[Path]) -> Iterator[str]:
    """Names of lock files whose processes, of this machine, are gone; one is deleted when the next is asked for."""
    for path in paths:
        with suppress(FileNotFoundError), path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if not os.fstat(file.fileno()).st_nlink:
                # Its run let go of it by itself, or another command has ended it, since it was opened.
                continue
            # Without a name: of a version that wrote none.
            if file.read() in ("", socket.gethostname()):
                yield path.name
                path.unlink(missing_ok=True)


def ask_runs_of_to_end(instance: dg.DagsterInstance, worker_id: str) -> None:
    """Write down that the runs of a worker of this machine are to be cancelled.

    Dagster takes a run that is interrupted without it for a failed one.
    """
    for run in instance.get_runs(dg.RunsFilter(tags=_tags_of(worker_id), statuses=UNFINISHED)):
        # One that was executed again in Dagit has these tags, too.
        if worker_of(run):
            instance.report_run_canceling(run)


def cancel_runs_of(instance: dg.DagsterInstance, worker_id: str, since: float) -> None:
    """Write down that what a worker of this machine was at since a time (Unix time) is cancelled; it has ended.

    A run that was interrupted while it started says that it failed, or nothing at all.
    """
    wanted = dg.RunsFilter(tags=_tags_of(worker_id), statuses=[*UNFINISHED, dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(wanted):
        run = record.dagster_run
        if not worker_of(run) or (run.is_finished and (record.end_time or 0.0) < since):
            continue
        instance.report_run_canceled(run, "cancelled; the window goes on from here when it is run again")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _tags_of(worker_id: str) -> dict[str, str]:
    return {WORKER_TAG: f"{socket.gethostname()}/{worker_id}"}
