"""The engine is made once: no test changes its tables."""

import pytest

from ts_migration_tests.local.timestream.sql.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()
