"""Which files a cleanup deletes: those of green windows, and nothing that proves anything."""

from datetime import UTC, datetime, timedelta

import pytest

from ts_migration.objects import CHECKS_PREFIX
from ts_migration.operations.cleanup import delete_files, delete_scratch, look_at_files, look_at_left_scratch
from ts_migration.stages.proof import proof_of
from ts_migration_tests.stages.conftest import START, Migration

pytestmark = pytest.mark.stack


def keys(migration: Migration, prefix: str) -> set[str]:
    return {found.key for found in migration.stack.bucket.list(prefix)}


def test_files_of_proven_windows_go_and_those_of_others_stay(migration):
    migration.run()
    migration.run(1)
    migration.write(f"{migration.job.measurement},plant=alien load_mw=1 {START + 1}")
    assert migration.check().status == "failed"
    proof, first = keys(migration, migration.place.proof), keys(migration, migration.own().bulk)
    found = look_at_files(migration.config, migration.job, migration.stack.bucket)
    assert [key for key, _ in found.held_back] == ["2023-01-01"]
    size = sum(one.size for one in found.to_delete)
    freed = delete_files([found], migration.stack.bucket)
    assert freed == {migration.job.slug: size}
    assert keys(migration, migration.place.bulk) == first
    assert keys(migration, migration.place.proof) == proof
    assert proof_of(migration.config, migration.job, migration.stack.bucket).windows[1].status == "proven"
    forced = look_at_files(migration.config, migration.job, migration.stack.bucket, force=True)
    delete_files([forced], migration.stack.bucket)
    assert keys(migration, migration.place.bulk) == set()


def test_what_a_killed_check_exported_goes_after_a_day_and_that_of_a_running_one_stays(migration):
    bucket, left = migration.stack.bucket, f"{CHECKS_PREFIX}20261125T000000-1/results/1.parquet"
    bucket.put(left, b"rows")
    now = datetime.now(UTC)

    assert look_at_left_scratch(bucket, now) == ()
    scratch = look_at_left_scratch(bucket, now + timedelta(days=1, minutes=1))
    assert [found.key for found in scratch] == [left]
    delete_scratch(scratch, bucket)

    assert not list(bucket.list(CHECKS_PREFIX))


def test_files_that_are_not_old_enough_stay(migration):
    migration.run()
    yesterday, tomorrow = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
    young = look_at_files(migration.config, migration.job, migration.stack.bucket, before=yesterday)
    assert (young.to_delete, young.younger > 0) == ((), True)
    old = look_at_files(migration.config, migration.job, migration.stack.bucket, before=tomorrow)
    assert len(old.to_delete) == young.younger
