"""Laws of windows: they tile the job's range, their keys sort as their times do, and every edge is exact."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.errors import ConfigurationError, Missing
from ts_migration.windows import NAMED_GRIDS, NS_PER_S, Grid, Window, from_ns, iso, to_ns

CRONS = [*NAMED_GRIDS.values(), "0 */6 * * *", "30 3 * * *", "0 0 1 1 *", "15 * * * *", "0 0 1 */3 *"]
DAY_NS = 86_400 * NS_PER_S


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


@st.composite
def grids(draw):
    cron = draw(st.sampled_from(CRONS))
    start = draw(st.integers(min_value=-(10**18), max_value=4 * 10**18))
    longest_s = 86_400 * (20 if cron.split()[1] == "*" else 800)
    length = draw(st.integers(min_value=1, max_value=longest_s * NS_PER_S))
    return Grid(cron, start, start + length)


@settings(deadline=None, max_examples=150)
@given(grids())
def test_windows_tile_the_range_without_gap_or_overlap(grid):
    windows = list(grid)
    assert windows[0].start_ns == grid.start_ns
    assert windows[-1].end_ns == grid.end_ns
    assert all(one.end_ns == two.start_ns for one, two in itertools.pairwise(windows))
    assert not any(window.empty for window in windows)


@settings(deadline=None, max_examples=150)
@given(grids())
def test_keys_sort_as_text_in_the_order_of_time_and_name_one_window_each(grid):
    assert list(grid.keys) == sorted(set(grid.keys))
    assert len(grid) == len(grid.keys) == len(list(grid))
    assert [grid.window(key) for key in grid.keys] == list(grid)


@settings(deadline=None, max_examples=150)
@given(grids(), st.data())
def test_every_time_of_the_range_lies_in_exactly_one_window(grid, data):
    time_ns = data.draw(st.integers(min_value=grid.start_ns, max_value=grid.end_ns - 1))
    assert sum(window.contains(time_ns) for window in grid) == 1


@settings(deadline=None)
@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_the_text_of_a_time_is_exact_to_the_nanosecond(time_ns):
    text = iso(time_ns)
    whole, _, fraction = text.removesuffix("Z").partition(".")
    assert ns(whole) + int((fraction or "0").ljust(9, "0")) == time_ns


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2250, 1, 1)))
def test_a_datetime_survives_nanoseconds_and_back(moment):
    aware = moment.replace(tzinfo=UTC)
    assert from_ns(to_ns(aware)) == aware


@given(st.integers(-(10**18), 10**18), st.integers(2, 10**15))
def test_halves_are_the_window_and_keep_its_key(start, length):
    first, second = Window(start, start + length, "k").halves()
    assert (first.start_ns, first.end_ns, second.end_ns) == (start, second.start_ns, start + length)
    assert first.key == second.key == "k"
    assert not first.empty and not second.empty


def test_a_range_in_the_middle_of_a_month_keeps_both_its_edges():
    # Dagster's own monthly partitions would begin on 1 February and drop March: both ends would be lost.
    grid = Grid(NAMED_GRIDS["month"], ns("2023-01-15T06:00:00"), ns("2023-03-10T12:30:00"))
    assert grid.keys == ("2023-01-01", "2023-02-01", "2023-03-01")
    assert [str(window) for window in grid] == [
        "2023-01-01 [2023-01-15T06:00:00Z, 2023-02-01T00:00:00Z)",
        "2023-02-01 [2023-02-01T00:00:00Z, 2023-03-01T00:00:00Z)",
        "2023-03-01 [2023-03-01T00:00:00Z, 2023-03-10T12:30:00Z)",
    ]


def test_an_end_on_an_edge_makes_no_empty_window_after_it():
    assert Grid(NAMED_GRIDS["month"], ns("2023-01-01"), ns("2023-03-01")).keys == ("2023-01-01", "2023-02-01")


def test_an_end_one_nanosecond_after_an_edge_makes_one_more_window():
    grid = Grid(NAMED_GRIDS["month"], ns("2023-01-01"), ns("2023-03-01") + 1)
    assert grid.keys[-1] == "2023-03-01"
    assert grid.window("2023-03-01").end_ns - grid.window("2023-03-01").start_ns == 1


def test_a_start_one_nanosecond_before_an_edge_belongs_to_the_window_before():
    grid = Grid(NAMED_GRIDS["day"], ns("2023-01-02") - 1, ns("2023-01-03"))
    assert grid.keys == ("2023-01-01", "2023-01-02")
    assert next(iter(grid)) == Window(ns("2023-01-02") - 1, ns("2023-01-02"), "2023-01-01")


def test_weeks_begin_on_monday():
    grid = Grid(NAMED_GRIDS["week"], ns("2023-01-01"), ns("2023-01-03"))
    assert grid.keys == ("2022-12-26", "2023-01-02")


def test_keys_are_dates_where_windows_begin_at_midnight_and_hold_the_clock_otherwise():
    assert Grid("0 0 * * *", 0, DAY_NS).keys == ("1970-01-01",)
    assert Grid("0 */12 * * *", 0, DAY_NS).keys == ("1970-01-01T0000", "1970-01-01T1200")


def test_an_unknown_key_is_refused_with_the_keys_that_there_are():
    with pytest.raises(Missing, match=r"no window '2024-01-01'.*1970-01-01 to 1970-01-01, 1 windows"):
        Grid("0 0 * * *", 0, DAY_NS).window("2024-01-01")


def test_between_takes_both_ends_and_refuses_unknown_ones():
    grid = Grid("0 0 * * *", 0, 5 * DAY_NS)
    assert [window.key for window in grid.between("1970-01-02", "1970-01-04")] == [
        "1970-01-02",
        "1970-01-03",
        "1970-01-04",
    ]
    with pytest.raises(Missing):
        grid.between("1970-01-02", "1971-01-01")


def test_too_many_windows_are_refused_before_dagster_has_to_hold_them():
    with pytest.raises(ConfigurationError, match="50,000 windows"):
        _ = Grid("* * * * *", 0, 60 * DAY_NS).keys


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=2)))
def test_the_first_window_begins_at_or_before_the_range_and_never_a_whole_window_before(offset):
    start = to_ns(datetime(2024, 2, 28, tzinfo=UTC) + offset)
    grid = Grid("0 0 * * *", start, start + 1)
    edge = to_ns(grid.edges[0])
    assert edge <= start < edge + DAY_NS
