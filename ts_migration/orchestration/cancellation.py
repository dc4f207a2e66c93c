"""`--cancel-job`: stops what is named, wherever it runs: a command's workers, runs of Dagster's daemon, a backfill.

A living command stops its own workers and says how it ended; what is left of a dead one is closed here. Nothing is
deleted: manifests and ledgers in S3 tell the next `execute` where to go on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill

from ts_migration.errors import Missing, Refused
from ts_migration.orchestration.job_heart import lives
from ts_migration.orchestration.job_progress import state_of
from ts_migration.orchestration.job_record import (
    ROLLBACK,
    JobEnd,
    JobRecord,
    job_record,
    job_records,
    request_stop,
    tell_ended,
)
from ts_migration.orchestration.liveness import UNFINISHED
from ts_migration.orchestration.names import EXECUTION_TAG, JOB_ID_TAG, TableNames
from ts_migration.orchestration.run_history import is_of_table

WAIT_S = 20.0
"""How long a command is waited for to say that its job has ended: its workers are killed after 4 s."""
FORCE_AFTER_S = 8.0
"""After so long a daemon's run that does not answer is written down as cancelled: `run_stop` ends it after 5 s."""
POLL_S = 0.25
BACKFILL_TAG = "dagster/backfill"
NOT_OVER = [*UNFINISHED, dg.DagsterRunStatus.QUEUED]
BEGINNING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING)
"""Not to be interrupted yet: Dagster fails a run whose worker finds it being cancelled when it begins."""


@dataclass(frozen=True)
class Named:
    """What an id stands for: jobs that commands ran, a backfill, and runs that Dagit started."""

    jobs: tuple[JobRecord, ...] = ()
    backfill: PartitionBackfill | None = None
    runs: tuple[dg.DagsterRun, ...] = ()


@dataclass(frozen=True)
class Cancelled:
    """What became of one thing that was to be cancelled: its id, what it was before, and whether it is stopped."""

    id: str
    was: str
    stopped: bool
    seconds: float = 0.0

    @property
    def was_over(self) -> bool:
        """There was nothing to stop."""
        return not self.stopped and self.seconds == 0.0


def named(instance: dg.DagsterInstance, text: str, tables: Mapping[str, str] | None = None) -> Named:
    """What an id names: a job, an execution with all its jobs, a backfill, a run, or by a job's name what runs of it.

    Args:
        instance: where they are known.
        text: the id or name.
        tables: names and slugs of jobs that a configuration has -> the path of their tables' assets.

    Raises:
        Missing: nothing has that id.
    """
    record = job_record(instance, text)
    if record is not None:
        return Named(jobs=(record,))
    newest = job_records(instance)
    together = tuple(each for each in newest if each.begin.execution_id == text)
    if together:
        return Named(jobs=together)
    backfill = instance.get_backfill(text)
    if backfill is not None:
        return Named(backfill=backfill, runs=_runs(instance, {BACKFILL_TAG: text}))
    run = instance.get_run_by_id(text)
    if run is not None:
        return Named(runs=(run,))
    assets = (tables or {}).get(text, "")
    of_name = tuple(each for each in newest if text == each.begin.job or assets == each.begin.assets)
    assets = assets or (of_name[0].begin.assets if of_name else "")
    if assets:
        living = tuple(each for each in of_name if not state_of(instance, each).over)
        runs = _of_table(instance, assets)
        return Named(jobs=living or (() if runs else of_name[:1]), runs=runs)
    known = ", ".join(each.job_id for each in newest[:5])
    raise Missing(
        f"there is no job {text!r}",
        allowed=f"the newest jobs are {known}" if known else "",
        next_step="name one of them, a backfill or a run" if known else "ts-migration execute begins one",
    )


def _of_table(instance: dg.DagsterInstance, assets: str) -> tuple[dg.DagsterRun, ...]:
    """Unfinished runs of a table that no command started: those of backfills carry nothing but their assets."""
    names = TableNames(tuple(assets.split("/")))
    runs = instance.get_runs(dg.RunsFilter(statuses=NOT_OVER))
    return tuple(run for run in runs if EXECUTION_TAG not in run.tags and is_of_table(run, names))


def cancel(instance: dg.DagsterInstance, found: Named, by: str) -> list[Cancelled]:
    """Stop what was named, and wait until it is.

    Args:
        instance: where it is known.
        found: what is to stop.
        by: who asks, for the record.

    Raises:
        Refused: it is a rollback.
    """
    began = time.monotonic()
    for record in found.jobs:
        if record.begin.command == ROLLBACK and not state_of(instance, record).over:
            raise Refused(
                "a rollback is not cancelled: points would be gone, and those of others not put back yet",
                where=record.job_id,
                next_step=f"wait for it; where its process was killed, `{record.again}` goes on with it",
            )
    for record in found.jobs:
        if record.end is None:
            request_stop(instance, record.job_id, by)
    ended = [_cancelled_job(instance, record, began) for record in found.jobs]
    if found.backfill is not None:
        return [*ended, _cancel_backfill(instance, found.backfill)]
    # A run that belongs to a backfill is not stopped alone: the backfill would launch the next one.
    of_backfills = {run.tags[BACKFILL_TAG] for run in found.runs if BACKFILL_TAG in run.tags and not run.is_finished}
    backfills = [backfill for each in sorted(of_backfills) if (backfill := instance.get_backfill(each))]
    ended += [_cancel_backfill(instance, backfill) for backfill in backfills]
    ended += _cancel_runs(instance, tuple(run for run in found.runs if run.tags.get(BACKFILL_TAG) not in of_backfills))
    return ended


def _cancelled_job(instance: dg.DagsterInstance, record: JobRecord, began: float) -> Cancelled:
    """Wait for a job that was asked to stop."""
    state = state_of(instance, record)
    if record.end is not None:
        return Cancelled(record.job_id, state.value, stopped=False)
    _await(lambda: _is_over(instance, record), WAIT_S)
    now = job_record(instance, record.job_id) or record
    if now.end is None and not lives(instance, record.begin):
        _close_runs(instance, _runs(instance, {JOB_ID_TAG: record.job_id}))
        tell_ended(instance, record.job_id, JobEnd.CANCELLED, "its process was gone when it was cancelled")
        now = job_record(instance, record.job_id) or record
    return Cancelled(record.job_id, state.value, now.end is not None, time.monotonic() - began)


def _is_over(instance: dg.DagsterInstance, record: JobRecord) -> bool:
    now = job_record(instance, record.job_id)
    return now is None or now.end is not None or not lives(instance, record.begin)


def _cancel_backfill(instance: dg.DagsterInstance, backfill: PartitionBackfill) -> Cancelled:
    """The backfill first, so that its daemon launches no other run; the daemon says that it ended at its next tick."""
    was, began = backfill.status.value.lower(), time.monotonic()
    if backfill.status in BULK_ACTION_TERMINAL_STATUSES:
        return Cancelled(backfill.backfill_id, was, stopped=False)
    instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))  # type: ignore[no-untyped-call]
    tags, stopped = {BACKFILL_TAG: backfill.backfill_id}, True
    # Twice, for runs that were on their way while the backfill was told.
    for _ in range(2):
        stopped &= all(run.stopped for run in _cancel_runs(instance, _runs(instance, tags, NOT_OVER)))
    return Cancelled(backfill.backfill_id, was, stopped, time.monotonic() - began)


def _cancel_runs(instance: dg.DagsterInstance, runs: tuple[dg.DagsterRun, ...]) -> list[Cancelled]:
    began = time.monotonic()
    living = [run for run in runs if not run.is_finished]
    # Those in the queue first: else the daemon launches them in place of those that end.
    living.sort(key=lambda run: run.status is not dg.DagsterRunStatus.QUEUED)
    unasked, deaf = {run.run_id for run in living}, set[str]()

    def have_ended() -> bool:
        """Ask those that can be asked by now; whether nobody is left to wait for."""
        waits = False
        for run in living:
            now = instance.get_run_by_id(run.run_id)
            if now is None or now.is_finished:
                continue
            if run.run_id in unasked and now.status not in BEGINNING:
                unasked.discard(run.run_id)
                if not (instance.run_coordinator and instance.run_coordinator.cancel_run(run.run_id)):
                    deaf.add(run.run_id)
            waits |= run.run_id not in deaf
        return not waits

    _await(have_ended, FORCE_AFTER_S)
    _close_runs(instance, tuple(living))
    return [
        Cancelled(
            run.run_id,
            run.status.value.lower(),
            run in living and _is_finished(instance, run.run_id),
            time.monotonic() - began if run in living else 0.0,
        )
        for run in runs
    ]


def _close_runs(instance: dg.DagsterInstance, runs: tuple[dg.DagsterRun, ...]) -> None:
    """Write down that runs are cancelled which could not do it themselves, and free what they held."""
    for run in runs:
        now = instance.get_run_by_id(run.run_id)
        if now is not None and not now.is_finished:
            instance.report_run_canceled(now, "cancelled; the window goes on from here when it is run again")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _runs(
    instance: dg.DagsterInstance, tags: dict[str, str], statuses: list[dg.DagsterRunStatus] | None = None
) -> tuple[dg.DagsterRun, ...]:
    return tuple(instance.get_runs(dg.RunsFilter(tags=tags, statuses=statuses)))


def _is_finished(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished


def _await(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_S)
