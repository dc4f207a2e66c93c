"""WriteRecords through plain boto3: what is stored, and what is refused with which words."""

import time
from typing import Any

import pytest

from ts_migration_tests.local.timestream.conftest import Table, new_table

NOW_MS = time.time_ns() // 1_000_000
VALUES = 'SELECT measure_name, "measure_value::double", to_nanoseconds(time) FROM {} ORDER BY time, measure_name'


def record(value: str = "1.5", at: int = NOW_MS, **members: Any) -> dict[str, Any]:
    return {
        "Dimensions": [{"Name": "plant", "Value": "Usina 1/A"}],
        "MeasureName": "load",
        "MeasureValue": value,
        "Time": str(at),
        **members,
    }


def multi(values: dict[str, tuple[str, str]], **members: Any) -> dict[str, Any]:
    measures = [{"Name": name, "Value": value, "Type": kind} for name, (value, kind) in values.items()]
    made = record(MeasureValueType="MULTI", MeasureValues=measures, **members)
    del made["MeasureValue"]
    return made


def rejections(table: Table, *records: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    with pytest.raises(table.write.exceptions.RejectedRecordsException) as refused:
        table.put(*records, **members)
    return list(refused.value.response["RejectedRecords"])


def test_common_attributes_complete_every_record(table: Table) -> None:
    common = {
        "Dimensions": [{"Name": "region", "Value": "SUL"}],
        "MeasureName": "load",
        "Time": str(NOW_MS),
        "MeasureValueType": "BIGINT",
    }
    own = [{"Dimensions": [{"Name": "plant", "Value": str(number)}], "MeasureValue": str(number)} for number in (1, 2)]
    assert table.put(*own, CommonAttributes=common)["Total"] == 2
    rows = table.rows(f'SELECT region, plant, measure_name, "measure_value::bigint" FROM {table.quoted} ORDER BY plant')
    assert rows == [["SUL", "1", "load", "1"], ["SUL", "2", "load", "2"]]


def test_a_dimension_in_both_places_is_refused(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ValidationException, match="unique names"):
        table.put(record(), CommonAttributes={"Dimensions": [{"Name": "plant", "Value": "x"}]})


@pytest.mark.parametrize(
    ("unit", "text", "nanoseconds"),
    [
        ("SECONDS", "1700000000", 1_700_000_000_000_000_000),
        ("MILLISECONDS", "1700000000001", 1_700_000_000_001_000_000),
        ("MICROSECONDS", "1700000000000001", 1_700_000_000_000_001_000),
        ("NANOSECONDS", "1700000000771000678", 1_700_000_000_771_000_678),
    ],
)
def test_times_are_exact_in_every_unit(table: Table, unit: str, text: str, nanoseconds: int) -> None:
    table.put(record(Time=text, TimeUnit=unit))
    assert table.rows(VALUES.format(table.quoted)) == [["load", "1.5", str(nanoseconds)]]


def test_multi_measure_records_make_one_column_per_measure(table: Table) -> None:
    instant = 1_700_000_000_771
    table.put(
        multi(
            {
                "flow": ("-12.25", "DOUBLE"),
                "count": ("-9223372036854775808", "BIGINT"),
                "open": ("TRUE", "BOOLEAN"),
                "note": ('a "quoted", text', "VARCHAR"),
                "seen": (str(instant), "TIMESTAMP"),
            }
        )
    )
    assert table.rows(f"DESCRIBE {table.quoted}") == [
        ["plant", "varchar", "DIMENSION"],
        ["measure_name", "varchar", "MEASURE_NAME"],
        ["time", "timestamp", "TIMESTAMP"],
        ["flow", "double", "MULTI"],
        ["count", "bigint", "MULTI"],
        ["open", "boolean", "MULTI"],
        ["note", "varchar", "MULTI"],
        ["seen", "timestamp", "MULTI"],
    ]
    (row,) = table.rows(f'SELECT flow, "count", open, note, to_nanoseconds(seen) FROM {table.quoted}')
    assert row == ["-12.25", "-9223372036854775808", "true", 'a "quoted", text', str(instant * 1_000_000)]


def test_a_higher_version_overwrites_and_a_lower_or_equal_one_does_not(table: Table) -> None:
    table.put(record("1"))
    (refused,) = rejections(table, record("2"))
    assert refused["RecordIndex"] == 0
    assert refused["ExistingVersion"] == 1
    assert refused["Reason"].startswith("A record already exists with the same time, dimensions, measure name")
    table.put(record("2", Version=5))
    (refused,) = rejections(table, record("3", Version=4))
    assert refused["ExistingVersion"] == 5
    assert "The record version 4 is lower than the existing version 5." in refused["Reason"]
    assert table.rows(VALUES.format(table.quoted)) == [["load", "2.0", str(NOW_MS * 1_000_000)]]


def test_an_identical_record_is_accepted_again_and_a_higher_version_of_it_counts(table: Table) -> None:
    table.put(record("1"))
    assert table.put(record("1"))["Total"] == 1
    table.put(record("1", Version=3))
    (refused,) = rejections(table, record("2", Version=2))
    assert refused["ExistingVersion"] == 3
    assert len(table.rows(VALUES.format(table.quoted))) == 1


def test_versions_also_hold_within_one_request(table: Table) -> None:
    refused = rejections(table, record("1"), record("2"), record("3", Version=2), record("1"))
    assert [each["RecordIndex"] for each in refused] == [1, 3]
    assert table.rows(VALUES.format(table.quoted))[0][1] == "3.0"


def test_absent_dimensions_are_part_of_the_key(table: Table) -> None:
    table.put(record("1"), record("2", Dimensions=[]), record("3", Dimensions=[{"Name": "line", "Value": "A"}]))
    assert table.put(record("2", Dimensions=[]))["Total"] == 1
    rows = table.rows(f'SELECT plant, line, "measure_value::double" FROM {table.quoted} ORDER BY 3')
    assert rows == [["Usina 1/A", None, "1.0"], [None, None, "2.0"], [None, "A", "3.0"]]


def test_good_records_are_stored_beside_rejected_ones(table: Table) -> None:
    refused = rejections(table, record("1"), record("NaN", at=NOW_MS + 1), record("2", at=NOW_MS + 2))
    assert [each["RecordIndex"] for each in refused] == [1]
    assert [row[1] for row in table.rows(VALUES.format(table.quoted))] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("NaN", "DOUBLE"),
        ("Infinity", "DOUBLE"),
        ("1e999", "DOUBLE"),
        ("1_0", "DOUBLE"),
        ("1.0", "BIGINT"),
        ("9223372036854775808", "BIGINT"),
        ("yes", "BOOLEAN"),
    ],
)
def test_values_that_are_none_of_their_type_are_rejected(table: Table, value: str, kind: str) -> None:
    (refused,) = rejections(table, record(value, MeasureValueType=kind))
    assert repr(value) in refused["Reason"]


@pytest.mark.parametrize("name", ["time", "measure_value", "ts_x", "measure_name_2", "a:b", "x" * 61])
def test_reserved_and_overlong_dimension_names_are_rejected(table: Table, name: str) -> None:
    (refused,) = rejections(table, record(Dimensions=[{"Name": name, "Value": "v"}]))
    assert "Dimension: The name" in refused["Reason"]


def test_a_measure_keeps_its_first_type_and_its_kind(table: Table) -> None:
    table.put(multi({"flow": ("1", "BIGINT")}))
    other = multi({"flow": ("1.5", "DOUBLE")}, Time=str(NOW_MS + 1))
    clash = record(Dimensions=[{"Name": "flow", "Value": "x"}], Time=str(NOW_MS + 2))
    both = multi({"plant": ("1", "BIGINT")}, Time=str(NOW_MS + 3))
    refused = rejections(table, other, clash, both)
    assert [each["RecordIndex"] for each in refused] == [0, 1, 2]
    assert "MULTI of type BIGINT" in refused[0]["Reason"]
    assert "same name" in refused[2]["Reason"]


def test_columns_that_differ_only_in_case_are_refused_rather_than_mixed_up(table: Table) -> None:
    table.put(record())
    (refused,) = rejections(table, record(Dimensions=[{"Name": "Plant", "Value": "x"}]))
    assert "differ only in case" in refused["Reason"]


def test_names_of_one_record_that_differ_only_in_case_are_refused_and_stop_no_other(table: Table) -> None:
    twins = [{"Name": "Plant", "Value": "x"}, {"Name": "plant", "Value": "y"}]
    refused = rejections(
        table,
        record(Dimensions=twins),
        multi({"Flow": ("1", "BIGINT"), "flow": ("2", "BIGINT")}),
        multi({"Time": ("1", "BIGINT")}),
        record(Dimensions=[{"Name": "Measure_name", "Value": "x"}]),
    )
    assert [each["RecordIndex"] for each in refused] == [0, 1, 2, 3]
    assert all("differ only in case" in each["Reason"] for each in refused)


def test_late_records_need_the_magnetic_store(server: str) -> None:
    strict = new_table(server, MagneticStoreWriteProperties={"EnableMagneticStoreWrites": False})
    (refused,) = rejections(strict, record(at=NOW_MS - 7 * 3_600_000))
    assert refused["Reason"].startswith("The record timestamp is outside the time range [")
    ingested = new_table(server).put(record(at=NOW_MS - 7 * 3_600_000), record(at=NOW_MS))
    assert ingested == {"Total": 2, "MemoryStore": 1, "MagneticStore": 1}


def test_records_of_the_future_and_from_before_1970_are_rejected(table: Table) -> None:
    # The clock of now: modules are imported long before their tests run, and 15 minutes ahead are allowed.
    future = time.time_ns() // 1_000_000 + 20 * 60_000
    refused = rejections(table, record(at=future), record(at=-1))
    assert "outside the time range" in refused[0]["Reason"]
    assert "negative" in refused[1]["Reason"]


def test_a_required_partition_key_is_required(server: str) -> None:
    key = {"Type": "DIMENSION", "Name": "region", "EnforcementInRecord": "REQUIRED"}
    keyed = new_table(server, Schema={"CompositePartitionKey": [key]})
    (refused,) = rejections(keyed, record())
    assert "'region'" in refused["Reason"]


def test_more_than_100_records_are_refused(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ValidationException, match="less than or equal to 100"):
        table.put(*[record(at=NOW_MS - number) for number in range(101)])


def test_the_limits_of_a_record_are_those_of_the_service(table: Table) -> None:
    many = [{"Name": f"d{number}", "Value": "v"} for number in range(129)]
    with pytest.raises(table.write.exceptions.ValidationException, match="less than or equal to 128"):
        table.put(record(Dimensions=many))
    wide = multi({f"m{number}": ("1", "BIGINT") for number in range(257)})
    heavy = record(Dimensions=[{"Name": "plant", "Value": "x" * 2048}])
    refused = rejections(table, wide, heavy)
    assert "256 measures" in refused[0]["Reason"]
    assert "2048" in refused[1]["Reason"]


def test_a_version_below_one_is_invalid(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ValidationException, match="Version must be 1 or greater"):
        table.put(record(Version=0))


def test_writing_to_a_missing_table_is_not_found(table: Table) -> None:
    with pytest.raises(table.write.exceptions.ResourceNotFoundException):
        table.write.write_records(DatabaseName=table.database, TableName="absent", Records=[record()])
