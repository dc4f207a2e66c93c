"""A run holds its window from its first stage to its last, and no longer than it needs to."""

import time
from pathlib import Path

import pytest

from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.orchestration.leases import is_leased
from ts_migration.orchestration.run_leases import run_lease
from ts_migration_tests.local.s3 import s3_client

PLACE = TablePlace("grid/run").window("2023-01-01")


@pytest.fixture
def bucket(s3_url: str) -> ExportBucket:
    one = ExportBucket(s3_client(s3_url), "export")
    one.delete(PLACE.lease)
    return one


def stage(bucket: ExportBucket, folder: Path, owner: str, keep_s: float = 30.0):
    return run_lease(bucket, PLACE, owner, lock_folder=folder, wait_s=0.0, on_wait=pytest.fail, keep_s=keep_s)


def test_the_next_stage_of_a_run_finds_its_lease_and_what_was_read_under_it(
    bucket: ExportBucket, tmp_path: Path
) -> None:
    with stage(bucket, tmp_path, "run") as first:
        pass
    assert is_leased(bucket, PLACE, tmp_path)
    with stage(bucket, tmp_path, "run", keep_s=0.0) as second:
        assert second is first
    assert not is_leased(bucket, PLACE, tmp_path)
    assert bucket.get_or_none(PLACE.lease) is None


def test_a_stage_that_fails_lets_the_window_go(bucket: ExportBucket, tmp_path: Path) -> None:
    with stage(bucket, tmp_path, "run"):
        pass
    with pytest.raises(ZeroDivisionError), stage(bucket, tmp_path, "run"):
        raise ZeroDivisionError
    assert not is_leased(bucket, PLACE, tmp_path)


def test_another_run_of_the_process_does_not_wait_for_one_that_has_ended(bucket: ExportBucket, tmp_path: Path) -> None:
    with stage(bucket, tmp_path, "first") as first:
        pass
    with stage(bucket, tmp_path, "second", keep_s=0.0) as second:
        assert second is not first, "it looks at everything anew"


def test_a_lease_that_no_stage_comes_for_is_let_go(bucket: ExportBucket, tmp_path: Path) -> None:
    with stage(bucket, tmp_path, "run", keep_s=0.2):
        assert is_leased(bucket, PLACE, tmp_path)
    deadline = time.monotonic() + 10
    while is_leased(bucket, PLACE, tmp_path):
        assert time.monotonic() < deadline, "it is held for ever"
        time.sleep(0.05)
    assert bucket.get_or_none(PLACE.lease) is None
