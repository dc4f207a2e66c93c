"""A window from Parquet in S3 to a bucket that can be queried: shard files against line protocol, end to end.

Both ways convert and load the same export with the same tallies and digests, in turns, each in a process of its own and
into a bucket of its own that is deleted afterwards. The server is INFLUXDB_URL (INFLUXDB_TOKEN of an operator,
INFLUXDB_ORG), else the embedded one, which parses and stores unlike a real one: what a real server saves is told by
docs/bulk-load.md.
"""

import argparse
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from benchmarks.rows import Row, compared
from benchmarks.telemetry import MAPPING, Telemetry
from ts_migration.influxdb import buckets
from ts_migration.influxdb.connection import Target
from ts_migration.manifests import LoadName
from ts_migration.objects import ExportBucket
from ts_migration.stages.convert import convert_window
from ts_migration.stages.load import load_window
from ts_migration_tests.local.influxdb.embedded import running_influxdb
from ts_migration_tests.local.s3 import running_s3, s3_client

WHOLE, WARM_UP = Telemetry(2_000_000), Telemetry(40_000)
WAYS: tuple[LoadName, ...] = ("bulk", "line_protocol")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of converting and loading, and CPU seconds of the client."""

    convert: float
    load: float
    cpu: float

    @property
    def whole(self) -> float:
        """From Parquet to the bucket."""
        return self.convert + self.load


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a side reads and writes."""

    endpoint: str
    url: str
    org: str
    token: str

    @property
    def target(self) -> Target:
        """InfluxDB."""
        return Target(self.url, self.org, SecretStr(self.token))


def moved(telemetry: Telemetry, way: LoadName, servers: Servers) -> Taken:
    """A window converted and loaded by a way."""
    exports, name = ExportBucket(s3_client(servers.endpoint), "exports"), f"ts-migration-bench-{secrets.token_hex(4)}"
    own = telemetry.place.window(telemetry.window.key)
    for stage in ("line_protocol", "load"):
        exports.delete(own.manifest(stage))
    exports.delete_prefix(own.ledger)
    job = telemetry.job.model_copy(update={"load": way, "target_bucket": name})
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    convert_window(job, telemetry.place, telemetry.window, MAPPING, exports)
    converted = time.perf_counter()
    loaded = load_window(job, telemetry.place, telemetry.window, MAPPING, exports, servers.target)
    ended, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = buckets.find(servers.target, name)
    if loaded.points != telemetry.rows or found is None:
        raise SystemExit(f"{loaded.points} points of {telemetry.rows}")
    buckets.delete(servers.target, found)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(converted - started, ended - converted, cpu)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """S3 and InfluxDB, the window's exports in place."""
    with tempfile.TemporaryDirectory(prefix="ts-migration-bench-") as text:
        folder = Path(text)
        with running_s3(folder) as (endpoint, access, secret), running_influxdb(folder) as (url, token, org):
            client = s3_client(endpoint, access, secret)
            client.create_bucket(Bucket="exports")
            for telemetry in (WARM_UP, WHOLE):
                telemetry.write_export(ExportBucket(client, "exports"))
            names = os.environ
            yield Servers(
                endpoint,
                names.get("INFLUXDB_URL", url),
                names.get("INFLUXDB_ORG", org),
                names.get("INFLUXDB_TOKEN", token),
            )


def measure(runs: int) -> list[Row]:
    """The rows of this benchmark."""
    found: dict[LoadName, list[Taken]] = {way: [] for way in WAYS}
    with running_servers() as servers:
        for number in range(runs):
            for way in WAYS if number % 2 == 0 else WAYS[::-1]:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.bulk",
                    way,
                    *(str(each) for each in asdict(servers).values()),
                ]
                answer = subprocess.run(command, check=True, capture_output=True, text=True)
                found[way].append(Taken(**json.loads(answer.stdout.splitlines()[-1])))
    files, lines = (found[way] for way in WAYS)

    def rates(of: list[Taken], seconds: str) -> list[float]:
        return [WHOLE.rows / getattr(each, seconds) for each in of]

    return [
        compared(part, "the same by line protocol", rates(files, each), rates(lines, each), "rows/s")
        for part, each in (
            ("bulk load, Parquet in S3 to bucket", "whole"),
            ("bulk load: making shard files", "convert"),
            ("bulk load: restoring them", "load"),
            ("bulk load: rows a second of client CPU", "cpu"),
        )
    ]


def main() -> None:
    """What a side's process does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("servers", nargs=4)
    options = parser.parse_args()
    servers = Servers(*options.servers)
    moved(WARM_UP, options.way, servers)
    sys.stdout.write(json.dumps(asdict(moved(WHOLE, options.way, servers))) + "\n")


if __name__ == "__main__":
    main()
