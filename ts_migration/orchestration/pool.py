"""The pool of worker processes: starts them, gives each one task at a time, and replaces one that dies.

Which task comes next is `schedule`'s affair.
"""

import os
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from ts_migration.errors import Permanent
from ts_migration.orchestration.schedule import Schedule
from ts_migration.orchestration.tasks import Outcome, Task

START_TIMEOUT_S = 120.0
TAIL_LINES = 15


class WorkerProcess:
    """One worker process with its pipes and its log file."""

    def __init__(self, config_path: Path, job_id: str, log: Path) -> None:
        self.id = uuid.uuid4().hex[:12]
        self._log = log
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ts_migration.orchestration.worker", str(config_path), job_id, self.id],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                bufsize=1,
                start_new_session=True,
                env=os.environ | {"PYTHONWARNINGS": "ignore"},
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise Permanent("a worker process has no pipes", where=str(log))
        self._pipe_in, self._pipe_out = self._process.stdin, self._process.stdout

    def await_ready(self) -> None:
        """Wait until the worker has loaded the definitions.

        Raises:
            Permanent: it ended instead, or was not ready in time; the end of its log is in the message.
        """
        ready, _, _ = select.select([self._pipe_out], [], [], START_TIMEOUT_S)
        if not ready or self._read() != "ready":
            what = "could not start" if ready else f"was not ready after {START_TIMEOUT_S:.0f} s"
            raise Permanent(f"a worker process {what}: {self._tail()}", where=str(self._log))

    def perform(self, task: Task) -> Outcome:
        """Let the worker do a task."""
        began = time.monotonic()
        try:
            self._pipe_in.write(task.to_line() + "\n")
            line = self._read()
        except (BrokenPipeError, ValueError):
            line = ""
        if not line:
            seconds = time.monotonic() - began
            return Outcome(ok=False, seconds=seconds, error=f"the worker process died; see {self._log}: {self._tail()}")
        return Outcome.from_line(line)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process: it stops at the end of its input."""
        try:
            self._pipe_in.close()
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, OSError):
            self._process.kill()
            self._process.wait()

    def _read(self) -> str:
        return self._pipe_out.readline().strip()

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.exists() else []
        return " | ".join(line.strip() for line in lines[-TAIL_LINES:] if line.strip())[-600:]


def run_pool(
    schedule: Schedule,
    *,
    size: int,
    config_path: Path,
    job_id: str,
    log_folder: Path,
    on_outcome: Callable[[Task, Outcome], None],
    on_interrupt: Callable[[int], None],
) -> None:
    """Work a schedule off with `size` processes. Returns when it is done or was stopped.

    A KeyboardInterrupt stops the schedule: tasks in flight finish, none is begun, and `on_interrupt` is told how many
    there are. A second one ends the workers.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    failures: list[BaseException] = []

    def serve(number: int) -> None:
        worker: WorkerProcess | None = None
        try:
            while (task := schedule.take()) is not None:
                if worker is None or not worker.alive:
                    worker = WorkerProcess(config_path, job_id, log_folder / f"worker-{number}.log")
                    worker.await_ready()
                outcome = worker.perform(task)
                schedule.finish(task, outcome)
                on_outcome(task, outcome)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            failures.append(error)
            schedule.stop()
        finally:
            if worker is not None:
                worker.stop()

    threads = [threading.Thread(target=serve, args=(number,), daemon=True) for number in range(1, size + 1)]
    for thread in threads:
        thread.start()
    try:
        _join(threads)
    except KeyboardInterrupt:
        on_interrupt(schedule.stop())
        _join(threads)
        raise
    if failures:
        raise failures[0]


def _join(threads: list[threading.Thread]) -> None:
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(timeout=0.2)
