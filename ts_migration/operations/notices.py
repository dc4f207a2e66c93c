"""What people and programs are told about a migration: values, and the message that SNS takes. Nothing is sent here.

A notice has a subject, a short text, and the same as JSON: mail gets both, queues and functions get the JSON alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

SUBJECT_LENGTH = 100
"""SNS takes subjects of fewer than 100 characters plus none: ASCII, no line breaks (API reference, Publish)."""
NAMED_WINDOWS = 10
_CHECKS_FAILED = "checks failed"
"""How the error of a window begins that is loaded and not what it should be: that is for a repair."""
MACHINES = ("sqs", "lambda", "http", "https", "firehose")
"""Protocols of subscribers that are programs."""


class Event(StrEnum):
    """What happened; the names are those of `notifications.events`."""

    STARTED = "started"
    WINDOWS_FAILED = "windows_failed"
    STATUS = "status"
    ENDED = "ended"
    ROLLED_BACK = "rolled_back"
    READY = "ready"
    CUTOVER = "cutover"


@dataclass(frozen=True)
class Notice:
    """One thing that is told.

    Attributes:
        event: what happened.
        id: job id of an `execute`, or what a run started in Dagster is known by.
        headline: one line for people.
        lines: a few more; never a secret.
        details: the same for programs, as JSON has it.
    """

    event: Event
    id: str
    headline: str
    lines: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The headline as SNS takes it."""
        plain = " ".join(self.headline.encode("ascii", "replace").decode().split())
        return plain if len(plain) <= SUBJECT_LENGTH else f"{plain[: SUBJECT_LENGTH - 3]}..."

    @property
    def text(self) -> str:
        """Headline and lines."""
        return "\n".join([self.headline, *self.lines])

    @property
    def json(self) -> str:
        """For programs."""
        content = {"event": self.event.value, "id": self.id, "headline": self.headline, **self.details}
        return json.dumps(content, ensure_ascii=False, indent=1)

    @property
    def message(self) -> str:
        """Message of Publish with `MessageStructure="json"`: a text a protocol."""
        people = f"{self.text}\n\n{self.json}"
        return json.dumps({"default": people, "sms": self.headline, **dict.fromkeys(MACHINES, self.json)})


@dataclass(frozen=True)
class FailedWindow:
    """A window that failed for good."""

    id: str
    job: str
    key: str
    error: str


@dataclass(frozen=True)
class JobEnd:
    """What became of one job of a migration."""

    job: str
    windows: int
    migrated: int
    failed: int
    points: int
    state: str


def started(id_: str, jobs: Mapping[str, int]) -> Notice:
    """That a migration began. `jobs`: slug -> windows to do."""
    total = sum(jobs.values())
    return Notice(
        Event.STARTED,
        id_,
        f"Migration started: {id_}, {_count(total, 'window')}",
        (*(f"{job}: {_count(count, 'window')}" for job, count in jobs.items()), _watch(id_)),
        {"jobs": dict(jobs)},
    )


def windows_failed(failed: Sequence[FailedWindow]) -> Notice:
    """Windows that failed, told together: by job, the first of them named, each reason once."""
    ids = ", ".join(sorted({window.id for window in failed}))
    lines: list[str] = []
    for job in sorted({window.job for window in failed}):
        of_job = [window for window in failed if window.job == job]
        keys = sorted(window.key for window in of_job)
        more = f" and {len(keys) - NAMED_WINDOWS} more" if len(keys) > NAMED_WINDOWS else ""
        lines.append(f"{job}: {', '.join(keys[:NAMED_WINDOWS])}{more}")
        reasons = list(dict.fromkeys(window.error.replace(window.key, "*") for window in of_job))
        lines += [f"  {reason}" for reason in reasons[:3]]
        if any(reason.startswith(_CHECKS_FAILED) for reason in reasons):
            lines.append(f"  next: ts-migration repair --table {job} --dry-run tells what mends failed checks")
        if not all(reason.startswith(_CHECKS_FAILED) for reason in reasons):
            lines.append(f"  next: ts-migration execute --only {job} does again what is left")
    jobs = ", ".join(sorted({window.job for window in failed}))
    shown = [{"job": one.job, "window": one.key, "error": one.error} for one in failed[:100]]
    return Notice(
        Event.WINDOWS_FAILED,
        ids,
        f"{_count(len(failed), 'window')} failed: {jobs}",
        tuple(lines),
        {"failed": len(failed), "windows": shown},
    )


def under_way(id_: str, done: int, total: int, points: int, failed: int, seconds: float) -> Notice:
    """How far a migration has come."""
    share = f"{done / total:.0%}" if total else "100%"
    rate = round(points / seconds) if seconds > 0 else 0
    return Notice(
        Event.STATUS,
        id_,
        f"Migration {share} done: {id_}, {done:,} of {_count(total, 'window')}, {failed:,} failed",
        (f"{points:,} points, {rate:,} points/s", _watch(id_)),
        {"done": done, "windows": total, "failed": failed, "points": points, "points_per_second": rate},
    )


def ended(id_: str, state: str, jobs: Sequence[JobEnd], seconds: float, reason: str = "") -> Notice:
    """What became of a migration. `state`: succeeded, failed or cancelled."""
    lines = [
        f"{job.job}: {job.state}; {job.migrated:,} of {_count(job.windows, 'window')} migrated, {job.failed:,} failed, "
        f"{job.points:,} points"
        for job in jobs
    ]
    next_step = "ts-migration report" if state == "succeeded" else "ts-migration status, then execute again"
    return Notice(
        Event.ENDED,
        id_,
        f"Migration {state}: {id_}",
        tuple(filter(None, [*lines, reason, f"next: {next_step}"])),
        {
            "state": state,
            "seconds": round(seconds, 1),
            "jobs": [vars(job) for job in jobs],
            **({"reason": reason} if reason else {}),
        },
    )


def rolled_back(id_: str, job: str, what: str, lines: Sequence[str] = ()) -> Notice:
    """That what a job wrote was taken back. `what`: one line."""
    return Notice(Event.ROLLED_BACK, id_, f"Rolled back: {job}: {what}", tuple(lines), {"job": job, "what": what})


def ready(proof: str, jobs: Sequence[str], next_step: str) -> Notice:
    """That everything is proven, and applications may switch."""
    return Notice(
        Event.READY,
        proof[:12],
        f"Ready for the cutover: {', '.join(jobs)}",
        (f"everything is proven and the source is still, proof {proof[:12]}", f"next: {next_step}"),
        {"proof": proof, "jobs": list(jobs)},
    )


def cutover(state: str, proof: str, changes: Sequence[str] = (), problem: str = "") -> Notice:
    """What became of a cutover. `changes`: secrets masked."""
    return Notice(
        Event.CUTOVER,
        proof[:12],
        f"Cutover {state}",
        (*changes[:NAMED_WINDOWS], *([problem] if problem else [])),
        {"state": state, "proof": proof, "problem": problem, "changes": len(changes)},
    )


def _watch(id_: str) -> str:
    return f"watch: ts-migration monitor --job-id {id_}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
