"""Fixtures for tests that need the whole embedded stack: one stack for the whole session, seeded once."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from ts_migration_tests.embedded_stack import EmbeddedStack

# How long an example takes is the machine's business, not a law: three processes share its processors.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """All four servers in a folder of their own, with the three example tables of 2,000 rows; stopped at the end."""
    stack = EmbeddedStack(tmp_path_factory.mktemp("stack"))
    stack.up()
    try:
        stack.seed_examples(2_000)
        yield stack
    finally:
        stack.down()
