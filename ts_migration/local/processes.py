"""Detached processes on loopback: start, recognise, await, stop. A recycled pid is never taken for ours.

A process is known by its pid and the time the kernel says it started; nothing is ever found or ended by name.
Which processes the stack has is in `stack`.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ts_migration.errors import MigrationError, Permanent

LOOPBACK = "127.0.0.1"

FIRST_PORT, LAST_PORT = 18_000, 29_999
"""Below the kernel's ephemeral range (32,768 and up): a kept port is not taken by somebody's outgoing connection."""

LOG_TAIL_LINES = 15
_START_MARK = "--- started"


class ProcessId(BaseModel):
    """A pid and when it started, in whatever unit the system tells it: only equality matters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: str


class PortTaken(Permanent):
    """The port that a server was to listen on is somebody else's: choose another."""


def started_at(pid: int) -> str | None:
    """When a living process started, or None where there is none (a zombie is dead)."""
    with contextlib.suppress(OSError):  # not a child of ours
        os.waitpid(pid, os.WNOHANG)
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in ("Z", "X") else fields[19]
    listing = subprocess.run(  # systems without /proc, such as macOS
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - ps is where the system has it
        capture_output=True, text=True, check=False,
    ).stdout.split(maxsplit=1)  # fmt: skip
    return None if len(listing) < 2 or listing[0].startswith("Z") else listing[1].strip()


def alive(process: ProcessId | None) -> bool:
    """Whether this very process still runs."""
    return process is not None and started_at(process.pid) == process.started


def port_is_free(port: int) -> bool:
    """Whether a server could listen on a port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(taken: Sequence[int] = ()) -> int:
    """A port of loopback that nobody listens on, and none of `taken`."""
    choose = random.Random()  # noqa: S311 - a port is no secret
    for _ in range(1000):
        port = choose.randint(FIRST_PORT, LAST_PORT)
        if port not in taken and port_is_free(port):
            return port
    raise Permanent(f"no free port between {FIRST_PORT} and {LAST_PORT} on {LOOPBACK}")


def start(command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str]) -> ProcessId:
    """Start a process that outlives this one, in a session of its own, its output appended to a log file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    cwd.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"{_START_MARK} {time.strftime('%Y-%m-%dT%H:%M:%S%z')}\n".encode())
        output.flush()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=cwd, env=dict(environment), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Permanent(f"cannot be started: {error}", where=command[0]) from error
    child.returncode = 0  # not ours to wait for: keeps Popen from warning when it is collected
    return ProcessId(pid=child.pid, started=started_at(child.pid) or "")


def stop(process: ProcessId | None, *, grace_s: float = 10.0) -> bool:
    """End a process: SIGTERM, then SIGKILL after `grace_s` seconds. True where it ran."""
    if process is None or not alive(process):
        return False
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return True
        if _until(lambda: not alive(process), patience_s):
            return True
    raise Permanent(f"process {process.pid} does not end", next_step="end it by hand")


def answers(url: str, expected: frozenset[int], timeout_s: float = 2.0) -> bool:
    """Whether a server answers a GET with one of the expected statuses."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as response:
            return response.status in expected
    except urllib.error.HTTPError as error:
        return error.code in expected
    except (OSError, ValueError):
        return False


def await_health(
    name: str, process: ProcessId, url: str, expected: frozenset[int], *, log: Path, port: int, timeout_s: float = 60.0
) -> None:
    """Wait until a started server answers.

    Raises:
        PortTaken: it ended because its port was taken.
        Permanent: it ended or never answered; the message holds the tail of its log.
    """
    _until(lambda: not alive(process) or answers(url, expected), timeout_s)
    if alive(process) and answers(url, expected, timeout_s=5.0):
        return
    ended = not alive(process)
    tail = log_tail(log)
    taken = ended and ("address already in use" in tail.lower() or not port_is_free(port))
    kind: type[MigrationError] = PortTaken if taken else Permanent
    what = "ended while it started" if ended else f"did not answer at {url} within {timeout_s:g} s"
    raise kind(f"the embedded {name} {what}; the end of its log {log}:\n{tail}")


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log file since the latest start, indented."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 16_384))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return "    (no log)"
    latest = text.rpartition(_START_MARK)[2].splitlines()[1:]
    return "\n".join(f"    {line}" for line in latest[-lines:]) or "    (empty)"


def _until(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    pause_s = 0.02
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, 0.25)
    return condition()
