"""What was answered is there after a kill, a stop and a start; and a server that is stopped, stops."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.local.timestream.generator import EXAMPLES
from ts_migration.local.timestream.seed import seed
from ts_migration_tests.local.timestream.embedded import query_client, start_timestream, stop, write_client

NOW_MS = time.time_ns() // 1_000_000
START, END = 1_672_531_200_000_000_000, 1_704_067_200_000_000_000


def record(number: int) -> dict[str, Any]:
    return {
        "Dimensions": [{"Name": "plant", "Value": f"p{number % 10}"}],
        "MeasureName": "load",
        "MeasureValue": str(number),
        "MeasureValueType": "BIGINT",
        "Time": str(NOW_MS - number),
    }


def test_records_that_were_acknowledged_survive_a_kill(tmp_path: Path) -> None:
    server, url = start_timestream(tmp_path)
    write = write_client(url)
    write.create_database(DatabaseName="durable")
    write.create_table(DatabaseName="durable", TableName="t")
    acknowledged: list[int] = []

    def write_on() -> None:
        for batch in range(1000):
            numbers = range(batch * 100, batch * 100 + 100)
            try:
                write.write_records(DatabaseName="durable", TableName="t", Records=[record(n) for n in numbers])
            except (BotoCoreError, ClientError):
                return
            acknowledged.extend(numbers)

    writer = threading.Thread(target=write_on)
    writer.start()
    while len(acknowledged) < 1500 and writer.is_alive():
        time.sleep(0.01)
    server.send_signal(signal.SIGKILL)
    server.wait()
    writer.join()
    stop(server)
    again, url = start_timestream(tmp_path)
    try:
        pages = (
            query_client(url)
            .get_paginator("query")
            .paginate(QueryString='SELECT "measure_value::bigint" FROM "durable"."t"')
        )
        stored = {int(row["Data"][0]["ScalarValue"]) for page in pages for row in page["Rows"]}
        # One request may have been stored and not acknowledged.
        assert set(acknowledged) <= stored
        assert len(stored) - len(acknowledged) in (0, 100)
        kept = write_client(url).describe_table(DatabaseName="durable", TableName="t")["Table"]
        assert kept["RetentionProperties"]["MemoryStoreRetentionPeriodInHours"] == 6
    finally:
        stop(again)


def test_a_data_folder_has_one_server_at_a_time_and_outlives_it(tmp_path: Path) -> None:
    example = EXAMPLES["generation_data"]
    server, url = start_timestream(tmp_path)
    seed(url, example.spec, example.frames(rows=10_000, start=START, end=END))
    with pytest.raises(RuntimeError, match=r"cannot start on 127\.0\.0\.1:0") as refused:
        start_timestream(tmp_path)
    assert "Traceback" not in str(refused.value)
    assert stop(server) == 0
    again, url = start_timestream(tmp_path)
    try:
        report = seed(url, example.spec, example.frames(rows=10_000, start=START, end=END))
        assert report.repetitions == 10_000
        rows = query_client(url).query(QueryString='DESCRIBE "energy_data"."generation_data"')["Rows"]
        assert [row["Data"][0]["ScalarValue"] for row in rows][:5] == [
            "plant",
            "source",
            "subsystem",
            "measure_name",
            "time",
        ]
    finally:
        stop(again)


def test_sigterm_ends_the_server_soon_even_with_a_query_under_way(tmp_path: Path) -> None:
    server, url = start_timestream(tmp_path, options=["--wait-seconds", "0.1"])
    try:
        example = EXAMPLES["load_data"]
        seed(url, example.spec, example.frames(rows=40_000, start=START, end=END))
        sql = "SELECT count(*) FROM energy_data.load_data a JOIN energy_data.load_data b ON a.time <> b.time"
        query_client(url).query(QueryString=sql)
        begun = time.monotonic()
        assert stop(server) == 0
        assert time.monotonic() - begun < 8
    finally:
        stop(server)
