"""An embedded stack for tests: its folder, its variables, and commands run there as a user's shell would run them."""

import os
import subprocess
import sys
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
