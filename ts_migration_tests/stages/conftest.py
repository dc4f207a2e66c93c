"""The whole embedded stack for the tests of a session, and a migration of its own for each test."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from ts_migration.config import MigrationConfig, parse_config
from ts_migration.influxdb.connection import Target
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.manifests import LoadManifest, VerdictsManifest
from ts_migration.objects import ExportBucket, TablePlace, WindowPlace
from ts_migration.stages.check import check_window
from ts_migration.stages.convert import convert_window
from ts_migration.stages.export import export_window
from ts_migration.stages.load import load_window
from ts_migration.stages.roll_up import MigratedManifest, roll_up
from ts_migration.stages.table import begin_table
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.windows import Window, to_ns
from ts_migration_tests.local.influxdb.embedded import running_influxdb
from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream, write_client

START = to_ns(datetime(2023, 1, 1, tzinfo=UTC))
HOUR = 3_600_000_000_000


@dataclass(frozen=True)
class Stack:
    """The running servers and the clients that reach them."""

    timestream_url: str
    query: TimestreamQuery
    bucket: ExportBucket
    target: Target


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with (
        running_s3(folder) as (endpoint, access_key, secret_key),
        running_timestream(folder, endpoint, ("--unloads-per-second", "100")) as url,
        running_influxdb(folder) as (influxdb_url, token, org),
    ):
        client = s3_client(endpoint, access_key, secret_key)
        client.create_bucket(Bucket="exports")
        yield Stack(
            url,
            TimestreamQuery(query_client(url)),
            ExportBucket(client, "exports"),
            Target(influxdb_url, org, SecretStr(token)),
        )


@dataclass
class Migration:
    """One job over one fresh table."""

    stack: Stack
    config: MigrationConfig

    @property
    def job(self) -> Any:
        return self.config.migration_jobs[0]

    @property
    def place(self) -> TablePlace:
        return self.config.place(self.job)

    def window(self, index: int = 0) -> Window:
        return list(self.job.grid)[index]

    def own(self, index: int = 0) -> WindowPlace:
        return self.place.window(self.window(index).key)

    def begin(self) -> Any:
        schema = describe(self.stack.query, self.job.source_database, self.job.source_table)
        _, mapping = begin_table(self.job, self.place, schema, self.stack.bucket)
        return schema, mapping

    def export(self, index: int = 0) -> None:
        schema, _ = self.begin()
        export_window(self.job, self.place, self.window(index), schema, self.stack.query, self.stack.bucket)

    def convert(self, index: int = 0) -> Any:
        _, mapping = self.begin()
        return convert_window(self.job, self.place, self.window(index), mapping, self.stack.bucket)

    def load(self, index: int = 0, **options: Any) -> LoadManifest:
        _, mapping = self.begin()
        window = self.window(index)
        return load_window(self.job, self.place, window, mapping, self.stack.bucket, self.stack.target, **options)

    def check(self, index: int = 0) -> VerdictsManifest:
        return check_window(
            self.config, self.job, self.window(index), self.stack.bucket, self.stack.query, self.stack.target, seed=7
        )

    def run(self, index: int = 0) -> VerdictsManifest:
        self.export(index)
        self.convert(index)
        self.load(index)
        return self.check(index)

    def roll_up(self) -> MigratedManifest:
        return roll_up(self.config, self.job, self.stack.bucket, self.stack.target, self.stack.query)

    def late_row(self, time_ns: int, plant: str = "Itaipu, 1") -> None:
        """A row that comes to Timestream after all."""
        rows = plant_rows(1, name=plant).head(1).with_columns(time=pl.lit(time_ns))
        seed(self.stack.timestream_url, spec_of(self.job.source_table), rows)

    def write_again(self, time_ns: int, plant: str = "Itaipu, 1", **values: float) -> None:
        """A plant's row of a time, written to Timestream again with these values alone."""
        record = {
            "Dimensions": [{"Name": "plant", "Value": plant}, {"Name": "subsystem", "Value": "SE/CO"}],
            "MeasureName": "metrics",
            "MeasureValueType": "MULTI",
            "MeasureValues": [{"Name": name, "Type": "DOUBLE", "Value": repr(value)} for name, value in values.items()],
            "Time": str(time_ns),
            "TimeUnit": "NANOSECONDS",
            "Version": time.time_ns(),
        }
        write_client(self.stack.timestream_url).write_records(
            DatabaseName="energy", TableName=self.job.source_table, Records=[record]
        )

    def write(self, lines: str) -> None:
        """Spoil the bucket."""
        query = {"org": self.stack.target.org, "bucket": self.job.target_bucket}
        answer = self.stack.target.request("POST", "/api/v2/write", query, body=lines.encode())
        assert answer.status == 204, answer

    def changed(self, **values: Any) -> "Migration":
        """The same job with other settings."""
        job = self.job.model_copy(update=values)
        job.__dict__.pop("grid", None)  # a cached property: the copy brings it along
        return Migration(self.stack, self.config.model_copy(update={"migration_jobs": (job,)}))


def plant_rows(days: int = 59, name: str = "Itaipu, 1") -> pl.DataFrame:
    """Six-hourly rows of two plants over two months and a bit; some measures are NULL."""
    times = [START + step * 6 * HOUR + 1 for step in range(days * 4)]
    return pl.DataFrame(
        {
            "time": [time for time in times for _ in range(2)],
            "plant": [plant for _ in times for plant in (name, "Belo Monte = 2")],
            "subsystem": ["SE/CO", None] * len(times),
            "load_mw": [number / 7 - 30 for number in range(2 * len(times))],
            "units": [None if number % 5 == 0 else number for number in range(2 * len(times))],
            "online": [number % 3 == 0 for number in range(2 * len(times))],
            "note": [f'say "{number}"\n' if number % 4 else None for number in range(2 * len(times))],
        }
    )


def spec_of(table: str) -> SeedSpec:
    """How the plants' rows are written to a table."""
    return SeedSpec(
        database="energy",
        table=table,
        kind="multi",
        dimensions=("plant", "subsystem"),
        measures=("load_mw", "units", "online", "note"),
        measure_name="metrics",
    )


@pytest.fixture
def migration(stack: Stack) -> Migration:
    """A multi-measure table over January and February 2023, in monthly windows."""
    return new_migration(stack, plant_rows())


def new_migration(stack: Stack, rows: pl.DataFrame, **settings: Any) -> Migration:
    """A table of its own with these rows, and a job over it."""
    name = f"t{uuid.uuid4().hex[:10]}"
    seed(stack.timestream_url, spec_of(name), rows)
    more = "".join(f"\n    {key}: {value}" for key, value in settings.items())
    config = parse_config(f"""
migration_jobs:
  - job_name: job {name}
    source_database: energy
    source_table: {name}
    target_bucket: b_{name}
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-03-01T00:00:00Z
    batch_size: 50{more}
migration_settings:
  retry_delay_seconds: 0.01
""")
    return Migration(stack, config)
