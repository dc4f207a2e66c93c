"""What Dagster's event log says of windows that were taken back: they are not materialised until they are again."""

from dataclasses import replace

import dagster as dg
import pytest

from ts_migration.orchestration.check_state import (
    failed_table_checks,
    is_materialized,
    standing_partitions,
    table_check,
    table_state,
)
from ts_migration.orchestration.names import DATA_VERSION_TAG, ROLLED_BACK_TAG, ROLLED_BACK_VERSION, TableNames

BUCKET = dg.AssetKey(["grid", "load", "influxdb_bucket"])
MIGRATED = dg.AssetKey(["grid", "load", "migrated"])
TAKEN_BACK = {ROLLED_BACK_TAG: "reset", DATA_VERSION_TAG: ROLLED_BACK_VERSION}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def report(instance, asset, partition=None, tags=None):
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, tags=tags or {}))


def test_a_window_that_was_taken_back_is_not_materialised(instance):
    for key in ("2023-01-01", "2023-02-01"):
        report(instance, BUCKET, key, {DATA_VERSION_TAG: "abc"})
    report(instance, BUCKET, "2023-01-01", TAKEN_BACK)
    assert standing_partitions(instance, BUCKET) == {"2023-02-01"}


def test_a_window_that_is_migrated_again_is_materialised_again(instance):
    report(instance, BUCKET, "2023-01-01", TAKEN_BACK)
    report(instance, BUCKET, "2023-01-01", {DATA_VERSION_TAG: "abc"})
    assert standing_partitions(instance, BUCKET) == {"2023-01-01"}


def test_a_table_is_rolled_up_only_since_its_newest_check(instance):
    assert not is_materialized(instance, MIGRATED)
    report(instance, MIGRATED)
    newest = instance.fetch_materializations(MIGRATED, limit=1).records[0].storage_id
    assert is_materialized(instance, MIGRATED, since=newest - 1)
    assert not is_materialized(instance, MIGRATED, since=newest)


def test_a_table_that_was_taken_back_is_not_rolled_up(instance):
    report(instance, MIGRATED)
    report(instance, MIGRATED, tags=TAKEN_BACK)
    assert not is_materialized(instance, MIGRATED)


NAMES = TableNames(("grid", "load"))
DAYS = dg.StaticPartitionsDefinition(["2023-01-01", "2023-01-02"])


def attempt(instance, partition, breaks=None):
    """A run of a window, one stage of which breaks or is cancelled."""

    def stage(key, *deps):
        @dg.asset(key=key, deps=list(deps), partitions_def=DAYS)
        def one():
            if key.path[-1] == breaks:
                raise ValueError

        return one

    export = stage(NAMES.export_files)
    convert = stage(NAMES.converted_files, NAMES.export_files)
    load = stage(NAMES.influxdb_bucket, NAMES.converted_files)
    dg.materialize([export, convert, load], instance=instance, partition_key=partition, raise_on_error=False)


@pytest.mark.parametrize("stage", ["export_files", "line_protocol_files", "influxdb_bucket"])
def test_a_window_that_failed_in_any_stage_has_failed_until_it_is_tried_again(instance, stage):
    attempt(instance, "2023-01-01", breaks=stage)
    state = table_state(instance, NAMES, DAYS.get_partition_keys())
    assert state.reasons == {"failed": ("2023-01-01",), "not migrated": ("2023-01-02",)}

    attempt(instance, "2023-01-01")
    assert not table_state(instance, NAMES, DAYS.get_partition_keys()).failed


def test_a_window_that_was_loaded_once_and_could_not_be_loaded_again_is_not_for_a_repair(instance):
    """A load into another bucket was refused: `repair` would say that this is for `execute`."""
    attempt(instance, "2023-01-01")
    attempt(instance, "2023-01-01", breaks="influxdb_bucket")
    state = table_state(instance, NAMES, DAYS.get_partition_keys())
    assert state.materialized == state.failed == state.unfinished == {"2023-01-01"}
    assert not replace(state, refuted=state.failed).unfinished


def test_a_window_whose_failed_attempt_was_taken_back_by_a_reset_has_not_failed(instance):
    attempt(instance, "2023-01-01", breaks="influxdb_bucket")
    for asset in (NAMES.export_files, NAMES.converted_files, NAMES.influxdb_bucket):
        report(instance, asset, "2023-01-01", TAKEN_BACK)
    assert not table_state(instance, NAMES, DAYS.get_partition_keys()).failed


def judge(instance, check, passed, severity=dg.AssetCheckSeverity.ERROR):
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=MIGRATED, check_name=check, passed=passed, severity=severity)
    )


def test_a_check_of_the_whole_table_that_failed_last_is_named_until_it_passes(instance):
    assert failed_table_checks(instance, NAMES) == ()
    judge(instance, "totals", True)
    judge(instance, "late_arrivals", False)
    judge(instance, "all_windows_proven", False, dg.AssetCheckSeverity.WARN)
    assert failed_table_checks(instance, NAMES) == ("late_arrivals",)
    judge(instance, "late_arrivals", True)
    assert failed_table_checks(instance, NAMES) == ()


def test_a_table_is_accepted_where_its_windows_pass_with_a_warning_and_only_then(instance):
    judge(instance, "all_windows_proven", True)
    assert (table_check(instance, NAMES).passed, table_check(instance, NAMES).accepted) == (True, False)
    judge(instance, "all_windows_proven", True, dg.AssetCheckSeverity.WARN)
    assert (table_check(instance, NAMES).passed, table_check(instance, NAMES).accepted) == (True, True)
    judge(instance, "all_windows_proven", False, dg.AssetCheckSeverity.WARN)
    assert (table_check(instance, NAMES).passed, table_check(instance, NAMES).accepted) == (False, False)
