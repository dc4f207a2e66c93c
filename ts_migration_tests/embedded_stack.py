"""An embedded stack for tests: its folder, its variables, and commands run there as a user's shell would run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from ts_migration.dotenv import read_dotenv
from ts_migration.local import seeding, stack
from ts_migration.local.state import Service

CHECKOUT = Path(__file__).resolve().parents[1]
DATABASE = "ons_energy_data"

JOB = """\
  - job_name: "{name}"
    source_database: "{database}"
    source_table: "{table}"
    target_bucket: "{bucket}"
    start_time: "{start}"
    end_time: "{end}"
"""


def clean_environment() -> dict[str, str]:
    """The shell's variables without any that would lead commands to other servers or to another Dagster home."""
    prefixes = ("AWS_", "INFLUX", "DAGSTER", "TS_MIGRATION", "S3_EXPORT", "NOTIFICATION_", "MIGRATION_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def configuration(*tables: str, start: str = "2023-01-01T00:00:00Z", end: str = "2024-12-31T23:59:59Z") -> str:
    """Text of a configuration that migrates tables of the example database, each to a bucket of its name."""
    jobs = [
        JOB.format(name=f"{table} job", database=DATABASE, table=table, bucket=table, start=start, end=end)
        for table in tables
    ]
    return "migration_jobs:\n" + "".join(jobs)


@dataclass
class EmbeddedStack:
    """A stack in a working folder."""

    folder: Path

    def up(self) -> stack.Started:
        """Start it."""
        return stack.up(self.folder)

    def down(self) -> None:
        """Stop it and delete its data."""
        stack.down(self.folder, delete_data=True)

    @property
    def variables(self) -> dict[str, str]:
        """What `.env` says."""
        return read_dotenv(self.folder / ".env")

    @property
    def timestream_url(self) -> str:
        """Base URL of the embedded Timestream."""
        return stack.require_state(self.folder).url(Service.TIMESTREAM)

    def seed_examples(self, rows: int) -> None:
        """The generator's three tables."""
        seeding.seed_examples(self.timestream_url, DATABASE, rows)

    def s3(self) -> Any:
        """A boto3 client of the embedded S3."""
        variables = self.variables
        return boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_DEFAULT_REGION"],
            config=Config(request_checksum_calculation="when_required", response_checksum_validation="when_required"),
        )

    def write_config(self, text: str, name: str = "migration_config.yaml") -> Path:
        """A configuration file in the working folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(
        self, *arguments: str, variables: dict[str, str] | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """`ts-migration ARGUMENTS` in the working folder, in a shell without any export but `variables`."""
        command = ("-m", "ts_migration.cli.main", *arguments)
        return run_command(*command, cwd=self.folder, variables=variables, timeout_s=timeout_s)


class StartedCommand:
    """A program that runs beside the test: it is stopped, let go on, killed or waited for."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(timeout_s)

    @property
    def children(self) -> list[int]:
        """Processes that it has started and that still run."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent, *_ = path.read_text().rpartition(")")[2].split()
                if int(parent) == self.pid and state != "Z":
                    found.append(int(path.parent.name))
        return found

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It and its children stand still."""
        pids = [self.pid, *self.children]
        signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(pids, signal.SIGCONT)


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal; who is gone is no error."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def start_command(*arguments: str, cwd: Path, variables: dict[str, str] | None = None) -> Iterator[StartedCommand]:
    """A Python program that runs while the block does, in a process group of its own; what it prints is dropped."""
    # Tests run by nohup ignore SIGHUP, and so would what they start.
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env={**clean_environment(), **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGHUP, hangup)
    started = StartedCommand(process)
    try:
        yield started
    finally:
        children = started.children
        if process.poll() is None:
            process.kill()
        signal_all(children, signal.SIGKILL)
        process.wait()


def run_command(
    *arguments: str, cwd: Path, variables: dict[str, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """A Python program as a subprocess, with stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**clean_environment(), **(variables or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
