"""How far one job is, added up from the events of a run: what is at work, the rate, the time left. Nothing is shown."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ts_migration.orchestration.execution_result import Progress

NAMED_WINDOWS = 3


def duration_text(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass
class JobRow:
    """One job of a run. Points and rate are those of the run, not of what was done before it."""

    job: str
    done: int = 0
    total: int = 0
    points: int = 0
    step: str = ""
    began: float = field(default_factory=time.monotonic)

    def take_in(self, event: "Progress") -> None:
        """Add an event."""
        if event.kind in ("begun", "skipped"):
            self.step = "planning"
            return
        self.done, self.total = event.done, event.total
        if event.kind == "working":
            told = [f"{each.step} {each.key} {duration_text(each.seconds)}" for each in event.at_work]
            more = f" and {len(told) - NAMED_WINDOWS} more" if len(told) > NAMED_WINDOWS else ""
            self.step = ", ".join(told[:NAMED_WINDOWS]) + more
        elif event.kind == "cancelling":
            self.step = "being cancelled"
        if event.outcome is not None:
            self.points += event.outcome.points

    @property
    def rate(self) -> float:
        """Points a second since the job began."""
        return self.points / max(time.monotonic() - self.began, 1e-3)

    @property
    def rate_text(self) -> str:
        """The rate for people; nothing before the first window is done."""
        return f"{self.rate:,.0f} points/s" if self.points else ""

    @property
    def left_text(self) -> str:
        """How long the rest will take if it goes on like this; nothing where that cannot be told yet."""
        if not self.done or self.done >= self.total:
            return ""
        left = (time.monotonic() - self.began) / self.done * (self.total - self.done)
        return f"about {duration_text(left)} left"

    @property
    def status_line(self) -> str:
        """All of it in a line."""
        words = [f"{self.points:,} points" if self.points else "", self.rate_text, self.left_text, self.step]
        return f"{self.job} {self.done}/{self.total} windows: {', '.join(filter(None, words)) or 'waiting'}"
