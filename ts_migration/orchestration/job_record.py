"""What is written down of every job that a command runs: begun, planned, asked to stop, ended.

Observations of the asset `migration_jobs`, whose partitions are the job ids: part of Dagster's event log, so that
another shell, another machine and Dagit see them, and there from before the first run until after the last. Whether the
process of a job still lives is in `job_heart`; how far the job is, in `job_progress`.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import dagster as dg

JOBS = dg.AssetKey("migration_jobs")
MIGRATING = ("execute", "catch-up")
"""Commands whose end says how far a table is migrated."""
ROLLBACK = "rollback"
"""The command that is not cancelled: points would be gone and not put back yet."""
RESET = "reset"
TAKING_BACK = (ROLLBACK, RESET)
"""Commands that leave nothing of what was migrated before."""
LOOKED_AT = 1_000
"""Newest events that a listing reads: four of a job."""


class JobEvent(StrEnum):
    """What is told of a job."""

    BEGUN = "begun"
    PLANNED = "planned"
    STOP_REQUESTED = "stop requested"
    ENDED = "ended"


class JobEnd(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its process was gone, as the next command found."""


@dataclass(frozen=True)
class JobBegin:
    """A job as it begins.

    Attributes:
        job_id: of this job alone.
        execution_id: of the call that may run several jobs.
        command: execute, catch-up, validate, repair, accept or rollback.
        job, source, bucket: the job's slug, its table and its bucket.
        assets: the path before its assets' names, `database/table`.
        config: the configuration file, as it was found.
        windows: all windows of the table.
        first, last: the partition keys that the call was limited to; "" where to none.
        host, home, pid: which process runs it, and the Dagster home that holds its lock.
        resumes: the job that it goes on with.
    """

    job_id: str
    execution_id: str
    command: str
    job: str
    source: str
    bucket: str
    assets: str
    config: str
    windows: int
    first: str = ""
    last: str = ""
    host: str = ""
    home: str = ""
    pid: int = 0
    resumes: str = ""


@dataclass(frozen=True)
class JobRecord:
    """What is known of a job from what was written down. Times are Unix times in seconds."""

    begin: JobBegin
    began: float
    to_do: int | None = None
    """Windows that the call found open; None while it plans."""
    stop_requested: float | None = None
    ended: float | None = None
    end: JobEnd | None = None
    message: str = ""
    """Of the end: what failed first, or why it was stopped."""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def again(self) -> str:
        """The command that does it again, or goes on with it."""
        job = self.begin.job
        commands = {
            "validate": f"ts-migration validate --only {job}",
            "repair": f"ts-migration repair --table {job}",
            "accept": f"ts-migration accept {job}",
            "rollback": f"ts-migration rollback {job}",
        }
        return commands.get(self.begin.command, f"ts-migration execute --only {job}")

    @property
    def job_id(self) -> str:
        """Id of the job."""
        return self.begin.job_id


def tell_begun(instance: dg.DagsterInstance, begin: JobBegin) -> None:
    """Write down that a job begins."""
    _tell(instance, begin.job_id, JobEvent.BEGUN, begin.__dict__)


def tell_planned(instance: dg.DagsterInstance, job_id: str, to_do: int) -> None:
    """Write down how many windows a job is about."""
    _tell(instance, job_id, JobEvent.PLANNED, {"to_do": to_do})


def request_stop(instance: dg.DagsterInstance, job_id: str, by: str) -> None:
    """Ask whoever runs a job to stop it now."""
    _tell(instance, job_id, JobEvent.STOP_REQUESTED, {"by": by})


def tell_ended(
    instance: dg.DagsterInstance, job_id: str, end: JobEnd, message: str = "", counts: Mapping[str, int] | None = None
) -> None:
    """Write down how a job ended; the first end that is told holds."""
    _tell(instance, job_id, JobEvent.ENDED, {"end": end.value, "message": message, **(counts or {})})


def job_record(instance: dg.DagsterInstance, job_id: str) -> JobRecord | None:
    """The record of a job; None where no command ever ran it."""
    records = _records(instance, dg.AssetRecordsFilter(JOBS, asset_partitions=[job_id]))
    return records[0] if records else None


def job_records(instance: dg.DagsterInstance) -> list[JobRecord]:
    """Records of the newest jobs, newest first."""
    return _records(instance, dg.AssetRecordsFilter(JOBS))


def stop_requests(instance: dg.DagsterInstance, job_ids: Iterable[str]) -> set[str]:
    """Which of these jobs somebody asked to stop."""
    wanted = dg.AssetRecordsFilter(JOBS, asset_partitions=list(job_ids))
    found = instance.fetch_observations(wanted, limit=LOOKED_AT).records
    return {
        str(record.partition_key)
        for record in found
        if _told(record).get("event") == JobEvent.STOP_REQUESTED.value and record.partition_key
    }


def _records(instance: dg.DagsterInstance, wanted: dg.AssetRecordsFilter) -> list[JobRecord]:
    found: dict[str, JobRecord] = {}
    for record in reversed(instance.fetch_observations(wanted, limit=LOOKED_AT).records):
        told, job_id = _told(record), str(record.partition_key)
        event = JobEvent(str(told.pop("event")))
        if event is JobEvent.BEGUN:
            found[job_id] = JobRecord(JobBegin(**{"job_id": job_id, **told}), record.timestamp)
        elif job_id in found:
            found[job_id] = _taken_in(found[job_id], event, told, record.timestamp)
    return list(reversed(found.values()))


def _taken_in(record: JobRecord, event: JobEvent, told: dict[str, Any], when: float) -> JobRecord:
    if event is JobEvent.PLANNED:
        return replace(record, to_do=int(str(told["to_do"])))
    if record.end is not None:
        return record
    if event is JobEvent.STOP_REQUESTED:
        return replace(record, stop_requested=when)
    end, message = JobEnd(str(told.pop("end"))), str(told.pop("message"))
    counts = {name: int(str(value)) for name, value in told.items()}
    return replace(record, ended=when, end=end, message=message, counts=counts)


def _told(record: dg.EventLogRecord) -> dict[str, Any]:
    observation = record.asset_observation
    return {name: value.value for name, value in observation.metadata.items()} if observation else {}


def _tell(instance: dg.DagsterInstance, job_id: str, event: JobEvent, told: Mapping[str, str | int]) -> None:
    metadata: dict[str, Any] = {"event": event.value}
    metadata |= {name: value for name, value in told.items() if name != "job_id"}
    instance.report_runless_asset_event(
        dg.AssetObservation(
            JOBS,
            partition=job_id,
            description=f"{job_id}: {event.value} at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
            metadata=metadata,
        )
    )
