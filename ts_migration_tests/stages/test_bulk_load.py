"""A window by shard files: proven by the same five checks as one by line protocol, from the same digests.

Files are spoiled before and after they are sent, and a check or an error by name has to say so.
"""

import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from ts_migration.errors import MigrationError, Missing, Permanent, Refused
from ts_migration.influxdb import buckets, restored_buckets
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import make_bucket, send_file
from ts_migration.influxdb.tsm.columns import TsmColumn
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService, write_rules
from ts_migration.manifests import LineProtocolManifest
from ts_migration.objects import ExportBucket
from ts_migration.operations.reset import forget, look_at_begun
from ts_migration.reporting.points import point_difference
from ts_migration.stages import shard_files
from ts_migration.stages.bulk_way import wanted_bucket
from ts_migration.stages.repair import clear_for_load
from ts_migration.stages.shard_index import ShardIndex, read_shard_index
from ts_migration_tests.local.influxdb.embedded import Process
from ts_migration_tests.stages.conftest import HOUR, Migration, Stack, new_migration, plant_rows
from ts_migration_tests.stages.test_rollback import roll_back

pytestmark = pytest.mark.stack

SAME = (
    "rows",
    "points",
    "merged",
    "quarantined",
    "empty",
    "values",
    "expected",
    "series",
    "reasons",
    "rewritten",
    "frames",
)


@pytest.fixture
def bulk(stack: Stack) -> Migration:
    return new_migration(stack, plant_rows(), load="bulk")


def test_a_window_restored_from_shard_files_is_proven_by_the_five_checks(bulk: Migration) -> None:
    assert [bulk.run(index).status for index in (0, 1)] == ["proven", "proven"]
    assert bulk.roll_up().status == "proven"


def test_both_ways_come_to_the_same_tallies_digest_coverage_and_quarantine(stack: Stack) -> None:
    rows = plant_rows(name="ends in a backslash\\")
    lines = new_migration(stack, rows)
    files = lines.changed(load="bulk")
    lines.export()
    found = [each.convert() for each in (lines, files)]
    by_lines, by_files = ({name: getattr(each, name) for name in SAME} for each in found)
    assert by_files == by_lines
    assert by_lines["quarantined"] and by_lines["points"]
    assert [each.form for each in found] == ["line_protocol", "bulk"]
    assert found[0].follows({}) is found[1].follows({})


def test_a_windows_points_go_into_the_shards_of_their_times(bulk: Migration) -> None:
    bulk.export()
    converted = bulk.convert()
    index = index_of(bulk, converted)
    # Shard groups of 30 days begin on 2022-12-22 and 2023-01-21: January lies in two.
    assert len({file.start_ns for file in index.files}) == 2
    assert all("/shards/" in file.key for file in index.files)
    for file in index.files:
        times = np.concatenate([one.times for one in read_tsm(bulk.stack.bucket.get(file.key))])
        assert file.start_ns <= times.min() <= times.max() < file.end_ns


def test_a_window_of_more_shard_files_than_names_tell_apart_is_refused_by_the_conversion(
    bulk: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk.export()
    monkeypatch.setattr(shard_files, "FILES_A_WINDOW", 1)
    with pytest.raises(Permanent, match=r"more than 1 shard files.*Allowed: 1 of a window.*shorter window"):
        bulk.convert()
    assert bulk.stack.bucket.get_or_none(bulk.own().manifest("line_protocol")) is None
    monkeypatch.undo()
    assert bulk.run().status == "proven"


def test_a_job_of_bulk_proves_by_what_is_stored_too(stack: Stack) -> None:
    migration = new_migration(stack, plant_rows(), load="bulk", proof="storage")
    assert migration.run().status == "proven"
    migration.write(f"{migration.job.source_table},plant=X load_mw=1 {migration.window().start_ns}")
    failed = migration.check()
    assert {each.check for each in failed.verdicts if not each.passed} >= {"record_count", "checksum", "coverage"}


def test_a_job_of_line_protocol_can_be_proven_by_what_is_stored(stack: Stack) -> None:
    migration = new_migration(stack, plant_rows(), proof="storage")
    assert migration.run().status == "proven"
    time_ns = migration.window().start_ns + 6 * HOUR + 1
    migration.write(
        f"{migration.job.source_table},measure_name=metrics,plant=Itaipu\\,\\ 1,subsystem=SE/CO load_mw=99.5 {time_ns}"
    )
    failed = migration.check()
    assert "checksum" in {each.check for each in failed.verdicts if not each.passed}


def test_a_bucket_that_the_job_has_not_made_is_refused_with_the_reason(bulk: Migration) -> None:
    buckets.ensure(bulk.stack.target, bulk.job.target_bucket, 86_400)
    bulk.export()
    bulk.convert()
    with pytest.raises(Refused, match="was not made by a bulk load of this job") as refused:
        bulk.load()
    assert "load: line_protocol" in refused.value.next_step


def test_a_bucket_of_which_nobody_heard_that_it_was_made_is_gone_on_with(
    bulk: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk.export()
    bulk.convert()
    with monkeypatch.context() as patch:
        patch.setattr("ts_migration.influxdb.restored_buckets._remember", killed)
        with pytest.raises(KeyboardInterrupt):
            bulk.load()
    assert buckets.find(bulk.stack.target, bulk.job.target_bucket) is not None
    monkeypatch.setattr("ts_migration.influxdb.restored_buckets._PAUSE_S", 0.01)
    bulk.load()
    assert bulk.check().status == "proven"


def test_a_worker_that_looks_while_another_writes_the_bucket_down_is_not_told_of_a_stranger(
    bulk: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, wanted = bulk.stack, wanted_bucket(bulk.job)
    with monkeypatch.context() as patch:
        patch.setattr(restored_buckets, "_remember", killed)
        with pytest.raises(KeyboardInterrupt):
            restored_buckets.ensure_restored(wanted, stack.bucket, stack.target)
    there = buckets.find(stack.target, wanted.name)
    assert there is not None
    read, looks = restored_buckets.read_manifest, []

    def beside_another(kind: Any, bucket: ExportBucket, key: str) -> Any:
        """The other worker writes down what it has made after this one's first look."""
        found = read(kind, bucket, key)
        if not looks:
            restored_buckets._adopted(wanted, there, bucket, stack.target)
        looks.append(key)
        return found

    monkeypatch.setattr(restored_buckets, "read_manifest", beside_another)
    assert restored_buckets.ensure_restored(wanted, stack.bucket, stack.target).id == there.id


def test_what_a_worker_leaves_that_was_late_to_make_the_bucket_gives_nobody_elses_bucket_to_the_job(
    bulk: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, wanted = bulk.stack, wanted_bucket(bulk.job)
    made = restored_buckets.ensure_restored(wanted, stack.bucket, stack.target)
    with monkeypatch.context() as patch:
        looks = iter([None, made])
        patch.setattr(restored_buckets, "find", lambda *_: next(looks))
        restored_buckets.ensure_restored(wanted, stack.bucket, stack.target)
    restored_buckets.ensure_restored(wanted, stack.bucket, stack.target)
    buckets.delete(stack.target, made)
    make_bucket(stack.target, wanted.name, wanted.groups, wanted.shard_group_s)
    with pytest.raises(Refused, match="was not made by a bulk load of this job"):
        restored_buckets.ensure_restored(wanted, stack.bucket, stack.target, lambda _: None)


def test_a_load_that_was_killed_between_two_files_goes_on_with_the_one_that_is_missing(
    bulk: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = bulk.changed(write_connections=1)
    bulk.export()
    bulk.convert()
    sent: list[str] = []

    def once(target: Any, shard: int, name: str, content: bytes) -> None:
        if len(sent) == 1:
            raise KeyboardInterrupt
        send_file(target, shard, name, content)
        sent.append(name)

    with monkeypatch.context() as patch:
        patch.setattr("ts_migration.influxdb.restorer.send_file", once)
        with pytest.raises(KeyboardInterrupt):
            bulk.load()
    loaded = bulk.load()
    assert (loaded.members, loaded.resumed_members, loaded.requests) == (2, 1, 1)
    assert bulk.check().status == "proven"


def test_a_value_that_was_written_over_since_is_put_right_by_a_later_generation(bulk: Migration) -> None:
    assert bulk.run().status == "proven"
    time_ns = bulk.window().start_ns + 6 * HOUR + 1
    bulk.write(
        f"{bulk.job.source_table},measure_name=metrics,plant=Itaipu\\,\\ 1,subsystem=SE/CO load_mw=99.5 {time_ns}"
    )
    assert bulk.check().status == "failed"
    bulk.stack.bucket.delete(bulk.own().manifest("load"))
    for found in list(bulk.stack.bucket.list(bulk.own().ledger)):
        if not found.key.endswith("intent.json") and "/generation-" not in found.key:
            bulk.stack.bucket.delete(found.key)
    bulk.load()
    assert bulk.check().status == "proven"


def test_a_job_that_is_switched_to_line_protocol_goes_on_in_the_bucket_that_was_restored(bulk: Migration) -> None:
    assert bulk.run(0).status == "proven"
    bulk.export(1)
    bulk.convert(1)
    lines = bulk.changed(load="line_protocol")
    assert lines.convert(0).form == "bulk"  # loaded and proven: nothing is to be done again
    assert lines.convert(1).form == "line_protocol"
    assert not list(bulk.stack.bucket.list(bulk.own(1).shards))
    lines.load(1)
    assert [lines.check(index).status for index in (0, 1)] == ["proven", "proven"]


def test_a_job_that_is_switched_to_bulk_keeps_what_is_loaded_and_is_refused_the_rest(stack: Stack) -> None:
    lines = new_migration(stack, plant_rows())
    assert lines.run(0).status == "proven"
    bulk = lines.changed(load="bulk")
    assert bulk.convert(0).form == "line_protocol"
    bulk.export(1)
    assert bulk.convert(1).form == "bulk"
    with pytest.raises(Refused, match="was not made by a bulk load of this job"):
        bulk.load(1)
    assert bulk.check(0).status == "proven"


def test_windows_that_a_later_end_time_appends_are_restored_into_the_same_bucket(bulk: Migration) -> None:
    assert bulk.run(0).status == "proven"
    later = bulk.changed(end_time=bulk.job.end_time + 31 * 24 * HOUR)
    later.late_row(bulk.job.end_time + 5)
    assert later.run(2).status == "proven"
    assert later.check(0).status == "proven"


def test_windows_beyond_the_shards_that_were_restored_are_proven_by_what_is_stored_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bucket that was made when its range ended a moment ago: what is appended much later goes in as line protocol.
    monkeypatch.setattr("ts_migration.influxdb.restored_buckets.time.time_ns", lambda: 0)
    bulk = new_migration(stack, plant_rows(), load="bulk", proof="storage")
    assert bulk.run(0).status == "proven"
    later = bulk.changed(end_time=bulk.job.end_time + 31 * 24 * HOUR, load="line_protocol")
    later.late_row(later.job.end_time - HOUR)
    assert later.run(2).status == "proven"
    assert later.check(0).status == "proven"


def test_a_window_without_a_row_has_no_file_and_is_proven(bulk: Migration) -> None:
    later = bulk.changed(end_time=bulk.job.end_time + 31 * 24 * HOUR)
    later.export(2)
    assert later.convert(2).parts == ()
    later.load(2)
    assert later.check(2).status == "proven"


def test_shards_that_a_bucket_was_not_made_with_are_refused_before_anything_is_sent(bulk: Migration) -> None:
    assert bulk.run(0).status == "proven"
    other = bulk.changed(shard_group_duration=86_400)
    other.export(1)
    other.convert(1)
    with pytest.raises(Refused, match="made without a shard for"):
        other.load(1)


def test_a_rollback_deletes_the_restored_bucket_and_the_job_is_proven_again(bulk: Migration) -> None:
    assert bulk.run().status == "proven"
    assert roll_back(bulk).buckets_deleted == (bulk.job.target_bucket,)
    assert buckets.find(bulk.stack.target, bulk.job.target_bucket) is None
    assert bulk.run().status == "proven"


def test_a_job_that_was_reset_is_restored_over_its_own_points_by_later_files(bulk: Migration) -> None:
    assert bulk.run().status == "proven"
    begun = look_at_begun(bulk.config, bulk.job, bulk.stack.bucket)
    forget(begun, bulk.stack.bucket)
    assert not list(bulk.stack.bucket.list(bulk.place.bulk))
    assert bulk.run().status == "proven"


def test_what_is_too_much_is_deleted_by_a_repair_and_the_window_restored_again(bulk: Migration) -> None:
    assert bulk.run().status == "proven"
    bulk.write(f"{bulk.job.source_table},plant=alien load_mw=1 {bulk.window().start_ns + 5}")
    assert bulk.check().status == "failed"
    _, mapping = bulk.begin()
    stack = bulk.stack
    removed = clear_for_load(bulk.job, bulk.own(), bulk.window(), mapping, stack.bucket, stack.target)
    assert removed.points == 1
    bulk.load()
    assert bulk.check().status == "proven"


KILLED = """
import os, signal, sys
from pathlib import Path
from pydantic import SecretStr
from ts_migration.config import parse_config
from ts_migration.influxdb import restorer
from ts_migration.influxdb.connection import Target
from ts_migration.objects import ExportBucket
from ts_migration.stages.load import load_window
from ts_migration.stages.table import frozen_mapping
from ts_migration_tests.local.s3 import s3_client
config_file, url, org, token, endpoint = sys.argv[1:]
config = parse_config(Path(config_file).read_text())
job, bucket = config.migration_jobs[0], ExportBucket(s3_client(endpoint), "exports")
place, window, send, sent = config.place(job), next(iter(job.grid)), restorer.send_file, []

def and_die(target, shard, name, content):
    send(target, shard, name, content)
    sent.append(name)
    if len(sent) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

restorer.send_file = and_die
load_window(job, place, window, frozen_mapping(job, place, bucket), bucket, Target(url, org, SecretStr(token)))
"""


def test_a_load_that_is_killed_by_kill_9_between_uploads_goes_on_and_is_proven(stack: Stack, tmp_path: Path) -> None:
    settings = {"load": "bulk", "shard_group_duration": "240h", "write_connections": 1}
    migration = new_migration(stack, plant_rows(), **settings)
    migration.export()
    files = len(migration.convert().parts)
    assert files > 2
    job, target = migration.job, stack.target
    config = tmp_path / "config.yaml"
    more = "".join(f"\n    {name}: {value}" for name, value in settings.items())
    config.write_text(f"""
migration_jobs:
  - job_name: {job.job_name}
    source_database: {job.source_database}
    source_table: {job.source_table}
    target_bucket: {job.target_bucket}
    start_time: 2023-01-01T00:00:00Z
    end_time: 2023-03-01T00:00:00Z{more}
""")
    endpoint = stack.bucket.client.meta.endpoint_url
    token = target._token.get_secret_value()
    command = [sys.executable, "-c", KILLED, str(config), target.url, target.org, token, endpoint]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    # The second was sent and nobody was told so: it is sent again, under the same name.
    names = generations(migration)
    loaded = migration.load()
    assert generations(migration) == names and len(names) == 1
    assert (loaded.members, loaded.resumed_members, loaded.requests) == (files, 1, files - 1)
    assert migration.check().status == "proven"


def spoil(change: Callable[[bytes], bytes]) -> Callable[[Migration, LineProtocolManifest], None]:
    """Changes the first file's bytes."""

    def spoiled(migration: Migration, converted: LineProtocolManifest) -> None:
        key = converted.parts[0].key
        migration.stack.bucket.put(key, change(migration.stack.bucket.get(key)))

    return spoiled


def flipped(body: bytes) -> bytes:
    return body[:100] + bytes([body[100] ^ 1]) + body[101:]


def missing(migration: Migration, converted: LineProtocolManifest) -> None:
    migration.stack.bucket.delete(converted.parts[0].key)


def retold(change: Callable[[tuple[TsmColumn, ...]], list[TsmColumn]]) -> Callable[..., None]:
    """Changes what the first file holds, and has index and manifest tell its new bytes: only the digest is against it."""

    def told(migration: Migration, converted: LineProtocolManifest) -> None:
        bucket = migration.stack.bucket
        index = index_of(migration, converted)
        first = index.files[0]
        body = b"".join(tsm_file(change(read_tsm(bucket.get(first.key)))))
        new = {"bytes": len(body), "crc32": zlib.crc32(body)}
        bucket.put(first.key, body)
        files = (first.model_copy(update=new), *index.files[1:])
        index.model_copy(update={"files": files}).write(bucket, converted.members_key)
        parts = (converted.parts[0].model_copy(update=new), *converted.parts[1:])
        converted.model_copy(update={"parts": parts}).write(bucket, migration.own().manifest("line_protocol"))

    return told


def shifted(columns: tuple[TsmColumn, ...]) -> list[TsmColumn]:
    return [TsmColumn(one.kind, one.keys, one.offsets, one.times + 60 * 24 * HOUR, one.values) for one in columns]


def without_one(columns: tuple[TsmColumn, ...]) -> list[TsmColumn]:
    return list(columns[1:])


def duplicated(migration: Migration, converted: LineProtocolManifest) -> None:
    """The index names the first file twice, the second not at all."""
    index = index_of(migration, converted)
    index.model_copy(update={"files": (index.files[0], index.files[0])}).write(
        migration.stack.bucket, converted.members_key
    )


@pytest.mark.parametrize(
    ("spoiled", "kind", "words"),
    [
        (spoil(flipped), Permanent, "is not what was written"),
        (spoil(lambda body: body[: len(body) // 2]), Permanent, "is not what was written"),
        (missing, Missing, "NoSuchKey"),
        (duplicated, Permanent, "names other shard files"),
        (retold(shifted), Permanent, "values outside of its shard and window"),
        (retold(without_one), Permanent, "and not the"),
    ],
    ids=["broken", "truncated", "missing", "duplicated", "out of range", "of other points"],
)
def test_a_file_that_is_not_what_was_exported_is_not_sent(
    bulk: Migration, spoiled: Callable[..., None], kind: type[MigrationError], words: str
) -> None:
    bulk.export()
    spoiled(bulk, bulk.convert())
    with pytest.raises(kind, match=words):
        bulk.load()

    assert bulk.run().status == "proven", "the window was converted again"


@pytest.fixture
def breaking(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """A server of its own that takes files which break on their way, as a real one does."""
    rules = tmp_path / "faults.json"
    write_rules(rules, [FaultRule(FaultyService.INFLUXDB, FaultKind.RESTORE_BROKEN_FILE, times=1)])
    process = Process(tmp_path / "influxdb", options=("--faults", str(rules)))
    try:
        url, token, org = process.running
        yield replace(stack, target=Target(url, org, SecretStr(token)))
    finally:
        process.stop()


def test_a_file_that_breaks_on_its_way_fails_the_checks_which_blame_the_load(breaking: Stack) -> None:
    verdicts = new_migration(breaking, plant_rows(), load="bulk").run()
    failed = {each.check: each.stage for each in verdicts.verdicts if not each.passed}
    assert set(failed) >= {"record_count", "checksum", "coverage"}
    assert set(failed.values()) == {"load"}
    evidence = next(each.evidence for each in verdicts.verdicts if each.check == "checksum")
    point = point_difference(evidence[0])
    assert point is not None and "shard file has" in point.trail and "broken by the load" in point.trail


def generations(migration: Migration) -> list[bytes]:
    """What a load names its files by."""
    ledger = migration.stack.bucket.list(migration.own().ledger + "generation-")
    return [migration.stack.bucket.get(found.key) for found in ledger]


def index_of(migration: Migration, converted: LineProtocolManifest) -> ShardIndex:
    found = read_shard_index(migration.stack.bucket, converted)
    assert found is not None
    return found


def killed(*_: Any) -> None:
    raise KeyboardInterrupt
