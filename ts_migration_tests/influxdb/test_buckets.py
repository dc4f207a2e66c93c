"""Buckets against the embedded server, by the control API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.influxdb import buckets
from ts_migration.influxdb.connection import Target
from ts_migration.windows import NS_PER_S, Window
from ts_migration_tests.local.influxdb.embedded import running_influxdb


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("influxdb")
    with running_influxdb(folder) as (url, token, org):
        yield Target(url, org, SecretStr(token))


def test_a_bucket_is_made_for_ever_with_its_shard_groups_and_found_again(target: Target) -> None:
    assert buckets.find(target, "made") is None
    made = buckets.ensure(target, "made", 30 * 86_400)
    assert (made.retention_s, made.shard_group_s) == (0, 30 * 86_400)
    assert buckets.ensure(target, "made", 7 * 86_400) == made == buckets.find(target, "made")


def test_the_retention_is_set_and_the_shard_groups_stay(target: Target) -> None:
    buckets.ensure(target, "kept", 30 * 86_400)
    assert buckets.set_retention(target, "kept", 90 * 86_400).retention_s == 90 * 86_400
    found = buckets.find(target, "kept")
    assert found is not None
    assert (found.retention_s, found.shard_group_s) == (90 * 86_400, 30 * 86_400)
    with pytest.raises(Missing):
        buckets.set_retention(target, "not there", 0)


def test_a_token_that_may_write_is_told_from_one_that_may_not(target: Target) -> None:
    buckets.ensure(target, "open", 30 * 86_400)
    buckets.require_writable(target, "open")
    with pytest.raises(Missing, match="not found"):
        buckets.require_writable(target, "no such bucket")
    stranger = Target(target.url, target.org, SecretStr("wrong"))
    with pytest.raises(Permanent, match="INFLUXDB_TOKEN"):
        buckets.require_writable(stranger, "open")
    with pytest.raises(Permanent, match="INFLUXDB_TOKEN"):
        buckets.ensure(stranger, "open", 30 * 86_400)


def test_an_unknown_organisation_is_named(target: Target) -> None:
    elsewhere = Target(target.url, "nobody", target._token)
    with pytest.raises(Missing, match="nobody"):
        buckets.ensure(elsewhere, "x", 30 * 86_400)


def test_a_bucket_that_would_drop_the_windows_points_is_refused() -> None:
    target = Target("http://h", "o", SecretStr("t"))
    day = 86_400
    bucket = buckets.BucketInfo("1", "b", 10 * day, day)
    now = 1_000 * day
    with pytest.raises(Refused, match="retention"):
        buckets.require_room(target, bucket, Window(980 * day * NS_PER_S, 985 * day * NS_PER_S), lambda: float(now))
    buckets.require_room(target, bucket, Window(995 * day * NS_PER_S, 996 * day * NS_PER_S), lambda: float(now))
    forever = buckets.BucketInfo("1", "b", 0, day)
    buckets.require_room(target, forever, Window(0, 5), lambda: float(now))
