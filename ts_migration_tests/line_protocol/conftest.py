"""A real S3 for the tests that write and read objects, a bucket for every test; and an InfluxDB for the round trips."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from ts_migration.objects import ExportBucket
from ts_migration_tests.local.influxdb.conformance import Target, target_from_environment
from ts_migration_tests.local.influxdb.embedded import running_influxdb
from ts_migration_tests.local.s3 import running_s3, s3_client


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_s3(tmp_path_factory.mktemp("s3")) as (endpoint, access_key, secret_key):
        yield s3_client(endpoint, access_key, secret_key)


@pytest.fixture
def bucket(s3: Any) -> ExportBucket:
    name = f"exports-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return ExportBucket(s3, name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server that INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG name, else an embedded one."""
    target = target_from_environment()
    if target is not None:
        yield target
        target.clean()
        return
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as running:
        yield Target(*running)
