"""Annotated CSV, as InfluxDB answers Flux, becomes frames: types, nulls, times to the nanosecond, errors at its end."""

import json

import polars as pl
import pytest

from ts_migration.errors import Permanent
from ts_migration.influxdb.answers import frame_of_csv
from ts_migration_tests.shared_material import shared

HEAD = (
    "#datatype,string,long,dateTime:RFC3339,double,string\r\n#group,false,false,false,false,true\r\n"
    "#default,_result,,,,\r\n,result,table,_time,_value,plant\r\n"
)
ERROR = "\r\n#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,it broke,897\r\n"


def recorded(version: str) -> list[tuple[str, str]]:
    """Every Flux query that a real server was asked with annotations, and its answer."""
    steps = [
        step
        for each in json.loads(shared(f"conformance/influxdb_{version}.json").read_text())
        for step in each["steps"]
    ]
    return [
        (step["request"]["body"]["query"], step["response"]["text"])
        for step in steps
        if step["request"]["path"] == "/api/v2/query" and "text" in step["response"]
        if step["request"]["body"]["dialect"]["annotations"]
    ]


def test_times_are_read_to_the_nanosecond_and_floats_that_are_none_are_kept():
    rows = ["1969-12-31T23:59:59.999999999Z,+Inf,a", "2023-01-01T00:00:00Z,NaN,", "2023-01-01T00:00:00.12Z,-0,b"]
    frame = frame_of_csv(HEAD + "".join(f",,0,{row}\r\n" for row in rows))
    assert frame["_time"].to_physical().to_list() == [-1, 1_672_531_200_000_000_000, 1_672_531_200_120_000_000]
    assert [str(value) for value in frame["_value"]] == ["inf", "nan", "-0.0"]
    assert frame["plant"].to_list() == ["a", None, "b"]


def test_tables_of_several_layouts_are_put_under_each_other_and_a_column_that_one_lacks_is_null():
    other = HEAD.replace("plant", "zone")
    frame = frame_of_csv(f"{HEAD},,0,2023-01-01T00:00:00Z,1,a\r\n\r\n{other},,1,2023-01-01T00:00:00Z,2,z\r\n")
    assert frame.select("_value", "plant", "zone").rows() == [(1.0, "a", None), (2.0, None, "z")]


def test_quoted_text_with_commas_quotes_and_line_ends_is_one_cell():
    frame = frame_of_csv(HEAD + ',,0,2023-01-01T00:00:00Z,1,"a, ""b""\r\nc"\r\n')
    assert frame["plant"].to_list() == ['a, "b"\r\nc']


def test_no_answer_is_an_empty_frame_and_the_default_of_a_column_stands_for_an_empty_cell():
    assert len(frame_of_csv("\r\n")) == 0
    frame = frame_of_csv(HEAD.replace("_result,,,,", "_result,,,,x") + ",,0,2023-01-01T00:00:00Z,1,\r\n")
    assert frame["plant"].to_list() == ["x"]


def test_an_error_behind_the_first_rows_is_an_error():
    with pytest.raises(Permanent, match="the query failed: it broke"):
        frame_of_csv(f"{HEAD},,0,2023-01-01T00:00:00Z,1,a\r\n{ERROR}")


def test_a_column_of_two_types_is_refused_with_what_to_do():
    other = HEAD.replace("double", "long")
    with pytest.raises(Permanent, match=r"column '_value' of the answer holds Float64 and Int64.*toFloat\(\)"):
        frame_of_csv(f"{HEAD},,0,2023-01-01T00:00:00Z,1,a\r\n\r\n{other},,1,2023-01-01T00:00:00Z,2,z\r\n")


@pytest.mark.parametrize("version", ["v2.7.11", "v2.9.1"])
def test_every_recorded_answer_of_a_real_server_is_read(version):
    read = 0
    for query, text in recorded(version):
        try:
            frame = frame_of_csv(text)
        except Permanent as error:
            mixed, refused = "of the answer holds", "the query failed: unsupported input type for mean"
            assert mixed in error.what or error.what.startswith(refused), query
            continue
        lines = [line for line in text.split("\r\n") if line.startswith(",,")]
        assert len(frame) == len(lines) or '"' in text, query
        assert frame.is_empty() or frame["_value" if "_value" in frame.columns else "_time"].dtype != pl.Null
        read += len(frame) > 0
    assert read >= 8
