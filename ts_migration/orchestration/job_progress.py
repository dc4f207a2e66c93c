"""Where a job stands, running or ended, and how far it is: from Dagster's event log and the heart of its process.

Counts come from the events of the job's own runs. A command's job has a record (`job_record`); what Dagit started is
named by its backfill or its run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg

from ts_migration.orchestration.job_heart import Heart, InFlight, heart_of, lives
from ts_migration.orchestration.job_record import JobEnd, JobRecord
from ts_migration.orchestration.liveness import UNFINISHED
from ts_migration.orchestration.names import CONVERTED_FILES, JOB_ID_TAG, PARTITION_TAG, TableNames

RECENT = 10
"""Windows that the rate of now is taken from."""
_STEPS = {
    "export_files": "export",
    **dict.fromkeys(CONVERTED_FILES.values(), "conversion"),
    "influxdb_bucket": "load",
    "migrated": "roll-up",
}


class JobState(StrEnum):
    """Where a job stands."""

    PLANNING = "planning"
    RUNNING = "running"
    HELD = "held back"
    """Outside of `allowed_hours`."""
    STOPPING = "being cancelled"
    GONE = "its process is gone"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing of the job runs any more."""
        return self in (JobState.GONE, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class WindowAtWork:
    """A window, or several that are exported together, that a worker is at: the step, and for how many seconds."""

    key: str
    step: str
    seconds: float
    run_id: str = ""


@dataclass(frozen=True)
class JobProgress:
    """How far a job is. Windows are those of the call; rows and points those that its runs loaded.

    Attributes:
        rate: points a second, over the whole job.
        rate_now: over the newest windows.
        left_s: seconds that the rest will take, if it goes on like this; None where that cannot be told.
    """

    record: JobRecord
    state: JobState
    windows: int
    done: int
    failed: int
    cancelled: int
    rows: int
    points: int
    seconds: float
    rate: float
    rate_now: float
    left_s: float | None
    at_work: tuple[WindowAtWork, ...]
    errors: tuple[str, ...] = ()
    held_until: float | None = None


def state_of(instance: dg.DagsterInstance, record: JobRecord, heart: Heart | None = None) -> JobState:
    """The state of a job by its record, and by whether its process lives."""
    if record.end is not None:
        ends = {
            JobEnd.SUCCEEDED: JobState.SUCCEEDED,
            JobEnd.FAILED: JobState.FAILED,
            JobEnd.CANCELLED: JobState.CANCELLED,
            JobEnd.LOST: JobState.GONE,
        }
        return ends[record.end]
    if not lives(instance, record.begin):
        return JobState.GONE
    if record.stop_requested is not None:
        return JobState.STOPPING
    if record.to_do is None:
        return JobState.PLANNING
    heart = heart or heart_of(instance, record.begin.execution_id)
    return JobState.HELD if heart and heart.held_until and not heart.in_flight else JobState.RUNNING


def job_progress(instance: dg.DagsterInstance, record: JobRecord) -> JobProgress:
    """How far a job is, or how far it came."""
    heart = heart_of(instance, record.begin.execution_id)
    state = state_of(instance, record, heart)
    runs = instance.get_runs(dg.RunsFilter(tags={JOB_ID_TAG: record.job_id}))
    names = TableNames(tuple(record.begin.assets.split("/")))
    windows = {run.run_id: run for run in runs if run.job_name != names.roll_up_job}
    by_status = _keys_by_status(list(windows.values()))
    done = by_status.get(dg.DagsterRunStatus.SUCCESS, set())
    failed = by_status.get(dg.DagsterRunStatus.FAILURE, set()) - done
    cancelled = by_status.get(dg.DagsterRunStatus.CANCELED, set()) - done - failed
    loads = _loads(instance, names, record, set(windows))
    last_seen = heart.beat if state is JobState.GONE and heart else time.time()
    end = record.ended or last_seen
    seconds = max(end - record.began, 1e-9)
    points = sum(load.points for load in loads)
    left = (record.to_do or 0) - len(done) - len(failed)
    return JobProgress(
        record=record,
        state=state,
        windows=record.to_do or 0,
        done=len(done),
        failed=len(failed),
        cancelled=len(cancelled),
        rows=sum(load.rows for load in loads),
        points=points,
        seconds=seconds,
        rate=points / seconds,
        rate_now=_rate_now(loads, record),
        left_s=None if state.over or not done else seconds / len(done) * max(0, left),
        at_work=() if state.over else _at_work(instance, record, heart, runs),
        errors=(record.message,) if record.message and state is not JobState.SUCCEEDED else (),
        held_until=heart.held_until if heart and state is JobState.HELD else None,
    )


def _keys_by_status(runs: Sequence[dg.DagsterRun]) -> dict[dg.DagsterRunStatus, set[str]]:
    found: dict[dg.DagsterRunStatus, set[str]] = {}
    for run in runs:
        found.setdefault(run.status, set()).add(run.tags.get(PARTITION_TAG, run.run_id))
    return found


@dataclass(frozen=True)
class _Load:
    when: float
    rows: int
    points: int


def _loads(instance: dg.DagsterInstance, names: TableNames, record: JobRecord, run_ids: set[str]) -> list[_Load]:
    """What the job's runs converted, oldest first: a row becomes a point there."""
    records: list[dg.EventLogRecord] = []
    for asset in names.conversions:
        wanted = dg.AssetRecordsFilter(
            asset, after_timestamp=record.began - 1.0, before_timestamp=record.ended and record.ended + 1.0
        )
        records += instance.fetch_materializations(wanted, limit=5_000).records
    found = []
    for each in sorted(records, key=lambda each: each.storage_id):
        event = each.asset_materialization
        if each.run_id in run_ids and event is not None:
            rows, points = (int(str(event.metadata[name].value)) for name in ("rows", "points"))
            found.append(_Load(each.timestamp, rows, points))
    return found


def _rate_now(loads: list[_Load], record: JobRecord) -> float:
    newest = loads[-RECENT:]
    if not newest:
        return 0.0
    since = loads[-RECENT - 1].when if len(loads) > RECENT else record.began
    return sum(load.points for load in newest) / max(newest[-1].when - since, 1e-9)


def _at_work(
    instance: dg.DagsterInstance, record: JobRecord, heart: Heart | None, runs: Sequence[dg.DagsterRun]
) -> tuple[WindowAtWork, ...]:
    unfinished = [run for run in runs if run.status in UNFINISHED]
    in_flight = tuple(task for task in (heart.in_flight if heart else ()) if task.job == record.begin.job)
    return windows_at_work(instance, unfinished, in_flight)


def windows_at_work(
    instance: dg.DagsterInstance, unfinished: Sequence[dg.DagsterRun], in_flight: Sequence[InFlight]
) -> tuple[WindowAtWork, ...]:
    """What workers are at, by their unfinished runs, and by tasks in flight that are no runs: exports of several."""
    now = time.time()
    found = [at_work(instance, run, now) for run in unfinished]
    found += [
        WindowAtWork(f"{task.keys[0]}..{task.keys[-1]}", "export", now - task.since)
        for task in in_flight
        if len(task.keys) > 1
    ]
    return tuple(sorted(found, key=lambda each: each.key))


def at_work(instance: dg.DagsterInstance, run: dg.DagsterRun, now: float) -> WindowAtWork:
    """The step that an unfinished run is at, and for how long."""
    key = run.tags.get(PARTITION_TAG, "roll-up")
    started = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START, ascending=False, limit=1)
    if not started.records:
        return WindowAtWork(key, "starting", 0.0, run.run_id)
    entry = started.records[0].event_log_entry
    node = (entry.step_key or "").rpartition("__")[2]
    return WindowAtWork(key, _STEPS.get(node, "checks"), max(0.0, now - entry.timestamp), run.run_id)
