"""How fast a window is converted: the stage against bare polars, and against influxdb-client's own serializer.

Every side runs in a process of its own, in turns, on the same rows; a small window first, so that imports are not
counted: a worker converts many windows. Stage and bare both go from Parquet in S3 to gzip members in S3.
"""

import argparse
import gzip
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from isal import igzip

from benchmarks.rows import Row, compared
from benchmarks.telemetry import FIELDS, MAPPING, TAGS, Telemetry
from ts_migration.line_protocol.encoder import encode
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.line_protocol.parquet import FRAME_ROWS
from ts_migration.objects import ExportBucket
from ts_migration.stages.convert import convert_window
from ts_migration_tests.local.s3 import running_s3, s3_client

WHOLE = Telemetry(2_000_000)
WARM_UP = Telemetry(100_000)
"""Also what the serializer, a tenth as fast, is given."""
BARE_FRAME_ROWS = 200_000


def stage(telemetry: Telemetry, bucket: ExportBucket) -> float:
    """The product's stage: escaping, checks, digest, coverage, members, manifests; the seconds."""
    job, place = telemetry.job, telemetry.place
    bucket.delete(place.window(telemetry.window.key).manifest("line_protocol"))
    started = time.perf_counter()
    convert_window(job, place, telemetry.window, MAPPING, bucket)
    return time.perf_counter() - started


def bare(telemetry: Telemetry, bucket: ExportBucket) -> float:
    """The limit: the same Parquet to the same lines with nothing else done, compressed in a thread; the seconds."""
    batch_size, started = telemetry.batch_size, time.perf_counter()
    with tempfile.TemporaryFile() as part, ThreadPoolExecutor(1) as compressing:
        waiting: list[Future[bytes]] = []
        exported = bucket.list(telemetry.place.window(telemetry.window.key).bulk + "export/")
        for found in sorted(exported, key=lambda found: found.key):
            with tempfile.NamedTemporaryFile() as file:
                bucket.download(found.key, file)
                file.flush()
                parquet = pq.ParquetFile(file.name)
                for batch in parquet.iter_batches(BARE_FRAME_ROWS, columns=[*TAGS, *FIELDS, "time_ns"]):
                    frame = pl.DataFrame(pa.Table.from_batches([batch])).sort(*TAGS, "time_ns")
                    lines = frame.select(line=pl.concat_str(_pieces()))["line"].to_arrow()
                    part.writelines(each.result() for each in waiting)
                    waiting = []
                    offsets = np.frombuffer(lines.buffers()[1], np.int64, len(lines) + 1)
                    text = memoryview(lines.buffers()[2])
                    for start in range(0, len(lines), batch_size):
                        end = min(start + batch_size, len(lines))
                        waiting.append(compressing.submit(igzip.compress, text[offsets[start] : offsets[end]], 1))
        part.writelines(each.result() for each in waiting)
        part.seek(0)
        bucket.upload("bare/part.lp.gz", part)
    return time.perf_counter() - started


def _pieces() -> list[pl.Expr]:
    """A line without escaping; constants side by side are one, which is what concatenation costs by."""
    pieces: list[pl.Expr] = []
    constant = "telemetry"
    for tag in TAGS:
        pieces += [pl.lit(f"{constant},{tag}="), pl.col(tag)]
        constant = ""
    constant = " "
    for name, kind in FIELDS.items():
        pieces += [pl.lit(f"{constant}{name}="), pl.col(name).cast(pl.String)]
        constant = "i," if kind is FieldType.INTEGER else ","
    return [*pieces, pl.lit(" "), pl.col("time_ns").cast(pl.String), pl.lit("\n")]


def encoding(telemetry: Telemetry, _: ExportBucket) -> float:
    """Only the encoder, frames in memory to bytes in memory; the seconds."""
    taken = 0.0
    for rows in telemetry.tables():
        frame = pl.DataFrame(rows.drop_columns(["time"]))
        for start in range(0, len(frame), FRAME_ROWS):
            piece = frame.slice(start, FRAME_ROWS)
            started = time.perf_counter()
            encode(piece, MAPPING)
            taken += time.perf_counter() - started
    return taken


def _serialized(rows: pa.Table) -> tuple[list[str], float]:
    """Lines by influxdb-client's DataFrame serializer, and the seconds that it alone took."""
    import pandas as pd
    from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
    from influxdb_client.client.write_api import PointSettings

    frame = rows.select([*TAGS, *FIELDS, "time_ns"]).to_pandas()
    frame["time"] = pd.to_datetime(frame.pop("time_ns"))
    frame = frame.set_index("time")
    started = time.perf_counter()
    points = data_frame_to_list_of_points(
        frame, PointSettings(), data_frame_measurement_name="telemetry", data_frame_tag_columns=list(TAGS)
    )
    return points, time.perf_counter() - started


def serializer(telemetry: Telemetry, _: ExportBucket) -> float:
    """influxdb-client's, a DataFrame in memory to lines in memory; the seconds."""
    return sum(_serialized(rows)[1] for rows in telemetry.tables())


def client(telemetry: Telemetry, bucket: ExportBucket) -> float:
    """The same road by influxdb-client: its serializer, and gzip as its `enable_gzip` does; the seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as part:
        for found in bucket.list(telemetry.place.window(telemetry.window.key).bulk + "export/"):
            with tempfile.NamedTemporaryFile() as file:
                bucket.download(found.key, file)
                file.flush()
                lines, _ = _serialized(pq.read_table(file.name))
            for start in range(0, len(lines), telemetry.batch_size):
                part.write(gzip.compress("\n".join(lines[start : start + telemetry.batch_size]).encode()))
        part.seek(0)
        bucket.upload("client/part.lp.gz", part)
    return time.perf_counter() - started


Side = Callable[[Telemetry, ExportBucket], float]
SIDES: dict[str, tuple[Side, Telemetry]] = {
    "bare": (bare, WHOLE),
    "stage": (stage, WHOLE),
    "client": (client, WARM_UP),
    "serializer": (serializer, WARM_UP),
    "encoding": (encoding, WHOLE),
}


def one(name: str, endpoint: str) -> float:
    """Run one side in this process: rows a second."""
    bucket = ExportBucket(s3_client(endpoint), "exports")
    side, telemetry = SIDES[name]
    side(WARM_UP, bucket)
    return telemetry.rows / side(telemetry, bucket)


def measure(runs: int) -> list[Row]:
    """The stage and the encoder against their limits."""
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as folder, running_s3(Path(folder)) as (endpoint, _, _):
        bucket = ExportBucket(s3_client(endpoint), "exports")
        bucket.client.create_bucket(Bucket="exports")
        for telemetry in (WARM_UP, WHOLE):
            telemetry.write_export(bucket)
        for _ in range(runs):
            for name, seen in rates.items():
                command = [sys.executable, "-m", "benchmarks.convert", "--side", name, "--endpoint", endpoint]
                seen.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    whole = "convert, Parquet in S3 to gzip members in S3"
    by_client = "the same by influxdb-client: its serializer and its gzip"
    alone = "influxdb-client's serializer, DataFrame to lines"
    return [
        compared(whole, "bare polars concatenation, sort, isal", rates["stage"], rates["bare"], "rows/s", 0.6),
        compared(whole, by_client, rates["stage"], rates["client"], "rows/s", 10.0),
        compared("encode, frame to bytes", alone, rates["encoding"], rates["serializer"], "rows/s", 10.0),
    ]


def main() -> None:
    """What the process of one side does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--endpoint", required=True)
    options = parser.parse_args()
    print(one(options.side, options.endpoint))


if __name__ == "__main__":
    main()
