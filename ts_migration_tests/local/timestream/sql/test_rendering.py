"""The wire form of values, rows and column types, held against recorded answers of the service."""

import json
import math
import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.local.timestream.catalog import ArrayType, ColumnInfo, RowField, RowType, TimeSeriesType
from ts_migration.local.timestream.catalog import ScalarType as S
from ts_migration.local.timestream.sql import column_info, render, render_rows
from ts_migration.local.timestream.sql.moments import parse_timestamp
from ts_migration.local.timestream.sql.rendering import java_double
from ts_migration_tests.local.timestream.sql.engine import Engine
from ts_migration_tests.shared_material import shared


@pytest.mark.parametrize(
    ("value", "data_type", "text"),
    [
        ("a", S.VARCHAR, "a"),
        (True, S.BOOLEAN, "true"),
        (False, S.BOOLEAN, "false"),
        (-(2**63), S.BIGINT, "-9223372036854775808"),
        (1_655_453_045_000_000_000, S.TIMESTAMP, "2022-06-17 08:04:05.000000000"),
        (-1, S.TIMESTAMP, "1969-12-31 23:59:59.999999999"),
        (2**63 - 1, S.TIMESTAMP, "2262-04-11 23:47:16.854775807"),
        (3_600_000_000_001, S.TIME, "01:00:00.000000001"),
        (93_784_000_000_005, S.INTERVAL_DAY_TO_SECOND, "1 02:03:04.000000005"),
        (-14, S.INTERVAL_YEAR_TO_MONTH, "-1-2"),
    ],
)
def test_a_value_is_written_as_the_service_writes_it(value, data_type, text):
    assert render(value, data_type) == {"ScalarValue": text}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (35.5, "35.5"),
        (1655487883.7710001, "1.6554878837710001E9"),
        (1e-5, "1.0E-5"),
        (0.001, "0.001"),
        (0.000999, "9.99E-4"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (1e16, "1.0E16"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (5e-324, "4.9E-324"),
        (2e-323, "2.0E-323"),
        (1e-322, "9.9E-323"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (-123.25, "-123.25"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_double_is_written_as_java_writes_it(value, text):
    assert java_double(value) == text


@given(st.floats(allow_nan=False))
def test_a_double_reads_back_as_the_same_bits(value):
    assert struct.pack("<d", float(java_double(value))) == struct.pack("<d", value)


def test_null_arrays_rows_and_time_series_have_their_own_datum():
    assert render(None, S.DOUBLE) == {"NullValue": True}
    assert render(None, ArrayType(S.BIGINT)) == {"NullValue": True}
    assert render([1, None], ArrayType(S.BIGINT)) == {"ArrayValue": [{"ScalarValue": "1"}, {"NullValue": True}]}
    row = RowType((RowField("a", S.DOUBLE), RowField(None, S.BOOLEAN)))
    assert render({"f0": 1.0, "f1": None}, row) == {"RowValue": {"Data": [{"ScalarValue": "1.0"}, {"NullValue": True}]}}
    series = [{"time": 1, "value": 2.5}]
    expected = [{"Time": "1970-01-01 00:00:00.000000001", "Value": {"ScalarValue": "2.5"}}]
    assert render(series, TimeSeriesType(S.DOUBLE)) == {"TimeSeriesValue": expected}


def test_column_types_nest_as_in_the_api():
    info = column_info(
        ColumnInfo("d", ArrayType(RowType((RowField("dimension_name", S.VARCHAR), RowField(None, S.BIGINT)))))
    )
    fields = [{"Name": "dimension_name", "Type": {"ScalarType": "VARCHAR"}}, {"Type": {"ScalarType": "BIGINT"}}]
    assert info == {"Name": "d", "Type": {"ArrayColumnInfo": {"Type": {"RowColumnInfo": fields}}}}
    series = column_info(ColumnInfo("s", TimeSeriesType(S.DOUBLE)))
    assert series["Type"] == {"TimeSeriesMeasureValueColumnInfo": {"Type": {"ScalarType": "DOUBLE"}}}


def test_rows_keep_their_order_and_columns_their_place():
    table = pa.table([pa.array([1, 2]), pa.array(["x", None])], names=["_0", "_1"])
    columns = [ColumnInfo("n", S.BIGINT), ColumnInfo("n", S.VARCHAR)]
    assert render_rows(table, columns) == [
        {"Data": [{"ScalarValue": "1"}, {"ScalarValue": "x"}]},
        {"Data": [{"ScalarValue": "2"}, {"NullValue": True}]},
    ]
    with pytest.raises(ValueError, match="2 columns in the result, 1 in the statement"):
        render_rows(table, columns[:1])


def test_rows_and_arrays_of_a_query_reach_the_wire(engine: Engine):
    _, found = engine.typed("ARRAY[ROW(1, 'a'), ROW(NULL, 'b')]")
    first, second = found["ArrayValue"]
    assert first == {"RowValue": {"Data": [{"ScalarValue": "1"}, {"ScalarValue": "a"}]}}
    assert second == {"RowValue": {"Data": [{"NullValue": True}, {"ScalarValue": "b"}]}}


def _without_nulls(value):
    """A recorded answer without the keys that its recorder wrote for absent members."""
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["select-star.json", "select-null-timestamp.json", "pagination-off_2.json"])
def test_recorded_values_are_written_back_as_they_were(name):
    """Read each recorded text into its value and write it again: the service and this renderer agree on the form."""
    answer = _without_nulls(json.loads(shared(f"data/timestream_query_api/{name}").read_text()))
    read = {"VARCHAR": str, "DOUBLE": float, "BIGINT": int, "TIMESTAMP": parse_timestamp, "BOOLEAN": "true".__eq__}
    seen = 0
    for row in answer["Rows"]:
        for datum, column in zip(row["Data"], answer["ColumnInfo"], strict=True):
            kind = column["Type"]["ScalarType"]
            value = read[kind](datum["ScalarValue"]) if "ScalarValue" in datum else None
            assert render(value, S(kind)) == datum
            assert column_info(ColumnInfo(column["Name"], S(kind))) == column
            seen += 1
    assert seen > 0
