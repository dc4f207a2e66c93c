"""Where a range has to end so that no row of the source is left behind."""

import pytest

from ts_migration.config import MigrationConfig, parse_config
from ts_migration.config_values import time_ns as at
from ts_migration.operations.arrivals import following_start_ns, new_end_ns
from ts_migration.timestream.window_counts import TailCount
from ts_migration.windows import iso

JOB = """
  - job_name: {name}
    source_database: grid
    source_table: load
    target_bucket: {bucket}
    start_time: {start}
    end_time: {end}
"""


def config(*jobs: tuple[str, str, str, str]) -> MigrationConfig:
    names = ("name", "bucket", "start", "end")
    return parse_config("migration_jobs:" + "".join(JOB.format(**dict(zip(names, job, strict=True))) for job in jobs))


ONE = ("one", "load", "2023-01-01", "2023-03-10")


def end_of(last: str | None, *, since: str | None = None, following: str | None = None) -> str | None:
    """The new end of a job until 10 March, for one row at a time."""
    tail = TailCount(0, None, None) if last is None else TailCount(1, at(last), at(last))
    job = config(ONE).migration_jobs[0]
    found = new_end_ns(job, tail, at(since) if since else None, at(following) if following else None)
    return None if found is None else iso(found)[:10]


@pytest.mark.parametrize(
    ("last", "end"),
    [
        (None, None),
        ("2023-03-10", "2023-04-01"),
        ("2023-03-31T23:59:59", "2023-04-01"),
        ("2023-04-01", "2023-05-01"),
        ("2023-06-15", "2023-07-01"),
    ],
)
def test_a_range_ends_where_the_window_of_the_last_row_does(last: str | None, end: str | None) -> None:
    assert end_of(last) == end


def test_rows_that_applications_write_to_both_need_no_later_end() -> None:
    assert end_of("2023-06-15", since="2023-03-01") is None
    assert end_of("2023-06-15", since="2023-03-10") is None


def test_applications_that_write_to_both_since_after_the_end_leave_the_rows_before_to_be_migrated() -> None:
    assert end_of("2023-06-15", since="2023-04-05") == "2023-04-05"


def test_a_range_does_not_grow_into_that_of_the_next_job() -> None:
    assert end_of("2023-04-02", following="2023-04-10") == "2023-04-10"


def test_the_job_that_goes_on_is_of_the_same_table_and_place() -> None:
    two, elsewhere = ("two", "load", "2023-04-01", "2023-05-01"), ("three", "other", "2023-03-10", "2023-05-01")
    found = config(ONE, two, elsewhere)

    assert following_start_ns(found, found.job("one")) == found.job("two").start_time
    assert following_start_ns(found, found.job("two")) is None
    assert following_start_ns(config(ONE, elsewhere), found.job("one")) is None
