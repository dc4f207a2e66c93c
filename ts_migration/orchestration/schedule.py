"""Which task comes next: exports of a group before its windows, jobs in turn, the roll-up after a job's last window.

Pure bookkeeping under one lock; processes are `pool`'s affair.
"""

import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ts_migration.orchestration.tasks import Outcome, Task, TaskKind

ALIKE_FAILURES = 3
"""After so many windows of a job have failed for good with one message, its other windows are not tried."""


@dataclass(frozen=True)
class Group:
    """Windows of one job, in order; exported ahead by one UNLOAD where `export_ahead`. `kind` is what each is for."""

    keys: tuple[str, ...]
    export_ahead: bool = False
    kind: TaskKind = TaskKind.WINDOW
    export_again: bool = False


@dataclass
class _JobWork:
    """What is left of one job."""

    job: str
    waiting: deque[Group]
    ready: deque[Task] = field(default_factory=deque)
    in_flight: int = 0
    failed: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    stopped_by: str = ""
    rolled_up: bool = False

    @property
    def exhausted(self) -> bool:
        return not self.waiting and not self.ready and self.in_flight == 0


class Schedule:
    """Tasks of several jobs, taken by several threads. Jobs named in `roll_up` end with their roll-up."""

    def __init__(self, work: dict[str, Sequence[Group]], roll_up: Collection[str]) -> None:
        self._jobs = deque(_JobWork(job, deque(groups)) for job, groups in work.items())
        self._roll_up = frozenset(roll_up)
        self._stopped = False
        self._changed = threading.Condition()

    def take(self) -> Task | None:
        """The next task, waiting for one; None when all is done or stopped."""
        with self._changed:
            while True:
                if self._stopped:
                    return None
                for _ in range(len(self._jobs)):
                    work = self._jobs[0]
                    self._jobs.rotate(-1)
                    task = self._next_of(work)
                    if task is not None:
                        work.in_flight += 1
                        return task
                if all(work.exhausted for work in self._jobs):
                    return None
                self._changed.wait()

    def finish(self, task: Task, outcome: Outcome) -> None:
        """Tell what became of a task."""
        with self._changed:
            work = next(work for work in self._jobs if work.job == task.job)
            work.in_flight -= 1
            if task.kind is TaskKind.EXPORT_GROUP:
                work.ready.extendleft(Task(TaskKind.WINDOW, task.job, (key,)) for key in reversed(task.keys))
            if not outcome.ok and task.kind is not TaskKind.EXPORT_GROUP:
                work.failed += 1
                self._count_alike(work, task, outcome)
            self._changed.notify_all()

    def stop(self) -> int:
        """Give out no more tasks; how many are in flight."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return sum(work.in_flight for work in self._jobs)

    def stopped_by(self, job: str) -> str:
        """The message for which a job's remaining windows were not tried, or nothing."""
        return next((work.stopped_by for work in self._jobs if work.job == job), "")

    def _next_of(self, work: _JobWork) -> Task | None:
        if work.ready:
            return work.ready.popleft()
        if work.waiting:
            group = work.waiting.popleft()
            if group.export_ahead:
                return Task(TaskKind.EXPORT_GROUP, work.job, group.keys)
            work.ready.extend(Task(group.kind, work.job, (key,), group.export_again) for key in group.keys)
            return work.ready.popleft()
        if work.job in self._roll_up and work.exhausted and not work.rolled_up and not work.failed:
            work.rolled_up = True
            return Task(TaskKind.ROLL_UP, work.job)
        return None

    @staticmethod
    def _count_alike(work: _JobWork, task: Task, outcome: Outcome) -> None:
        if not outcome.permanent:
            return
        message = outcome.error
        for key in task.keys:
            message = message.replace(key, "*")
        work.messages[message] = work.messages.get(message, 0) + 1
        if work.messages[message] >= ALIKE_FAILURES:
            work.stopped_by = outcome.error
            work.waiting.clear()
            work.ready.clear()
