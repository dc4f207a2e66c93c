"""Results, values taken out of streams, options and parameters, and what a bucket holds."""

import json

import pytest

from ts_migration.local.influxdb.flux import BucketRow, execute
from ts_migration_tests.local.influxdb.flux.asking import MW, plants, records, refusal, values
from ts_migration_tests.local.influxdb.flux.memory import ALL, NOW, ask


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
