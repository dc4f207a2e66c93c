"""A load is killed at ten random moments: in the end the window is proven, and only what was in flight was sent twice.

The load runs in a process of its own against a server in front of the embedded one, which counts what it gets; it is
killed when a number of requests has come in that is drawn beforehand.
"""

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ts_migration.manifests import LoadManifest
from ts_migration_tests.influxdb.intercepting import Write, intercepting
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration

pytestmark = pytest.mark.stack

ROWS, BATCH, CONNECTIONS, KILLS = 24_000, 40, 2, 10
PROGRAM = """
import sys
from pathlib import Path
from pydantic import SecretStr
from ts_migration.config import parse_config
from ts_migration.influxdb.connection import Target
from ts_migration.objects import ExportBucket
from ts_migration.stages.load import load_window
from ts_migration.stages.table import frozen_mapping
from ts_migration_tests.local.s3 import s3_client
config_file, url, org, token, endpoint, journals = sys.argv[1:]
config = parse_config(Path(config_file).read_text())
job, bucket = config.migration_jobs[0], ExportBucket(s3_client(endpoint), "exports")
place, window = config.place(job), next(iter(job.grid))
target = Target(url, org, SecretStr(token))
print("ready", flush=True)
load_window(job, place, window, frozen_mapping(job, place, bucket), bucket, target, journals=Path(journals))
"""


@pytest.fixture
def long_window(stack: Stack) -> Migration:
    """One window of 600 requests."""
    rows = pl.DataFrame(
        {
            "time": [START + at * HOUR // 50 for at in range(ROWS)],
            "plant": [f"P{at % 20}" for at in range(ROWS)],
            "subsystem": ["SE"] * ROWS,
            "load_mw": [at / 7 for at in range(ROWS)],
            "units": list(range(ROWS)),
            "online": [at % 2 == 0 for at in range(ROWS)],
            "note": ["x"] * ROWS,
        }
    )
    found = new_migration(stack, rows).changed(batch_size=BATCH, write_connections=CONNECTIONS)
    found.export()
    found.convert()
    return found


def config_text(migration: Migration) -> str:
    job = migration.job
    return f"""
migration_jobs:
  - job_name: {job.job_name}
    source_database: {job.source_database}
    source_table: {job.source_table}
    target_bucket: {job.target_bucket}
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-03-01T00:00:00Z
    batch_size: {BATCH}
    write_connections: {CONNECTIONS}
migration_settings:
  retry_delay_seconds: 0.01
"""


def test_a_load_killed_at_ten_random_moments_ends_proven_and_repeats_only_what_was_in_flight(
    long_window: Migration, tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(config_text(long_window))
    stack = long_window.stack
    endpoint = stack.bucket.client.meta.endpoint_url
    draw = random.Random(20260101)
    moments = sorted(draw.sample(range(5, ROWS // BATCH), KILLS))
    reached = threading.Event()
    wanted: list[int] = []

    def count(write: Write) -> None:
        if wanted and len(server.writes) >= wanted[0]:
            reached.set()

    with intercepting(stack.target, count) as server:
        token = stack.target._token.get_secret_value()
        command = [sys.executable, "-c", PROGRAM, str(config), server.url, stack.target.org, token]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen([*command, endpoint, str(tmp_path / "journals")], stdout=subprocess.PIPE)

        for moment in moments:
            reached.clear()
            wanted[:] = [moment]
            process = start()
            assert reached.wait(60), "the load did not come so far"
            process.send_signal(signal.SIGKILL)
            assert process.wait(20) == -signal.SIGKILL
            assert process.stdout is not None
            process.stdout.close()
        wanted.clear()
        process = start()
        assert process.communicate(timeout=120) and process.returncode == 0
        sent = Counter(write.body for write in server.writes)

    through = Migration(replace(stack, target=stack.target), long_window.config)
    loaded = LoadManifest.model_validate_json(stack.bucket.get(long_window.own().manifest("load")))
    assert loaded.members == ROWS // BATCH == len(sent), "every member was sent"
    assert loaded.resumed_members > 0
    repeated = sum(times - 1 for times in sent.values())
    assert repeated <= KILLS * CONNECTIONS, f"{repeated} requests were sent again after {KILLS} kills"
    assert list((tmp_path / "journals").iterdir()) == []
    assert through.check().status == "proven"
