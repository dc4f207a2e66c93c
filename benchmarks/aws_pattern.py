"""The load pattern of AWS's own scripts, rewritten: what a team does today, and so a limit that `load` must beat.

Ten processes; each gunzips a part to disk, reads its lines and writes them 10,000 at a time with influxdb-client's
synchronous write API. No ledger, no check of what was read, no retry.
"""

import gzip
import shutil
import tempfile
from multiprocessing import get_context

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from ts_migration.objects import ExportBucket
from ts_migration_tests.local.s3 import s3_client

PROCESSES = 10
BATCH_LINES = 10_000
PREFIX = "aws-pattern/"


def load_part(endpoint: str, key: str, url: str, org: str, token: str, bucket: str) -> int:
    """One process's work on one part; the lines it wrote."""
    written = 0
    with tempfile.NamedTemporaryFile(suffix=".gz") as packed, tempfile.NamedTemporaryFile() as lines_file:
        ExportBucket(s3_client(endpoint), "exports").download(key, packed)
        packed.seek(0)
        with gzip.open(packed) as unpacked:
            shutil.copyfileobj(unpacked, lines_file)
        lines_file.seek(0)
        with InfluxDBClient(url=url, token=token, org=org, timeout=60_000) as client:
            api = client.write_api(write_options=SYNCHRONOUS)
            batch: list[str] = []
            for line in lines_file:
                batch.append(line.decode().rstrip("\n"))
                if len(batch) == BATCH_LINES:
                    api.write(bucket=bucket, record=batch, write_precision="ns")
                    written, batch = written + len(batch), []
            if batch:
                api.write(bucket=bucket, record=batch, write_precision="ns")
                written += len(batch)
    return written


def load(endpoint: str, url: str, org: str, token: str, bucket: str) -> int:
    """Load all parts; lines written."""
    found = ExportBucket(s3_client(endpoint), "exports").list(PREFIX)
    tasks = [(endpoint, each.key, url, org, token, bucket) for each in found]
    with get_context("fork").Pool(PROCESSES) as pool:
        return sum(pool.starmap(load_part, tasks, chunksize=1))
