"""A job by `load: bulk` and `proof: storage`, by the commands that a user types: proven, seen, rolled back."""

import pytest

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, configuration
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.proven_table import seed_plants

pytestmark = pytest.mark.stack

TABLE = "restored"
CONFIG = configuration(TABLE, end="2023-02-14T23:59:59Z").replace(
    f'target_bucket: "{TABLE}"', 'target_bucket: "bulk"\n    load: bulk\n    proof: storage'
)


def test_a_bulk_job_is_planned_executed_proven_seen_and_rolled_back(embedded_stack: EmbeddedStack) -> None:
    seed_plants(embedded_stack, TABLE)
    embedded_stack.write_config(CONFIG, "bulk.yaml")

    def run(*command: str) -> str:
        answer = embedded_stack.run(*command, "--config", "bulk.yaml")
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    assert "it needs an operator token" in run("plan")
    assert "10 of 10" in run("execute")
    objects = Objects(embedded_stack, f"{DATABASE}/{TABLE}")
    assert set(objects.statuses().values()) == {"proven"}
    assert objects.migrated()["status"] == "proven"
    assert " migrated " in run("status")
    assert "bulk" in run("rollback", "restored-job", "--approve")
