"""Looks at jobs again and again, by Dagster's storage alone: those of commands, backfills, and runs of Dagit.

What has been read is kept, so that a look costs what has changed since. It needs no configuration: any machine that
sees the storage can look. What is made of it is in `monitored_job`.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.storage.dagster_run import RunRecord

from ts_migration.orchestration.cancellation import BACKFILL_TAG, NOT_OVER, named
from ts_migration.orchestration.job_heart import Heart, heart_of
from ts_migration.orchestration.job_progress import JobState, WindowAtWork, state_of
from ts_migration.orchestration.job_record import JOBS, ROLLBACK, JobRecord, job_record, job_records
from ts_migration.orchestration.liveness import fail_dead_runs, worker_of
from ts_migration.orchestration.monitored_job import (
    MonitoredJob,
    Pace,
    RunCounts,
    errors_of,
    is_running,
    warnings_of,
)
from ts_migration.orchestration.names import (
    EXECUTION_TAG,
    JOB_ID_TAG,
    JOB_NAME_TAG,
    PARTITION_TAG,
    TABLE_TAG,
    TableNames,
)
from ts_migration.orchestration.run_history import words_of
from ts_migration.orchestration.run_listing import RunListing
from ts_migration.orchestration.run_log import LogLine, RunLog, table_of
from ts_migration.orchestration.table_loads import TableLoads

_UNFINISHED_BACKFILLS = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
EXPORT_GROUP = "export_group"


@dataclass
class _Watched:
    """A job that is looked at, and what has been read of it. One of `record`, `backfill_id` and `job_name` is set."""

    id: str
    names: TableNames | None
    began: float
    record: JobRecord | None = None
    backfill_id: str = ""
    job_name: str = ""
    listing: RunListing | None = None
    runs: list[RunRecord] = field(default_factory=list)
    loads: TableLoads | None = None
    logs: dict[str, RunLog] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    last: MonitoredJob | None = None


@dataclass(frozen=True)
class Look:
    """The jobs at one moment, and what their logs have said since the last one: (job id, window, line)."""

    jobs: tuple[MonitoredJob, ...]
    lines: tuple[tuple[str, str, LogLine], ...] = ()
    markers: frozenset[str] = frozenset()
    """Ids of the workers and runs that work on them now."""


class Monitor:
    """Looks at what is named, or at whatever runs.

    Args:
        instance: whose storage is read.
        ids: job ids, execution ids, backfills, runs or names of jobs; none: whatever runs, and what begins meanwhile.

    Raises:
        Missing: nothing has such an id.
    """

    def __init__(self, instance: dg.DagsterInstance, ids: Iterable[str] = ()) -> None:
        self._instance = instance
        self._watched: dict[str, _Watched] = {}
        self._read_to = 0
        wanted = list(dict.fromkeys(ids))
        self._discovers = not wanted
        for text in wanted:
            found = named(instance, text)
            for record in found.jobs:
                self._add_record(record)
            if found.backfill is not None:
                self._add_backfill(found.backfill)
            elif found.runs:
                self._add_runs(found.runs)

    def look(self) -> Look:
        """Everything as it is now."""
        fail_dead_runs(self._instance)
        if self._discovers:
            self._discover()
        lines: list[tuple[str, str, LogLine]] = []
        markers: set[str] = set()
        for watched in self._watched.values():
            if watched.last is None or not watched.last.over:
                watched.last = self._look_at(watched, lines, markers)
        jobs = tuple(watched.last for watched in self._watched.values() if watched.last is not None)
        return Look(jobs, tuple(sorted(lines, key=lambda line: line[2].when)), frozenset(markers))

    def newest(self) -> tuple[MonitoredJob, ...]:
        """The jobs of the newest command, which has ended: for who looks when nothing runs."""
        records = job_records(self._instance)
        of_newest = [each for each in records if each.begin.execution_id == records[0].begin.execution_id]
        watched = [self._watched_record(record) for record in reversed(of_newest)]
        return tuple(self._look_at(each, [], set()) for each in watched)

    # What is looked at

    def _discover(self) -> None:
        if not self._read_to:
            for record in reversed(job_records(self._instance)):
                if record.end is None:
                    self._add_record(record)
        self._add_begun()
        for backfill in self._instance.get_backfills(filters=BulkActionsFilter(statuses=_UNFINISHED_BACKFILLS)):
            self._add_backfill(backfill)
        runs = self._instance.get_runs(dg.RunsFilter(statuses=NOT_OVER))
        self._add_runs(run for run in runs if EXECUTION_TAG not in run.tags and BACKFILL_TAG not in run.tags)

    def _add_begun(self) -> None:
        """Jobs that were written down since the last look."""
        wanted = dg.AssetRecordsFilter(JOBS, after_storage_id=self._read_to) if self._read_to else JOBS
        found = self._instance.fetch_observations(wanted, limit=1_000 if self._read_to else 1).records
        for each in found if self._read_to else ():
            if str(each.partition_key) not in self._watched and (
                record := job_record(self._instance, str(each.partition_key))
            ):
                self._add_record(record)
        self._read_to = max([self._read_to, *(each.storage_id for each in found)])

    def _add_record(self, record: JobRecord) -> None:
        if record.job_id not in self._watched:
            self._watched[record.job_id] = self._watched_record(record)

    def _watched_record(self, record: JobRecord) -> _Watched:
        names = TableNames(tuple(record.begin.assets.split("/")))
        return _Watched(
            record.job_id,
            names,
            record.began,
            record=record,
            listing=RunListing(self._instance, {JOB_ID_TAG: record.job_id}),
            loads=TableLoads(self._instance, names, record.began - 1.0),
        )

    def _add_backfill(self, backfill: PartitionBackfill) -> None:
        id_ = backfill.backfill_id
        if id_ not in self._watched:
            began = backfill.backfill_timestamp
            listing = RunListing(self._instance, {BACKFILL_TAG: id_})
            self._watched[id_] = _Watched(id_, None, began, backfill_id=id_, listing=listing)

    def _add_runs(self, runs: Iterable[dg.DagsterRun]) -> None:
        """Runs that were started one by one: by the name of their job."""
        for run in runs:
            name = run.tags.get(JOB_NAME_TAG) or run.job_name
            known = self._watched.get(name)
            if known is not None and (known.last is None or not known.last.over):
                continue
            record = self._instance.get_run_record_by_id(run.run_id)
            if record is not None and (table_of(self._instance, run) is not None):
                began = record.create_timestamp.timestamp()
                tags = {JOB_NAME_TAG: name} if JOB_NAME_TAG in run.tags else {}
                self._watched[name] = _Watched(
                    name, None, began, job_name=run.job_name, listing=RunListing(self._instance, tags)
                )

    # How one job is

    def _look_at(self, watched: _Watched, lines: list[tuple[str, str, LogLine]], markers: set[str]) -> MonitoredJob:
        now = time.time()
        heart: Heart | None = None
        if watched.record is not None:
            if watched.record.end is None:
                watched.record = job_record(self._instance, watched.id) or watched.record
            heart = heart_of(self._instance, watched.record.begin.execution_id)
        ended = watched.record is not None and watched.record.end is not None
        watched.runs = self._runs_of(watched, last=ended)
        if watched.names is None and watched.runs:
            watched.names = table_of(self._instance, watched.runs[0].dagster_run)
        if (watched.loads is None or ended) and watched.names is not None:
            watched.loads = TableLoads(self._instance, watched.names, watched.began - 1.0)
        if watched.loads is not None:
            watched.loads.look()
        running = self._running(watched, heart, lines, markers, now)
        return self._added_up(watched, running, heart, now)

    def _runs_of(self, watched: _Watched, *, last: bool) -> list[RunRecord]:
        """Its runs; what is told at the `last` look stands, so nothing is left to the clocks of the writers there."""
        runs = watched.listing.look(anew=last) if watched.listing else []
        if not watched.job_name:
            return runs
        return [
            record
            for record in runs
            if EXECUTION_TAG not in record.dagster_run.tags
            and BACKFILL_TAG not in record.dagster_run.tags
            and record.create_timestamp.timestamp() >= watched.began - 1.0
        ]

    def _running(
        self,
        watched: _Watched,
        heart: Heart | None,
        lines: list[tuple[str, str, LogLine]],
        markers: set[str],
        now: float,
    ) -> tuple[WindowAtWork, ...]:
        """Windows at work; reads on in the logs of their runs, and once more in those that have just ended."""
        found = []
        for record in watched.runs:
            run, running = record.dagster_run, is_running(record)
            worker = worker_of(run).partition("/")[2]
            if worker or running:
                # A worker is there between its runs, too.
                markers.add(worker or run.run_id)
            if not running and run.run_id not in watched.logs:
                continue
            key = run.tags.get(PARTITION_TAG, "roll-up")
            log = watched.logs.setdefault(run.run_id, RunLog(self._instance, run.run_id))
            if running or log.open:
                lines += [(watched.id, key, line) for line in log.look()]
                log.open = running
            if running:
                seconds = max(0.0, now - (log.since or record.start_time or now))
                found.append(WindowAtWork(key, log.step, seconds, run.run_id))
        job = watched.record.begin.job if watched.record else ""
        for task in heart.in_flight if heart and watched.record and watched.record.end is None else ():
            # What is no run of Dagster.
            if task.job == job and task.kind in (EXPORT_GROUP, ROLLBACK):
                key = f"{task.keys[0]}..{task.keys[-1]}" if len(task.keys) > 1 else task.keys[0]
                step = "export" if task.kind == EXPORT_GROUP else ROLLBACK
                found.append(WindowAtWork(key, step, max(0.0, now - task.since)))
        return tuple(sorted(found, key=lambda window: window.key))

    def _added_up(
        self, watched: _Watched, running: tuple[WindowAtWork, ...], heart: Heart | None, now: float
    ) -> MonitoredJob:
        counts = RunCounts.of(watched.runs)
        ids = {record.dagster_run.run_id for record in watched.runs}
        loads = watched.loads.loads(ids) if watched.loads else []
        conversions = watched.loads.conversions(ids) if watched.loads else []
        state, windows = self._state(watched, counts, running, heart)
        until = (self._ended(watched) or now) if state.over else now
        pace = Pace.of(loads, watched.began, until)
        told = [words for log in watched.logs.values() for words in log.warnings]
        job, source, bucket, command = self._labels(watched)
        failed = {key: self._words(watched, run_id) for key, run_id in counts.failed.items()}
        ended = watched.record.message if watched.record and state is not JobState.SUCCEEDED else ""
        roll_up = self._words(watched, counts.roll_up_failed) if counts.roll_up_failed else ""
        return MonitoredJob(
            id=watched.id,
            started_by=command,
            job=job,
            source=source,
            bucket=bucket,
            state=state,
            windows=windows,
            done=len(counts.done) or _ranges_rolled_back(watched.record),
            failed=len(counts.failed),
            cancelled=len(counts.cancelled),
            running=running if not state.over else (),
            queued=counts.queued,
            rows=sum(conversion.rows for conversion in conversions),
            points=sum(load.points for load in loads),
            quarantined=sum(conversion.quarantined for conversion in conversions),
            seconds=max(0.0, until - watched.began),
            rate=pace.rate,
            rate_now=0.0 if state.over else pace.rate_now,
            left_s=None if state.over or windows is None else pace.left_s(windows - counts.ended),
            warnings=warnings_of(watched.id, job, running, conversions, told, pace.window_s),
            errors=errors_of(job, failed, roll_up, ended, state, watched.record.again if watched.record else ""),
        )

    def _state(
        self, watched: _Watched, counts: RunCounts, running: tuple[WindowAtWork, ...], heart: Heart | None
    ) -> tuple[JobState, int | None]:
        """Where it stands, and how many windows it is about."""
        if watched.record is not None:
            return state_of(self._instance, watched.record, heart), watched.record.to_do
        known = (
            counts.ended + len(counts.cancelled) + counts.queued + len({window.key for window in running} - {"roll-up"})
        )
        state = JobState.RUNNING if running or counts.queued else counts.state
        if not watched.backfill_id:
            return state, known
        backfill = self._instance.get_backfill(watched.backfill_id)
        if backfill is None:
            return state, known
        windows = len(set(_partitions_of(backfill))) or known
        match backfill.status:
            case BulkActionStatus.CANCELING:
                return JobState.STOPPING, windows
            case BulkActionStatus.CANCELED:
                return JobState.CANCELLED, windows
            case BulkActionStatus.FAILED | BulkActionStatus.COMPLETED_FAILED:
                return JobState.FAILED, windows
            case status if status in BULK_ACTION_TERMINAL_STATUSES or status is BulkActionStatus.COMPLETED_SUCCESS:
                return state, windows
        return JobState.RUNNING, windows

    def _labels(self, watched: _Watched) -> tuple[str, str, str, str]:
        """Job, source, bucket, and what started it."""
        if watched.record is not None:
            begin = watched.record.begin
            return begin.job, begin.source, begin.bucket, begin.command
        tags = watched.runs[0].dagster_run.tags if watched.runs else {}
        table = ".".join(watched.names.prefix) if watched.names else ""
        return tags.get(JOB_NAME_TAG) or table or watched.id, tags.get(TABLE_TAG) or table, "", "Dagster"

    def _words(self, watched: _Watched, run_id: str) -> str:
        if run_id not in watched.words:
            watched.words[run_id] = words_of(self._instance, run_id)
        return watched.words[run_id]

    @staticmethod
    def _ended(watched: _Watched) -> float | None:
        if watched.record is not None:
            return watched.record.ended
        return max((record.end_time or 0.0 for record in watched.runs), default=0.0) or None


def _ranges_rolled_back(record: JobRecord | None) -> int:
    """Windows that a rollback has taken back: no run of Dagster does it."""
    return record.counts.get("ran", 0) if record and record.begin.command == ROLLBACK else 0


def _partitions_of(backfill: PartitionBackfill) -> Iterable[str]:
    """Partitions that a backfill is about, as far as it tells them without its code."""
    data = backfill.asset_backfill_data
    return backfill.partition_names or (data.get_partition_names() if data else None) or ()
