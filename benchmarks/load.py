"""How fast a window is loaded: the stage, against loops that only post the same bodies, and against AWS's way.

Two targets: a bare sink, the least that any server must do, which is many times faster than a database and shows what
the client costs; and a server: INFLUXDB_URL (INFLUXDB_TOKEN, INFLUXDB_ORG), else the embedded one. Sides take turns,
each in a process of its own, each into a bucket of its own that is deleted afterwards.
"""

import argparse
import itertools
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import harmonic_mean, mean
from typing import Self

import urllib3
from pydantic import SecretStr

from benchmarks import aws_pattern
from benchmarks.rows import Row, bounded, compared
from benchmarks.sink import running_sink
from benchmarks.telemetry import MAPPING, Telemetry
from ts_migration.config import MigrationJob
from ts_migration.influxdb.buckets import ensure, find
from ts_migration.influxdb.connection import Target
from ts_migration.line_protocol.files import members_of, read_members
from ts_migration.line_protocol.members import Member
from ts_migration.manifests import LineProtocolManifest, require_manifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.convert import convert_window
from ts_migration.stages.load import load_window
from ts_migration_tests.local.influxdb.embedded import running_influxdb
from ts_migration_tests.local.s3 import running_s3, s3_client

SINK_LINES = 10_000_000
SINK_RUNS = 5
"""At least: two or three seconds of work differ by several percent from run to run."""
SERVER_LINES = 2_000_000
"""Seconds of work either way: what a window costs beside its lines is `window_overhead`'s row."""
BATCHES = (50_000, 10_000)
WARM_UP = Telemetry(40_000)
AWS_LINES = Telemetry(SERVER_LINES, aws_pattern.BATCH_LINES)
CPU_US_A_LINE = 0.5

CONNECTIONS = 2
"""Of the stage and of the loop alike."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a side reads and writes."""

    endpoint: str
    url: str
    org: str
    token: str
    bucket: str

    @property
    def exports(self) -> ExportBucket:
        return ExportBucket(s3_client(self.endpoint), "exports")

    @property
    def target(self) -> Target:
        return Target(self.url, self.org, SecretStr(self.token))

    def job(self, telemetry: Telemetry) -> MigrationJob:
        """The job, with this target, and as many connections as the loop has that it is held against."""
        return telemetry.job.model_copy(update={"target_bucket": self.bucket, "write_connections": CONNECTIONS})


def stage(telemetry: Telemetry, place: Place) -> float:
    """The product's stage, members streamed from S3, with CRC, ledger and manifest; the seconds."""
    exports = place.exports
    own = telemetry.place.window(telemetry.window.key)
    exports.delete(own.manifest("load"))
    exports.delete_prefix(own.ledger)
    job, target = place.job(telemetry), place.target
    started = time.perf_counter()
    loaded = load_window(job, telemetry.place, telemetry.window, MAPPING, exports, target)
    taken = time.perf_counter() - started
    if loaded.points != telemetry.rows or loaded.retries:
        raise SystemExit(f"{loaded.points} points of {telemetry.rows}, {loaded.retries} retries")
    return taken


def loop(telemetry: Telemetry, place: Place) -> float:
    """The same bodies from memory over as many connections, and nothing else; the seconds."""
    exports = place.exports
    members = _ready(telemetry, place, exports)
    bodies = [body for _, body in read_members(exports, members)]
    with _Posts(place) as posts:
        started = time.perf_counter()
        for body in bodies:
            posts.post(body)
        posts.finish()
        return time.perf_counter() - started


def relay(telemetry: Telemetry, place: Place) -> float:
    """The same bodies streamed from S3 by one thread, posted over as many connections; the seconds."""
    exports = place.exports
    members = _ready(telemetry, place, exports)
    with _Posts(place) as posts:
        started = time.perf_counter()
        for part, own in itertools.groupby(members, lambda member: member.part):
            stream = exports.client.get_object(Bucket=exports.name, Key=part)["Body"]
            for member in own:
                posts.post(stream.read(member.length))
        posts.finish()
        return time.perf_counter() - started


def _ready(telemetry: Telemetry, place: Place, exports: ExportBucket) -> tuple[Member, ...]:
    """The bucket made, and the members that lie ready."""
    job = place.job(telemetry)
    ensure(place.target, job.target_bucket, job.shard_group_duration)
    return _members(telemetry, exports)


def _members(telemetry: Telemetry, exports: ExportBucket) -> tuple[Member, ...]:
    key = telemetry.place.window(telemetry.window.key).manifest("line_protocol")
    return members_of(exports, require_manifest(LineProtocolManifest, exports, key, "convert it first"))


class _Posts:
    """Posts bodies over CONNECTIONS connections; as many again wait."""

    def __init__(self, place: Place) -> None:
        self._url = f"{place.url}/api/v2/write?org={place.org}&bucket={place.bucket}&precision=ns"
        self._headers = {"Authorization": f"Token {place.token}", "Content-Encoding": "gzip"}
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, timeout=120.0)
        self._threads = ThreadPoolExecutor(CONNECTIONS)
        self._room = threading.Semaphore(2 * CONNECTIONS)
        self._statuses: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._pool.clear()

    def post(self, body: bytes) -> None:
        """Post it when there is room."""
        self._room.acquire()
        self._threads.submit(self._post, body)

    def finish(self) -> None:
        """Wait for all answers; each must be 204."""
        self._threads.shutdown()
        if self._statuses != {204}:
            raise SystemExit(f"not all writes were taken: {self._statuses}")

    def _post(self, body: bytes) -> None:
        try:
            self._statuses.add(self._pool.request("POST", self._url, body=body, headers=self._headers).status)
        finally:
            self._room.release()


def aws(telemetry: Telemetry, place: Place) -> float:
    """AWS's pattern on the same lines; the seconds."""
    job = place.job(telemetry)
    ensure(place.target, job.target_bucket, job.shard_group_duration)
    started = time.perf_counter()
    written = aws_pattern.load(place.endpoint, place.url, place.org, place.token, place.bucket)
    taken = time.perf_counter() - started
    if written != telemetry.rows:
        raise SystemExit(f"{written} lines of {telemetry.rows}")
    return taken


SIDES: dict[str, Callable[[Telemetry, Place], float]] = {"loop": loop, "relay": relay, "stage": stage, "aws": aws}
LIMITS = {"relay": "a loop posting them from S3", "loop": "a loop posting them from memory"}
BUDGETED = "relay"
"""The bodies of a migration lie in S3, whose server takes from the cores that InfluxDB shares with it here."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One side's run: lines a second, and microseconds of CPU a line in its own process and its children."""

    rate: float
    cpu_us: float


def one(name: str, telemetry: Telemetry, place: Place) -> Seen:
    """Run one side in this process. The stage first loads a small window elsewhere: a worker imports things once."""
    if name == "stage":
        warm = Place(place.endpoint, place.url, place.org, place.token, f"{place.bucket}-warm-up")
        stage(WARM_UP, warm)
        delete_bucket(warm)
    cpu = _cpu()
    taken = SIDES[name](telemetry, place)
    cpu = _cpu() - cpu
    delete_bucket(place)
    return Seen(telemetry.rows / taken, cpu / telemetry.rows * 1e6)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def delete_bucket(place: Place) -> None:
    """Leave nothing behind."""
    found = find(place.target, place.bucket)
    if found:
        place.target.request("DELETE", f"/api/v2/buckets/{found.id}")


@contextmanager
def server() -> Iterator[tuple[str, str, str, str]]:
    """Name, url, org and token of INFLUXDB_URL's server, else of an embedded one."""
    if url := os.environ.get("INFLUXDB_URL"):
        yield "the server of INFLUXDB_URL", url, os.environ["INFLUXDB_ORG"], os.environ["INFLUXDB_TOKEN"]
        return
    with tempfile.TemporaryDirectory() as folder, running_influxdb(Path(folder)) as (url, token, org):
        yield "the embedded InfluxDB", url, org, token


def prepare(exports: ExportBucket) -> None:
    """Convert what will be loaded, and lay AWS's parts beside it: 100,000 lines each."""
    shapes = (Telemetry(lines, batch) for lines in (SINK_LINES, SERVER_LINES) for batch in BATCHES)
    for telemetry in (WARM_UP, *shapes):
        telemetry.write_export(exports)
        convert_window(telemetry.job, telemetry.place, telemetry.window, MAPPING, exports)
        exports.delete_prefix(telemetry.place.bulk + f"{telemetry.window.key}/export/")
    bodies = [body for _, body in read_members(exports, _members(AWS_LINES, exports))]
    for first in range(0, len(bodies), 10):
        exports.put(f"{aws_pattern.PREFIX}{first:05d}.lp.gz", b"".join(bodies[first : first + 10]))


def turns(endpoint: str, target: tuple[str, str, str], sides: dict[str, Telemetry], runs: int) -> dict[str, list[Seen]]:
    """Every side `runs` times, each time there and back (a, b, b, a): a machine that grows busier slows all alike."""
    seen: dict[str, list[Seen]] = {name: [] for name in sides}
    for _ in range(runs):
        found: dict[str, list[Seen]] = {}
        for name in (*sides, *reversed(sides)):
            found.setdefault(name, []).append(_turn(name, endpoint, target, sides[name]))
        for name, each in found.items():
            seen[name].append(Seen(harmonic_mean(one.rate for one in each), mean(one.cpu_us for one in each)))
    return seen


def _turn(name: str, endpoint: str, target: tuple[str, str, str], telemetry: Telemetry) -> Seen:
    bucket = f"ts-migration-bench-{secrets.token_hex(4)}"
    shape = (str(telemetry.rows), str(telemetry.batch_size))
    command = [sys.executable, "-m", "benchmarks.load", name, *shape, endpoint, *target, bucket]
    return Seen(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def measure(runs: int) -> list[Row]:
    """Both targets, both sizes of request."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, running_s3(Path(folder)) as (endpoint, _, _):
        exports = ExportBucket(s3_client(endpoint), "exports")
        exports.client.create_bucket(Bucket="exports")
        prepare(exports)
        with running_sink() as url:
            sink = (url, "bench", "no-token")
            rows += _rows("a bare sink", endpoint, sink, SINK_LINES, (BUDGETED,), max(runs, SINK_RUNS))
        with server() as (name, url, org, token):
            rows += _rows(name, endpoint, (url, org, token), SERVER_LINES, tuple(LIMITS), runs)
    return rows


def _rows(
    name: str, endpoint: str, target: tuple[str, str, str], lines: int, limits: tuple[str, ...], runs: int
) -> list[Row]:
    """Rows of one target."""
    rows = []
    for batch in BATCHES:
        telemetry = Telemetry(lines, batch)
        seen = turns(endpoint, target, dict.fromkeys([*limits, "stage"], telemetry), runs)
        rates = {side: [each.rate for each in found] for side, found in seen.items()}
        part = f"load into {name}, {batch:,} lines a request"
        for side in limits:
            budget = 0.95 if side == BUDGETED else None
            rows.append(compared(part, LIMITS[side], rates["stage"], rates[side], "lines/s", budget))
        if batch == aws_pattern.BATCH_LINES:
            pattern, beside = "AWS's pattern, ten processes", rates["stage"][:1]
            own = _turn("aws", endpoint, target, AWS_LINES)
            rows.append(compared(part, pattern, beside, [own.rate], "lines/s", 1.0))
        cpu = [each.cpu_us for each in seen["stage"]]
        rows.append(bounded(f"{part}: client CPU", "the budget", cpu, CPU_US_A_LINE, "us/line"))
    return rows


def main() -> None:
    """What the process of one side does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("lines", type=int)
    parser.add_argument("batch", type=int)
    for name in Place.__dataclass_fields__:
        parser.add_argument(name)
    options = parser.parse_args()
    place = Place(*(getattr(options, name) for name in Place.__dataclass_fields__))
    seen = one(options.side, Telemetry(options.lines, options.batch), place)
    print(json.dumps([seen.rate, seen.cpu_us]))


if __name__ == "__main__":
    main()
