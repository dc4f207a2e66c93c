"""Ranges that a job wrote itself: joined, remembered, and taken out of what is asked about strangers."""

from hypothesis import given
from hypothesis import strategies as st

from ts_migration.influxdb.ledger import LoadIntent
from ts_migration.influxdb.ownership import OwnRange, merge, strange_parts
from ts_migration.windows import Window

INTENT = LoadIntent(job="load", org="o", bucket="b", bucket_id="1", measurement="m", found_values=0)


def own(start: int, end: int, **place: str) -> OwnRange:
    return OwnRange.of(INTENT.model_copy(update=place), Window(start, end))


ranges = st.lists(
    st.builds(lambda start, length, bucket: own(start, start + length, bucket_id=bucket),
              st.integers(0, 60), st.integers(1, 30), st.sampled_from("12")),
    max_size=6,
)  # fmt: skip


def covered(given_ranges, time: int, bucket: str = "1") -> bool:
    return any(one.start_ns <= time < one.end_ns for one in given_ranges if one.bucket_id == bucket)


@given(ranges)
def test_joining_ranges_changes_no_time_that_they_cover(given_ranges):
    merged = merge(given_ranges)
    for bucket in "12":
        assert [covered(merged, time, bucket) for time in range(100)] == [
            covered(given_ranges, time, bucket) for time in range(100)
        ]
    assert merge(merged) == merged


@given(ranges, st.integers(0, 60), st.integers(1, 40))
def test_strange_parts_are_exactly_the_times_that_no_own_range_covers(given_ranges, start, length):
    window = Window(start, start + length, "w")
    parts = strange_parts(window, INTENT, given_ranges)
    inside = [time for part in parts for time in range(part.start_ns, part.end_ns)]
    assert inside == [time for time in range(start, start + length) if not covered(given_ranges, time)]


def test_windows_of_years_are_joined_to_one_range():
    assert merge(own(month, month + 1) for month in range(299)) == (own(0, 299),)


def test_a_bucket_that_was_made_anew_holds_nothing_of_the_jobs_own():
    assert strange_parts(Window(0, 10), INTENT, [own(0, 10, bucket_id="2")]) == [Window(0, 10)]


def test_the_range_of_another_job_is_no_own_one():
    assert strange_parts(Window(0, 10), INTENT, [own(0, 10, job="other")]) == [Window(0, 10)]
