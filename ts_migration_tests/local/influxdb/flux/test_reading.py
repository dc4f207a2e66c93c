"""What is read of a bucket: ranges, types, tags, and filters by storage and by Flux."""

import pytest

from ts_migration_tests.local.influxdb.flux.asking import HOUR, MW, RANGE, START, plants, records, refusal, values
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask


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
