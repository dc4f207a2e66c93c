"""The embedded server as a process for tests: started on a free port, always stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ORG = "ons-energy"
TOKEN = "operator-token-of-the-tests"
VERSION = "2.7.11"


class Running(NamedTuple):
    """Where the server is and what opens it; a plain tuple of url, token, org."""

    url: str
    token: str
    org: str


class Process:
    """One server process; `kill` ends it as a power cut would."""

    def __init__(self, data: Path, *, port: int = 0, bucket: str = "default", options: Sequence[str] = ()) -> None:
        program = [sys.executable, "-m", "ts_migration.local.influxdb", "--host", "127.0.0.1", "--port", str(port)]
        setup = ["--org", ORG, "--bucket", bucket, "--token-env", "INFLUXDB_ADMIN_TOKEN", "--version", VERSION]
        self._log = (data.parent / f"{data.name}.log").open("ab")
        self._process = subprocess.Popen(
            [*program, "--data", str(data), *setup, *options],
            env=os.environ | {"INFLUXDB_ADMIN_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("listening on "):
            self.stop()
            raise RuntimeError(f"the embedded InfluxDB did not start: see {self._log.name}")
        self.running = Running(line.removeprefix("listening on ").strip(), TOKEN, ORG)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._wait()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._wait()

    def _wait(self) -> int:
        try:
            code = self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
        return code


@contextmanager
def running_influxdb(directory: Path) -> Iterator[Running]:
    """An onboarded server with its data under `directory`; yields (url, token, org)."""
    process = Process(directory / "influxdb")
    try:
        yield process.running
    finally:
        process.stop()
