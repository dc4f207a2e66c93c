"""One embedded server for all tests of this folder that only need some server."""

import pytest

from ts_migration_tests.local.influxdb.embedded import Running, running_influxdb


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Running:
    """An embedded server; tests that use it make buckets of their own."""
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as running:
        yield running
