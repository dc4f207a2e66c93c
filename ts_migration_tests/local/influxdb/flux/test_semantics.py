"""What Flux means over the points of a bucket: reading, filters, aggregates, windows, columns, results and refusals."""

import csv
import io
import json
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.flux import BucketRow, execute
from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.memory import ALL, NOW, MemoryPoints, ask

HOUR = 3600 * 10**9
START = 1672531200 * 10**9
RANGE = 'from(bucket: "b") |> range(start: 2023-01-01T00:00:00Z, stop: 2023-01-01T06:00:00Z)'
MW = RANGE + ' |> filter(fn: (r) => r._field == "mw")'


def plants() -> MemoryPoints:
    """Two series with four fields each: 100, 101.5, … MW every hour; wind is half a MW above hydro."""
    points = MemoryPoints()
    for hour in range(6):
        for source, more in (("hydro", 0.0), ("wind", 0.5)):
            fields = {
                "mw": (FieldType.FLOAT, 100 + 1.5 * hour + more),
                "units": (FieldType.INTEGER, hour),
                "online": (FieldType.BOOLEAN, hour % 2 == 1),
                "note": (FieldType.STRING, f"h{hour}"),
            }
            points.add("generation", {"source": source}, fields, START + hour * HOUR)
    return points


def records(query: str, points: MemoryPoints | None = None, *, status: int = 200) -> list[dict[str, str]]:
    """The rows of all tables, each with its columns by name."""
    answer = ask(query, plants() if points is None else points)
    assert answer.status == status, answer.text
    found, header = [], None
    for row in csv.reader(io.StringIO(answer.text, newline="")):
        if not row or row[0].startswith("#"):
            continue
        if row[1:3] == ["result", "table"]:
            header = row
        elif row[1:3] == ["error", "reference"]:
            raise AssertionError(answer.text)
        else:
            found.append(dict(zip(header or [], row, strict=True)))
    return found


def values(query: str, points: MemoryPoints | None = None, column: str = "_value") -> list[str]:
    return [record[column] for record in records(query, points)]


def refusal(query: str, points: MemoryPoints | None = None, status: int = 400) -> str:
    answer = ask(query, plants() if points is None else points)
    assert answer.status == status, answer.text
    assert answer.headers["X-Platform-Error-Code"] == json.loads(answer.text)["code"]
    return str(json.loads(answer.text)["message"])


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_two_queries_of_the_guide_are_answered() -> None:
    now = START + 6 * HOUR
    limited = ask('from(bucket:"b") |> range(start:-1h) |> limit(n:10)', plants(), now=now)
    assert limited.status == 200 and len(limited.rows) == 8
    points = MemoryPoints().write("".join(f"m,t=a f={n} {START + n * HOUR}\n" for n in range(6)))
    hourly = ask('from(bucket:"b") |> range(start:-24h) |> aggregateWindow(every:1h, fn:mean)', points, now=now)
    assert hourly.status == 200 and len(hourly.rows) == 24


@pytest.mark.parametrize(
    ("start", "stop", "hours"),
    [
        ("2023-01-01T01:00:00Z", "2023-01-01T03:00:00Z", [1, 2]),
        ("2023-01-01T01:00:00.000000001Z", "2023-01-01T03:00:00.000000001Z", [2, 3]),
        ("1672534800", "1672538401", [1, 2]),
        ("-2h", "-1h", [4]),
        ("2023-01-01T01:00:00+01:00", "2023-01-01T01:30:00Z", [0, 1]),
    ],
)
def test_a_range_holds_its_start_and_not_its_stop(start: str, stop: str, hours: list[int]) -> None:
    query = f'from(bucket: "b") |> range(start: {start}, stop: {stop}) |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    answer = ask(query, plants(), now=START + 6 * HOUR)
    assert [row[5] for row in answer.rows] == [str(hour) for hour in hours]


def test_integers_and_times_are_never_rounded() -> None:
    points = MemoryPoints().write("m i=9223372036854775807i,u=18446744073709551615u 1672531200000000001\n")
    found = records('from(bucket: "b") |> range(start: 0)', points)
    assert [record["_value"] for record in found] == ["9223372036854775807", "18446744073709551615"]
    assert {record["_time"] for record in found} == {"2023-01-01T00:00:00.000000001Z"}


def test_a_series_ends_at_the_shard_that_holds_another_type() -> None:
    points = MemoryPoints().write(f"c f=1i 1\nc f=2i 2\nc f=2.5 {START}\nc f=3i {2 * START}\nc,t=x f=4.5 {START + 1}\n")
    assert values('from(bucket: "b") |> range(start: 0, stop: 2100-01-01T00:00:00Z)', points) == ["1", "2"]
    assert values(f'from(bucket: "b") |> range(start: {START // 10**9}, stop: 2023-01-02T00:00:00Z)', points) == [
        "2.5",
        "4.5",
    ]


def test_a_tag_named_as_a_column_of_flux_is_refused_instead_of_shadowing_it() -> None:
    points = MemoryPoints().write("m,_value=x f=1 1\n")
    assert "tag named _value" in refusal('from(bucket: "b") |> range(start: 0)', points)


def test_tags_are_columns_in_byte_order_of_their_names() -> None:
    points = MemoryPoints().write("m,Zone=z,a=1,ção=c f=1 1\n")
    answer = ask('from(bucket: "b") |> range(start: 0)', points)
    assert ",result,table,_start,_stop,_time,_value,Zone,_field,_measurement,a,ção\r\n" in answer.text


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predicate", "count"),
    [
        ('r.source == "wind"', 6),
        ('r["source"] != "wind"', 6),
        ("r.source =~ /^w/", 6),
        ("r.source !~ /^w/", 6),
        ("r._value > 103", 7),
        ("r._value >= 103.0 and r._value < 106.0", 4),
        ('r.source == "wind" or r._value == 100.0', 7),
        ("exists r.source", 12),
        ("not exists r.source", 0),
        ("exists r.nothing", 0),
        ('r.nothing == "x"', 0),
        ('r.nothing != "x"', 12),
        ('not (r.source == "wind")', 6),
        ("r._value > 103.0 and r._time > 2023-01-01T04:00:00Z", 2),
        ("if r._value > 106.0 then true else false", 3),
        ('"wind" == r.source', 6),
        ("r._value * 2.0 > 213.0", 2),
        ('r.source == "wind" and r._value + 1.0 > 104.5', 3),
        ("r.nothing > 5", 0),
        ('contains(value: r.source, set: ["wind", "sun"])', 6),
        ("true", 12),
    ],
)
def test_a_filter_leaves_the_rows_for_which_it_holds(predicate: str, count: int) -> None:
    assert len(records(f"{MW} |> filter(fn: (r) => {predicate})")) == count


@pytest.mark.parametrize("compare", ['r.host == ""', 'r.host != "a"', "r.host !~ /a/"])
def test_storage_reads_an_absent_tag_as_an_empty_one_and_flux_as_null(compare: str) -> None:
    points = MemoryPoints().write("m f=1 1\nm,host=a f=2 1\nm,host=b f=3 1\n")
    pushed = values(f'from(bucket: "b") |> range(start: 0) |> filter(fn: (r) => {compare})', points)
    flux = values(f'from(bucket: "b") |> range(start: 0) |> limit(n: 9) |> filter(fn: (r) => {compare})', points)
    assert pushed == ([] if "==" in compare else ["1", "3"])
    assert flux == ([] if "==" in compare else ["3"])


def test_a_value_of_another_type_than_the_literal_never_matches_in_storage() -> None:
    assert {record["_field"] for record in records(RANGE + " |> filter(fn: (r) => r._value >= 0)")} == {"mw", "units"}
    assert {record["_field"] for record in records(RANGE + ' |> filter(fn: (r) => r._value == "h1")')} == {"note"}


def test_a_filter_may_use_names_of_the_query_and_functions_of_its_own() -> None:
    query = f'want = "wind"\nlimit_mw = 104.0\nhigh = (v, than=103.0) => v > than\n{MW} |> filter(fn: (r) => r.source == want and high(v: r._value, than: limit_mw))'
    assert values(query) == ["105", "106.5", "108"]


def test_empty_tables_stay_only_where_they_are_kept() -> None:
    assert "#datatype" not in ask(MW + " |> filter(fn: (r) => r._value > 1000.0)", plants()).text
    kept = ask(MW + ' |> filter(fn: (r) => r._value > 1000.0, onEmpty: "keep")', plants()).text
    assert kept.count("#default,_result,") == 2 and ",wind" in kept


@pytest.mark.parametrize("predicate", ["r._value > 5 and r.x == 1 or true and r._value", 'r._value + "a" == "b"'])
def test_a_filter_of_the_wrong_types_is_refused(predicate: str) -> None:
    assert "error @" in refusal(f"{MW} |> filter(fn: (r) => {predicate})")


# --- aggregates and selectors -----------------------------------------------------------------------------------------


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


# --- groups -----------------------------------------------------------------------------------------------------------


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


# --- windows ----------------------------------------------------------------------------------------------------------


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


# --- columns ----------------------------------------------------------------------------------------------------------


def test_map_gives_columns_in_order_and_keeps_the_key() -> None:
    answer = ask(
        MW + ' |> map(fn: (r) => ({r with gw: r._value / 1000.0, name: "${r.source}: ${r._value}"})) |> limit(n: 1)',
        plants(),
    )
    assert ",result,table,_field,_measurement,_start,_stop,_time,_value,gw,name,source\r\n" in answer.text
    assert "#group,false,false,true,true,true,true,false,false,false,false,true\r\n" in answer.text
    assert ",0.1,hydro: 100,hydro\r\n" in answer.text


def test_arithmetic_of_integers_is_gos() -> None:
    points = MemoryPoints().write("m a=-7i,b=2i 1\n")
    query = 'from(bucket: "b") |> range(start: 0) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> map(fn: (r) => ({q: r.a / r.b, r: r.a % r.b, p: r.a * r.b, m: -r.a}))'
    assert records(query, points) == [{"": "", "result": "", "table": "0", "m": "7", "p": "-14", "q": "-3", "r": "-1"}]


def test_a_division_by_zero_is_refused_unless_a_condition_guards_it() -> None:
    units = RANGE + ' |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    assert "cannot divide by zero" in refusal(units + " |> map(fn: (r) => ({r with _value: 60 / r._value}))")
    guarded = units + " |> map(fn: (r) => ({r with _value: if r._value != 0 then 60 / r._value else -1}))"
    assert values(guarded) == ["-1", "60", "30", "20", "15", "12"]
    assert len(records(units + " |> filter(fn: (r) => r._value != 0 and 60 / r._value > 15)")) == 3


def test_ints_and_floats_do_not_mix_without_a_conversion() -> None:
    assert "unsupported binary operation: float + int" in refusal(
        MW + " |> map(fn: (r) => ({r with _value: r._value + 1}))"
    )
    units = RANGE + ' |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    assert values(units + " |> map(fn: (r) => ({r with _value: float(v: r._value) + 0.5})) |> limit(n: 2)") == [
        "0.5",
        "1.5",
    ]
    assert values(units + " |> toString() |> limit(n: 2)") == ["0", "1"]


def test_pivot_puts_nulls_where_a_field_is_missing() -> None:
    points = MemoryPoints().write("m,t=x a=1,b=2 1\nm,t=x a=3 2\nm,t=y b=4 1\n")
    query = (
        'from(bucket: "b") |> range(start: 0) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    found = [(r["t"], r.get("a"), r.get("b")) for r in records(query, points)]
    assert found == [("x", "1", "2"), ("x", "3", ""), ("y", None, "4")]


def test_keep_joins_tables_that_then_share_a_key() -> None:
    found = records(MW + ' |> keep(columns: ["_time", "_value"])')
    assert len(found) == 12 and {record["table"] for record in found} == {"0"}
    assert "keep: schema collision detected" in refusal(RANGE + ' |> keep(columns: ["_value"])')


def test_columns_are_dropped_renamed_set_and_duplicated() -> None:
    (found,) = records(
        MW
        + ' |> filter(fn: (r) => r.source == "wind") |> limit(n: 1) |> drop(columns: ["_start", "_stop"])'
        + ' |> rename(columns: {_value: "mw"}) |> set(key: "region", value: "NE") |> duplicate(column: "mw", as: "again")'
        + " |> drop(fn: (column) => column =~ /^_/)"
    )
    assert found == {
        "": "",
        "result": "",
        "table": "0",
        "mw": "100.5",
        "source": "wind",
        "region": "NE",
        "again": "100.5",
    }


def test_sort_is_stable_and_puts_null_last() -> None:
    points = MemoryPoints().write('m a=2,k="z" 1\nm k="y" 2\nm a=1,k="x" 3\nm a=2,k="w" 4\n')
    read = (
        'from(bucket: "b") |> range(start: 0) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    assert values(read + ' |> sort(columns: ["a"])', points, "k") == ["x", "z", "w", "y"]
    assert values(read + ' |> sort(columns: ["a"], desc: true)', points, "k") == ["y", "z", "w", "x"]
    assert values(read + ' |> fill(column: "a", value: 0.0) |> sort(columns: ["a", "k"])', points, "k") == [
        "y",
        "x",
        "w",
        "z",
    ]
    assert values(read + ' |> sort(columns: ["_time"]) |> fill(column: "a", usePrevious: true)', points, "a") == [
        "2",
        "2",
        "1",
        "2",
    ]


def test_changes_from_row_to_row() -> None:
    wind = RANGE + ' |> filter(fn: (r) => r._field == "units" and r.source == "wind")'
    assert values(wind + " |> difference()") == ["1"] * 5
    assert values(wind + " |> elapsed(unit: 1m)", column="elapsed") == ["60"] * 5
    assert values(wind + " |> derivative(unit: 30m, nonNegative: true)") == ["0.5"] * 5
    assert values(wind + " |> cumulativeSum()") == ["0", "1", "3", "6", "10", "15"]
    falling = wind + " |> sort(desc: true) |> difference(nonNegative: true)"
    assert values(falling) == [""] * 5


def test_distinct_and_unique() -> None:
    online = RANGE + ' |> filter(fn: (r) => r._field == "online" and r.source == "wind")'
    assert values(online + " |> distinct()") == ["false", "true"]
    assert values(online + " |> unique()", column="_time") == ["2023-01-01T00:00:00Z", "2023-01-01T01:00:00Z"]
    assert values(MW + ' |> group() |> distinct(column: "source")') == ["hydro", "wind"]


# --- results and values ------------------------------------------------------------------------------------------------


def test_results_have_the_names_that_yield_gives_them() -> None:
    text = ask(f'x = {MW}\nx |> count() |> yield(name: "n")\nx |> first()', plants()).text
    assert "#default,n," in text and "#default,_result," in text
    assert text.count("\r\n\r\n") == 2
    assert 'more than one result with the name "_result"' in refusal(f"{MW}\n{MW}")
    assert "returns no streaming data" in refusal(f"x = {MW}")


def test_values_can_be_taken_out_of_a_stream() -> None:
    query = f'top = {MW} |> max() |> findRecord(fn: (key) => key.source == "hydro", idx: 0)\n{MW} |> filter(fn: (r) => r._value >= top._value)'
    assert values(query) == ["107.5", "108"]
    query = f'all = {MW} |> findColumn(fn: (key) => key.source == "wind", column: "_value")\n{MW} |> filter(fn: (r) => r._value == all[1])'
    assert values(query) == ["102"]


def test_union_puts_tables_of_one_key_under_each_other() -> None:
    assert len(records(f"union(tables: [{MW} |> limit(n: 1), {MW} |> tail(n: 1)])")) == 4


def test_now_is_an_option() -> None:
    query = 'option now = () => 2023-01-01T03:00:00Z\nfrom(bucket: "b") |> range(start: -1h) |> filter(fn: (r) => r._field == "units")'
    assert values(query) == ["2", "2"]


def test_query_parameters_of_influxdb_client_are_options() -> None:
    from influxdb_client.client.query_api import QueryApi

    extern = json.loads(json.dumps(QueryApi._build_flux_ast({"least": 106.0, "names": ["wind"]}).to_dict()))

    def camel(tree: object) -> object:
        return {k: camel(v) for k, v in tree.items()} if isinstance(tree, dict) else tree

    query = MW + " |> filter(fn: (r) => r._value > least and contains(value: r.source, set: names))"
    answer = execute(query, dialect=ALL, source=lambda _: plants(), now_ns=NOW, extern=camel(extern))  # type: ignore[arg-type]
    assert answer.status == 200
    assert b"".join(answer.body).count(b",wind\r\n") == 2


def test_buckets_are_listed_for_those_who_test_a_data_source() -> None:
    rows = [BucketRow("ons", "0" * 15 + "1", "0" * 15 + "2", 0)]
    answer = execute("buckets()", dialect=ALL, source=lambda _: None, now_ns=NOW, buckets=lambda: rows)
    assert b"".join(answer.body).decode() == (
        "#datatype,string,long,string,string,string,string,long\r\n#group,false,false,false,false,true,false,false\r\n"
        "#default,_result,,,,,,\r\n,result,table,name,id,organizationID,retentionPolicy,retentionPeriod\r\n"
        ",,0,ons,0000000000000001,0000000000000002,,0\r\n\r\n"
    )
    assert "not supported" in refusal("buckets()")


# --- schema -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('measurements(bucket: "b", start: 0)', ["generation"]),
        ('fieldKeys(bucket: "b", start: 0)', ["mw", "note", "online", "units"]),
        ('fieldKeys(bucket: "b", predicate: (r) => r._field =~ /^m/, start: 0)', ["mw"]),
        ('measurementFieldKeys(bucket: "b", measurement: "none", start: 0)', []),
        ('tagKeys(bucket: "b", start: 0)', ["_start", "_stop", "_field", "_measurement", "source"]),
        (
            'measurementTagKeys(bucket: "b", measurement: "generation", start: 0)',
            ["_start", "_stop", "_field", "_measurement", "source"],
        ),
        ('tagValues(bucket: "b", tag: "source", start: 0)', ["hydro", "wind"]),
        ('measurementTagValues(bucket: "b", measurement: "generation", tag: "source", start: 0)', ["hydro", "wind"]),
        ('measurements(bucket: "b")', []),
    ],
)
@pytest.mark.parametrize("package", ["schema", "v1"])
def test_what_a_bucket_holds(package: str, call: str, expected: list[str]) -> None:
    assert values(f'import "influxdata/influxdb/{package}"\n{package}.{call}') == expected


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('from(bucket: "b")', "cannot submit unbounded read to \"b\"; try bounding 'from' with a call to 'range'"),
        ('from(bucket: "b") |> range(start: 0, stop: 0)', "cannot query an empty range"),
        (MW + " |> histogram(bins: [1.0])", "histogram is not supported by the embedded InfluxDB"),
        ('import "date"\n' + MW, "the package date is not supported"),
        ('import "nope"\n' + MW, "invalid import path nope"),
        (
            'import "strings"\n' + MW + " |> map(fn: (r) => ({x: strings.title(v: r.source)}))",
            "strings.title is not supported",
        ),
        (MW + " |> nope()", "undefined identifier nope"),
        (MW + " |> limit()", "missing required argument n"),
        (MW + " |> limit(n: 1, m: 2)", "found unexpected argument m"),
        (MW + " |> limit(n: 1.5)", "expected int but found float (argument n)"),
        (MW + ' |> limit(n: "1")', "expected int but found string (argument n)"),
        (MW + " |> limit(n: -1)", "must not be negative"),
        (MW + " |> aggregateWindow(every: 0s, fn: mean)", "positive duration"),
        (MW + " |> aggregateWindow(every: 1mo1d, fn: mean)", "cannot mix month and nanosecond units"),
        (
            MW + ' |> aggregateWindow(every: 1h, fn: mean, location: {zone: "America/Sao_Paulo", offset: 0h})',
            "location other than UTC",
        ),
        (MW + " |> aggregateWindow(every: 1ns, fn: mean)", "not supported"),
        (MW + ' |> rename(columns: {nope: "x"})', 'column "nope" doesn\'t exist'),
        (
            MW + ' |> pivot(rowKey: ["nope"], columnKey: ["_field"], valueColumn: "_value")',
            "specified column does not exist in table: nope",
        ),
        ('from(bucket: "b", host: "x") |> range(start: 0)', "from with host is not supported"),
        ("1 + 1", "returns no streaming data"),
        ("x = 1\nx = 2\n" + MW, 'variable "x" redefined'),
        ('option task = {name: "x", every: 1h}\nx = 1', "returns no streaming data"),
        ("return 1", "only allowed in functions"),
    ],
)
def test_what_is_not_supported_or_wrong_is_refused_by_name(query: str, message: str) -> None:
    assert message in refusal(query)


def test_an_unknown_bucket_is_not_found_after_the_plan_was_checked() -> None:
    read = 'from(bucket: "nope") |> range(start: 0)'
    assert refusal(read, status=404) == 'failed to initialize execute state: could not find bucket "nope"'
    assert "unbounded" in refusal('from(bucket: "nope")')
    assert records(f"x = {read}\n{MW} |> limit(n: 1)")


def mutations(seed: int) -> Iterator[str]:
    """Valid queries with a word left out, doubled or swapped."""
    chosen = random.Random(seed)
    words = (
        MW + ' |> map(fn: (r) => ({r with x: if r._value > 1.0 then "a" else "b"})) |> group(columns: ["x"]) |> sum()'
    ).split(" ")
    for _ in range(40):
        changed = list(words)
        place, other = chosen.randrange(len(words)), chosen.randrange(len(words))
        kind = chosen.randrange(3)
        if kind == 0:
            del changed[place]
        elif kind == 1:
            changed.insert(place, changed[other])
        else:
            changed[place], changed[other] = changed[other], changed[place]
        yield " ".join(changed)


@pytest.mark.parametrize("seed", range(8))
def test_a_query_that_is_nearly_right_is_answered_or_refused_but_never_stumbles(seed: int) -> None:
    points = plants()
    for query in mutations(seed):
        answer = ask(query, points)
        assert answer.status in (200, 400), query
