"""Functions that compute or change columns."""

from ts_migration_tests.local.influxdb.flux.asking import MW, RANGE, plants, records, refusal, values
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask


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
