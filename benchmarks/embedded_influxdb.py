"""How many lines a second the embedded InfluxDB takes, durably, with the client on the same machine. Needed: 60,000.

Run: `.venv/bin/python -m benchmarks.embedded_influxdb`. Bodies are made before the clock starts: 3 tags, 5 fields,
hourly points of 200 series, gzip level 1, 8,000 lines a request.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import urllib3
from isal import igzip

from ts_migration_tests.local.influxdb.embedded import running_influxdb

SERIES = 200
BATCH = 8_000
START = 1_672_531_200 * 10**9
HOUR = 3_600 * 10**9


def bodies(lines: int, seed: int = 1) -> list[bytes]:
    """Ready-made request bodies."""
    draw = np.random.default_rng(seed)
    index = np.arange(lines)
    frame = pl.DataFrame(
        {
            "series": index % SERIES,
            "time": START + index // SERIES * HOUR,
            "power": draw.normal(400, 80, lines),
            "voltage": draw.normal(230, 3, lines),
            "temperature": draw.normal(25, 6, lines),
            "count": draw.integers(0, 10**6, lines),
            "open": draw.random(lines) < 0.5,
        }
    )
    number = pl.col("series").cast(pl.String)
    text = frame.select(
        line=pl.concat_str(
            pl.lit("telemetry,plant=plant_"), number, pl.lit(",region=SE,unit=unit_"), number,
            pl.lit(" count="), pl.col("count").cast(pl.String), pl.lit("i,open="), pl.col("open").cast(pl.String),
            pl.lit(",power="), pl.col("power").cast(pl.String),
            pl.lit(",temperature="), pl.col("temperature").cast(pl.String),
            pl.lit(",voltage="), pl.col("voltage").cast(pl.String), pl.lit(" "), pl.col("time").cast(pl.String),
        )
    )["line"]  # fmt: skip
    parts = (text[start : start + BATCH] for start in range(0, lines, BATCH))
    return [igzip.compress("\n".join(part.to_list()).encode(), 1) for part in parts]


def measure(connections: int, ready: list[bytes], lines: int) -> float:
    """Lines a second into a fresh server."""
    with tempfile.TemporaryDirectory() as folder, running_influxdb(Path(folder)) as (url, token, org):
        headers = {"Authorization": f"Token {token}"}
        with urllib3.PoolManager(maxsize=connections, headers=headers) as pool:
            orgs = pool.request("GET", f"{url}/api/v2/orgs", fields={"org": org}).json()
            made = pool.request(
                "POST", f"{url}/api/v2/buckets",
                json={"orgID": orgs["orgs"][0]["id"], "name": "bench", "retentionRules": []},
            )  # fmt: skip
            if made.status != 201:
                raise SystemExit(f"no bucket: {made.status} {made.data!r}")

            def post(body: bytes) -> int:
                target = f"{url}/api/v2/write?org={org}&bucket=bench&precision=ns"
                return pool.request("POST", target, body=body, headers={**headers, "Content-Encoding": "gzip"}).status

            started = time.perf_counter()
            with ThreadPoolExecutor(connections) as threads:
                statuses = set(threads.map(post, ready))
            taken = time.perf_counter() - started
        if statuses != {204}:
            raise SystemExit(f"not all writes were taken: {statuses}")
        return lines / taken


def main(lines: int = 400_000) -> None:
    """Print a row per number of connections."""
    ready = bodies(lines)
    for connections in (1, 2, 4):
        rate = measure(connections, ready, lines)
        print(f"embedded InfluxDB, {connections} connections: {rate:10,.0f} lines/s durable (needed: 60,000)")


if __name__ == "__main__":
    main()
