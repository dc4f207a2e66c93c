"""The telemetry that benchmarks move: 200 series, 3 tags, 5 fields, hourly, lines of about 157 bytes.

One shape for every benchmark, that of the measurements on a real InfluxDB 2.9.1. What is measured is elsewhere.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ts_migration.config import MigrationJob, parse_config
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.manifests import ExportFile, ExportManifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.currency import window_range
from ts_migration.stages.export import export_settings
from ts_migration.windows import Window

START = 946_684_800 * 10**9
"""2000-01-01: 40 M rows are 22.8 years."""
HOUR = 3_600 * 10**9
SERIES = 200
FILE_ROWS = 1_000_000
COLUMNS = {
    "region": "varchar", "plant": "varchar", "unit": "varchar", "measure_name": "varchar", "time": "timestamp",
    "power": "double", "voltage": "double", "temperature": "double", "count": "bigint", "open": "boolean",
    "time_ns": "bigint",
}  # fmt: skip
TAGS = ("plant", "region", "unit")
FIELDS = {
    "count": FieldType.INTEGER,
    "open": FieldType.BOOLEAN,
    "power": FieldType.FLOAT,
    "temperature": FieldType.FLOAT,
    "voltage": FieldType.FLOAT,
}
MAPPING = Mapping(
    "telemetry",
    tuple(TagSource(name, name) for name in TAGS),
    tuple(FieldSource(name, name, kind) for name, kind in FIELDS.items()),
    ("metrics",),
    ("region", "plant", "unit"),
    injective=True,
)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """So many rows, cut into requests of so many lines."""

    rows: int
    batch_size: int = 10_000

    @property
    def place(self) -> TablePlace:
        """Where its objects lie: each shape in a place of its own."""
        return TablePlace(f"bench/telemetry-{self.rows}-{self.batch_size}")

    @property
    def window(self) -> Window:
        """One window around all rows."""
        return Window(START, START + (self.rows // SERIES + 1) * HOUR, "2000-01-01")

    @property
    def job(self) -> MigrationJob:
        """The job that moves it."""
        return parse_config(
            "migration_jobs:\n  - {job_name: bench, source_database: bench, source_table: telemetry, "
            "target_bucket: ts-migration-bench, start_time: 2000-01-01, end_time: 2030-01-01, "
            f"batch_size: {self.batch_size}}}"
        ).migration_jobs[0]

    def tables(self) -> Iterator[pa.Table]:
        """The rows, in files as UNLOAD leaves them: time order, all series of one time side by side."""
        for first in range(0, self.rows, FILE_ROWS):
            yield rows_of(first, min(first + FILE_ROWS, self.rows))

    def manifest(self, files: tuple[ExportFile, ...]) -> ExportManifest:
        """The export's manifest over such files."""
        return ExportManifest(
            database="bench", table="telemetry", window=window_range(self.window), columns=COLUMNS, files=files,
            rows=self.rows, bytes=sum(file.bytes for file in files), queries=(), aws_manifests=(),
            settings=export_settings(self.job), seconds=0.0,
        )  # fmt: skip

    def write_export(self, bucket: ExportBucket) -> None:
        """Put the export into a bucket."""
        files = []
        for number, rows in enumerate(self.tables()):
            with tempfile.NamedTemporaryFile() as file:
                write_parquet(rows, file.name)
                key = f"{self.place.window(self.window.key).export_attempt('bench')}/{number:03d}.parquet"
                bucket.upload(key, file)
                files.append(ExportFile(key=key, bytes=Path(file.name).stat().st_size, rows=len(rows)))
        self.manifest(tuple(files)).write(bucket, self.place.window(self.window.key).manifest("export"))


def write_parquet(rows: pa.Table, path: str) -> None:
    """A file with UNLOAD's types: times are INT96."""
    pq.write_table(rows, path, use_deprecated_int96_timestamps=True, compression="none")


def rows_of(first: int, end: int) -> pa.Table:
    """Some of the rows. Whole files differ in their times only, and so have the same size."""
    index, size = np.arange(first, end), end - first
    random = np.random.default_rng(7)
    of = pa.array(index % SERIES)
    times = START + index // SERIES * HOUR
    return pa.table(
        {
            "region": pa.array([f"region-{n % 5}" for n in range(SERIES)]).take(of),
            "plant": pa.array([f"plant {n // 4}" for n in range(SERIES)]).take(of),
            "unit": pa.array([f"u{n}" for n in range(SERIES)]).take(of),
            "measure_name": pa.array(["metrics"] * size),
            "time": pa.array(times, pa.timestamp("ns")),
            "power": random.normal(1000, 50, size),
            "voltage": np.round(random.normal(230, 3, size), 4),
            "temperature": np.round(random.normal(50, 1, size), 2),
            "count": random.integers(0, 10**9, size),
            "open": random.integers(0, 2, size).astype(bool),
            "time_ns": times,
        }
    )
