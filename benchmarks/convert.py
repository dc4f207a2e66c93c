"""How fast a window is converted, held against bare polars: concatenation, sort and isal, no escaping and no digest.

Run: `.venv/bin/python benchmarks/convert.py [--rows N] [--batch-size N]`. Both sides read the same Parquet from the
same S3 (rclone's) and write the same gzip level; they run in turns in processes of their own. Budget: at least 0.6.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip

from ts_migration.config import parse_config
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.manifests import ExportFile, ExportManifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.convert import convert_window
from ts_migration.stages.currency import window_range
from ts_migration.stages.export import export_settings
from ts_migration.windows import Window
from ts_migration_tests.local.s3 import running_s3, s3_client

START = 1_672_531_200 * 10**9
WINDOW = Window(START, START + 31 * 86_400 * 10**9, "2023-01-01")
PLACE = TablePlace("bench/telemetry")
SERIES = 200
FILE_ROWS = 1_000_000
COLUMNS = {
    "region": "varchar", "plant": "varchar", "unit": "varchar", "measure_name": "varchar", "time": "timestamp",
    "power": "double", "voltage": "double", "temperature": "double", "count": "bigint", "open": "boolean",
    "time_ns": "bigint",
}  # fmt: skip
TYPES = {"power": FieldType.FLOAT, "voltage": FieldType.FLOAT, "temperature": FieldType.FLOAT,
         "count": FieldType.INTEGER, "open": FieldType.BOOLEAN}  # fmt: skip
MAPPING = Mapping(
    "telemetry",
    tuple(TagSource(name, name) for name in ("measure_name", "plant", "region", "unit")),
    tuple(FieldSource(name, name, kind) for name, kind in sorted(TYPES.items())),
    ("metrics",),
    ("region", "plant", "unit"),
    injective=True,
)


def job(batch_size: int) -> object:
    """The job of the benchmark."""
    return parse_config(
        "migration_jobs:\n  - {job_name: bench, source_database: bench, source_table: telemetry, target_bucket: b, "
        f"start_time: 2023-01-01, end_time: 2023-02-01, batch_size: {batch_size}}}"
    ).migration_jobs[0]


def write_export(bucket: ExportBucket, rows: int, batch_size: int) -> None:
    """Files as UNLOAD leaves them: INT96 times, time order, all series of one time side by side."""
    random = np.random.default_rng(7)
    step = (WINDOW.end_ns - WINDOW.start_ns) // (rows // SERIES + 1)
    files = []
    for first in range(0, rows, FILE_ROWS):
        index = np.arange(first, min(first + FILE_ROWS, rows))
        of, size = index % SERIES, len(index)
        times = START + index // SERIES * step
        table = pa.table(
            {
                "region": pa.array([f"region-{n % 5}" for n in range(SERIES)]).take(pa.array(of)),
                "plant": pa.array([f"plant {n // 4}" for n in range(SERIES)]).take(pa.array(of)),
                "unit": pa.array([f"u{n}" for n in range(SERIES)]).take(pa.array(of)),
                "measure_name": pa.array(["metrics"] * size),
                "time": pa.array(times, pa.timestamp("ns")),
                "power": random.normal(1000, 50, size),
                "voltage": random.normal(0, 1, size),
                "temperature": np.round(random.normal(50, 1, size), 2),
                "count": random.integers(0, 10**9, size),
                "open": random.integers(0, 2, size).astype(bool),
                "time_ns": times,
            }
        )
        with tempfile.NamedTemporaryFile() as file:
            pq.write_table(table, file.name, use_deprecated_int96_timestamps=True, compression="none")
            key = f"{PLACE.window(WINDOW.key).export_attempt('bench')}/{first}.parquet"
            bucket.upload(key, file)
            files.append(ExportFile(key=key, bytes=Path(file.name).stat().st_size, rows=size))
    ExportManifest(
        database="bench", table="telemetry", window=window_range(WINDOW), columns=COLUMNS, files=tuple(files),
        rows=rows, bytes=sum(file.bytes for file in files), queries=(), aws_manifests=(),
        settings=export_settings(job(batch_size)), seconds=0.0,
    ).write(bucket, PLACE.window(WINDOW.key).manifest("export"))  # fmt: skip


def ours(bucket: ExportBucket, batch_size: int) -> None:
    """The product's stage: escaping, checks, digest, coverage, members, manifests."""
    bucket.delete(PLACE.window(WINDOW.key).manifest("line_protocol"))
    convert_window(job(batch_size), PLACE, WINDOW, MAPPING, bucket)


def bare(bucket: ExportBucket, batch_size: int) -> None:
    """The limit: the same Parquet to the same lines with nothing else done, frame by frame of 200,000 rows."""
    tags = ("measure_name", "plant", "region", "unit")
    pieces: list[pl.Expr] = [pl.lit("telemetry")]
    for tag in tags:
        pieces += [pl.lit(f",{tag}="), pl.col(tag)]
    for at, (name, kind) in enumerate(sorted(TYPES.items())):
        pieces += [pl.lit(f"{',' if at else ' '}{name}="), pl.col(name).cast(pl.String)]
        pieces += [pl.lit("i")] if kind is FieldType.INTEGER else []
    pieces += [pl.lit(" "), pl.col("time_ns").cast(pl.String), pl.lit("\n")]
    number = 0
    with tempfile.TemporaryFile() as part:
        for found in sorted(bucket.list(PLACE.window(WINDOW.key).bulk + "export/"), key=lambda found: found.key):
            with tempfile.NamedTemporaryFile() as file:
                bucket.download(found.key, file)
                file.flush()
                for batch in pq.ParquetFile(file.name).iter_batches(200_000, columns=[*tags, *TYPES, "time_ns"]):
                    frame = pl.DataFrame(pa.Table.from_batches([batch])).sort(*tags, "time_ns")
                    lines = frame.select(line=pl.concat_str(pieces))["line"].to_arrow()
                    offsets = np.frombuffer(lines.buffers()[1], np.int64, len(lines) + 1)
                    text = memoryview(lines.buffers()[2])
                    for start in range(0, len(lines), batch_size):
                        end = min(start + batch_size, len(lines))
                        part.write(igzip.compress(text[offsets[start] : offsets[end]], 1))
                        number += 1
        part.seek(0)
        bucket.upload("bare/part.lp.gz", part)


def one(side: str, endpoint: str, batch_size: int) -> None:
    """Run one side in this process and print what it took."""
    bucket = ExportBucket(s3_client(endpoint), "exports")
    started, cpu = time.perf_counter(), time.process_time()
    (ours if side == "ours" else bare)(bucket, batch_size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.perf_counter() - started, time.process_time() - cpu, peak]))


def main() -> None:
    """Compare both sides, best of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=10_000)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        one(options.side, options.endpoint, options.batch_size)
        return
    with tempfile.TemporaryDirectory() as folder, running_s3(Path(folder)) as (endpoint, _, _):
        bucket = ExportBucket(s3_client(endpoint), "exports")
        bucket.client.create_bucket(Bucket="exports")
        write_export(bucket, options.rows, options.batch_size)
        best: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for side in ("bare", "ours"):
                command = [sys.executable, __file__, "--side", side, "--endpoint", endpoint]
                result = subprocess.run(
                    [*command, "--batch-size", str(options.batch_size)], check=True, capture_output=True, text=True
                )
                taken = json.loads(result.stdout)
                best[side] = min(best.get(side, taken), taken)
        for side, (wall, cpu, peak) in best.items():
            rate = options.rows / wall
            print(f"{side:5} {wall:7.2f} s {cpu:7.2f} s CPU {rate:12,.0f} rows/s {peak:8.0f} MiB peak")
        print(f"ratio {best['bare'][0] / best['ours'][0]:.2f} (budget: at least 0.60)")


if __name__ == "__main__":
    main()
