"""Reading a window back and digesting it, held against reading the same stream and throwing it away.

Run: `.venv/bin/python -m benchmarks.verify [--runs N]`. Both sides send the same request and run in turns against one
server: INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG where they are set, else the embedded one. Budget: at least 0.8.
"""

import argparse
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from isal import igzip
from pydantic import SecretStr

from benchmarks.rows import Row, compared
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.connection import Target
from ts_migration.stages.target_reading import read_points
from ts_migration.windows import Window
from ts_migration_tests.local.influxdb.embedded import running_influxdb

START = 1_672_531_200 * 10**9
STEP = 60 * 10**9
MEASUREMENT = "telemetry"
AT_LEAST = 0.8
BODY_LINES = 20_000
SHARD_GROUP_S = 30 * 86_400


@dataclass(frozen=True)
class Shape:
    """How the points of a window are spread: `series` series of `points` points with five fields each."""

    name: str
    series: int
    points: int

    @property
    def window(self) -> Window:
        """From the first point to one step after the last."""
        return Window(START, START + self.points * STEP, self.name)


SHAPES = (Shape("long series", 200, 3_000), Shape("short series", 10_000, 48))


def measure(runs: int) -> list[Row]:
    """A row per shape, points/s."""
    with server() as (url, org, token):
        target = Target(url, org, SecretStr(token))
        return [_measured(target, shape, runs) for shape in SHAPES]


def _measured(target: Target, shape: Shape, runs: int) -> Row:
    bucket = f"bench-verify-{secrets.token_hex(4)}"
    made = ensure(target, bucket, SHARD_GROUP_S)
    try:
        load(target, bucket, shape)
        rates: dict[str, list[float]] = {"ours": [], "limit": []}
        for run in range(runs + 1):
            limit, ours = _thrown_away(target, bucket, shape.window), digested(target, bucket, shape)
            if run:  # the first pair warms the server's caches
                rates["limit"].append(shape.series * shape.points / limit)
                rates["ours"].append(shape.series * shape.points / ours)
    finally:
        target.control.buckets_api().delete_bucket(made.id)
    return compared(
        f"verify, {shape.series:,} series of {shape.points:,} points",
        "reading the same stream and throwing it away",
        rates["ours"],
        rates["limit"],
        "points/s",
        AT_LEAST,
    )


def digested(target: Target, bucket: str, shape: Shape) -> float:
    """Seconds of what the checks do with the stream."""
    window = shape.window
    started = time.perf_counter()
    found = read_points(reader.batches(target, bucket, MEASUREMENT, window), window, ())
    record = found.digest.record()
    taken = time.perf_counter() - started
    if record.values != 5 * shape.series * shape.points:
        raise SystemExit(f"{record.values:,} values were read, not {5 * shape.series * shape.points:,}")
    return taken


def _thrown_away(target: Target, bucket: str, window: Window) -> float:
    """Seconds of the same request, its bytes dropped."""
    started = time.perf_counter()
    response = target.open(
        "GET", "/query", reader.points_query(target, bucket, MEASUREMENT, window), headers=reader.ACCEPT
    )
    if response.status != 200:
        raise SystemExit(f"the query failed: {response.status} {response.read()!r}")
    for _ in response.stream(reader.READ_BYTES):
        pass
    response.release_conn()
    return time.perf_counter() - started


def load(target: Target, bucket: str, shape: Shape) -> None:
    query = {"org": target.org, "bucket": bucket, "precision": "ns"}

    def post(body: bytes) -> None:
        answer = target.request("POST", "/api/v2/write", query, headers={"Content-Encoding": "gzip"}, body=body)
        if answer.status != 204:
            raise target.error(answer, "the write failed")

    with ThreadPoolExecutor(2) as threads:
        for _ in threads.map(post, _bodies(shape)):
            pass


def _bodies(shape: Shape) -> Iterator[bytes]:
    """Line protocol of all points: 3 tags, 5 fields (three floats, an integer of varying width, a boolean)."""
    draw = np.random.default_rng(7)
    total = shape.series * shape.points
    for first in range(0, total, BODY_LINES):
        index = np.arange(first, min(first + BODY_LINES, total))
        size = len(index)
        frame = pl.DataFrame(
            {
                "series": index // shape.points,
                "time": START + index % shape.points * STEP,
                "power": draw.normal(400, 80, size),
                "voltage": draw.normal(230, 3, size),
                "temperature": draw.normal(25, 6, size).round(2),
                "count": draw.integers(0, 10**6, size),
                "open": draw.random(size) < 0.5,
            }
        )
        number = pl.col("series").cast(pl.String)
        text = frame.select(
            line=pl.concat_str(
                pl.lit(f"{MEASUREMENT},plant=plant_"), number, pl.lit(",region=SE,unit=unit_"), number,
                pl.lit(" count="), pl.col("count").cast(pl.String), pl.lit("i,open="), pl.col("open").cast(pl.String),
                pl.lit(",power="), pl.col("power").cast(pl.String),
                pl.lit(",temperature="), pl.col("temperature").cast(pl.String),
                pl.lit(",voltage="), pl.col("voltage").cast(pl.String), pl.lit(" "), pl.col("time").cast(pl.String),
            )
        )["line"]  # fmt: skip
        yield igzip.compress("\n".join(text.to_list()).encode(), 1)


@contextmanager
def server() -> Iterator[tuple[str, str, str]]:
    """URL, organisation and token of the server that is read."""
    if url := os.environ.get("INFLUXDB_URL"):
        yield url, os.environ["INFLUXDB_ORG"], os.environ["INFLUXDB_TOKEN"]
        return
    with tempfile.TemporaryDirectory() as folder, running_influxdb(Path(folder)) as (url, token, org):
        yield url, org, token


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    for row in measure(parser.parse_args().runs):
        print(
            f"{row.part}: {row.value:,.0f} {row.unit}; {row.against}: {row.limit:,.0f}; ratio {row.ratio:.2f} "
            f"({row.budget}: {'met' if row.met else 'not met'}); load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
