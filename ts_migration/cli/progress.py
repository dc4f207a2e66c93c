"""Progress of a run: bars on a terminal, a line an event elsewhere. Both on stderr, so that stdout stays the result.

Every event also becomes a line of the guide's log file.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from ts_migration.cli.console import stderr
from ts_migration.cli.log_file import LogFile

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ts_migration.orchestration.execution import Progress


class Show:
    """Shows progress while a run lasts: a context manager that is called with every event."""

    def __init__(self, what: str, log: LogFile) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._console = stderr()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[last]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._what = what
        self._log = log
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, event: "Progress") -> None:
        """Take in one event. Threads may call it."""
        self._log.write(self._line(event))
        if self._bars.disable or event.kind == "stopping":
            self._console.print(self._line(event), markup=False, highlight=False, soft_wrap=True)
            return
        if event.job not in self._tasks:
            self._tasks[event.job] = self._bars.add_task(f"{self._what} {event.job}", total=event.total, last="")
        last = f"{event.kind} {event.key}".strip() if event.kind != "window" else event.key
        self._bars.update(self._tasks[event.job], completed=event.done, total=event.total, last=last)
        if event.message:
            self._console.print(self._line(event), markup=False, highlight=False, soft_wrap=True)

    @staticmethod
    def _line(event: "Progress") -> str:
        """One event as a line: job, how far, what, and how it went."""
        words = [f"{event.job} {event.done}/{event.total}"]
        if event.kind == "stopping":
            return event.message
        if event.kind == "skipped":
            return f"{event.job}: {event.done} of {event.total} windows are done already"
        words.append(event.key if event.kind == "window" else f"{event.kind} {event.key}".strip())
        if event.outcome and event.kind == "window":
            status = event.outcome.reason or event.outcome.status
            words.append(f"{status}, {event.outcome.points:,} points, {event.outcome.seconds:.1f} s")
        if event.message:
            words.append(event.message)
        return ": ".join(words)
