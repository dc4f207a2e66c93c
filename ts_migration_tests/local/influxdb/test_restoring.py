"""Restores and backups as real servers answer them, and the recorded shard as they wrote it.

Where the embedded server differs on purpose: it reads what it is given, unless it is told to be like a real one.
"""

import gzip
import io
import json
import tarfile
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import SecretStr

from ts_migration.influxdb import reader
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import NotAnOperator, backup, make_bucket, send_file, shards_of
from ts_migration.influxdb.shard_groups import ShardGroup, groups_of
from ts_migration.influxdb.tsm.columns import FieldKind, TsmColumn
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService, write_rules
from ts_migration.windows import Window
from ts_migration_tests.local.influxdb.embedded import Process, Running
from ts_migration_tests.shared_material import shared

pytestmark = pytest.mark.stack

DAY = 86_400_000_000_000
START = 1_671_667_200_000_000_000  # 2022-12-22, where a shard group of 30 days begins
ALL = Window(START - 400 * DAY, START + 400 * DAY)


def connected(running: Running) -> Target:
    return Target(running.url, running.org, SecretStr(running.token))


@pytest.fixture
def server(influxdb: Running) -> Target:
    return connected(influxdb)


def made(server: Target, groups: int = 1) -> tuple[str, list[int]]:
    """A restored bucket, and its shards in the order of time."""
    name = f"r{uuid.uuid4().hex[:8]}"
    declared = list(groups_of(Window(START, START + groups * 30 * DAY), 30 * 86_400))
    assert len(declared) == groups
    _, shards = make_bucket(server, name, declared, 30 * 86_400)
    return name, [shards[group] for group in declared]


def file(values: dict[int, float], key: str = "m,p=a#!~#v") -> bytes:
    """A file with one series: time -> value."""
    column = TsmColumn(
        FieldKind.FLOAT,
        pa.array([key.encode()], pa.large_binary()),
        np.array([0, len(values)]),
        np.array(sorted(values)),
        np.array([values[at] for at in sorted(values)]),
    )
    return b"".join(tsm_file([column]))


def held(server: Target, bucket: str) -> dict[int, float]:
    blocks = reader.points(server, bucket, "m", ALL)
    return {
        at: v for block in blocks for at, v in zip(block.times.tolist(), block.columns[0].values.tolist(), strict=True)
    }


def test_what_is_restored_is_read_and_written_to_like_any_other_bucket(server: Target) -> None:
    bucket, (shard,) = made(server)
    send_file(server, shard, "000000001-000000001.tsm", file({START: 1.5, START + 1: 2.5}))
    assert held(server, bucket) == {START: 1.5, START + 1: 2.5}
    query = {"org": server.org, "bucket": bucket}
    assert server.request("POST", "/api/v2/write", query, body=f"m,p=a v=9 {START}".encode()).status == 204
    assert held(server, bucket) == {START: 9.0, START + 1: 2.5}
    conflict = server.request("POST", "/api/v2/write", query, body=f"m,p=a v=9i {START}".encode())
    assert (conflict.status, "already exists as type float" in conflict.message) == (422, True)


def test_a_file_of_the_same_name_replaces_and_one_of_a_later_generation_wins(server: Target) -> None:
    bucket, (shard,) = made(server)
    send_file(server, shard, "000000005-000000001.tsm", file({START: 1.0, START + 1: 1.0}))
    send_file(server, shard, "000000005-000000001.tsm", file({START: 2.0}))
    assert held(server, bucket) == {START: 2.0}
    query = {"org": server.org, "bucket": bucket}
    assert server.request("POST", "/api/v2/write", query, body=f"m,p=a v=9 {START}".encode()).status == 204
    send_file(server, shard, "000000005-000000001.tsm", file({START: 2.5}))
    assert held(server, bucket) == {START: 9.0}, "what was written came after the file that this one replaces"
    send_file(server, shard, "000000007-000000001.tsm", file({START: 7.0}))
    send_file(server, shard, "000000006-000000001.tsm", file({START: 6.0, START + 2: 6.0}))
    assert held(server, bucket) == {START: 7.0, START + 2: 6.0}


def test_several_files_of_one_archive_add_up(server: Target) -> None:
    bucket, (shard,) = made(server)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number in (1, 2):
            content = file({START + number: float(number)})
            entry = tarfile.TarInfo(f"a/b/{number:09d}-000000001.tsm")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    assert server.request("POST", f"/api/v2/restore/shards/{shard}", body=packed.getvalue()).status == 200
    assert held(server, bucket) == {START + 1: 1.0, START + 2: 2.0}


def test_other_tokens_existing_buckets_and_unknown_shards_are_refused(server: Target) -> None:
    bucket, (shard,) = made(server)
    org = json.loads(server.request("GET", "/api/v2/orgs", {"org": server.org}).body)["orgs"][0]["id"]
    rights = [{"action": action, "resource": {"type": "buckets", "orgID": org}} for action in ("read", "write")]
    body = json.dumps({"orgID": org, "permissions": rights}).encode()
    answer = server.request("POST", "/api/v2/authorizations", headers={"Content-Type": "application/json"}, body=body)
    other = Target(server.url, server.org, SecretStr(json.loads(answer.body)["token"]))
    with pytest.raises(NotAnOperator, match="read:authorizations is unauthorized") as refused:
        send_file(other, shard, "000000001-000000001.tsm", file({START: 1.0}))
    assert "operator" in refused.value.next_step
    with pytest.raises(Exception, match="already exists"):
        make_bucket(server, bucket, [], 3600)
    assert server.request("POST", "/api/v2/restore/shards/999999", body=b"").status == 500


def test_a_backup_gives_what_was_restored_and_what_was_written(server: Target) -> None:
    bucket, (shard, later) = made(server, 2)
    send_file(server, shard, "000000003-000000001.tsm", file({START: 1.5}))
    query = {"org": server.org, "bucket": bucket}
    server.request("POST", "/api/v2/write", query, body=f"m,p=b v=2 {START + 1}\nm,p=a v=3 {START + 31 * DAY}".encode())
    (one,), (two,) = (list(backup(server, each)) for each in (shard, later))
    (column,) = read_tsm(one.content)
    assert (column.keys.to_pylist(), column.values.tolist()) == ([b"m,p=a#!~#v", b"m,p=b#!~#v"], [1.5, 2.0])
    assert read_tsm(two.content)[0].values.tolist() == [3.0]
    found = json.loads(server.request("GET", "/api/v2/buckets", {"org": server.org, "name": bucket}).body)["buckets"][0]
    assert sorted(shards_of(server, found["id"]).values()) == sorted([shard, later])


def test_a_broken_file_and_one_of_another_shard_are_refused_unless_the_server_is_to_be_like_a_real_one(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "faults.json"
    process = Process(tmp_path / "influxdb", options=("--faults", str(rules)))
    try:
        server = connected(process.running)
        bucket, (shard,) = made(server)
        good, name = file({START: 1.0, START + 1: 2.0}), "000000001-000000001.tsm"
        for bad, words in (
            (good[: len(good) // 2], "reads what it restores"),
            (file({START - 1: 1.0}), "other shards"),
        ):
            with pytest.raises(Exception, match=words):
                send_file(server, shard, name, bad)
        write_rules(rules, [FaultRule(FaultyService.INFLUXDB, FaultKind.RESTORE_UNCHECKED)])
        send_file(server, shard, "000000002-000000001.tsm", file({START - 1: 5.0}))
        send_file(server, shard, name, good)
        send_file(server, shard, name, good[: len(good) // 2])
        assert held(server, bucket) == {START - 1: 5.0}  # what the broken one stands in the place of is hidden
    finally:
        process.stop()


def test_what_is_restored_is_there_after_kill_9(tmp_path: Path) -> None:
    process = Process(tmp_path / "influxdb")
    bucket, (shard,) = made(connected(process.running))
    send_file(connected(process.running), shard, "000000001-000000001.tsm", file({START: 1.0}))
    process.kill()
    process = Process(tmp_path / "influxdb")
    try:
        server = connected(process.running)
        assert held(server, bucket) == {START: 1.0}
        send_file(server, shard, "000000002-000000001.tsm", file({START: 2.0}))
        assert held(server, bucket) == {START: 2.0}
    finally:
        process.stop()


def test_the_recorded_shard_is_restored_to_exactly_the_recorded_points(server: Target) -> None:
    bucket, (shard,) = made(server)
    body = shared("conformance/tsm/shard_1031.tar").read_bytes()
    assert server.request("POST", f"/api/v2/restore/shards/{shard}", body=body).status == 200
    other = f"l{uuid.uuid4().hex[:8]}"
    make_bucket(server, other, [ShardGroup(START, START + 30 * DAY)], 30 * 86_400)
    lines = gzip.decompress(shared("conformance/tsm/points.lp.gz").read_bytes())
    query = {"org": server.org, "bucket": other, "precision": "ns"}
    assert server.request("POST", "/api/v2/write", query, body=lines).status == 204
    told = []
    for name in (bucket, other):
        measurements = reader.measurements(server, name, 100)
        asked = "; ".join(f'SELECT * FROM "{each}" GROUP BY *' for each in measurements)
        answer = server.request("GET", "/query", {"db": name, "q": asked}, headers={"Accept": "application/csv"})
        told.append((measurements, answer.body))
    assert told[0] == told[1]
    assert told[0][1].count(b"\n") > 5_000
