"""The pool of worker processes: starts them, gives each one task at a time, replaces one that dies, stops them.

Which task comes next is `schedule`'s affair.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from ts_migration.errors import Permanent, Terminated
from ts_migration.orchestration.job_heart import InFlight
from ts_migration.orchestration.liveness import ask_runs_of_to_end, cancel_runs_of
from ts_migration.orchestration.schedule import Schedule
from ts_migration.orchestration.tasks import Outcome, Task

START_TIMEOUT_S = 120.0
TAIL_LINES = 15
GRACE_S = 4.0
"""How long a worker that is to stop now may take for it: its queries are cancelled and its run says that it ended."""
FINISH_S = 5.0
"""How long tasks in flight may take after a SIGTERM: with GRACE_S less than the 10 s after which `docker stop` kills.
A window in flight may wait for minutes for a server that does not answer."""


class Killed(Permanent):
    """A worker process was ended by a signal that this program did not send, before it began anything."""


class WorkerProcess:
    """One worker process with its pipes and its log file."""

    def __init__(self, config_path: Path, job_id: str, log: Path) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.cancelled_at: float | None = None
        self._log = log
        with log.open("ab") as stderr:
            # What others wrote before says nothing of this one.
            self._log_begin = stderr.tell()
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
            Killed: something ended it while it started.
            Permanent: it ended by itself, or was not ready in time; the end of its log is in the message.
        """
        ready, _, _ = select.select([self._pipe_out], [], [], START_TIMEOUT_S)
        if ready and self._read() == "ready":
            return
        if not ready:
            self._process.kill()
        code = self._process.wait()
        if ready and code < 0:
            raise Killed(
                f"a worker process was killed while it started ({signal.Signals(-code).name})",
                where=str(self._log),
                next_step="see whether memory is short (`dmesg` names what the kernel killed) and use fewer "
                "--parallel-jobs, then run the same command again: it goes on where it was",
            )
        what = f"could not start (exit code {code})" if ready else f"was not ready after {START_TIMEOUT_S:.0f} s"
        raise Permanent(f"a worker process {what}: {self._tail()}", where=str(self._log))

    def perform(self, task: Task) -> Outcome:
        """Let the worker do a task."""
        began = time.monotonic()
        try:
            self._pipe_in.write(task.to_line() + "\n")
            line = self._read()
        except (BrokenPipeError, ValueError):
            line = ""
        seconds = time.monotonic() - began
        if self.cancelled_at and not (line and Outcome.from_line(line).ok):
            return Outcome(ok=False, seconds=seconds, error="cancelled", cancelled=True)
        if not line:
            return Outcome(ok=False, seconds=seconds, error=self._how_it_died())
        return Outcome.from_line(line)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def cancel(self) -> None:
        """Stop the process now, whatever it does: an interrupt first, which its run writes down, then a kill."""
        self.cancelled_at = time.time()
        self._process.send_signal(signal.SIGINT)
        threading.Timer(GRACE_S, self._process.kill).start()

    def stop(self) -> None:
        """End the process: it stops at the end of its input."""
        try:
            self._pipe_in.close()
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, OSError):
            self._process.kill()
            self._process.wait()

    def _how_it_died(self) -> str:
        """Of a process that ended amid a task. One that was killed has said nothing of it in its log."""
        try:
            code = self._process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            code = 0
        if code < 0:
            name = signal.Signals(-code).name
            return f"the worker process was killed ({name}), for want of memory perhaps; see {self._log}"
        return ": ".join(filter(None, [f"the worker process died; see {self._log}", self._tail()]))

    def _read(self) -> str:
        return self._pipe_out.readline().strip()

    def _tail(self) -> str:
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._log_begin)
            lines = log.read().decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-TAIL_LINES:] if line.strip())[-600:]


class Pool:
    """Works a schedule off with `size` processes.

    Args:
        schedule: what is to be done.
        instance: where runs are kept; its folder has the workers' logs.
        size: worker processes.
        config_path: the configuration, which they load.
        execution_id: what their runs belong to.
        on_outcome: told of every task that has ended, from several threads.
    """

    def __init__(
        self,
        schedule: Schedule,
        instance: dg.DagsterInstance,
        *,
        size: int,
        config_path: Path,
        execution_id: str,
        on_outcome: Callable[[Task, Outcome], None],
    ) -> None:
        self._schedule = schedule
        self._config_path = config_path
        self._execution_id = execution_id
        self._instance = instance
        self._log_folder = Path(instance.root_directory) / "logs"
        self._on_outcome = on_outcome
        self._working: dict[int, tuple[WorkerProcess, Task, float]] = {}
        self._changing = threading.Lock()
        self._failures: list[BaseException] = []
        self._performed = False
        self.failed_start: Permanent | None = None
        """A worker that could not start; no task was begun since."""
        self._left = size
        self._done = threading.Event()
        """Instead of the threads: Python 3.11 takes a thread for ended where a signal interrupts its join."""
        self._threads = [threading.Thread(target=self._serve, args=(n,), daemon=True) for n in range(1, size + 1)]

    @property
    def in_flight(self) -> tuple[InFlight, ...]:
        """What the workers do now."""
        with self._changing:
            return tuple(InFlight(task.kind, task.job, task.keys, since) for _, task, since in self._working.values())

    def run(self, on_interrupt: Callable[[int, float | None], None]) -> None:
        """Return when the schedule is done or was stopped.

        A KeyboardInterrupt stops the schedule: tasks in flight finish, none is begun, and `on_interrupt` is told how
        many there are, and in how many seconds they have to (None: in any). A second one stops those too, as soon as
        that may be, and so does the end of the time that Terminated leaves them.

        Raises:
            Permanent: a worker could not start and nothing was performed. Where something was, `failed_start` tells.
        """
        self._log_folder.mkdir(parents=True, exist_ok=True)
        for thread in self._threads:
            thread.start()
        try:
            self._wait()
        except KeyboardInterrupt as interrupt:
            within_s = FINISH_S if isinstance(interrupt, Terminated) else None
            try:
                on_interrupt(self._schedule.stop(), within_s)
                ended = self._wait(within_s)
            except KeyboardInterrupt:
                ended = False
            if not ended:
                self.cancel()
                self._wait()
            raise
        if self._failures:
            raise self._failures[0]
        if self.failed_start and not self._performed:
            raise self.failed_start

    def _wait(self, within_s: float | None = None) -> bool:
        """Whether all has ended, in time where there is one."""
        until = time.monotonic() + (float("inf") if within_s is None else within_s)
        while not self._done.wait(timeout=0.2):
            if time.monotonic() >= until:
                return False
        return True

    def cancel(self, job: str | None = None) -> None:
        """Stop a job's tasks now and begin no other of it; of all jobs where none is named."""
        with self._changing:
            self._schedule.cancel(job)
            for worker, task, _ in self._working.values():
                if job in (None, task.job):
                    ask_runs_of_to_end(self._instance, worker.id)
                    worker.cancel()

    def _serve(self, number: int) -> None:
        worker: WorkerProcess | None = None
        try:
            while (task := self._schedule.take()) is not None:
                if worker is None or not worker.alive:
                    try:
                        worker = self._ready_worker(number)
                    except Permanent as error:
                        self.failed_start = error
                        self._schedule.stop()
                        return
                outcome = self._perform(number, worker, task)
                if worker.cancelled_at:
                    worker.stop()
                    cancel_runs_of(self._instance, worker.id, since=worker.cancelled_at)
                    worker = None
                self._schedule.finish(task, outcome)
                self._on_outcome(task, outcome)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._failures.append(error)
            self._schedule.stop()
        finally:
            if worker is not None:
                worker.stop()
            with self._changing:
                self._left -= 1
                if not self._left:
                    self._done.set()

    def _ready_worker(self, number: int) -> WorkerProcess:
        """A worker that has started. One that is killed meanwhile, for want of memory say, is started once more."""
        log = self._log_folder / f"worker-{number}.log"
        worker = WorkerProcess(self._config_path, self._execution_id, log)
        try:
            worker.await_ready()
        except Killed:
            worker = WorkerProcess(self._config_path, self._execution_id, log)
            worker.await_ready()
        return worker

    def _perform(self, number: int, worker: WorkerProcess, task: Task) -> Outcome:
        with self._changing:
            if self._schedule.is_cancelled(task.job):
                return Outcome(ok=False, seconds=0.0, error="cancelled", cancelled=True)
            self._working[number] = (worker, task, time.time())
            self._performed = True
        try:
            return worker.perform(task)
        finally:
            with self._changing:
                del self._working[number]
