"""Which task comes next: exports of a group before its windows, jobs in turn, the roll-up after a job's last window.

Pure bookkeeping under one lock; processes are `pool`'s affair.
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ts_migration.orchestration.tasks import Outcome, Task, TaskKind

ALIKE_FAILURES = 3
"""After so many windows of a job have failed for good with one message, and none has succeeded meanwhile, its other
windows are not tried: what fails is not the window."""
_OF_ONE_WINDOW = re.compile(r"\S*\d\S*")
"""What of a message is one window's own: its key, and names of files, ids of queries, sizes and counts."""
LONGEST_HOLD_S = 30.0
"""How long tasks are held back before the clock is looked at again: it may be set, or its time zone change."""


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
    cancelled: bool = False

    @property
    def exhausted(self) -> bool:
        return not self.waiting and not self.ready and self.in_flight == 0


class Schedule:
    """Tasks of several jobs, taken by several threads. Jobs named in `roll_up` end with their roll-up.

    `hold_s` is asked before each task how many seconds it is to be held back; a roll-up never is.
    """

    def __init__(
        self, work: dict[str, Sequence[Group]], roll_up: Collection[str], hold_s: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._jobs = deque(_JobWork(job, deque(groups)) for job, groups in work.items())
        self._roll_up = frozenset(roll_up)
        self._stopped = False
        self._hold_s = hold_s
        self._changed = threading.Condition()

    def take(self) -> Task | None:
        """The next task, waiting for one; None when all is done or stopped."""
        with self._changed:
            while True:
                if self._stopped:
                    return None
                hold_s = self._hold_s()
                for _ in range(len(self._jobs)):
                    work = self._jobs[0]
                    self._jobs.rotate(-1)
                    task = self._next_of(work) if not hold_s or work.exhausted else None
                    if task is not None:
                        work.in_flight += 1
                        return task
                if all(work.exhausted for work in self._jobs):
                    return None
                self._changed.wait(min(hold_s, LONGEST_HOLD_S) or None)

    def finish(self, task: Task, outcome: Outcome) -> None:
        """Tell what became of a task."""
        with self._changed:
            work = next(work for work in self._jobs if work.job == task.job)
            work.in_flight -= 1
            if work.cancelled or outcome.cancelled:
                self._changed.notify_all()
                return
            if task.kind is TaskKind.EXPORT_GROUP:
                work.ready.extendleft(Task(TaskKind.WINDOW, task.job, (key,)) for key in reversed(task.keys))
            if not outcome.ok and task.kind is not TaskKind.EXPORT_GROUP:
                work.failed += 1
                self._count_alike(work, outcome)
            elif outcome.ok and task.kind is TaskKind.WINDOW:
                work.messages.clear()
            self._changed.notify_all()

    def stop(self) -> int:
        """Give out no more tasks; how many are in flight."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            return sum(work.in_flight for work in self._jobs)

    def cancel(self, job: str | None = None) -> None:
        """Give out no more tasks of a job, its roll-up included; of all jobs where none is named."""
        with self._changed:
            for work in self._jobs:
                if job in (None, work.job):
                    work.cancelled = True
                    work.waiting.clear()
                    work.ready.clear()
            self._changed.notify_all()

    def is_cancelled(self, job: str) -> bool:
        """Whether a job was cancelled."""
        return any(work.cancelled for work in self._jobs if work.job == job)

    def is_over(self, job: str) -> bool:
        """Whether nothing of a job is in flight and nothing is left, its roll-up included."""
        with self._changed:
            (work,) = (work for work in self._jobs if work.job == job)
            return work.exhausted and (work.cancelled or not self._owes_roll_up(work))

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
        if work.exhausted and not work.cancelled and self._owes_roll_up(work):
            work.rolled_up = True
            return Task(TaskKind.ROLL_UP, work.job)
        return None

    def _owes_roll_up(self, work: _JobWork) -> bool:
        return work.job in self._roll_up and not work.rolled_up and not work.failed

    @staticmethod
    def _count_alike(work: _JobWork, outcome: Outcome) -> None:
        if not outcome.permanent:
            return
        message = _OF_ONE_WINDOW.sub("*", outcome.error)
        work.messages[message] = work.messages.get(message, 0) + 1
        if work.messages[message] >= ALIKE_FAILURES:
            work.stopped_by = outcome.error
            work.waiting.clear()
            work.ready.clear()
