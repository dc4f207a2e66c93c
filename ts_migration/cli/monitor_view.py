"""How `monitor` shows jobs: a table that stays in its place on a terminal, lines elsewhere, JSON where asked for."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from ts_migration.cli.console import say, stdout, table
from ts_migration.cli.monitor_lines import columns, job_line, remarks_of, row, target_line, workers_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from ts_migration.config import Environment
    from ts_migration.operations.log_group import LogGroup
    from ts_migration.operations.target_load import TargetLoad, TargetMeter
    from ts_migration.operations.worker_load import LoadMeter, MachineLoad
    from ts_migration.orchestration.monitor import Look
    from ts_migration.orchestration.monitored_job import MonitoredJob


@dataclass(frozen=True)
class Wanted:
    """What is to be watched, and how it is shown."""

    ids: tuple[str, ...]
    interval_s: float
    max_s: float | None
    json: bool
    target: bool
    logs: bool
    log_group: str | None
    region: str | None


@dataclass(frozen=True)
class Around:
    """The machine that looks, with the workers on it, and the target where that is wanted."""

    machine: "MachineLoad"
    target: "TargetLoad | None" = None


class Surroundings:
    """Looks at what is around the jobs."""

    def __init__(
        self, machine: "LoadMeter", target: "TargetMeter | None" = None, group: "LogGroup | None" = None
    ) -> None:
        self._machine = machine
        self._target = target
        self._group = group

    def look(self, look: "Look") -> Around:
        """What it is now."""
        return Around(self._machine.look(look.markers), self._target.look() if self._target else None)

    def cloud_lines(self) -> list[tuple[float, str]]:
        """New lines of the log group."""
        return self._group.look() if self._group else []


def surroundings(wanted: Wanted, environment: "Environment") -> Surroundings:
    """What is looked at beside the jobs.

    Raises:
        ConfigurationError: the target is wanted, and INFLUXDB_URL is not set.
    """
    from ts_migration.operations.log_group import LogGroup
    from ts_migration.operations.target_load import TargetMeter
    from ts_migration.operations.worker_load import LoadMeter

    if wanted.target:
        environment.require("influxdb_url")
    return Surroundings(
        LoadMeter(),
        TargetMeter(environment.influxdb_url, wanted.region) if wanted.target else None,
        LogGroup(wanted.log_group, wanted.region) if wanted.log_group else None,
    )


class View(Protocol):
    """Shows looks."""

    def lines(self, look: "Look", cloud: Sequence[tuple[float, str]]) -> None:
        """What logs have said since the last look."""

    def update(self, look: "Look", around: Around) -> None:
        """How it is now."""

    def finish(self, jobs: "Sequence[MonitoredJob]") -> None:
        """How it was in the end."""


@contextmanager
def view_of(wanted: Wanted) -> Iterator[View]:
    """The view that fits where it is shown."""
    if wanted.json:
        yield JsonView()
    elif stdout().is_terminal:
        from rich.live import Live

        with Live(console=stdout(), auto_refresh=False, transient=True) as live:
            yield LiveView(live, logs=wanted.logs, detailed=len(wanted.ids) == 1)
    else:
        yield LineView(logs=wanted.logs, detailed=len(wanted.ids) == 1)


class LineView:
    """A line a job and update: for logs and pipes."""

    def __init__(self, *, logs: bool, detailed: bool) -> None:
        self._logs = logs
        self._detailed = detailed
        self._told: set[tuple[str, str]] = set()

    def lines(self, look: "Look", cloud: Sequence[tuple[float, str]]) -> None:
        """Log lines as they are."""
        for line in log_lines(look, cloud, logs=self._logs):
            say(line)

    def update(self, look: "Look", around: Around) -> None:
        """Every job; remarks once each."""
        for job in look.jobs:
            say(f"{_clock()} {job_line(job)}")
            if self._detailed:
                for window in job.running:
                    say(f"  {window.key}: {window.step} for {window.seconds:.0f} s")
            for line in remarks_of(job):
                if (job.id, line) not in self._told:
                    self._told.add((job.id, line))
                    say(f"  {line}")
        say(f"  {workers_line(around.machine)}")
        if around.target:
            say(f"  {target_line(around.target)}")

    def finish(self, jobs: "Sequence[MonitoredJob]") -> None:
        """A table of all, and what is to be done about those that did not succeed."""
        if jobs:
            _table(jobs)
            for job in jobs:
                for line in remarks_of(job):
                    say(f"{job.id}: {line}")


class LiveView:
    """A table that is drawn anew in its place."""

    def __init__(self, live: "Live", *, logs: bool, detailed: bool) -> None:
        self._live = live
        self._logs = logs
        self._detailed = detailed

    def lines(self, look: "Look", cloud: Sequence[tuple[float, str]]) -> None:
        """Above the table."""
        for line in log_lines(look, cloud, logs=self._logs):
            self._live.console.print(line, markup=False, highlight=False)

    def update(self, look: "Look", around: Around) -> None:
        """The table, what is at work, what is to be known, and the machine."""
        self._live.update(self._drawn(look.jobs, around), refresh=True)

    def finish(self, jobs: "Sequence[MonitoredJob]") -> None:
        """The table once more, to stay."""
        self._live.stop()
        LineView(logs=False, detailed=False).finish(jobs)

    def _drawn(self, jobs: "Sequence[MonitoredJob]", around: Around) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns():
            drawn.add_column(name)
        for job in jobs:
            drawn.add_row(*row(job))
        lines = []
        for job in jobs:
            shown = job.running if self._detailed else job.running[:3]
            lines += [f"{job.job}: {window.key} {window.step} for {window.seconds:.0f} s" for window in shown]
            lines += [f"{job.job}: {line}" for line in remarks_of(job)]
        lines.append(workers_line(around.machine))
        if around.target:
            lines.append(target_line(around.target))
        return Group(drawn, *(Text(line) for line in lines))


class JsonView:
    """One object an update, a line each; logs are part of it."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def lines(self, look: "Look", cloud: Sequence[tuple[float, str]]) -> None:
        """Kept until the next update."""
        self._lines += [{"id": id_, "window": key, **asdict(line)} for id_, key, line in look.lines]
        self._lines += [{"id": "", "window": "", "when": when, "level": "", "text": text} for when, text in cloud]

    def update(self, look: "Look", around: Around) -> None:
        """All that is known."""
        content = {
            "time": _clock(),
            "over": all(job.over for job in look.jobs),
            "jobs": [asdict(job) | {"state": job.state.name.lower(), "step": job.step} for job in look.jobs],
            "machine": asdict(around.machine),
            **({"target": asdict(around.target)} if around.target else {}),
            "log": self._lines,
        }
        self._lines = []
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def finish(self, jobs: "Sequence[MonitoredJob]") -> None:
        """The last update has said it all, or nothing runs."""


def log_lines(look: "Look", cloud: Sequence[tuple[float, str]], *, logs: bool) -> list[str]:
    """Lines of logs as people read them."""
    own = [(line.when, f"{id_} {key} {line.level} {line.text}") for id_, key, line in look.lines] if logs else []
    return [f"{_clock(when)} {text}" for when, text in sorted([*own, *cloud])]


def _table(jobs: "Sequence[MonitoredJob]") -> None:
    table(columns(), [row(job) for job in jobs])


def _clock(when: float | None = None) -> str:
    moment = datetime.now(UTC) if when is None else datetime.fromtimestamp(when, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
