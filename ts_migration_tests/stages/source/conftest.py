"""The embedded Timestream and a real S3, one of each a module; every test has a table and a bucket of its own."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ts_migration.objects import ExportBucket
from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream, write_client
from ts_migration_tests.stages.source.tables import Source


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    folder = tmp_path_factory.mktemp("source")
    with running_s3(folder) as (endpoint, access_key, secret_key):
        options = ("--unloads-per-second", "0", "--first-page", "always")
        with running_timestream(folder, endpoint, options) as url:
            yield url, s3_client(endpoint, access_key, secret_key)


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server takes any number of UNLOADs a second here."""
    monkeypatch.setattr("ts_migration.timestream.unload.PACE.interval_s", 0.0)


@pytest.fixture
def source(servers: tuple[str, Any]) -> Source:
    url, s3 = servers
    name = uuid.uuid4().hex[:8]
    s3.create_bucket(Bucket=f"exports-{name}")
    source = Source(f"db-{name}", "t", write_client(url), query_client(url), ExportBucket(s3, f"exports-{name}"))
    source.write.create_database(DatabaseName=source.database)
    source.write.create_table(
        DatabaseName=source.database,
        TableName=source.table,
        MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True},
    )
    return source
