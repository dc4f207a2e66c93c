"""One window's run: what is retried, what stops it, and what is left in Dagster of it."""

import dagster as dg
import pytest

from ts_migration.errors import Permanent, Transient
from ts_migration.objects import ExportBucket
from ts_migration.orchestration import window_assets
from ts_migration.orchestration.names import PARTITION_TAG, WINDOW_CHECKS
from ts_migration.orchestration.outcomes import outcome_of_window
from ts_migration_tests.local.s3 import s3_client
from ts_migration_tests.orchestration.scripted import FEBRUARY, JANUARY, Script
from ts_migration_tests.stages.manifests import five, window_manifests


def failure_of(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    (event,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    return event


def test_a_transient_failure_is_tried_again_and_the_window_goes_on(
    script: Script, instance: dg.DagsterInstance
) -> None:
    script.errors = [Transient("throttled"), Transient("throttled")]

    assert script.run(instance, JANUARY).success
    assert script.calls == {"export": 3, "convert": 1, "load": 1, "check": 1}


def test_retries_end_after_the_configured_attempts_and_say_so(script: Script, instance: dg.DagsterInstance) -> None:
    script.errors = [Transient("throttled", where="grid.load") for _ in range(10)]

    result = script.run(instance, JANUARY)

    assert script.calls == {"export": 3}
    told = failure_of(result).step_failure_data.user_failure_data
    assert "throttled" in told.description
    assert told.metadata["kind"].value == "transient, retries exhausted"
    assert outcome_of_window(result, script.names, 1.0).permanent


def exhausted() -> Transient:
    """What the layer below has tried again already."""
    error = Transient("gave up")
    error.exhausted = True
    return error


@pytest.mark.parametrize("error", [Permanent("denied"), exhausted()], ids=["permanent", "exhausted"])
def test_what_another_try_cannot_mend_stops_at_the_first(
    script: Script, instance: dg.DagsterInstance, error: Permanent | Transient
) -> None:
    script.errors = [error] * 10

    result = script.run(instance, JANUARY)

    assert script.calls == {"export": 1}
    assert error.what in failure_of(result).step_failure_data.user_failure_data.description
    assert instance.get_materialized_partitions(script.names.export_files) == set()


def test_a_permanent_failure_tells_what_to_do_next(script: Script, instance: dg.DagsterInstance) -> None:
    script.errors = [Permanent("denied", next_step="ask for the permission")]

    told = failure_of(script.run(instance, JANUARY)).step_failure_data.user_failure_data

    assert told.metadata["next_step"].value == "ask for the permission"


def test_a_failing_check_fails_the_run_and_all_five_verdicts_are_stored(
    script: Script, instance: dg.DagsterInstance
) -> None:
    script.failing = {(FEBRUARY, "record_count")}

    result = script.run(instance, FEBRUARY)

    assert not result.success
    stored = {each.check_name: each.passed for each in result.get_asset_check_evaluations() if each.asset_key == script.names.influxdb_bucket}  # fmt: skip
    assert stored == {name: name != "record_count" for name in WINDOW_CHECKS}
    outcome = outcome_of_window(result, script.names, 1.0)
    assert (outcome.ok, outcome.checks_passed, outcome.checks_failed) == (False, 4, 1)
    assert outcome.error == "checks failed: record_count"
    assert instance.get_materialized_partitions(script.names.influxdb_bucket) == {FEBRUARY}


def test_a_window_is_checked_again_without_being_loaded_again(script: Script, instance: dg.DagsterInstance) -> None:
    script.run(instance, FEBRUARY)
    job = script.definitions.resolve_job_def(script.names.check_job)

    result = job.execute_in_process(instance=instance, tags={PARTITION_TAG: FEBRUARY})

    assert {each.partition for each in result.get_asset_check_evaluations()} == {FEBRUARY}
    assert script.calls == {"export": 1, "convert": 1, "load": 1, "check": 2}


def test_a_run_over_a_range_is_refused_before_any_stage(script: Script, instance: dg.DagsterInstance) -> None:
    job = script.definitions.resolve_job_def(script.names.job)
    tags = {"dagster/asset_partition_range_start": JANUARY, "dagster/asset_partition_range_end": FEBRUARY}

    result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)

    assert not result.success
    assert script.calls == {}
    assert "launch a backfill over the range" in failure_of(result).step_failure_data.user_failure_data.description
    assert not result.get_asset_check_evaluations()


def test_a_check_without_a_partition_is_refused(script: Script, instance: dg.DagsterInstance) -> None:
    script.run(instance, JANUARY)
    job = script.definitions.resolve_job_def(script.names.check_job)

    result = job.execute_in_process(instance=instance, raise_on_error=False)

    assert not result.success
    assert script.calls["check"] == 1


@pytest.mark.parametrize(("blamed", "redo"), [("export", True), ("load", False)])
def test_a_failed_window_exports_anew_only_where_the_export_is_blamed(
    script: Script, instance: dg.DagsterInstance, s3_url: str, monkeypatch: pytest.MonkeyPatch, blamed: str, redo: bool
) -> None:
    bucket = ExportBucket(s3_client(s3_url), "export")
    place = script.config.place(script.job).window(JANUARY)
    verdicts = five(record_count={"passed": False, "stage": blamed})
    made = window_manifests(script.job.grid.window(JANUARY), status="failed", verdicts=verdicts)
    assert made.export and made.converted and made.verdicts
    made.export.write(bucket, place.manifest("export"))
    index = f"{place.line_protocol}members.json"
    made.converted.model_copy(update={"members_key": index}).write(bucket, place.manifest("line_protocol"))
    bucket.put(index, b"{}")
    made.verdicts.write(bucket, place.verdicts)
    asked: list[bool] = []

    def export(*_: object, redo: bool, **__: object) -> object:
        asked.append(redo)
        return made.export

    monkeypatch.setattr(window_assets, "refuse_collisions", lambda *_: None)
    monkeypatch.setattr(window_assets, "export_window", export)
    try:
        script.run(instance, JANUARY, script.names.export_files)
        assert asked == [redo]
        assert bucket.get_or_none(place.manifest("export"))
    finally:
        bucket.delete_prefix(place.bulk)
        bucket.delete_prefix(place.proof)


def test_a_window_that_passes_every_check_is_proven_only_where_its_verdicts_say_so(
    script: Script, instance: dg.DagsterInstance, s3_url: str
) -> None:
    script.passing = {FEBRUARY}
    made = window_manifests(script.job.grid.window(FEBRUARY), quarantined=3)
    place = script.config.place(script.job).window(FEBRUARY)
    assert made.converted
    made.converted.write(ExportBucket(s3_client(s3_url), "export"), place.manifest("line_protocol"))

    proven, passed = (outcome_of_window(script.run(instance, key), script.names, 1.0) for key in (JANUARY, FEBRUARY))

    assert (proven.status, proven.reason, proven.checks_passed) == ("proven", "", 5)
    assert (passed.status, passed.reason, passed.checks_passed) == (
        "passed",
        "passed, not proven: 3 rows quarantined",
        5,
    )
