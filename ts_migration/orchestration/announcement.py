"""Tells of an execution while it runs, see `operations.notifications`: when it begins, what fails, how it ends.

Here outcomes and results become what is told; nothing of it raises. What the daemon runs is told by
`notification_sensors`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ts_migration.config import Environment, MigrationConfig
from ts_migration.operations.metrics import WindowFigures
from ts_migration.operations.notices import JobEnd
from ts_migration.operations.notifications import Notifications
from ts_migration.orchestration.tasks import Outcome, Task, TaskKind

if TYPE_CHECKING:
    from ts_migration.orchestration.execution_result import JobResult

_Listener = Callable[[Task, Outcome], None]


class Announcement:
    """What is told of one execution."""

    def __init__(self, notifications: Notifications, execution_id: str) -> None:
        self._notifications = notifications
        self._id = execution_id
        self._began = time.monotonic()
        self._told = False

    def began(self, jobs: Mapping[str, int]) -> None:
        """Windows are about to be migrated. `jobs`: slug -> windows to do; one with nothing to do tells nothing."""
        if any(jobs.values()):
            self._told = True
            self._notifications.started(self._id, {job: count for job, count in jobs.items() if count})

    def after(self, listener: _Listener) -> _Listener:
        """A listener of outcomes that tells of them, and then tells another one."""

        def listen(task: Task, outcome: Outcome) -> None:
            if task.kind is TaskKind.WINDOW and not outcome.cancelled:
                self._notifications.window(self._id, figures_of(task, outcome))
            listener(task, outcome)

        return listen

    def ended(self, results: "Sequence[JobResult]", *, interrupted: bool) -> None:
        """All of it has come to its end."""
        if not self._told and all(result.ok for result in results):
            return
        cancelled = interrupted or any(result.cancelled for result in results)
        ok = all(result.ok for result in results)
        state = "cancelled" if cancelled else "succeeded" if ok else "failed"
        reason = next((error for result in results for error in [*result.errors, result.passed] if error), "")
        ends = [_end_of(result) for result in results]
        self._notifications.ended(self._id, state, ends, time.monotonic() - self._began, reason)

    def broken(self, state: str, reason: str) -> None:
        """It ended before its results were known."""
        self._notifications.ended(self._id, state, (), time.monotonic() - self._began, reason)


@contextmanager
def announced(
    config: MigrationConfig, environment: Environment, region: str | None, execution_id: str
) -> Iterator[Announcement]:
    """Tell of an execution while the block lasts; an error that leaves it is told, too."""
    with Notifications.of(config, environment, region) as notifications:
        announcement = Announcement(notifications, execution_id)
        try:
            yield announcement
        except KeyboardInterrupt:
            announcement.broken("cancelled", "interrupted")
            raise
        except Exception as error:
            announcement.broken("failed", str(error))
            raise


def figures_of(task: Task, outcome: Outcome) -> WindowFigures:
    """The figures of a window's outcome."""
    return WindowFigures(
        task.job,
        task.keys[0],
        outcome.ok,
        rows=outcome.rows,
        points=outcome.points,
        quarantined=outcome.quarantined,
        checks_failed=outcome.checks_failed,
        seconds=outcome.seconds,
        ended=time.time(),
        error=outcome.error,
    )


def _end_of(result: "JobResult") -> JobEnd:
    words = "cancelled" if result.cancelled else "failed" if result.errors else "passed, not proven"
    migrated = result.skipped + result.ran - result.failed
    return JobEnd(
        result.job,
        result.windows,
        migrated,
        result.failed,
        result.points,
        "migrated" if result.ok else words,
    )
