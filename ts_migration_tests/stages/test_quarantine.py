"""Rows that cannot be said, through all stages: kept whole, rewritten where asked, and tried again when the rules change."""

from typing import Any

import polars as pl
import pytest

from ts_migration.config import RewriteRules
from ts_migration.errors import Missing, Refused
from ts_migration.influxdb import reader
from ts_migration.operations.quarantine import entries, quarantine_of, replay_of, rule_for, unconverted
from ts_migration.stages.proof import WindowStatus, proof_of
from ts_migration_tests.stages.conftest import Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack


@pytest.fixture
def spoiled(stack: Stack) -> Migration:
    """Of January's 248 rows two have a plant that ends in a backslash, one a subsystem with a line feed."""
    at = pl.int_range(pl.len())
    rows = plant_rows().with_columns(
        plant=pl.when(at.is_in([10, 12])).then(pl.lit("Itaipu\\")).otherwise(pl.col("plant")),
        subsystem=pl.when(at == 21).then(pl.lit("S\nE")).otherwise(pl.col("subsystem")),
    )
    return new_migration(stack, rows)


def ruled(migration: Migration, **rules: Any) -> Migration:
    mapping = migration.job.mapping.model_copy(update={"rewrite": RewriteRules(**rules)})
    return migration.changed(mapping=mapping)


def proof(migration: Migration) -> Any:
    return proof_of(migration.config, migration.job, migration.stack.bucket).windows[0]


def plants(migration: Migration) -> set[str]:
    job = migration.job
    blocks = reader.points(migration.stack.target, job.target_bucket, job.measurement, migration.window())
    return {block.tags["plant"] for block in blocks}


def test_rows_that_cannot_be_said_are_kept_whole_with_their_reasons_and_listed(spoiled: Migration) -> None:
    assert spoiled.run().status == "passed"
    (one,) = quarantine_of(spoiled.config, spoiled.job, spoiled.stack.bucket)
    assert (one.key, one.rows, one.refused) == ("2023-01-01", 3, 0)
    assert one.reasons == {"tag_ends_in_backslash": 2, "tag_holds_line_feed": 1}
    kept = list(entries(spoiled.config, spoiled.job, spoiled.stack.bucket, "2023-01-01"))
    assert sorted((entry.column, entry.row[entry.column]) for entry in kept if entry.row) == [
        ("plant", "Itaipu\\"),
        ("plant", "Itaipu\\"),
        ("subsystem", "S\nE"),
    ]
    assert all(entry.row and entry.row["load_mw"] is not None and entry.row["time_ns"] for entry in kept)
    assert {name: rule_for(name) for name in one.reasons} == {
        "tag_ends_in_backslash": "trailing_backslash",
        "tag_holds_line_feed": "newline_in_tag",
    }
    assert replay_of([one]).windows == (), "no rule has changed"
    asked = (spoiled.config, spoiled.job, spoiled.stack.bucket)
    assert [unconverted(*asked), unconverted(*asked, "2023-01-01"), unconverted(*asked, "2023-02-01")] == [1, 0, 1]


def test_a_rule_writes_the_rows_and_the_window_is_passed_not_proven(spoiled: Migration) -> None:
    migration = ruled(spoiled, trailing_backslash="drop", newline_in_tag="space")
    verdicts = migration.run()
    assert verdicts.status == "passed"
    assert all(verdict.passed for verdict in verdicts.verdicts)
    assert proof(migration).rewritten == {"newline_in_tag": 1, "trailing_backslash": 2}
    assert proof(migration).quarantined == 0
    assert "2 rows rewritten by trailing_backslash" in proof(migration).reason
    assert "Itaipu" in plants(migration)


def test_rules_that_change_make_only_windows_with_such_rows_outdated_and_running_them_again_heals(
    spoiled: Migration,
) -> None:
    spoiled.run(0)
    assert spoiled.run(1).status == "proven"
    changed = ruled(spoiled, trailing_backslash="drop")
    first, second = proof_of(changed.config, changed.job, changed.stack.bucket).windows[:2]
    assert (first.status, second.status) == (WindowStatus.STALE, WindowStatus.PROVEN)
    assert "mapping.rewrite was changed" in first.reason
    (one,) = quarantine_of(changed.config, changed.job, changed.stack.bucket)
    assert replay_of([one]).rewritten == ("2023-01-01",)

    assert changed.run(0).status == "passed"
    assert proof(changed).quarantined == 1
    assert "Itaipu" in plants(changed)


def test_a_rule_that_is_added_after_the_cleanup_has_the_window_exported_again(spoiled: Migration) -> None:
    """What was loaded needs its files no more, until its quarantined rows are tried again."""
    spoiled.run()
    bucket, own = spoiled.stack.bucket, spoiled.own()
    exported = bucket.get(own.manifest("export"))
    bucket.delete_prefix(spoiled.place.bulk)
    assert spoiled.run().status == "passed"
    assert bucket.get(own.manifest("export")) == exported, "with the same rules nothing is left to do"
    assert ruled(spoiled, trailing_backslash="drop").run().status == "passed"
    assert "Itaipu" in plants(spoiled)


def test_a_rule_that_has_written_points_is_not_taken_back_in_silence(spoiled: Migration) -> None:
    """Its points have a name that the source does not have: they would stay beside the quarantined rows."""
    both = ruled(spoiled, trailing_backslash="drop", newline_in_tag="space")
    assert both.run().status == "passed"
    for changed in (spoiled, ruled(spoiled, trailing_backslash="drop"), ruled(spoiled, newline_in_tag="escape")):
        with pytest.raises(Refused, match=r"newline_in_tag: space \(1 rows\).*put the rule back.*reset"):
            changed.run()
    assert both.run().status == "passed", "with the rules back, everything stands"
    assert (
        ruled(both, trailing_backslash="drop", newline_in_tag="space", float_not_finite="drop").run().status == "passed"
    )


def test_what_was_kept_out_is_known_while_another_conversion_of_a_loaded_window_does_not_come_to_its_end(
    spoiled: Migration,
) -> None:
    """Lost with it, nothing would seem to be kept out, and rules that have written points could be taken back."""
    dropping = ruled(spoiled, trailing_backslash="drop")
    dropping.run()
    both = ruled(spoiled, trailing_backslash="drop", newline_in_tag="space")
    spoiled.stack.bucket.delete_prefix(spoiled.place.bulk)
    with pytest.raises(Missing):
        both.convert()
    (one,) = quarantine_of(both.config, both.job, both.stack.bucket)
    assert (one.rows, one.rewritten) == (1, {"trailing_backslash": 2})
    assert replay_of([one]).windows == (one.key,)
    with pytest.raises(Refused, match="trailing_backslash: drop"):
        spoiled.convert()
    assert both.run().status == "passed"
    assert proof(both).rewritten == {"newline_in_tag": 1, "trailing_backslash": 2}


def test_a_measure_name_is_never_rewritten(stack: Stack) -> None:
    from ts_migration_tests.stages.test_hard_tables import migration_of, record

    records = [
        record(step, {"plant": "A"}, name, [("mw", "DOUBLE", "1.5")]) for step in range(118) for name in ("x\\", "y")
    ]
    migration = migration_of(stack, records, mapping={"rewrite": {"trailing_backslash": "drop"}})
    assert migration.run().status == "passed"
    assert proof(migration).reasons == {"tag_ends_in_backslash": 62}
    assert proof(migration).rewritten == {}


def test_a_window_without_such_rows_is_proven_whatever_the_rules(migration: Migration) -> None:
    assert ruled(migration, trailing_backslash="drop", float_not_finite="drop").run().status == "proven"
