"""The load stage against the embedded servers: what is written, resumed, refused and left alone."""

import gzip
import json
from collections.abc import Callable

import pytest

from ts_migration.errors import Missing, Permanent, Refused, Spoiled
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.ledger import Ledger, read_intent
from ts_migration.influxdb.write_requests import WriteRequests
from ts_migration.objects import ExportBucket
from ts_migration_tests.stages.conftest import Migration

pytestmark = pytest.mark.stack


def counts(migration: Migration, index: int = 0) -> dict[str, int]:
    job = migration.job
    return reader.counts(migration.stack.target, job.target_bucket, job.measurement, migration.window(index))


def test_a_window_is_loaded_whole_and_its_manifest_says_how(migration: Migration) -> None:
    migration.export()
    converted = migration.convert()
    loaded = migration.load()
    assert counts(migration) == converted.values
    assert loaded.parent == converted.digest
    assert (loaded.points, loaded.members, loaded.refused_lines) == (converted.points, 5, 0)
    assert loaded.requests == 5


def test_a_loaded_window_is_left_alone(migration: Migration) -> None:
    migration.export()
    migration.convert()
    first = migration.load()
    assert migration.load() == first


def test_a_window_that_is_not_converted_says_which_stage_is_missing(migration: Migration) -> None:
    migration.export()
    with pytest.raises(Missing, match="convert the window 2023-01-01"):
        migration.load()


@pytest.mark.parametrize(
    "spoiled", [lambda body: body[:-9], lambda body: body[:99] + bytes([body[99] ^ 4]) + body[100:]]
)
def test_files_that_are_not_what_was_written_are_not_sent_and_the_window_is_converted_again(
    migration: Migration, spoiled: Callable[[bytes], bytes]
) -> None:
    migration.export()
    (part, *_) = migration.convert().parts
    bucket = migration.stack.bucket
    bucket.put(part.key, spoiled(bucket.get(part.key)))

    with pytest.raises(Spoiled, match=r"is not what was written.*\bexecute\b.* converts the window again"):
        migration.load()

    assert migration.run().status == "proven"


def test_a_load_that_fails_for_another_reason_keeps_its_files_and_reads_them_once(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.export()
    converted = migration.convert()
    opened: list[str] = []
    read = ExportBucket.open

    def counted(self: ExportBucket, key: str, offset: int, length: int):
        opened.append(key)
        return read(self, key, offset, length)

    def forbidden(self: WriteRequests, content: bytes, *, gzipped: bool):
        raise Permanent("401: unauthorized")

    monkeypatch.setattr(ExportBucket, "open", counted)
    with monkeypatch.context() as patch:
        patch.setattr(WriteRequests, "post", forbidden)
        with pytest.raises(Permanent, match="401: unauthorized"):
            migration.load()

    assert opened == [part.key for part in converted.parts]
    assert migration.load().parent == converted.digest


def test_a_range_that_holds_points_of_somebody_else_is_refused_until_it_is_allowed(migration: Migration) -> None:
    migration.export()
    migration.convert()
    ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    name = migration.job.measurement
    migration.write(f"{name},plant=alien load_mw=1 {migration.window().start_ns}")
    with pytest.raises(Refused, match="already holds 1 values"):
        migration.load()
    assert sum(counts(migration).values()) == 1
    allowed = migration.changed(allow_existing_data=True)
    assert allowed.load().points == 248
    intent = read_intent(migration.stack.bucket, migration.own())
    assert intent is not None
    assert intent.found_values == 1


def test_points_outside_the_window_or_of_another_measurement_are_nobodys_business(migration: Migration) -> None:
    migration.export()
    migration.convert()
    ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    migration.write(
        f"{migration.job.measurement} load_mw=1 {migration.window().end_ns}\nother f=1 {migration.window().start_ns}"
    )
    migration.load()


def test_a_load_that_was_interrupted_goes_on_with_what_is_not_acknowledged(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.export()
    converted = migration.convert()
    post = WriteRequests.post
    sent = 0

    def fail_later(self: WriteRequests, content: bytes, *, gzipped: bool):
        nonlocal sent
        sent += 1
        if sent > 3:
            raise Permanent("the power went out")
        return post(self, content, gzipped=gzipped)

    monkeypatch.setattr(WriteRequests, "post", fail_later)
    with pytest.raises(Permanent, match="power"):
        migration.load()
    monkeypatch.setattr(WriteRequests, "post", post)
    assert 0 < sum(counts(migration).values()) < sum(converted.values.values())
    loaded = migration.load()
    assert loaded.resumed_members == 3
    assert loaded.requests == loaded.members - 3
    assert counts(migration) == converted.values


def test_a_load_that_was_killed_before_it_wrote_its_ledger_is_not_refused_its_own_points(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration.export()
    converted = migration.convert()
    post, sent = WriteRequests.post, []

    def die_later(self: WriteRequests, content: bytes, *, gzipped: bool):
        sent.append(1)
        if len(sent) > 2:
            raise Permanent("killed")
        return post(self, content, gzipped=gzipped)

    with monkeypatch.context() as killed:
        killed.setattr(WriteRequests, "post", die_later)
        killed.setattr(Ledger, "write", lambda self: None)
        with pytest.raises(Permanent, match="killed"):
            migration.load()
    loaded = migration.load()
    assert loaded.resumed_members == 0
    assert counts(migration) == converted.values


def test_a_ledger_of_points_that_somebody_deleted_since_is_not_believed(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ts_migration.influxdb.deletion import delete_points

    migration.export()
    converted = migration.convert()
    migration.load()
    migration.stack.bucket.delete(migration.own().manifest("load"))
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, migration.window())
    loaded = migration.load()
    assert loaded.resumed_members == 0
    assert counts(migration) == converted.values


def test_a_ledger_of_other_files_or_another_bucket_does_not_count(migration: Migration) -> None:
    migration.export()
    converted = migration.convert()
    migration.load()
    bucket, own = migration.stack.bucket, migration.own()
    info = ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    assert len(Ledger.open(bucket, own, converted.digest, info.id).acknowledged) == 5
    assert not Ledger.open(bucket, own, converted.digest, "ffffffffffffffff").acknowledged
    assert not Ledger.open(bucket, own, "0" * 64, info.id).acknowledged


def test_a_field_that_the_bucket_holds_with_another_type_is_refused_before_the_first_byte(migration: Migration) -> None:
    migration.export()
    migration.convert()
    ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    far = migration.window(1).end_ns + 10**18
    migration.write(f'{migration.job.measurement} units="three" {far}')
    with pytest.raises(Refused, match="'units' is mapped to integer and there it is string"):
        migration.load()
    assert counts(migration) == {}


def test_lines_that_the_server_refuses_are_kept_with_its_words(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ts_migration.influxdb.connection import Answer

    migration.export()
    converted = migration.convert()
    post = WriteRequests.post

    def picky(self: WriteRequests, content: bytes, *, gzipped: bool):
        text = gzip.decompress(content) if gzipped else content
        if b"load_mw=-29.714285714285715" in text:
            return Answer(422, {}, b'{"message":"partial write: not today dropped=1"}')
        return post(self, content, gzipped=gzipped)

    monkeypatch.setattr(WriteRequests, "post", picky)
    loaded = migration.load()
    assert loaded.refused_lines == 1
    assert loaded.points == converted.points - 1
    kept = [
        json.loads(line) for line in gzip.decompress(migration.stack.bucket.get(migration.own().refused)).splitlines()
    ]
    assert "load_mw=-29.714285714285715" in kept[0]["line"]
    assert "not today" in kept[0]["reason"]
    found = migration.check()
    assert found.status == "passed", found.verdicts
    count = next(verdict for verdict in found.verdicts if verdict.check == "record_count")
    assert count.evidence == ("refused by the server and kept beside the quarantine: 1 lines",)


def test_an_empty_window_is_loaded_without_a_request(migration: Migration) -> None:
    empty = migration.changed(end_time=migration.job.end_time + 31 * 86_400 * 10**9)
    empty.export(2)
    assert empty.convert(2).points == 0
    loaded = empty.load(2)
    assert (loaded.points, loaded.members, loaded.requests) == (0, 0, 0)
    assert empty.check(2).status == "proven"
