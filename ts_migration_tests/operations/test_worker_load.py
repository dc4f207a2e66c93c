"""The load of workers and of the target, by real processes and an InfluxDB's own words."""

import subprocess
import sys
import time

from ts_migration.influxdb.server_metrics import ServerMetrics, read_metrics
from ts_migration.operations.target_load import TargetMeter
from ts_migration.operations.worker_load import LoadMeter

INFLUXD = """\
# HELP go_memstats_sys_bytes Number of bytes obtained from system.
# TYPE go_memstats_sys_bytes gauge
go_memstats_sys_bytes 1.2e+08
storage_tsm_files_disk_bytes{bucket="a",engine="tsm1",id="1"} 1000
storage_tsm_files_disk_bytes{bucket="b",engine="tsm1",id="2"} 500
storage_wal_size{bucket="a"} 24
storage_compactions_queued{bucket="a",level="full"} 2
storage_compactions_queued{bucket="b",level="1"} 1
storage_shard_write_dropped_sum{bucket="a"} 0
http_api_requests_total{path="/api/v2/write"} NaN?
"""


def test_what_influxd_tells_of_its_buckets_is_added_up_and_what_it_does_not_tell_is_nothing() -> None:
    assert read_metrics(INFLUXD) == ServerMetrics(cpu_seconds=None, memory=120_000_000, disk=1524, queued=3, dropped=0)


def test_a_worker_is_known_by_its_id_on_the_command_line() -> None:
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass", "worker-4711"])
    try:
        meter = LoadMeter()
        meter.look({"worker-4711"})
        time.sleep(0.5)
        load = meter.look({"worker-4711"})
        nobody = meter.look(())
    finally:
        worker.kill()
        worker.wait()

    (found,) = load.workers
    assert found.pid == worker.pid
    assert found.cpu > 0.05
    assert found.memory > 1_000_000
    assert nobody.workers == ()


def test_a_target_that_is_away_is_a_problem_that_is_told_and_no_error() -> None:
    load = TargetMeter("http://127.0.0.1:9").look()

    assert load.memory is None
    assert load.problem.startswith("/metrics cannot be read")
