"""What a run came to, in words: also where it failed for something that nobody foresaw."""

import dagster as dg

from ts_migration.orchestration.outcomes import outcome_of_roll_up


def test_an_error_that_nobody_foresaw_is_told_and_not_only_where_it_happened() -> None:
    @dg.op
    def migration_report() -> None:
        raise ImportError("cannot import name 'nothing'")

    @dg.job
    def roll_up() -> None:
        migration_report()

    with dg.DagsterInstance.ephemeral() as instance:
        result = roll_up.execute_in_process(instance=instance, raise_on_error=False)
        outcome = outcome_of_roll_up(result, 1.0)

    assert not outcome.ok
    assert outcome.error == "ImportError: cannot import name 'nothing'"
