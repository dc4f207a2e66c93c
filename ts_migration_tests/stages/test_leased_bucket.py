"""What a leased window's proof is asked for: once, and never instead of what is there."""

import io
from collections import Counter
from typing import Any

import pytest

from ts_migration.errors import Missing
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.stages.leased_bucket import LeasedBucket
from ts_migration_tests.stages.conftest import Stack

TABLE = TablePlace("grid/leased")
PLACE, OTHER = TABLE.window("2023-01-01"), TABLE.window("2023-02-01")


class Counting:
    """A boto3 client that counts the requests made through it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method) or name == "get_paginator":
            self.calls[name] += 1
            return method

        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **named)

        return counted


@pytest.fixture
def plain(stack: Stack) -> ExportBucket:
    bucket = ExportBucket(Counting(stack.bucket.client), stack.bucket.name)
    for place in (PLACE, OTHER):
        bucket.delete_prefix(place.proof)
    bucket.put(PLACE.manifest("export"), b"{}")
    bucket.put(TABLE.table_manifest, b"{}")
    bucket.client.calls.clear()
    return bucket


@pytest.fixture
def leased(plain: ExportBucket) -> LeasedBucket:
    return LeasedBucket(plain, PLACE)


@pytest.mark.parametrize("key", [PLACE.manifest("export"), TABLE.table_manifest])
def test_a_manifest_of_the_window_and_its_tables_mapping_are_read_once(leased: LeasedBucket, key: str) -> None:
    assert [leased.get(key) for _ in range(3)] == [b"{}"] * 3
    assert leased.client.calls["get_object"] == 1


def test_what_is_not_there_is_looked_for_once_for_all(leased: LeasedBucket) -> None:
    for stage in ("load", "line_protocol", "load"):
        assert leased.get_or_none(PLACE.manifest(stage)) is None
    leased.delete(PLACE.quarantine)
    assert leased.client.calls == {"get_paginator": 1}


def test_what_is_written_is_what_is_read_and_what_is_deleted_is_gone(leased: LeasedBucket, plain: ExportBucket) -> None:
    key = PLACE.manifest("load")
    assert leased.get_or_none(key) is None
    leased.put(key, b"[1]")
    assert (leased.get(key), plain.get(key)) == (b"[1]", b"[1]")
    leased.upload(key, io.BytesIO(b"[2]"))
    assert leased.get(key) == b"[2]"
    leased.delete(key)
    with pytest.raises(Missing):
        leased.get(key)
    assert plain.get_or_none(key) is None


def test_a_write_that_fails_leaves_no_belief_behind(leased: LeasedBucket, plain: ExportBucket) -> None:
    key = PLACE.manifest("export")
    assert leased.get(key) == b"{}" and leased.get_or_none(PLACE.manifest("load")) is None
    name, leased.name = leased.name, "no-such-bucket"
    for failing in (key, PLACE.manifest("load")):
        with pytest.raises(Missing):
            leased.put(failing, b"new")
    leased.name = name
    plain.put(key, b"lost acknowledgement")
    plain.put(PLACE.manifest("load"), b"lost acknowledgement")
    assert leased.get(key) == leased.get(PLACE.manifest("load")) == b"lost acknowledgement"


def test_the_lease_and_other_windows_are_always_asked_for(leased: LeasedBucket, plain: ExportBucket) -> None:
    for key in (PLACE.lease, OTHER.manifest("export")):
        assert leased.get_or_none(key) is None
        plain.put(key, b"{}")
        assert leased.get(key) == b"{}"
        leased.delete(key)
        assert plain.get_or_none(key) is None


@pytest.mark.parametrize(("size", "asked"), [(256 * 1024, 0), (256 * 1024 + 1, 2)])
def test_a_small_part_that_the_run_wrote_is_not_asked_for(leased: LeasedBucket, size: int, asked: int) -> None:
    key, body = PLACE.line_protocol + "part-00000.lp.gz", bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    leased.upload(key, io.BytesIO(body))
    assert leased.open(key).read() == body
    assert leased.open(key, 5, 300).read() == body[5:305]
    assert leased.client.calls["get_object"] == asked
    leased.put(key, b"other")
    assert leased.open(key).read() == b"other"
    leased.delete(key)
    with pytest.raises(Missing):
        leased.open(key)
