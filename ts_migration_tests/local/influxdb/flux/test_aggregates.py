"""Aggregates, selectors, groups and windows."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.asking import MW, RANGE, plants, records, refusal, values
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("count()", ["6", "6"]),
        ("sum()", ["622.5", "625.5"]),
        ("mean()", ["103.75", "104.25"]),
        ("min()", ["100", "100.5"]),
        ("max()", ["107.5", "108"]),
        ("first()", ["100", "100.5"]),
        ("last()", ["107.5", "108"]),
        ("median()", ["103.75", "104.25"]),
        ("quantile(q: 0.9)", ["107.35", "107.85"]),
        ('quantile(q: 0.9, method: "exact_mean")', ["106.75", "107.25"]),
        ('quantile(q: 0.5, method: "exact_selector")', ["103", "103.5"]),
        ("spread()", ["7.5", "7.5"]),
        ('stddev(mode: "population")', ["2.5617376914898995", "2.5617376914898995"]),
        ("distinct() |> count()", ["6", "6"]),
        ("limit(n: 1, offset: 2)", ["103", "103.5"]),
        ("tail(n: 2, offset: 1)", ["104.5", "106", "105", "106.5"]),
        ("top(n: 1)", ["107.5", "108"]),
        ("bottom(n: 1)", ["100", "100.5"]),
    ],
)
def test_aggregates_and_selectors(call: str, expected: list[str]) -> None:
    if "0.9)" in call and "method" not in call:
        # between the ranks 5.4 of the digest: x4 + 0.9 * (x5 - x4)
        assert [round(float(value), 9) for value in values(f"{MW} |> {call}")] == [float(value) for value in expected]
    else:
        assert values(f"{MW} |> {call}") == expected


def test_storage_puts_the_value_before_the_tags_and_flux_after_them() -> None:
    stored = ask(f"{MW} |> mean()", plants()).text
    flux = ask(f"{MW} |> limit(n: 6) |> mean()", plants()).text
    assert ",result,table,_start,_stop,_value,_field,_measurement,source\r\n" in stored
    assert ",result,table,_start,_stop,_field,_measurement,source,_value\r\n" in flux


def test_the_sum_of_integers_wraps_and_never_becomes_a_float() -> None:
    points = MemoryPoints().write("m f=9223372036854775807i 1\nm f=2i 2\n")
    assert values('from(bucket: "b") |> range(start: 0) |> sum()', points) == ["-9223372036854775807"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50), st.integers(1, 7))
def test_a_sum_of_floats_adds_one_after_the_other(numbers: list[float], every: int) -> None:
    points = MemoryPoints()
    for place, number in enumerate(numbers):
        points.add("m", {}, {"f": (FieldType.FLOAT, number)}, place * 10**9)
    query = f'from(bucket: "b") |> range(start: 0, stop: {len(numbers)}) |> aggregateWindow(every: {every}s, fn: sum)'
    windows = [numbers[low : low + every] for low in range(0, len(numbers), every)]
    totals = []
    for window in windows:
        total = 0.0
        for number in window:
            total += number
        totals.append(total)
    assert [float(value) for value in values(query, points)] == totals


def test_storage_names_the_type_that_it_cannot_aggregate() -> None:
    notes = RANGE + ' |> filter(fn: (r) => r._field == "note")'
    assert refusal(notes + " |> sum()") == "unsupported input type for sum aggregate: string"
    assert refusal(notes + " |> max()") == "unsupported input type for max aggregate: string"
    assert "sum: unsupported aggregate column type string" in refusal(notes + " |> limit(n: 1) |> sum()")


def test_a_group_of_different_types_is_a_schema_collision() -> None:
    assert refusal(RANGE + " |> group()") == "schema collision: cannot group float and string types together"
    assert values(RANGE + " |> group() |> count()") == ["48"]
    flux = refusal(RANGE + ' |> limit(n: 1) |> group(columns: ["_measurement"])')
    assert 'group: schema collision detected: column "_value" is both of type' in flux


def test_a_group_by_tags_keeps_the_range_in_its_key_as_storage_does() -> None:
    text = ask(MW + ' |> group(columns: ["source"])', plants()).text
    assert "#group,false,false,true,true,false,false,false,false,true\r\n" in text
    text = ask(MW + ' |> limit(n: 6) |> group(columns: ["source"])', plants()).text
    assert "#group,false,false,false,false,false,false,false,false,true\r\n" in text


def test_groups_by_time_are_in_the_order_of_their_keys() -> None:
    found = records(MW + ' |> group(columns: ["_time"]) |> sum()')
    assert [record["_value"] for record in found] == ["200.5", "203.5", "206.5", "209.5", "212.5", "215.5"]
    assert [record["table"] for record in found] == list("012345")


def test_except_groups_by_all_other_columns() -> None:
    assert len({r["table"] for r in records(MW + ' |> group(columns: ["_time", "_value"], mode: "except")')}) == 2


def test_first_and_last_of_a_group_go_by_time() -> None:
    points = MemoryPoints().write("m,t=a f=1 5\nm,t=b f=2 3\nm,t=c f=3 7\n")
    read = 'from(bucket: "b") |> range(start: 0) |> group()'
    assert values(read + " |> first()", points) == ["2"]
    assert values(read + " |> last()", points) == ["3"]


def test_windows_begin_at_multiples_of_every_and_are_cut_to_the_range() -> None:
    query = (
        RANGE.replace("00:00:00Z, stop", "00:30:00Z, stop")
        + ' |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    )
    found = records(query + " |> aggregateWindow(every: 4h, fn: count)")
    assert [(r["_time"][11:16], r["_value"]) for r in found] == [("04:00", "3"), ("06:00", "2")]
    found = records(query + " |> aggregateWindow(every: 4h, offset: 1h, fn: count)")
    assert [(r["_time"][11:16], r["_value"]) for r in found] == [("01:00", "0"), ("05:00", "4"), ("06:00", "1")]
    found = records(query + ' |> aggregateWindow(every: 4h, fn: sum, timeSrc: "_start")')
    assert [(r["_time"][11:16], r["_value"]) for r in found] == [("00:30", "6"), ("04:00", "9")]


@pytest.mark.parametrize(
    "function", ["count", "sum", "mean", "min", "max", "first", "last", "median", "spread", "stddev"]
)
@pytest.mark.parametrize("empty", ["true", "false"])
def test_one_function_gives_the_same_values_by_every_way_of_running_it(function: str, empty: str) -> None:
    points = MemoryPoints()
    chosen = random.Random(7)
    for second in sorted(chosen.sample(range(100), 40)):
        points.add("m", {"t": "x"}, {"f": (FieldType.FLOAT, chosen.uniform(-9, 9))}, second * 10**9)
    read = 'from(bucket: "b") |> range(start: 0, stop: 103)'
    arguments = f"every: 4s, createEmpty: {empty}"
    ways = [
        f"{read} |> aggregateWindow(fn: {function}, {arguments})",
        f"{read} |> limit(n: 999) |> aggregateWindow(fn: {function}, {arguments})",
        f"{read} |> aggregateWindow(fn: (column, tables=<-) => tables |> {function}(column: column), {arguments})",
    ]
    first, *others = ([(r["_time"], r["_value"], r["t"]) for r in records(way, points)] for way in ways)
    assert all(other == first for other in others)
    assert len(first) == (26 if empty == "true" else len({time for time, _, _ in first}))


def test_a_function_that_tells_something_of_no_rows_tells_it_for_each_empty_window() -> None:
    query = MW + " |> aggregateWindow(every: 4h, offset: 2h, fn: (column, tables=<-) => tables |> count())"
    assert values(query.replace("06:00:00Z)", "12:00:00Z)")) == ["2", "4", "0", "0"] * 2


def test_windows_may_overlap_or_leave_gaps() -> None:
    units = RANGE + ' |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    assert values(units + " |> aggregateWindow(every: 2h, period: 4h, fn: sum, createEmpty: false)") == [
        "1",
        "6",
        "14",
        "9",
    ]
    assert values(units + " |> window(every: 3h, period: 1h) |> sum()") == ["0", "3"]


def test_windows_of_months_follow_the_calendar() -> None:
    points = MemoryPoints()
    for text in ("2024-01-31", "2024-02-29", "2024-03-01", "2024-03-31"):
        points.add("m", {}, {"f": (FieldType.INTEGER, 1)}, int(np.datetime64(text, "ns").astype(int)))
    query = 'from(bucket: "b") |> range(start: 2024-01-15T00:00:00Z, stop: 2024-05-01T00:00:00Z) |> aggregateWindow(every: 1mo, fn: count)'
    found = [(r["_time"][:10], r["_value"]) for r in records(query, points)]
    assert found == [("2024-02-01", "1"), ("2024-03-01", "1"), ("2024-04-01", "2"), ("2024-05-01", "0")]


def test_before_1970_windows_count_backwards() -> None:
    points = MemoryPoints().write("m f=1 -1\nm f=2 -3600000000001\n")
    query = 'from(bucket: "b") |> range(start: 1969-12-31T22:00:00Z, stop: 1970-01-01T00:00:00Z) |> aggregateWindow(every: 1h, fn: sum)'
    assert values(query, points) == ["2", "1"]


def test_a_window_of_everything_is_the_range() -> None:
    found = records(
        MW + ' |> window(every: 1h) |> mean() |> duplicate(column: "_stop", as: "_time") |> window(every: inf)'
    )
    assert len(found) == 12 and {record["_start"] for record in found} == {"2023-01-01T00:00:00Z"}
