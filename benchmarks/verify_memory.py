"""How much memory reading a window back and digesting it takes, whatever its size: peak of the process that does it.

Windows of 1 M and 10 M points with five fields, in the server that `verify` measures. Run: `.venv/bin/python -m
benchmarks --only verify_memory`.
"""

import argparse
import secrets
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from benchmarks.memory import FLAT, MOST_MIB
from benchmarks.rows import Row, bounded
from benchmarks.verify import SHARD_GROUP_S, Shape, digested, load, server
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.connection import Target

SHAPES = (Shape("1 M points", 200, 5_000), Shape("10 M points", 200, 50_000))


def measure(_: int) -> list[Row]:
    """Once each: a peak does not vary as times do."""
    with server() as (url, org, token):
        small, large = (_peak_mib(url, org, token, shape) for shape in SHAPES)
    ratio, budget = large / small, f"ratio at most {FLAT:g}"
    return [
        *(
            bounded(f"memory of verify, {shape.name}", "1 GiB", [peak], MOST_MIB, "MiB")
            for shape, peak in zip(SHAPES, (small, large), strict=True)
        ),
        Row("memory of verify, 10 M points", "that of 1 M points", large, small, "MiB", ratio, budget, ratio <= FLAT),
    ]


def _peak_mib(url: str, org: str, token: str, shape: Shape) -> float:
    """Peak memory of a process that reads a window back, as the checks do."""
    target, bucket = Target(url, org, SecretStr(token)), f"bench-verify-{secrets.token_hex(4)}"
    made = ensure(target, bucket, SHARD_GROUP_S)
    try:
        load(target, bucket, shape)
        size = (str(shape.series), str(shape.points))
        command = [sys.executable, "-m", "benchmarks.verify_memory", url, org, bucket, *size]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, input=token, text=True).stdout)
    finally:
        target.control.buckets_api().delete_bucket(made.id)


def main() -> None:
    """What the process does: the token comes by standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("url", "org", "bucket"):
        parser.add_argument(name)
    parser.add_argument("series", type=int)
    parser.add_argument("points", type=int)
    options = parser.parse_args()
    target = Target(options.url, options.org, SecretStr(sys.stdin.read().strip()))
    digested(target, options.bucket, Shape("", options.series, options.points))
    print(_high_water_mib())


def _high_water_mib() -> float:
    """Peak of this program's own memory. `ru_maxrss` begins with that of the process it was started from."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
