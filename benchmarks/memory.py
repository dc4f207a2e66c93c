"""How much memory a window takes, whatever its size: peak resident memory of the process that converts or loads it.

Windows of 1 M and 10 M rows; with LONG=1 one of 40 M rows, too. Exports are made file by file, by another process, when
they are asked for: of a window only what it is converted to lies on disk whole.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from multiprocessing.pool import Pool
from pathlib import Path
from typing import IO

from pydantic import SecretStr

from benchmarks.rows import Row, bounded
from benchmarks.sink import running_sink
from benchmarks.telemetry import FILE_ROWS, MAPPING, Telemetry, rows_of, write_parquet
from ts_migration.influxdb.connection import Target
from ts_migration.manifests import ExportFile, LoadName
from ts_migration.objects import ExportBucket
from ts_migration.stages.convert import convert_window
from ts_migration.stages.load import load_window
from ts_migration_tests.local.s3 import running_s3, s3_client

SMALL, LARGE, LONG = 1_000_000, 10_000_000, 40_000_000
MOST_MIB = 1024
FLAT = 1.25
"""The peak of a window ten times as large may be higher by a quarter: allocators do not give everything back."""


class GeneratedExport(ExportBucket):
    """A bucket whose export files are made when they are read."""

    def __init__(self, client: object, telemetry: Telemetry, workers: Pool, folder: Path) -> None:
        super().__init__(client, "exports")  # type: ignore[arg-type]
        self.telemetry = telemetry
        self.workers = workers
        self.file = folder / "export.parquet"

    @cached_property
    def file_bytes(self) -> int:
        """Size of every file."""
        self.workers.apply(_write_file, (0, str(self.file)))
        return self.file.stat().st_size

    def describe(self) -> None:
        """Write the export's manifest."""
        own = self.telemetry.place.window(self.telemetry.window.key)
        keys = [f"{own.export_attempt('made')}/{first}.parquet" for first in range(0, self.telemetry.rows, FILE_ROWS)]
        files = tuple(ExportFile(key=key, bytes=self.file_bytes, rows=FILE_ROWS) for key in keys)
        self.telemetry.manifest(files).write(self, own.manifest("export"))

    def download(self, key: str, target: IO[bytes]) -> None:
        """Make an export file."""
        self.workers.apply(_write_file, (int(Path(key).stem), str(self.file)))
        with self.file.open("rb") as made:
            shutil.copyfileobj(made, target)


def _write_file(first: int, path: str) -> None:
    write_parquet(rows_of(first, first + FILE_ROWS), path)


@contextmanager
def generated(rows: int, endpoint: str) -> Iterator[GeneratedExport]:
    """The bucket of a window of so many rows."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Pool(1) as workers:
        bucket = GeneratedExport(s3_client(endpoint), Telemetry(rows), workers, Path(folder))
        bucket.describe()
        yield bucket


def convert(rows: int, endpoint: str, _: str, way: LoadName = "line_protocol") -> None:
    """Convert a window in this process."""
    with generated(rows, endpoint) as bucket:
        telemetry = bucket.telemetry
        job = telemetry.job.model_copy(update={"load": way})
        done = convert_window(job, telemetry.place, telemetry.window, MAPPING, bucket)
    if done.points != rows:
        raise SystemExit(f"{done.points} points of {rows}")


def load(rows: int, endpoint: str, url: str) -> None:
    """Load what was converted, in this process."""
    telemetry, target = Telemetry(rows), Target(url, "bench", SecretStr("no-token"))
    exports = ExportBucket(s3_client(endpoint), "exports")
    done = load_window(telemetry.job, telemetry.place, telemetry.window, MAPPING, exports, target)
    if done.points != rows:
        raise SystemExit(f"{done.points} points of {rows}")


def shards(rows: int, endpoint: str, url: str) -> None:
    """Convert a window to shard files in this process."""
    own = Telemetry(rows).place.window(Telemetry(rows).window.key)
    for stage in ("line_protocol", "load"):
        ExportBucket(s3_client(endpoint), "exports").delete(own.manifest(stage))
    convert(rows, endpoint, url, "bulk")


STAGES: dict[str, Callable[[int, str, str], None]] = {"convert": convert, "load": load, "shards": shards}
"""In the order in which a window goes through them; `shards` makes its files anew."""


def peak_mib(stage: str, rows: int, endpoint: str, url: str) -> float:
    """Peak memory of a process that runs one stage over one window."""
    command = [sys.executable, "-m", "benchmarks.memory", stage, str(rows), endpoint, url]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(_runs: int) -> list[Row]:
    """Once each: a peak does not vary as times do."""
    peaks: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as folder, running_s3(Path(folder)) as (endpoint, _, _), running_sink() as url:
        ExportBucket(s3_client(endpoint), "exports").client.create_bucket(Bucket="exports")
        for rows in (SMALL, LARGE, *([LONG] if os.environ.get("LONG") else [])):
            for each in STAGES:
                peaks[each, rows] = peak_mib(each, rows, endpoint, url)
    found = [
        bounded(f"memory of {stage}, {count // 10**6} M rows", "1 GiB", [peak], MOST_MIB, "MiB")
        for (stage, count), peak in sorted(peaks.items())
    ]
    return found + [_flatness(stage, peaks[stage, SMALL], peaks[stage, LARGE]) for stage in STAGES]


def _flatness(stage: str, small: float, large: float) -> Row:
    budget = f"ratio at most {FLAT:g}"
    ratio = large / small
    return Row(f"memory of {stage}, 10 M rows", "that of 1 M rows", large, small, "MiB", ratio, budget, ratio <= FLAT)


def main() -> None:
    """What the process of one stage does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("rows", type=int)
    parser.add_argument("endpoint")
    parser.add_argument("url")
    options = parser.parse_args()
    STAGES[options.stage](options.rows, options.endpoint, options.url)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
