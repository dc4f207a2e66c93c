"""How long the plan of a job with 1,000 windows takes, from what the embedded Timestream says of 100,000 rows.

Run: `.venv/bin/python -m benchmarks.plan [--runs N]`. Budget: under 2 s.
"""

import argparse
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from benchmarks.rows import Row
from ts_migration.config import parse_config
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.operations.plan import plan
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.windows import to_ns
from ts_migration_tests.local.s3 import running_s3
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream

LIMIT_S = 2.0
WINDOWS = 1_000
ROWS = 100_000
START = to_ns(datetime(2021, 1, 1, tzinfo=UTC))
CONFIG = (
    "migration_jobs:\n  - {job_name: bench, source_database: bench, source_table: telemetry, target_bucket: b, "
    "start_time: 2021-01-01, end_time: 2023-09-28, window: day}"
)


def measure(runs: int) -> list[Row]:
    """One row, seconds of a plan."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_s3(folder) as (endpoint, *_), running_timestream(folder, endpoint) as url:
            spec = SeedSpec(
                database="bench", table="telemetry", kind="multi", dimensions=("plant",),
                measures=("power", "voltage"), measure_name="metrics",
            )  # fmt: skip
            seed(url, spec, _rows())
            query = TimestreamQuery(query_client(url))
            seconds = [_planned(query) for _ in range(runs + 1)][1:]
    value = median(seconds)
    return [
        Row(
            part=f"plan of {WINDOWS:,} windows",
            against=f"a fixed time; {ROWS:,} rows in the embedded Timestream",
            value=value,
            limit=LIMIT_S,
            unit="s",
            ratio=value / LIMIT_S,
            budget=f"under {LIMIT_S:g} s",
            met=value < LIMIT_S,
            runs=runs,
        )
    ]


def _planned(query: TimestreamQuery) -> float:
    """Seconds of one plan, configuration included."""
    began = time.perf_counter()
    (found,) = plan(parse_config(CONFIG), query)
    taken = time.perf_counter() - began
    if len(found.windows) != WINDOWS or found.rows != ROWS or found.problems:
        raise SystemExit(f"{len(found.windows):,} windows, {found.rows:,} rows, problems: {found.problems}")
    return taken


def _rows() -> pl.DataFrame:
    index = np.arange(ROWS)
    draw = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "time": START + index // 50 * (WINDOWS * 86_400 * 10**9 // (ROWS // 50)),
            "plant": pl.Series([f"plant {n}" for n in range(50)]).gather(index % 50),
            "power": draw.normal(400, 80, ROWS),
            "voltage": draw.normal(230, 3, ROWS),
        }
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    for row in measure(parser.parse_args().runs):
        state = f"{'met' if row.met else 'not met'}; load {os.getloadavg()[0]:.1f}"
        print(f"{row.part}: {row.value:.2f} s ({row.budget}: {state})")


if __name__ == "__main__":
    main()
