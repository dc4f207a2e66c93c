"""What a load remembers of its acknowledgements: in S3, and on this machine since the last page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ts_migration.influxdb.bodies import Delivered, RefusedLine
from ts_migration.influxdb.journal import Journal
from ts_migration.influxdb.ledger import Ledger
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration_tests.local.s3 import running_s3, s3_client

DIGEST, BUCKET_ID = "a" * 64, "b1"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_s3(tmp_path_factory.mktemp("s3")) as (endpoint, access_key, secret_key):
        client = s3_client(endpoint, access_key, secret_key)
        client.create_bucket(Bucket="exports")
        yield client


@pytest.fixture
def place(request: pytest.FixtureRequest) -> WindowPlace:
    return WindowPlace("db/t", request.node.name)


@pytest.fixture
def bucket(s3: Any) -> ExportBucket:
    return ExportBucket(s3, "exports")


def opened(bucket: ExportBucket, place: WindowPlace, journals: Path | None) -> Ledger:
    return Ledger.open(bucket, place, DIGEST, BUCKET_ID, journals)


def delivered(number: int, *refused: str) -> Delivered:
    return Delivered(number, 10, tuple(RefusedLine(number, line, "why") for line in refused))


def test_what_was_acknowledged_before_a_kill_is_known_to_the_next_load(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(10)
    ledger.add(delivered(0))
    ledger.add(delivered(3, 'm f="é\n" 1'))
    # Killed here: no page was written since the beginning.
    again = opened(bucket, place, tmp_path)
    assert again.acknowledged == {0, 3}
    assert again.refused == [RefusedLine(3, 'm f="é\n" 1', "why")]


def test_another_machine_knows_the_pages_only(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path / "here")
    ledger.begin(10)
    ledger.add(delivered(0))
    ledger.write()
    ledger.add(delivered(1))
    assert opened(bucket, place, tmp_path / "there").acknowledged == {0}


def test_a_line_that_a_kill_cut_off_does_not_count(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(10)
    ledger.add(delivered(0))
    ledger.add(delivered(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    assert opened(bucket, place, tmp_path).acknowledged == {0}


def test_a_line_that_a_power_failure_spoiled_does_not_count_and_harms_no_other(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(10)
    for number in range(3):
        ledger.add(delivered(number))
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"\0" * 20 + b"\xff", *lines[2:]]))
    assert opened(bucket, place, tmp_path).acknowledged == {0, 2}


def test_a_journal_whose_page_is_gone_has_no_word(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(10)
    ledger.add(delivered(0))
    bucket.delete_prefix(place.ledger)
    assert opened(bucket, place, tmp_path).acknowledged == set()


def test_a_ledger_that_is_forgotten_is_empty_for_everybody(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(10)
    ledger.add(delivered(0))
    again = opened(bucket, place, tmp_path)
    again.forget()
    assert again.acknowledged == set()
    assert opened(bucket, place, tmp_path).acknowledged == set()


def test_a_load_that_ended_leaves_no_journal_and_a_whole_page(bucket, place, tmp_path) -> None:
    killed = opened(bucket, place, tmp_path)
    killed.begin(10)
    killed.add(delivered(0))
    ledger = opened(bucket, place, tmp_path)
    ledger.begin(9)
    ledger.add(delivered(1))
    ledger.close()
    assert list(tmp_path.iterdir()) == []
    assert opened(bucket, place, None).acknowledged == {0, 1}


def test_a_load_of_a_request_or_two_keeps_no_journal(bucket, place, tmp_path) -> None:
    ledger = opened(bucket, place, tmp_path / "none")
    ledger.begin(2)
    ledger.add(delivered(0))
    assert not (tmp_path / "none").exists()


def test_a_journal_that_was_never_written_is_empty(tmp_path) -> None:
    assert list(Journal(tmp_path, "x.json").read()) == []
