"""What manifests and source leave open before a cutover, and what an operator reads of it."""

from dataclasses import replace

import pytest

from ts_migration.config import parse_config
from ts_migration.cutover.readiness import (
    Lack,
    Readiness,
    arrival_reasons,
    expiry_reasons,
    notes_of,
    proof_digest,
    proof_reasons,
    validation_reasons,
)
from ts_migration.manifests import AcceptanceManifest
from ts_migration.operations.arrivals import Arrivals, ChangedWindow
from ts_migration.query_settings import QuerySettings
from ts_migration.stages.currency import window_range
from ts_migration.stages.proof import Standing, TableProof, WindowManifests, WindowProof, window_proof
from ts_migration.stages.queries import queries_fingerprint
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration.timestream.window_counts import TailCount
from ts_migration.windows import Window
from ts_migration_tests.stages.manifests import STANDING, verdict, window_manifests

CONFIG = """
migration_jobs:
  - job_name: the load
    source_database: grid
    source_table: load
    target_bucket: load
    start_time: 2023-01-01
    end_time: 2023-04-01
    validation_enabled: {validated}
"""
SETTINGS = parse_config(CONFIG.format(validated="true"))
JOB = SETTINGS.migration_jobs[0]
NOTHING = TailCount(0, None, None)


def judged(window: Window, status: str = "proven", standing: Standing = STANDING) -> WindowProof:
    return window_proof(window, window_manifests(window, status=status), standing)


def table(**statuses: str) -> TableProof:
    """A table of January, February and March, proven but for those that are named."""
    names = ("january", "february", "march")
    windows = [judged(window, statuses.get(name, "proven")) for name, window in zip(names, JOB.grid, strict=True)]
    return TableProof("the load", JOB.source, "load", "load", tuple(windows))


def rolled_up(of: TableProof, **changes: object) -> MigratedManifest:
    plain = {
        "database": "grid", "table": "load", "job": "the load", "org": "o", "bucket": "load", "measurement": "load",
        "range_start_ns": JOB.start_time, "range_end_ns": JOB.end_time, "proof": of.digest, "windows": 3, "rows": 30,
        "points": 30, "values": 60, "series": 3, "verdicts": (verdict("totals"), verdict("query_equivalence")), "status": "proven",
        "queries": queries_fingerprint(SETTINGS, JOB),
    }  # fmt: skip
    return MigratedManifest.model_validate(plain | changes)


def lacks(proof: TableProof, migrated: MigratedManifest | None) -> list[Lack]:
    return [reason.lack for reason in proof_reasons(SETTINGS, JOB, proof, migrated)]


def test_a_table_that_is_proven_and_rolled_up_lacks_nothing() -> None:
    assert lacks(table(), rolled_up(table())) == []


def test_a_window_without_manifests_is_open_and_the_first_is_named_with_the_command() -> None:
    windows = table().windows
    gone = replace(table(), windows=(windows[0], window_proof(windows[1].window, WindowManifests(), STANDING)))

    (reason,) = proof_reasons(SETTINGS, JOB, gone, rolled_up(table()))

    assert str(reason) == (
        "the-load: windows that are open by their manifests: 1, the first: window 2023-02-01: nothing was done yet. "
        "Next: ts-migration execute --only the-load"
    )


@pytest.mark.parametrize("changed", ["mapping_digest", "rules", "load_settings"])
def test_a_window_judged_by_what_has_changed_since_is_stale(changed: str) -> None:
    windows = [judged(window) for window in JOB.grid]
    windows[1] = window_proof(
        windows[1].window, window_manifests(windows[1].window), replace(STANDING, **{changed: "f" * 64})
    )

    assert lacks(replace(table(), windows=tuple(windows)), rolled_up(table())) == [Lack.STALE]


def test_a_window_loaded_into_a_bucket_that_is_gone_is_stale() -> None:
    windows = tuple(judged(window, standing=replace(STANDING, bucket_id="another")) for window in JOB.grid)

    assert lacks(replace(table(), windows=windows), rolled_up(table())) == [Lack.STALE]


def test_a_window_that_only_passed_waits_for_somebody_to_accept_it() -> None:
    proof = table(february="passed")

    (reason,) = proof_reasons(SETTINGS, JOB, proof, rolled_up(proof))

    assert (reason.lack, reason.count) == (Lack.NOT_PROVEN, 1)
    assert "ts-migration accept the-load --reason" in reason.next_step


def test_a_window_that_somebody_accepted_with_these_verdicts_lacks_nothing() -> None:
    windows = list(table(february="passed").windows)
    manifests = window_manifests(windows[1].window, status="passed")
    accepted = AcceptanceManifest(
        database="grid", table="load", job="the load", window=window_range(windows[1].window),
        verdicts=windows[1].digest, found="", reason="known", accepted_by="somebody",
    )  # fmt: skip
    windows[1] = window_proof(windows[1].window, replace(manifests, acceptance=accepted), STANDING)
    proof = replace(table(), windows=tuple(windows))

    assert lacks(proof, rolled_up(proof)) == []


def test_a_failed_window_is_open() -> None:
    assert lacks(table(march="failed"), rolled_up(table())) == [Lack.OPEN]


def test_a_roll_up_counts_only_for_the_windows_that_it_judged() -> None:
    assert lacks(table(), None) == [Lack.ROLL_UP_STALE]
    assert lacks(table(), rolled_up(table(), proof="0" * 64)) == [Lack.ROLL_UP_STALE]


def test_a_check_of_the_whole_table_that_failed_is_named() -> None:
    failed = verdict("totals", passed=False, expected="60 values", actual="59 values")

    (reason,) = proof_reasons(SETTINGS, JOB, table(), rolled_up(table(), verdicts=(failed,)))

    assert (reason.lack, reason.first) == (Lack.TABLE_FAILED, "totals: expected 60 values, found 59 values")


def test_a_bucket_that_deletes_what_was_migrated_is_named() -> None:
    begins = next(iter(JOB.grid)).start_ns

    (reason,) = expiry_reasons(JOB, table(), begins + 1)

    assert reason.lack is Lack.EXPIRING
    assert reason.first == (
        "load: points before 2023-01-01T00:00:00.000000001Z, and they begin at 2023-01-01T00:00:00Z"
    )
    assert expiry_reasons(JOB, table(), begins) == expiry_reasons(JOB, table(), None) == ()


def test_queries_that_were_changed_since_they_were_asked_are_not_answered() -> None:
    other = SETTINGS.model_copy(update={"query_settings": QuerySettings(max_latency_ms=1)})

    (reason,) = proof_reasons(other, JOB, table(), rolled_up(table()))

    assert (reason.lack, reason.first) == (
        Lack.TABLE_NOT_CHECKED,
        "query_equivalence: `queries` was changed since they were asked",
    )
    assert reason.next_step == "ts-migration validate --only the-load"


def test_a_job_without_validation_is_never_ready() -> None:
    unchecked = parse_config(CONFIG.format(validated="false")).migration_jobs[0]

    assert [reason.lack for reason in validation_reasons([JOB, unchecked])] == [Lack.NOT_VALIDATED]


# The source


def arrivals(**changes: object) -> Arrivals:
    plain: dict = {"job": JOB, "late": (), "expired": (), "after_end": NOTHING, "new_end_ns": None}
    return Arrivals(**(plain | changes))


def test_a_source_that_is_still_lacks_nothing() -> None:
    assert arrivals().nothing
    assert arrival_reasons(arrivals(), None) == ()


def test_late_rows_and_rows_after_the_end_are_counted_and_lead_to_catch_up() -> None:
    late = (ChangedWindow("2023-01-01", 10, 12), ChangedWindow("2023-03-01", 10, 11))
    tail = TailCount(5, JOB.end_time, JOB.end_time + 9)

    found = arrival_reasons(arrivals(late=late, after_end=tail, new_end_ns=JOB.end_time + 10), None)

    assert [(reason.lack, reason.count) for reason in found] == [(Lack.LATE_ROWS, 3), (Lack.ROWS_AFTER_END, 5)]
    assert found[0].first == "window 2023-01-01, 10 rows exported and 12 there now"
    assert {reason.next_step for reason in found} == {"ts-migration catch-up --only the-load"}


def test_rows_that_applications_write_to_both_are_a_note_and_late_ones_are_not() -> None:
    tail = TailCount(5, JOB.end_time, JOB.end_time + 9)
    found = arrivals(after_end=tail, late=(ChangedWindow("2023-01-01", 10, 12),))

    assert [reason.lack for reason in arrival_reasons(found, JOB.start_time)] == [Lack.LATE_ROWS]
    assert notes_of(found) == ("the-load: 5 rows at or after end_time are left to cutover.dual_write_since",)


def test_rows_that_expired_in_the_source_are_a_note() -> None:
    found = arrivals(expired=(ChangedWindow("2023-01-01", 10, 4),))

    assert arrival_reasons(found, None) == ()
    assert "2023-01-01, 10 exported, 4 there now" in notes_of(found)[0]


# The whole


def test_what_was_not_looked_at_is_not_ready() -> None:
    assert not Readiness((), proof="a" * 64).ready
    assert Readiness((), proof="a" * 64, whole=True).ready


def test_another_verdict_or_range_is_another_proof() -> None:
    longer = JOB.model_copy(update={"end_time": JOB.end_time + 1})
    proofs = [
        proof_digest([(JOB, table())]),
        proof_digest([(JOB, table(march="passed"))]),
        proof_digest([(longer, table())]),
    ]

    assert len(set(proofs)) == len(proofs)
    assert proofs[0] == proof_digest([(JOB, table())])
