"""One job as `monitor` shows it, whoever started it: values, and how they are added up from runs and loads.

What is read, and when, is in `monitor`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from ts_migration.orchestration.job_progress import JobState, WindowAtWork
from ts_migration.orchestration.liveness import UNFINISHED
from ts_migration.orchestration.names import PARTITION_TAG
from ts_migration.orchestration.table_loads import Conversion, Load

RECENT = 10
"""Windows that the rate of now is taken from."""
SLOW_S = 600.0
SLOW_FACTOR = 5.0
"""A step is told to be slow after so long, and that many times what whole windows took."""
SHOWN = 5


@dataclass(frozen=True)
class Remark:
    """A warning or an error, and the command to run next."""

    text: str
    next_step: str = ""


@dataclass(frozen=True)
class MonitoredJob:
    """One job now.

    Attributes:
        id: job id of a command, a backfill, or the job's name for runs that were started one by one.
        started_by: the command, or `Dagster`.
        job: slug of the configuration's job, or what its table is called.
        windows: that are to be done; None while that is planned.
        running: windows that are worked on now: step and seconds.
        queued: runs that wait for the daemon.
        rows, quarantined: converted by its runs.
        points: loaded by its runs.
        seconds: since it began, or that it took.
        rate, rate_now: points a second, over all of it and over the newest windows.
        left_s: seconds until it is done, if it goes on like this.
    """

    id: str
    started_by: str
    job: str
    source: str
    bucket: str
    state: JobState
    windows: int | None
    done: int
    failed: int
    cancelled: int
    running: tuple[WindowAtWork, ...]
    queued: int
    rows: int
    points: int
    quarantined: int
    seconds: float
    rate: float
    rate_now: float
    left_s: float | None
    warnings: tuple[Remark, ...] = ()
    errors: tuple[Remark, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing of it runs any more."""
        return self.state.over

    @property
    def step(self) -> str:
        """The step that most of its windows are at."""
        steps = [window.step for window in self.running]
        if steps:
            return max(dict.fromkeys(steps), key=steps.count)
        return "queued" if self.queued else self.state.value


@dataclass(frozen=True)
class RunCounts:
    """Windows of some runs by how the newest run of each stands; run ids of those that failed."""

    done: frozenset[str]
    failed: Mapping[str, str]
    cancelled: frozenset[str]
    queued: int
    roll_up_failed: str = ""

    @classmethod
    def of(cls, records: Sequence[RunRecord]) -> "RunCounts":
        """Of runs, oldest first."""
        newest: dict[str, dg.DagsterRun] = {}
        for record in records:
            run = record.dagster_run
            newest[run.tags.get(PARTITION_TAG, "")] = run
        roll_up = newest.pop("", None)
        failed = dg.DagsterRunStatus.FAILURE

        def keys(status: dg.DagsterRunStatus) -> frozenset[str]:
            return frozenset(key for key, run in newest.items() if run.status is status)

        return cls(
            done=keys(dg.DagsterRunStatus.SUCCESS),
            failed={key: run.run_id for key, run in newest.items() if run.status is failed},
            cancelled=keys(dg.DagsterRunStatus.CANCELED),
            queued=sum(record.dagster_run.status is dg.DagsterRunStatus.QUEUED for record in records),
            roll_up_failed=roll_up.run_id if roll_up and roll_up.status is failed else "",
        )

    @property
    def ended(self) -> int:
        """Windows with a run that ended by itself."""
        return len(self.done) + len(self.failed)

    @property
    def state(self) -> JobState:
        """How runs that nobody wrote down as a job ended, once none runs."""
        if self.failed or self.roll_up_failed:
            return JobState.FAILED
        return JobState.CANCELLED if self.cancelled else JobState.SUCCEEDED


@dataclass(frozen=True)
class Pace:
    """How fast it goes. Rates are points a second; `window_s` is seconds from one window's end to the next."""

    rate: float
    rate_now: float
    window_s: float | None

    @classmethod
    def of(cls, loads: Sequence[Load], began: float, until: float) -> "Pace":
        """Of what was loaded since `began`; `until` is now, or when it ended."""
        newest = loads[-RECENT:]
        since = loads[-RECENT - 1].when if len(loads) > RECENT else began
        seconds = max(until - since, 1e-9)
        return cls(
            rate=sum(load.points for load in loads) / max(until - began, 1e-9),
            rate_now=sum(load.points for load in newest) / seconds,
            window_s=seconds / len(newest) if newest else None,
        )

    def left_s(self, windows: int) -> float | None:
        """Seconds for some more windows."""
        return None if self.window_s is None else self.window_s * max(0, windows)


def is_running(record: RunRecord) -> bool:
    """Whether a run has begun and not ended."""
    return record.dagster_run.status in UNFINISHED


def warnings_of(
    job_id: str,
    job: str,
    running: Collection[WindowAtWork],
    conversions: Sequence[Conversion],
    told: Sequence[str],
    window_s: float | None,
) -> tuple[Remark, ...]:
    """What somebody should know though nothing has failed.

    Args:
        job_id: the job's id.
        job: its slug.
        running: windows at work.
        conversions: of its runs.
        told: warnings in the logs of its runs.
        window_s: seconds that a window takes, if one has ended.
    """
    found = []
    quarantined = sum(conversion.quarantined for conversion in conversions)
    if quarantined:
        step = f"ts-migration quarantine show {job}"
        found.append(Remark(f"{quarantined:,} rows cannot be written to InfluxDB exactly and are kept apart", step))
    for window in running:
        if window.seconds > SLOW_S and window.seconds > SLOW_FACTOR * (window_s or 0.0):
            words = f"{window.key} is in the step {window.step} for {window.seconds / 60:.0f} min"
            found.append(
                Remark(words, f"{_WHERE_TO_LOOK.get(window.step, '')}ts-migration monitor --job-id {job_id} --logs")
            )
    found += [Remark(words) for words in dict.fromkeys(told[-SHOWN:])]
    return tuple(found)


_WHERE_TO_LOOK = {
    "export": "look at the permissions for Timestream and the export bucket, and at how much the window holds; ",
    "load": "look at the target, ts-migration monitor --target; ",
}


def errors_of(
    job: str, failed: Mapping[str, str], roll_up: str, ended: str, state: JobState, again: str = ""
) -> tuple[Remark, ...]:
    """What failed, windows with one reason together, and what mends it.

    Args:
        job: the job's slug.
        failed: window -> what its run said.
        roll_up: what the roll-up said, if it failed.
        ended: what the command wrote down as its end, if it did not end well.
        state: of the job.
        again: the command that does it again, of what a command ran.
    """
    again = again or f"ts-migration execute --only {job}"
    reasons: dict[str, list[str]] = {}
    for key, words in sorted(failed.items()):
        reasons.setdefault(words.replace(key, "*"), []).append(key)
    found = []
    for words, keys in list(reasons.items())[:SHOWN]:
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        repair = words.startswith("checks failed")
        step = f"ts-migration repair --table {job}" if repair else again
        found.append(Remark(f"{', '.join(keys[:SHOWN])}{more}: {words}", step))
    if len(reasons) > SHOWN:
        found.append(Remark(f"{len(reasons) - SHOWN} more reasons", "ts-migration status"))
    if roll_up:
        found.append(Remark(f"roll-up: {roll_up}", "ts-migration validate"))
    if state is JobState.GONE:
        step = f"{again} goes on where it was"
        found.append(Remark("the process that ran it is gone: killed, or its machine was started anew", step))
    elif ended and not found:
        found.append(Remark(ended, again if state is not JobState.SUCCEEDED else ""))
    return tuple(found)
