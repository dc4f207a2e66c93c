"""The law of versions, on any sequence of requests: against a model that is a dictionary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ts_migration.local.timestream.ingestion import write_records
from ts_migration.local.timestream.refusals import RejectedRecordsError
from ts_migration.local.timestream.resources import Resources
from ts_migration.local.timestream.storage import Storage
from ts_migration.local.timestream.wire import Caller

NOW = 1_700_000_000_000_000_000
CALLER = Caller("key", "us-east-1")
ADDRESS = {"DatabaseName": "law", "TableName": "t"}

Written = tuple[str | None, int, int, int]
"""Dimension value or absent, time, version, value."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    folder: Path = tmp_path_factory.mktemp("law")
    opened = Storage(folder, memory_limit="200MB")
    Resources(opened, lambda: NOW).create_database({"DatabaseName": "law"}, CALLER)
    yield opened
    opened.close()


def record(written: Written) -> dict[str, Any]:
    plant, at, version, value = written
    return {
        "Dimensions": [{"Name": "plant", "Value": plant}] if plant else [],
        "MeasureName": "m",
        "MeasureValue": str(value),
        "MeasureValueType": "BIGINT",
        "Time": str(NOW - at),
        "TimeUnit": "NANOSECONDS",
        "Version": version,
    }


writes = st.tuples(st.sampled_from([None, "a", "b"]), st.integers(0, 2), st.integers(1, 3), st.integers(0, 2))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(writes, min_size=1, max_size=8), max_size=4))
def test_the_highest_version_stands_and_what_it_excludes_is_rejected(
    storage: Storage, requests: list[list[Written]]
) -> None:
    resources = Resources(storage, lambda: NOW)
    resources.create_table(ADDRESS, CALLER)
    try:
        model: dict[tuple[str | None, int], tuple[int, int]] = {}
        for request in requests:
            expected: set[int] = set()
            for index, (plant, at, version, value) in enumerate(request):
                held = model.get((plant, NOW - at))
                if held is None or version > held[0]:
                    model[(plant, NOW - at)] = (version, value)
                elif held != (version, value):
                    expected.add(index)
            assert rejected(storage, request) == expected
        assert stored(storage) == model
    finally:
        resources.delete_table(ADDRESS, CALLER)


def rejected(storage: Storage, request: list[Written]) -> set[int]:
    try:
        write_records(storage, {**ADDRESS, "Records": [record(written) for written in request]}, lambda: NOW)
    except RejectedRecordsError as refused:
        return {each.index for each in refused.rejected}
    return set()


def stored(storage: Storage) -> dict[tuple[str | None, int], tuple[int, int]]:
    table = storage.registry.tables[("law", "t")]
    if not table.measures:
        return {}
    plant = "plant" if table.dimensions else "NULL"
    connection = storage.reading()
    try:
        rows = connection.execute(
            f'SELECT {plant}, time, ts_version, "measure_value::bigint" FROM {table.records}'
        ).fetchall()
    finally:
        connection.close()
    assert len({row[:2] for row in rows}) == len(rows)
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}
