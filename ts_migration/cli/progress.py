"""Progress of a run: a live table on a terminal, lines elsewhere. Both on stderr, so that stdout stays the result.

Every event also becomes a line of the guide's log file; how a job's row is worked out is in `progress_row`.
"""

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ts_migration.cli.console import stderr
from ts_migration.cli.log_file import LogFile
from ts_migration.cli.progress_row import JobRow

if TYPE_CHECKING:
    from rich.table import Table

    from ts_migration.orchestration.execution_result import Progress

REFRESH_PER_S = 2


class Show:
    """Shows progress while a run lasts: a context manager that is called with every event.

    Args:
        what: what is done to the tables, such as Migrating.
        log: file that lines go to as well.
        interval_s: seconds between status lines, where there is no terminal for a table.
    """

    def __init__(self, what: str, log: LogFile, interval_s: float = 60) -> None:
        from rich.live import Live

        self._console = stderr()
        self._what = what
        self._log = log
        self._interval_s = interval_s
        self._rows: dict[str, JobRow] = {}
        self._next_status: dict[str, float] = {}
        self._changing = threading.Lock()
        self._live = (
            Live(console=self._console, get_renderable=self._table, refresh_per_second=REFRESH_PER_S, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: "Progress") -> None:
        """Take in one event. Threads may call it."""
        with self._changing:
            if event.job:
                self._rows.setdefault(event.job, JobRow(event.job)).take_in(event)
            if event.kind == "working":
                self._tell_status(event.job)
                return
        line = line_of(event)
        outcome = event.outcome
        self._log.write(
            line,
            event=event.kind,
            job=event.job,
            window=event.key,
            done=event.done,
            total=event.total,
            **({"points": outcome.points, "seconds": round(outcome.seconds, 3)} if outcome else {}),
        )
        if self._live is None or event.message or event.kind in ("stopping", "cancelling"):
            self._print(line)

    def _tell_status(self, job: str) -> None:
        """A job's status line, unless one was told within the interval."""
        now = time.monotonic()
        due = self._next_status.setdefault(job, now + self._interval_s)
        if now < due:
            return
        self._next_status[job] = now + self._interval_s
        row = self._rows[job]
        self._log.write(row.status_line, event="status", job=job, done=row.done, total=row.total, points=row.points)
        if self._live is None:
            self._print(row.status_line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> "Table":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        drawn = Table.grid(padding=(0, 2))
        with self._changing:
            for row in self._rows.values():
                drawn.add_row(
                    Text(f"{self._what} {row.job}"),
                    ProgressBar(total=max(1, row.total), completed=row.done, width=24),
                    Text(f"{row.done}/{row.total}"),
                    Text(row.step),
                    Text(row.rate_text),
                    Text(row.left_text),
                )
        return drawn


def line_of(event: "Progress") -> str:
    """One event as a line: job, how far, what, and how it went."""
    if event.kind in ("stopping", "held"):
        return event.message
    if event.kind == "begun":
        return f"{event.job}: job id {event.message}"
    if event.kind == "cancelling":
        return f"{event.job} {event.done}/{event.total}: being cancelled"
    if event.kind == "skipped":
        return f"{event.job}: {event.done} of {event.total} windows are done already"
    words = [f"{event.job} {event.done}/{event.total}"]
    words.append(event.key if event.kind == "window" else f"{event.kind} {event.key}".strip())
    if event.outcome and event.kind == "window":
        status = event.outcome.reason or event.outcome.status
        words.append(f"{status}, {event.outcome.points:,} points, {event.outcome.seconds:.1f} s")
    if event.message:
        words.append(event.message)
    return ": ".join(words)
