"""What `execute` tells while it works, and what it came to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from ts_migration.orchestration.job_progress import WindowAtWork
from ts_migration.orchestration.tasks import Outcome


@dataclass(frozen=True)
class Progress:
    """One step of a run, for whoever shows it."""

    kind: str
    """begun, working, exported, window, checked, rolled_up, skipped, held, cancelling or stopping."""
    job: str
    key: str
    done: int
    total: int
    outcome: Outcome | None = None
    message: str = ""
    at_work: tuple[WindowAtWork, ...] = ()
    """Of working: what workers do for the job now."""


@dataclass
class JobResult:
    """What `execute` did for one job. Counts are of this call but for `proven`, which is of the whole table."""

    job: str
    source: str
    bucket: str
    windows: int
    skipped: int = 0
    ran: int = 0
    failed: int = 0
    rows: int = 0
    points: int = 0
    values: int = 0
    bytes: int = 0
    checks_passed: int = 0
    checks: int = 0
    seconds: float = 0.0
    proven: int = 0
    rolled_up: bool = False
    errors: list[str] = field(default_factory=list)
    unproven: int = 0
    """Windows of the call of which a check failed: those are for `repair`."""
    passed: str = ""
    """How many windows of the table passed and are not proven, why, and where their rows are; "" where none is."""
    accepted: int = 0
    """Windows that are not proven and were accepted."""
    unmet: str = ""
    """Warnings of the whole table that did not pass: values are proven, and applications must wait all the same."""
    for_good: int = 0
    """Windows of the call that failed by what they did (`Outcome.for_good`)."""
    job_id: str = ""
    cancelled: bool = False
    """Somebody had it stopped before it was done."""

    @property
    def failed_for_good(self) -> bool:
        """Whether windows failed, and none of them by an outage, a refusal or a fault of the tool."""
        return 0 < self.failed == self.for_good

    @property
    def ok(self) -> bool:
        """Every window of the call succeeded, so did the roll-up where it was due, and nothing merely passed."""
        return not self.errors and not self.passed and not self.unmet and not self.cancelled


@dataclass(frozen=True)
class ExecutionResult:
    """What `execute` did."""

    job_id: str
    """Of the execution: `jobs` have ids of their own."""
    jobs: tuple[JobResult, ...]
    seconds: float
    interrupted: bool

    @property
    def ok(self) -> bool:
        """Nothing failed and nothing was cut short."""
        return not self.interrupted and all(job.ok for job in self.jobs)

    @property
    def cancelled(self) -> bool:
        """A job was cut short."""
        return self.interrupted or any(job.cancelled for job in self.jobs)


def held(until: float) -> Progress:
    """That `allowed_hours` hold new windows back."""
    when = datetime.fromtimestamp(until, UTC)
    return Progress(
        "held", "", "", 0, 0, message=f"outside of allowed_hours: no window is begun before {when:%H:%M} UTC"
    )


def stopping(in_flight: int, within_s: float | None) -> Progress:
    """That a run was interrupted and what it waits for, at most so many seconds where there is a number."""
    finish = "will finish" if within_s is None else f"may finish within {within_s:.0f} s"
    told = f"stopping: {in_flight} in flight {finish}, no other is begun; interrupt again to stop at once"
    return Progress("stopping", "", "", 0, 0, message=told)
