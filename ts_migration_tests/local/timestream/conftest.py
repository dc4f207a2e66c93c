"""One server and one S3 for the tests of a module; tables are the tests' own."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream, write_client


@dataclass(frozen=True)
class Table:
    """A fresh table and the clients that reach it."""

    url: str
    write: Any
    query: Any
    database: str
    name: str

    @property
    def address(self) -> dict[str, str]:
        return {"DatabaseName": self.database, "TableName": self.name}

    @property
    def quoted(self) -> str:
        return f'"{self.database}"."{self.name}"'

    def put(self, *records: dict[str, Any], **members: Any) -> dict[str, Any]:
        return self.write.write_records(**self.address, Records=list(records), **members)["RecordsIngested"]

    def rows(self, sql: str) -> list[list[Any]]:
        """All rows of a query, over all pages; scalars as texts, NULL as None."""
        pages = self.query.get_paginator("query").paginate(QueryString=sql)
        return [[datum.get("ScalarValue") for datum in row["Data"]] for page in pages for row in page["Rows"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_timestream(tmp_path_factory.mktemp("timestream")) as url:
        yield url


@pytest.fixture
def table(server: str) -> Table:
    return new_table(server)


def new_table(url: str, **members: Any) -> Table:
    """A table that takes late records, in a database of its own."""
    made = Table(url, write_client(url), query_client(url), f"db-{uuid.uuid4().hex[:8]}", "sensor.data")
    made.write.create_database(DatabaseName=made.database)
    late = {"MagneticStoreWriteProperties": {"EnableMagneticStoreWrites": True}}
    made.write.create_table(**made.address, **(late | members))
    return made


@dataclass(frozen=True)
class Export:
    """A server with an S3, and a bucket for one test."""

    url: str
    s3: Any
    bucket: str


@pytest.fixture(scope="module")
def export_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Export]:
    folder = tmp_path_factory.mktemp("export")
    with running_s3(folder) as (endpoint, _key, _secret):
        s3 = s3_client(endpoint)
        s3.create_bucket(Bucket="exports")
        with running_timestream(folder, endpoint, ["--unloads-per-second", "0"]) as url:
            yield Export(url, s3, "exports")
