"""Tables that are hard to map, from Timestream's write API to five passed checks: mixed rows, two types under one name,
sparse dimensions, a measure that appears half-way, and names that line protocol has to escape.
"""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ts_migration.config import parse_config
from ts_migration.influxdb import reader
from ts_migration_tests.local.timestream.embedded import write_client
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack

pytestmark = pytest.mark.stack

DAYS = 59


def record(step: int, dimensions: dict[str, str], name: str, values: Any) -> dict[str, Any]:
    """A multi-measure record where `values` is a list of (name, type, value), else a single-measure one."""
    common = {
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "MeasureName": name,
        "Time": str(START + step * 12 * HOUR + 7),
        "TimeUnit": "NANOSECONDS",
    }
    if isinstance(values, list):
        several = [{"Name": key, "Type": kind, "Value": value} for key, kind, value in values]
        return {**common, "MeasureValueType": "MULTI", "MeasureValues": several}
    kind, value = values
    return {**common, "MeasureValueType": kind, "MeasureValue": value}


def migration_of(stack: Stack, records: list[dict[str, Any]], **job: Any) -> Migration:
    """A table of its own with these records, and a job over January and February 2023."""
    table, write = f"t{uuid.uuid4().hex[:10]}", write_client(stack.timestream_url)
    try:
        write.create_database(DatabaseName="hard")
    except ClientError as error:
        assert "Conflict" in str(error), error
    magnetic = {"EnableMagneticStoreWrites": True}
    write.create_table(DatabaseName="hard", TableName=table, MagneticStoreWriteProperties=magnetic)
    for start in range(0, len(records), 100):
        write.write_records(DatabaseName="hard", TableName=table, Records=records[start : start + 100])
    keys = {
        "job_name": table,
        "source_database": "hard",
        "source_table": table,
        "target_bucket": f"b_{table}",
        "start_time": "2023-01-01",
        "end_time": "2023-03-01",
        **job,
    }
    lines = "\n".join(f"    {key}: {json.dumps(value)}" for key, value in keys.items())
    return Migration(stack, parse_config(f"migration_jobs:\n  -\n{lines}\n"))


def field_types(migration: Migration) -> dict[str, tuple[str, ...]]:
    return reader.field_types(migration.stack.target, migration.job.target_bucket, migration.job.measurement)


def test_a_table_of_mixed_rows_two_types_and_sparse_dimensions_is_proven(stack: Stack) -> None:
    records = []
    for step in range(DAYS * 2):
        records += [
            record(step, {"plant": "A", "unit": "1"}, "balance", [("mw", "DOUBLE", "1.5"), ("on", "BOOLEAN", "true")]),
            record(step, {"plant": "A"}, "temp", ("DOUBLE", repr(step / 7))),
            record(step, {"unit": "2"}, "temp", ("BIGINT", str(2**62 + step))),
            record(step, {"zone": "Z z"}, "state", ("VARCHAR", f'say "{step}"\n')),
            record(step, {"plant": "B"}, "state", ("BOOLEAN", "false")),
        ]
    migration = migration_of(stack, records)
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    assert field_types(migration) == {
        "mw": ("float",),
        "on": ("boolean",),
        "state_boolean": ("boolean",),
        "state_varchar": ("string",),
        "temp_bigint": ("integer",),
        "temp_double": ("float",),
    }


def test_a_measure_that_appears_half_way_through_the_history_is_mapped_from_the_beginning(stack: Stack) -> None:
    records = [record(step, {"plant": "A"}, "balance", [("mw", "DOUBLE", "1.5")]) for step in range(62)]
    records += [record(step, {"plant": "A"}, "late", ("DOUBLE", "2.5")) for step in range(70, 118)]
    records += [
        record(step, {"plant": "A"}, "balance", [("mw", "DOUBLE", "1.5"), ("mvar", "BIGINT", "3")])
        for step in range(70, 118)
    ]
    migration = migration_of(stack, records)
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    assert set(field_types(migration)) == {"late", "mvar", "mw"}


@pytest.mark.parametrize("single_measure", ["field_per_measure_name", "value_columns"])
def test_names_that_line_protocol_has_to_escape_are_read_back_as_they_are(stack: Stack, single_measure: str) -> None:
    hard = {
        "plant, or =": "Itaipu, 1 = \\ x",
        "região": "São\tPaulo",
        'quo"te': '"',
        "^reg.*$": "*",
        "*": "^x$",
        "reg": "r",
    }
    records = []
    for step in range(DAYS * 2):
        records.append(record(step, hard, "a = b, c", [('mw "x"', "DOUBLE", "-0.0"), ("on, off", "VARCHAR", " ")]))
        records.append(record(step, hard, "tempé ratur, e=", ("DOUBLE", "5e-324")))
    migration = migration_of(stack, records, mapping={"single_measure": single_measure, "measurement": "m, é = x"})
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    single = "tempé ratur, e=" if single_measure == "field_per_measure_name" else "measure_value::double"
    assert set(field_types(migration)) == {'mw "x"', "on, off", single}
    blocks = list(reader.points(stack.target, migration.job.target_bucket, "m, é = x", migration.window()))
    assert {tuple(sorted(set(block.tags.items()) & set(hard.items()))) for block in blocks} == {
        tuple(sorted(hard.items()))
    }
    unlike = [verdict for verdict in migration.roll_up().verdicts if not verdict.passed]
    assert [verdict.check for verdict in unlike] == [], unlike


def test_options_change_names_and_types_and_the_table_is_proven_all_the_same(stack: Stack) -> None:
    records = [
        record(
            step,
            {"plant": "A", "serial": f"s{step}"},
            "balance",
            [("n", "BIGINT", str(step)), ("at", "TIMESTAMP", str(START + step)), ("v", "DOUBLE", "0.1")],
        )
        for step in range(DAYS * 2)
    ]
    options = {
        "rename": {"plant": "power plant", "v": "value"},
        "dimensions_as_fields": ["serial"],
        "keep_measure_name": False,
        "types": {"n": "float"},
        "timestamp_measures": "rfc3339",
    }
    migration = migration_of(stack, records, mapping=options)
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    assert field_types(migration) == {
        "at": ("string",),
        "n": ("float",),
        "serial": ("string",),
        "value": ("float",),
    }
    assert reader.tag_keys(stack.target, migration.job.target_bucket, migration.job.measurement) == ("power plant",)


def test_series_with_their_field_keys_are_counted_as_influxdb_counts_them(stack: Stack) -> None:
    """One field of two types under one name, and fields that several names of multi-measure rows share."""
    records = []
    for step in range(DAYS * 2):
        values = [("v", "DOUBLE", "1.5"), ("w", "BIGINT", str(step))]
        records += [
            record(step, {"plant": "A"}, "odd" if step % 2 else "even", values),
            record(step, {"plant": "A"}, "temp", ("BIGINT", "3") if step % 2 else ("DOUBLE", "2.5")),
            record(step, {"plant": "B"}, "temp", ("BIGINT", "4")),
            record(step, {"plant": "B"}, "state", ("BOOLEAN", "true")),
        ]
    migration = migration_of(stack, records, mapping={"types": {"temp": "float"}, "keep_measure_name": False})
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    cardinality = next(verdict for verdict in migration.roll_up().verdicts if verdict.check == "cardinality")
    assert cardinality.passed, cardinality.evidence
    assert cardinality.expected == "2 series, 5 with their field keys"


@pytest.mark.parametrize("load", ["line_protocol", "bulk"])
def test_measures_that_polars_takes_for_patterns_are_proven_by_every_rule_and_proof(stack: Stack, load: str) -> None:
    records = [
        record(
            step,
            {"^plant$": "A\\" if step % 9 == 0 else "A", "*": "z"},
            "balance",
            [
                *([("^x$", "VARCHAR", f"text {step % 5}")] if step % 2 else [("^f$", "DOUBLE", repr(step / 7))]),
                *([("^n$", "BIGINT", str(2**53 + step))] if step % 3 else []),
                ("^on$", "BOOLEAN", "true"),
            ],
        )
        for step in range(DAYS * 2)
    ]
    rules = {"trailing_backslash": "drop", "integer_not_exact": "round"}
    mapping = {"rewrite": rules, "types": {"^n$": "float"}}
    migration = migration_of(stack, records, load=load, proof="storage", mapping=mapping)
    verdicts = [migration.run(index) for index in (0, 1)]
    assert [(one.status, all(each.passed for each in one.verdicts)) for one in verdicts] == [("passed", True)] * 2
    assert migration.roll_up().status == "passed"
