"""Warnings of a whole table that did not pass are told by their reason; those that passed, and errors, are not."""

from ts_migration.stages.roll_up import unmet
from ts_migration_tests.stages.manifests import verdict


def test_warnings_that_did_not_pass_are_told_with_the_reason_that_they_share() -> None:
    asked = {"passed": False, "severity": "WARN", "evidence": ("the table has no numeric field", "more")}
    told = unmet(
        [
            verdict("query_equivalence", **asked),
            verdict("query_performance", **asked),
            verdict("late_arrivals", severity="WARN"),
            verdict("totals", passed=False),
            verdict("all_windows_proven", passed=False, severity="WARN"),
        ]
    )
    assert told == ("whole table: query_equivalence, query_performance did not pass: the table has no numeric field")
    assert unmet([verdict("totals")]) == ""
