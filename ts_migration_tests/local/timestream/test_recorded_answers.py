"""Answers held against recorded ones of the real service: the same rows are stored, and the same JSON must come back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ts_migration_tests.local.timestream.conftest import Table
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream, write_client
from ts_migration_tests.shared_material import shared

DATABASE, NAME = "grafanaDB", "DevOps"
TYPES = {"double": "DOUBLE", "bigint": "BIGINT", "varchar": "VARCHAR"}
SAMPLES = {"double": "1.5", "bigint": "7", "varchar": "x"}


def recorded(name: str) -> dict[str, Any]:
    """A recorded answer without the nulls that Go's rendering has for absent members."""
    return without_nulls(json.loads(shared(f"data/timestream_query_api/{name}.json").read_text()))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return [without_nulls(member) for member in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def devops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The table of the recordings: their columns, their measures and the rows they show."""
    with running_timestream(tmp_path_factory.mktemp("recorded")) as url:
        table = Table(url, write_client(url), query_client(url), DATABASE, NAME)
        table.write.create_database(DatabaseName=DATABASE)
        for name in (NAME, "IoT"):
            table.write.create_table(
                DatabaseName=DATABASE, TableName=name, MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True}
            )
        yield table


def store_columns(table: Table) -> None:
    """One record per value column, with all dimensions, so that the columns stand in the recorded order."""
    columns = [[datum["ScalarValue"] for datum in row["Data"]] for row in recorded("describe-table")["Rows"]]
    dimensions = [{"Name": name, "Value": "x"} for name, _, kind in columns if kind == "DIMENSION"]
    for name, kind, attribute in columns:
        if attribute == "MEASURE_VALUE":
            measure = {"MeasureName": name.replace("::", "-"), "MeasureValue": SAMPLES[kind], "Time": "1"}
            table.put({"Dimensions": dimensions, "MeasureValueType": TYPES[kind], **measure})


def test_show_databases_answers_as_recorded(devops: Table) -> None:
    assert answer(devops, "SHOW DATABASES") == expected("show-databases")


def test_show_tables_answers_as_recorded(devops: Table) -> None:
    assert answer(devops, 'SHOW TABLES FROM "grafanaDB"') == expected("show-tables")


def test_describe_answers_as_recorded(devops: Table) -> None:
    store_columns(devops)
    assert answer(devops, 'DESCRIBE "grafanaDB"."DevOps"') == expected("describe-table")


def test_show_measures_answers_as_recorded_with_sparse_dimensions(devops: Table) -> None:
    store_columns(devops)
    want = expected("show-measures")
    for row in want["Rows"]:
        name, kind, dimensions = row["Data"]
        names = [each["RowValue"]["Data"][0]["ScalarValue"] for each in dimensions["ArrayValue"]]
        devops.put(
            {
                "Dimensions": [{"Name": each, "Value": "x"} for each in names],
                "MeasureName": name["ScalarValue"],
                "MeasureValue": SAMPLES[kind["ScalarValue"]],
                "MeasureValueType": TYPES[kind["ScalarValue"]],
                "Time": "1",
            }
        )
    got = answer(devops, 'SHOW MEASURES FROM "grafanaDB"."DevOps"')
    got["Rows"] = [row for row in got["Rows"] if "measure_value-" not in row["Data"][0]["ScalarValue"]]
    assert got == want


@pytest.mark.parametrize("name", ["select-star", "pagination-off_2"])
def test_stored_rows_come_back_as_recorded(devops: Table, name: str) -> None:
    store_columns(devops)
    want = expected(name)
    columns = [column["Name"] for column in want["ColumnInfo"]]
    for row in want["Rows"]:
        devops.put(record_of(dict(zip(columns, row["Data"], strict=True))))
    first, last = (min(times(want)), max(times(want)))
    where = f"time BETWEEN '{first}' AND '{last}'"
    got = answer(devops, f'SELECT * FROM "grafanaDB"."DevOps" WHERE {where}')
    assert got["ColumnInfo"] == want["ColumnInfo"]
    assert sorted(map(json.dumps, got["Rows"])) == sorted(map(json.dumps, want["Rows"]))
    assert got["QueryStatus"]["CumulativeBytesMetered"] == want["QueryStatus"]["CumulativeBytesMetered"]


def test_a_first_page_without_rows_has_the_recorded_members(devops: Table) -> None:
    store_columns(devops)
    want = {"Rows": [], **recorded("pagination-off_1")}
    got = without_nulls(devops.query.query(QueryString='SELECT * FROM "grafanaDB"."DevOps"', MaxRows=1))
    assert got.keys() - {"ResponseMetadata"} == want.keys()
    for member in ("Rows", "ColumnInfo", "QueryStatus"):
        assert got[member] == want[member]


def test_a_null_time_is_a_null_value(devops: Table) -> None:
    store_columns(devops)
    want = expected("select-null-timestamp")
    got = answer(
        devops,
        'SELECT measure_name, CASE WHEN "measure_value::bigint" IS NULL THEN time END '
        'FROM "grafanaDB"."DevOps" WHERE "measure_value::bigint" IS NOT NULL',
    )
    assert got["ColumnInfo"] == want["ColumnInfo"]
    assert {json.dumps(row["Data"][1]) for row in got["Rows"]} == {'{"NullValue": true}'}
    assert {"NullValue": True} in [row["Data"][1] for row in want["Rows"]]


def answer(table: Table, sql: str) -> dict[str, Any]:
    got = table.query.query(QueryString=sql)
    return {key: got[key] for key in ("ColumnInfo", "Rows", "QueryStatus")}


def expected(name: str) -> dict[str, Any]:
    want = recorded(name)
    return {key: want.get(key, []) for key in ("ColumnInfo", "Rows", "QueryStatus")}


def times(answered: dict[str, Any]) -> list[str]:
    position = [column["Name"] for column in answered["ColumnInfo"]].index("time")
    return [row["Data"][position]["ScalarValue"] for row in answered["Rows"]]


def record_of(row: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The record that reads back as this row."""
    values = {name: datum["ScalarValue"] for name, datum in row.items() if "ScalarValue" in datum}
    (measure,) = [name for name in values if name.startswith("measure_value::")]
    dimensions = [name for name in values if name not in (measure, "measure_name", "time")]
    seconds = values["time"].removesuffix(".000000000").replace(" ", "T")
    return {
        "Dimensions": [{"Name": name, "Value": values[name]} for name in dimensions],
        "MeasureName": values["measure_name"],
        "MeasureValue": values[measure],
        "MeasureValueType": TYPES[measure.removeprefix("measure_value::")],
        "Time": str(epoch_seconds(seconds)),
        "TimeUnit": "SECONDS",
    }


def epoch_seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
