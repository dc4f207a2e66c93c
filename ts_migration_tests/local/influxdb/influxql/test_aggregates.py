"""Queries with functions: values, times, windows, fills and groups."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints
from ts_migration_tests.local.influxdb.influxql.asking import HOUR, START, result, series, values

DAY = f"time >= {START - 3 * HOUR} AND time < {START + 9 * HOUR}"


def numbers(*found: float | None, field: str = "f") -> MemoryPoints:
    lines = [f"m {field}={value} {place}" for place, value in enumerate(found) if value is not None]
    return MemoryPoints().write("\n".join(lines))


def test_a_count_of_everything_names_its_columns_by_field():
    (found,) = series("SELECT count(*) FROM generation")
    assert found["columns"] == ["time", "count_mw", "count_note", "count_online", "count_units"]
    assert found["values"] == [[0, 12, 12, 12, 12]]


def test_a_star_in_a_function_takes_the_fields_that_the_function_allows():
    assert series("SELECT mean(*) FROM generation")[0]["columns"] == ["time", "mean_mw", "mean_units"]
    assert series("SELECT max(*) AS top FROM generation")[0]["columns"] == ["time", "top_mw", "top_online", "top_units"]
    assert series("SELECT last(/^m|n/) FROM generation")[0]["columns"][1:] == [
        "last_mw", "last_note", "last_online", "last_units",
    ]  # fmt: skip


def test_the_time_of_an_aggregate_is_the_lower_bound_and_that_of_one_selector_the_point_s():
    assert values(f"SELECT sum(units) FROM generation WHERE time >= {START + HOUR}") == [[START + HOUR, 30]]
    assert values("SELECT max(mw) FROM generation") == [[START + 5 * HOUR, 107.5]]
    assert values("SELECT max(mw), min(mw) FROM generation") == [[0, 107.5, 100]]
    assert values("SELECT percentile(mw, 50) FROM generation") == [[START + 2 * HOUR, 103]]


def test_functions_compute_what_the_standard_library_computes():
    points = numbers(3, 1, 4, 1, 5, 9, 2, 6)
    sample = [3, 1, 4, 1, 5, 9, 2, 6]
    text = "SELECT count(f), sum(f), mean(f), median(f), mode(f), stddev(f), spread(f), first(f), last(f) FROM m"
    (row,) = values(text, points)
    assert row[1:6] == [8, 31, 31 / 8, statistics.median(sample), 1]
    assert math.isclose(row[6], statistics.stdev(sample), rel_tol=1e-14)
    assert row[7:] == [8, 3, 6]


def test_integers_stay_integers_and_wrap_as_int64_does():
    points = numbers("9223372036854775807i", "1i")
    assert values("SELECT sum(f), max(f), mean(f) FROM m", points) == [[0, -(2**63), 2**63 - 1, -4611686018427388000]]


def test_a_sample_of_one_has_no_deviation():
    assert values("SELECT stddev(f) FROM m", numbers(5)) == [[0, None]]


@pytest.mark.parametrize(("share", "value"), [(1, None), (10, 1), (25, 3), (50, 5), (99.9, 10), (100, 10)])
def test_a_percentile_is_the_value_nearest_in_rank(share: float, value: float | None):
    found = series(f"SELECT percentile(f, {share}) FROM m", numbers(*range(1, 11)))
    assert [row[1] for one in found for row in one["values"]] == ([] if value is None else [value])


def test_distinct_values_come_in_the_order_they_were_first_seen():
    assert values("SELECT distinct(f) FROM m", numbers(3, 1, 3, 2, 1)) == [[0, 3], [0, 1], [0, 2]]
    assert values("SELECT count(distinct(f)) FROM m", numbers(3, 1, 3, 2, 1)) == [[0, 3]]


def test_first_and_last_take_the_larger_value_among_equal_times_and_the_false_boolean_first():
    points = MemoryPoints().write("m,t=a f=1,b=true 5\nm,t=b f=2,b=false 5")
    assert values("SELECT first(f), last(f), first(b), last(b) FROM m", points) == [[0, 2, 2, False, True]]


def test_extremes_take_the_earliest_among_equal_values():
    assert values("SELECT max(f) FROM m", numbers(1, 7, 7)) == [[1, 7]]
    assert values("SELECT min(f) FROM m", numbers(1, 0, 0)) == [[1, 0]]


def test_fields_and_tags_beside_a_selector_are_those_of_its_point():
    assert values("SELECT min(mw), note, units + 1 FROM generation WHERE source = 'wind'") == [[START, 100, "h0", 1]]
    assert values(f"SELECT max(units), source FROM generation WHERE {DAY} AND mw < 103 GROUP BY time(6h)") == [
        [START - 6 * HOUR, None, None],
        [START, 1, "hydro"],
        [START + 6 * HOUR, None, None],
    ]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("", [None, 1, 7, None]),
        ("fill(null)", [None, 1, 7, None]),
        ("fill(none)", [1, 7]),
        ("fill(0)", [0, 1, 7, 0]),
        ("fill(-1.5)", [-1.5, 1, 7, -1.5]),
        ("fill(previous)", [None, 1, 7, 7]),
    ],
)
def test_windows_without_a_value_are_filled_as_asked(fill: str, expected: list[float | None]):
    points = numbers(0, 2, 6, 8, 999)
    found = values(f"SELECT mean(f) FROM m WHERE time >= -2 AND time < 6 AND f < 100 GROUP BY time(2ns) {fill}", points)
    assert [row[1] for row in found] == expected
    if len(expected) == 4:
        assert [row[0] for row in found] == [-2, 0, 2, 4]


def test_a_linear_fill_lies_on_the_line_between_its_neighbours():
    points = numbers(10, None, None, 40, None, 20)
    assert values("SELECT mean(f) FROM m WHERE time >= 0 AND time < 7 GROUP BY time(1ns) fill(linear)", points) == [
        [0, 10], [1, 20], [2, 30], [3, 40], [4, 30], [5, 20], [6, None],
    ]  # fmt: skip
    whole = numbers("10i", None, None, "11i")
    assert [
        row[1]
        for row in values("SELECT max(f) FROM m WHERE time >= 0 AND time < 4 GROUP BY time(1ns) fill(linear)", whole)
    ] == [10, 10, 10, 11]


def test_an_empty_window_counts_zero():
    assert [row[1] for row in values(f"SELECT count(mw) FROM generation WHERE {DAY} GROUP BY time(3h)")] == [0, 6, 6, 0]


def test_windows_begin_at_multiples_of_their_size_shifted_by_the_offset():
    text = f"SELECT count(mw) FROM generation WHERE time >= {START} AND time < {START + 6 * HOUR}"
    assert values(f"{text} GROUP BY time(4h, 1h)") == [[START - 3 * HOUR, 2], [START + HOUR, 8], [START + 5 * HOUR, 2]]
    assert [row[0] for row in values("SELECT count(f) FROM m WHERE time < 3 GROUP BY time(2ns)", numbers(1, 1, 1))] == [
        0,
        2,
    ]
    before = MemoryPoints().write("m f=1 -3")
    assert values("SELECT count(f) FROM m WHERE time < -1 GROUP BY time(2ns)", before) == [[-4, 1], [-2, 0]]


def test_without_an_upper_bound_windows_end_now():
    found = values("SELECT count(mw) FROM generation GROUP BY time(6h)")
    assert found == [[START, 12], [START + 6 * HOUR, 0]]


def test_groups_and_windows_turn_around_with_the_order_and_limits_count_rows_of_each():
    text = (
        f"SELECT sum(units) FROM generation WHERE {DAY} GROUP BY time(3h), source fill(none) ORDER BY time DESC LIMIT 1"
    )
    found = series(text)
    assert [(one["tags"]["source"], one["values"]) for one in found] == [
        ("wind", [[START + 3 * HOUR, 12]]),
        ("hydro", [[START + 3 * HOUR, 12]]),
    ]


def test_calls_are_joined_by_group_and_window_and_missing_ones_are_null():
    points = MemoryPoints().write("m,t=a f=1 1\nm,t=b g=2 1\nm,t=b f=3 9")
    found = series("SELECT count(f), count(g) FROM m GROUP BY t", points)
    assert [(one["tags"]["t"], one["values"]) for one in found] == [("a", [[0, 1, None]]), ("b", [[0, 1, 1]])]


def test_functions_may_be_parts_of_expressions_and_equal_calls_are_computed_once():
    (found,) = series("SELECT max(mw) - min(mw) AS range, max(mw) / 2, mean(units) + 1 FROM generation")
    assert (found["columns"], found["values"]) == (["time", "range", "max", "mean"], [[0, 7.5, 53.75, 3.5]])


def test_nothing_to_count_is_no_series_and_an_unknown_field_neither():
    assert result("SELECT count(mw) FROM generation WHERE time < 0") == {"statement_id": 0}
    assert result("SELECT sum(nothing) FROM generation") == {"statement_id": 0}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1000, 1000), st.integers(-5, 5)), min_size=1, max_size=40),
    st.integers(1, 400),
)
def test_windows_hold_what_a_loop_over_the_points_puts_into_them(rows: list[tuple[int, int, int]], size: int):
    points, expected = MemoryPoints(), {}
    distinct = {(plant, time): value for plant, time, value in rows}
    for (plant, time), value in distinct.items():
        points.add("m", {"plant": str(plant)}, {"f": (FieldType.INTEGER, value)}, time)
        expected.setdefault((str(plant), (time // size) * size), []).append(value)
    text = f"SELECT count(f), sum(f), min(f), max(f), spread(f) FROM m WHERE time < 2000 GROUP BY time({size}ns), plant fill(none)"
    found = {(one["tags"]["plant"], row[0]): row[1:] for one in series(text, points) for row in one["values"]}
    assert found == {
        key: [len(held), sum(held), min(held), max(held), max(held) - min(held)] for key, held in expected.items()
    }
