"""Whole tables, rolled up on real servers: rows that came late, rows that were kept out, other jobs, acceptances."""

from typing import Any

import polars as pl
import pytest

from ts_migration.errors import Refused
from ts_migration.manifests import VerdictRecord
from ts_migration.operations.acceptance import accept, look_at_passed, revoke
from ts_migration.operations.report import collect
from ts_migration.stages.check import check_window
from ts_migration.stages.proof import WindowProof, WindowStatus, proof_of
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

FEBRUARY = START + 31 * 24 * HOUR


def checks(rolled: MigratedManifest) -> dict[str, VerdictRecord]:
    return {verdict.check: verdict for verdict in rolled.verdicts}


def migrated(stack: Stack, rows: pl.DataFrame | None = None, **settings: Any) -> Migration:
    migration = new_migration(stack, plant_rows() if rows is None else rows, **settings)
    for index in (0, 1):
        migration.run(index)
    return migration


def with_a_row_kept_out(stack: Stack) -> Migration:
    """January's eleventh row has a plant that line protocol cannot say, and is the only one of its series."""
    spoiled = pl.when(pl.int_range(pl.len()) == 10).then(pl.lit("Jirau\\")).otherwise(pl.col("plant"))
    return migrated(stack, plant_rows().with_columns(plant=spoiled))


def january(migration: Migration) -> WindowProof:
    return proof_of(migration.config, migration.job, migration.stack.bucket).windows[0]


def accepted(migration: Migration, **options: Any) -> None:
    found = look_at_passed(migration.config, migration.job, migration.stack.bucket)
    chosen = {"reason": "a test row", "accepted_by": "ana@here"} | options
    accept(migration.config, migration.job, migration.stack.bucket, found.passed, **chosen)


def test_a_table_of_which_no_check_has_run_is_not_reported_as_proven(stack: Stack) -> None:
    migration = migrated(stack)

    found = collect(migration.config, stack.bucket, "validation")

    assert (found.status, found.cleared, found.tables[0].statuses["proven"]) == ("missing", False, 2)
    assert [(check.check, check.actual) for check in found.tables[0].table_checks] == [
        ("all_windows_proven", "not checked")
    ]
    migration.roll_up()
    found = collect(migration.config, stack.bucket, "validation")
    assert (found.status, found.cleared) == ("proven", True)


def test_a_window_that_grew_is_named_with_the_command_that_mends_it(stack: Stack) -> None:
    migration = migrated(stack)
    assert migration.roll_up().status == "proven"
    migration.late_row(FEBRUARY + 5)

    rolled = migration.roll_up()

    late = checks(rolled)["late_arrivals"]
    assert (rolled.status, late.passed, late.stage) == ("failed", False, "export")
    assert late.difference.startswith("1 window grew by 1 rows; next: `ts-migration catch-up --only ")
    assert late.evidence[1] == "window 2023-02-01: 224 rows were exported, Timestream has 225 now: 1 came late"
    assert [name for name, verdict in checks(rolled).items() if not verdict.passed] == ["late_arrivals"]


def test_a_late_row_of_a_series_that_nobody_knew_fails_cardinality_too(stack: Stack) -> None:
    migration = migrated(stack)
    migration.late_row(FEBRUARY + 5, plant="Jirau")

    found = checks(migration.roll_up())

    assert (found["late_arrivals"].passed, found["cardinality"].passed) == (False, False)
    assert found["cardinality"].evidence[0] == "Timestream has 3 series, InfluxDB 2"
    assert found["totals"].passed


def test_points_of_other_ranges_in_the_measurement_change_nothing_and_a_strange_series_in_the_range_does(
    stack: Stack,
) -> None:
    migration = migrated(stack)
    migration.write(f"{migration.job.measurement},plant=other load_mw=1 {START - 5}")
    assert migration.roll_up().status == "proven"
    migration.write(f"{migration.job.measurement},plant=other load_mw=1 {START + 5}")

    found = checks(migration.roll_up())

    assert {name for name, verdict in found.items() if not verdict.passed} == {"totals", "cardinality"}


def test_a_series_whose_only_row_is_in_the_quarantine_is_told_and_fails_nothing(stack: Stack) -> None:
    found = checks(with_a_row_kept_out(stack).roll_up())
    assert (found["cardinality"].passed, found["cardinality"].severity) == (True, "WARN")
    assert found["cardinality"].evidence[0] == "Timestream has 3 series, InfluxDB 2: rows were kept out"
    assert found["all_windows_proven"].passed is False
    assert found["late_arrivals"].passed


def test_an_accepted_window_is_cleared_through_checks_that_draw_other_samples_until_something_is_found_anew(
    stack: Stack,
) -> None:
    migration = with_a_row_kept_out(stack)
    assert (january(migration).status, january(migration).cleared) == (WindowStatus.PASSED, False)
    assert migration.roll_up().status == "passed"

    accepted(migration)

    assert january(migration).cleared
    rolled = migration.roll_up()
    assert (rolled.status, rolled.accepted) == ("accepted", 1)
    whole = checks(rolled)["all_windows_proven"]
    assert (whole.passed, whole.severity) == (True, "WARN")
    assert "accepted by ana@here at 2" in whole.evidence[0] and whole.evidence[0].endswith(": a test row")
    for seed in (1, 2, 3):
        check_window(
            migration.config, migration.job, migration.window(0), stack.bucket, stack.query, stack.target, seed=seed
        )
        assert january(migration).cleared, "the same was found, in another sample"

    migration.late_row(START + 5)
    migration.check(0)

    assert january(migration).status is WindowStatus.FAILED
    assert (january(migration).cleared, january(migration).accepted) == (False, None)
    assert "holds no more" in january(migration).reason


def test_an_acceptance_that_is_taken_back_holds_no_more(stack: Stack) -> None:
    migration = with_a_row_kept_out(stack)
    accepted(migration)
    assert revoke(migration.config, migration.job, stack.bucket, ("2023-02-01", "2023-02-01")) == ()
    assert january(migration).cleared
    assert revoke(migration.config, migration.job, stack.bucket) == ("2023-01-01",)
    assert not january(migration).cleared
    assert migration.roll_up().status == "passed"


def test_what_did_not_pass_is_never_accepted(stack: Stack) -> None:
    migration = with_a_row_kept_out(stack)
    before = look_at_passed(migration.config, migration.job, stack.bucket)
    assert ([one.key for one in before.passed], [one.key for one in before.proven]) == (["2023-01-01"], ["2023-02-01"])
    with pytest.raises(Refused, match="needs a reason"):
        accepted(migration, reason=" ")
    with pytest.raises(Refused, match=r"2023-02-01: proven.*only windows that passed"):
        accept(migration.config, migration.job, stack.bucket, before.proven, reason="r", accepted_by="a")
    unchecked = migration.changed(validation_enabled=False)
    with pytest.raises(Refused, match="validation_enabled is false"):
        look_at_passed(unchecked.config, unchecked.job, stack.bucket)
    stack.bucket.delete(migration.own(0).manifest("load"))
    assert [one.key for one in look_at_passed(migration.config, migration.job, stack.bucket).unacceptable] == [
        "2023-01-01"
    ]
