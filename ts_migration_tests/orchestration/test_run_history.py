"""What the runs of a table said last: an error counts until the same window, or the roll-up, went well."""

from collections.abc import Iterator

import dagster as dg
import pytest

from ts_migration.orchestration.job_status import JobStatus
from ts_migration.orchestration.names import PARTITION_TAG, TableNames
from ts_migration.orchestration.outcomes import outcome_of_roll_up
from ts_migration.orchestration.run_history import last_error_of

NAMES = TableNames(("grid", "load"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def ran(instance: dg.DagsterInstance, job: str, error: str = "", window: str = "") -> None:
    @dg.op
    def work() -> None:
        if error:
            raise dg.Failure(error)

    @dg.job(name=job)
    def whole() -> None:
        work()

    tags = {PARTITION_TAG: window} if window else {}
    whole.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def test_an_error_is_told_until_the_same_window_or_the_roll_up_went_well(instance: dg.DagsterInstance) -> None:
    ran(instance, NAMES.job, "the bucket is full", window="2023-01-01")
    ran(instance, NAMES.roll_up_job, "a query was refused")
    assert last_error_of(instance, NAMES) == "roll-up: a query was refused"
    ran(instance, NAMES.roll_up_job)
    assert last_error_of(instance, NAMES) == "2023-01-01: the bucket is full"
    ran(instance, NAMES.check_job, window="2023-01-01")
    assert last_error_of(instance, NAMES) == ""


def test_what_a_check_of_a_window_said_is_told(instance: dg.DagsterInstance) -> None:
    ran(instance, NAMES.check_job, "InfluxDB does not answer", window="2023-01-01")
    ran(instance, TableNames(("grid", "other")).check_job, "another table", window="2023-01-01")
    assert last_error_of(instance, NAMES) == "2023-01-01: InfluxDB does not answer"


def test_what_nobody_expected_is_told_by_its_own_words(instance: dg.DagsterInstance) -> None:
    @dg.op
    def work() -> None:
        raise ValueError("no such column")

    @dg.job(name=NAMES.roll_up_job)
    def whole() -> None:
        work()

    result = whole.execute_in_process(instance=instance, raise_on_error=False)
    assert last_error_of(instance, NAMES) == "roll-up: ValueError: no such column"
    assert outcome_of_roll_up(result, 0.0).error == "ValueError: no such column"


def test_a_table_whose_windows_are_loaded_and_could_not_be_checked_says_so() -> None:
    def state(**counts: int) -> str:
        return JobStatus("load", "grid.load", "load", 2, **counts, failed=(), running=(), rolled_up=False, last_error="").state  # fmt: skip

    assert state(materialized=2, green=1) == "loaded, not checked"
    assert state(materialized=1, green=1) == "partly migrated"
    assert state(materialized=2, green=2) == "complete"


def test_a_failed_window_is_sent_to_what_mends_it() -> None:
    def steps(*not_loaded: str) -> list[str]:
        found = JobStatus(
            "load", "grid.load", "load", 2, 1, 0, ("a", "b"), (), rolled_up=False, last_error="", not_loaded=not_loaded
        )
        return [step.split(" does")[0].split(" mends")[0] for step in found.next_steps]

    assert steps() == ["ts-migration repair --table load"]
    assert steps("a") == ["ts-migration execute --only load", "ts-migration repair --table load"]
    assert steps("a", "b") == ["ts-migration execute --only load"]
