"""One embedded server for all tests of this folder that only need some server."""

from collections.abc import Iterator

import pytest

from ts_migration_tests.local.influxdb.conformance import Target, target_from_environment
from ts_migration_tests.local.influxdb.embedded import Running, running_influxdb


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An embedded server; tests that use it make buckets of their own."""
    with running_influxdb(tmp_path_factory.mktemp("influxdb")) as running:
        yield running


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server under test: the one that INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG name, else the embedded one."""
    target = target_from_environment() or Target(*request.getfixturevalue("influxdb"))
    yield target
    target.clean()
