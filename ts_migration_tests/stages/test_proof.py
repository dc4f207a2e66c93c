"""What is proven, from manifests alone: every way in which a verdict stops speaking of what is there."""

import time
from dataclasses import replace
from typing import Any

import pytest

from ts_migration.config import MigrationConfig, parse_config
from ts_migration.errors import Permanent
from ts_migration.manifests import AcceptanceManifest, TableManifest, VerdictsManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.currency import window_range
from ts_migration.stages.load import load_settings
from ts_migration.stages.proof import (
    Standing,
    TableProof,
    WindowManifests,
    WindowStatus,
    currency_of,
    proof_of,
    window_proof,
)
from ts_migration.windows import Window
from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.stages.manifests import STANDING, five, verdict, window_manifests

WINDOW = Window(0, 100, "1970-01-01")


def proof(manifests: WindowManifests, standing: Standing = STANDING, window: Window = WINDOW, **options: bool) -> Any:
    return window_proof(window, manifests, standing, **options)


def test_a_whole_chain_with_green_verdicts_is_proven_and_settled() -> None:
    found = proof(window_manifests(WINDOW))
    assert (found.status, found.settled, found.loaded, found.exported) == (WindowStatus.PROVEN, True, True, True)
    assert (found.rows, found.points, dict(found.values), found.series) == (10, 10, {"f": 10, "g": 10}, 3)
    assert found.seconds == {"export": 1.5, "line_protocol": 1.5, "load": 1.5, "verdicts": 1.5}


def test_nothing_done_is_missing() -> None:
    found = proof(WindowManifests())
    assert (found.status, found.reason, found.settled) == (WindowStatus.MISSING, "nothing was done yet", False)


@pytest.mark.parametrize(
    ("stage", "reason"),
    [("loaded", "not loaded yet"), ("converted", "not converted yet"), ("verdicts", "loaded, not checked")],
)
def test_a_missing_stage_is_named(stage: str, reason: str) -> None:
    manifests = replace(window_manifests(WINDOW), **{stage: None})
    found = proof(manifests)
    assert (found.status, found.reason) == (WindowStatus.MISSING, reason)
    assert not found.settled


def test_a_loaded_window_of_a_job_without_validation_is_settled_but_never_proven() -> None:
    found = proof(replace(window_manifests(WINDOW), verdicts=None), validated=False)
    assert found.settled
    assert found.status is WindowStatus.MISSING
    assert "validation_enabled is false" in found.reason


def again(manifest: Any, **changes: Any) -> Any:
    return manifest.model_copy(update=changes)


CHANGES: dict[str, tuple[Any, str]] = {
    "export made again": (lambda m: replace(m, export=again(m.export, rows=11)), "the export was made again"),
    "conversion made again": (lambda m: replace(m, converted=again(m.converted, bytes=51)), "the conversion was made again after the load"),
    "load made again": (lambda m: replace(m, loaded=again(m.loaded, requests=2)), "the load was made again after the checks"),
    "another clip": (lambda m: replace(m, export=again(m.export, window=window_range(Window(0, 90, "1970-01-01")))), "another range"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_verdicts_are_stale_when_something_they_judged_was_made_again(name: str) -> None:
    change, reason = CHANGES[name]
    found = proof(change(window_manifests(WINDOW)))
    assert found.status is WindowStatus.STALE
    assert reason in found.reason
    assert not found.settled


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (replace(STANDING, mapping_digest="d" * 64), "mapping"),
        (replace(STANDING, rules="d" * 64), "validation_rules were changed"),
        (replace(STANDING, load_settings="d" * 64), "another bucket or measurement"),
    ],
)
def test_verdicts_are_stale_when_rules_mapping_or_target_change(standing: Standing, reason: str) -> None:
    manifests = window_manifests(WINDOW)
    assert currency_of(WINDOW, manifests, STANDING).current
    currency = currency_of(WINDOW, manifests, standing)
    assert not currency.current
    assert any(reason in each for each in currency.reasons)


def test_a_failed_window_names_its_checks_and_the_stage() -> None:
    verdicts = five(checksum={"passed": False, "stage": "load"}, coverage={"passed": False})
    found = proof(window_manifests(WINDOW, status="failed", verdicts=verdicts))
    assert (found.status, found.settled) == (WindowStatus.FAILED, False)
    assert found.reason == "checksum, coverage failed: broken by the load"


def test_a_passed_window_says_why_it_is_not_proven() -> None:
    verdicts = five(record_count={"severity": "WARN"})
    found = proof(window_manifests(WINDOW, status="passed", verdicts=verdicts, quarantined=2))
    assert (found.status, found.settled) == (WindowStatus.PASSED, True)
    assert found.reason == "passed, not proven: record_count by its tolerance, 2 rows quarantined"


def accepted(verdicts: VerdictsManifest) -> AcceptanceManifest:
    return AcceptanceManifest(
        database="d", table="t", job="j", window=verdicts.window, verdicts=verdicts.digest, found="", reason="a test row",
        accepted_by="ana@here", written_at="2024-01-01T00:00:00Z",
    )  # fmt: skip


def test_a_passed_window_that_was_accepted_is_cleared_and_still_not_proven() -> None:
    made = window_manifests(WINDOW, status="passed", quarantined=2)
    found = proof(replace(made, acceptance=accepted(made.verdicts)))
    assert (found.status, found.settled, found.cleared) == (WindowStatus.PASSED, True, True)
    assert found.accepted == "accepted by ana@here at 2024-01-01T00:00:00Z: a test row"
    assert found.reason == f"passed, not proven: 2 rows quarantined; {found.accepted}"
    table = TableProof("j", "d.t", "b", "t", (found, proof(window_manifests(WINDOW))))
    assert (table.cleared, table.proven, table.accepted) == (True, False, (found,))
    assert table.digest != TableProof("j", "d.t", "b", "t", (proof(made), table.windows[1])).digest


@pytest.mark.parametrize("status", ["passed", "failed"])
def test_an_acceptance_of_other_verdicts_holds_no_more_and_is_told(status: str) -> None:
    seen = window_manifests(WINDOW, status="passed", quarantined=2)
    now = window_manifests(WINDOW, status=status, quarantined=2, verdicts=five(coverage={"severity": "WARN"}))
    found = proof(replace(now, acceptance=accepted(seen.verdicts)))
    assert (found.cleared, found.accepted) == (False, None)
    assert "was accepted by ana@here" in found.reason and "holds no more" in found.reason


def test_a_window_that_is_stale_or_failed_is_not_cleared_by_an_acceptance_of_its_own_verdicts() -> None:
    failed = window_manifests(WINDOW, status="failed", verdicts=five(checksum={"passed": False}))
    stale = window_manifests(WINDOW, status="passed")
    for manifests, standing in ((failed, STANDING), (stale, replace(STANDING, rules="9" * 64))):
        found = window_proof(WINDOW, replace(manifests, acceptance=accepted(manifests.verdicts)), standing)
        assert (found.cleared, found.accepted) == (False, None)


def test_which_rows_were_drawn_for_a_sample_changes_no_digest_and_a_row_that_differs_does() -> None:
    one = window_manifests(WINDOW, verdicts=five(sample={"expected": "98 rows", "evidence": ("2 left out",)})).verdicts
    other = window_manifests(WINDOW, verdicts=five(sample={"expected": "97 rows", "evidence": ()})).verdicts
    assert one.digest == other.digest
    worse, changed = (
        window_manifests(WINDOW, verdicts=five(sample={"difference": "1 rows", "evidence": (line,)})).verdicts
        for line in ("one row", "another row")
    )
    assert len({one.digest, worse.digest, changed.digest}) == 3
    counted = window_manifests(WINDOW, verdicts=five(record_count={"expected": "98 rows"})).verdicts
    assert counted.digest != one.digest


def test_a_window_of_a_job_that_is_not_to_be_checked_is_not_proven_even_where_it_was_before() -> None:
    made = window_manifests(WINDOW, status="passed")
    for manifests in (window_manifests(WINDOW), replace(made, acceptance=accepted(made.verdicts))):
        found = window_proof(WINDOW, manifests, STANDING, validated=False)
        assert (found.status, found.settled, found.cleared) == (WindowStatus.MISSING, True, False)
        assert found.reason.startswith("loaded, not proven: validation_enabled is false")


def test_a_table_is_as_good_as_its_worst_window() -> None:
    proven, failed = (
        proof(window_manifests(WINDOW)),
        proof(window_manifests(WINDOW, status="failed", verdicts=(verdict("checksum", passed=False),))),
    )
    table = TableProof("j", "d.t", "b", "t", (proven, failed, proof(WindowManifests())))
    assert table.status is WindowStatus.FAILED
    assert table.statuses == {"proven": 1, "passed": 0, "failed": 1, "stale": 0, "missing": 1}
    assert (table.rows, table.points, table.values) == (20, 20, 40)
    assert not table.proven
    assert TableProof("j", "d.t", "b", "t", (proven, proven)).proven


CONFIG = """
migration_jobs:
  - job_name: j
    source_database: d
    source_table: t
    target_bucket: b
    start_time: 2000-01-01T00:00:00Z
    end_time: 2024-12-31T23:59:59Z
"""


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_s3(tmp_path_factory.mktemp("s3")) as (endpoint, key, secret):
        client = s3_client(endpoint, key, secret)
        client.create_bucket(Bucket="exports")
        yield ExportBucket(client, "exports")


def put_table(bucket: ExportBucket, config: MigrationConfig, windows: int) -> Standing:
    job = config.migration_jobs[0]
    place = config.place(job)
    standing = Standing("a" * 64, load_settings(job), config.validation_rules.fingerprint)
    TableManifest(
        database="d", table="t", job="j", cron=job.grid.cron, range_start_ns=job.start_time, range_end_ns=job.end_time, mapping="{}",
        mapping_digest="a" * 64, mapping_options="0" * 64,
    ).write(bucket, place.table_manifest)  # fmt: skip
    for window in list(job.grid)[:windows]:
        own, manifests = place.window(window.key), window_manifests(window, standing=standing)
        for manifest, key in (
            (manifests.export, own.manifest("export")),
            (manifests.converted, own.manifest("line_protocol")),
            (manifests.loaded, own.manifest("load")),
            (manifests.verdicts, own.verdicts),
        ):
            assert manifest is not None
            manifest.write(bucket, key)
    return standing


def test_three_hundred_windows_are_read_in_seconds(bucket: ExportBucket) -> None:
    config = parse_config(CONFIG)
    job = config.migration_jobs[0]
    put_table(bucket, config, 60)
    began = time.monotonic()
    found = proof_of(config, job, bucket)
    seconds = time.monotonic() - began
    assert len(found.windows) == 300
    assert found.statuses == {"proven": 60, "passed": 0, "failed": 0, "stale": 0, "missing": 240}
    assert seconds < 5
    other_rules = parse_config(CONFIG + "validation_rules: {record_count_tolerance: 0.1}")
    assert proof_of(other_rules, other_rules.migration_jobs[0], bucket).statuses["stale"] == 60


def test_a_damaged_manifest_is_an_error_with_its_place(bucket: ExportBucket) -> None:
    config = parse_config(CONFIG.replace("source_table: t", "source_table: damaged"))
    job = config.migration_jobs[0]
    put_table(bucket, config, 1)
    key = config.place(job).window("2000-01-01").manifest("load")
    bucket.put(key, b"{")
    with pytest.raises(Permanent, match=r"damaged/2000-01-01/load\.json.*damaged"):
        proof_of(config, job, bucket)


@pytest.mark.parametrize("now", ["", "another"])
def test_a_load_into_a_bucket_that_is_gone_proves_nothing(now: str) -> None:
    made = window_manifests(WINDOW)
    assert made.loaded and made.verdicts
    loaded = made.loaded.model_copy(update={"bucket_id": "one"})
    verdicts = made.verdicts.model_copy(update={"load": loaded.digest})
    there = WindowManifests(made.export, made.converted, loaded, verdicts)

    found = window_proof(WINDOW, there, replace(STANDING, bucket_id=now))

    assert (found.status, found.loaded, found.settled) == (WindowStatus.STALE, False, False)
    assert "the bucket that it was loaded into is not there any more" in found.reason
    assert window_proof(WINDOW, there, replace(STANDING, bucket_id="one")).status is WindowStatus.PROVEN
    assert window_proof(WINDOW, there, STANDING).status is WindowStatus.PROVEN, "nobody asked InfluxDB"
