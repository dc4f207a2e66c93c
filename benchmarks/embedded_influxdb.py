"""How many lines a second the embedded InfluxDB takes, durably, with the client on the same machine. Needed: 60,000.

Bodies are made before the clock starts. How the product's own loading compares is in `load`.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import urllib3
from isal import igzip

from benchmarks.rows import Row, compared
from benchmarks.telemetry import MAPPING, Telemetry
from ts_migration.line_protocol.encoder import encode
from ts_migration_tests.local.influxdb.embedded import running_influxdb

LINES = 400_000
BATCH = 8_000
NEEDED = 60_000.0


def bodies() -> list[bytes]:
    """Ready-made request bodies."""
    ready = []
    for rows in Telemetry(LINES).tables():
        encoded = encode(pl.DataFrame(rows.drop_columns(["time"])), MAPPING)
        for start in range(0, encoded.points, BATCH):
            end = min(start + BATCH, encoded.points)
            ready.append(igzip.compress(encoded.text[int(encoded.offsets[start]) : int(encoded.offsets[end])], 1))
    return ready


def rate(connections: int, ready: list[bytes]) -> float:
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
        return LINES / taken


def measure(runs: int) -> list[Row]:
    """A row per number of connections."""
    ready = bodies()
    seen: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(runs):
        for connections, rates in seen.items():
            rates.append(rate(connections, ready))
    needed = [NEEDED] * runs
    return [
        compared(f"embedded InfluxDB, connections: {n}", "what its users need", rates, needed, "lines/s", 1.0)
        for n, rates in seen.items()
    ]
