"""A window by shard files: proven by the same five checks as one by line protocol, from the same digests.

Files are spoiled before and after they are sent, and a check or an error by name has to say so.
"""

import pytest

from ts_migration_tests.stages.conftest import Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

TALLIES = (
    "rows",
    "points",
    "merged",
    "quarantined",
    "empty",
    "values",
    "expected",
    "series",
    "reasons",
    "rewritten",
    "frames",
)


@pytest.fixture
def bulk(stack: Stack) -> Migration:
    return new_migration(stack, plant_rows(), load="bulk")


def test_a_window_restored_from_shard_files_is_proven_by_the_five_checks(bulk: Migration) -> None:
    assert [bulk.run(index).status for index in (0, 1)] == ["proven", "proven"]
    assert bulk.roll_up().status == "proven"
