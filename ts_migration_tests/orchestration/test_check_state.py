"""What Dagster's event log says of windows that were taken back: they are not materialised until they are again."""

import dagster as dg
import pytest

from ts_migration.orchestration.check_state import is_materialized, standing_partitions, table_state
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
    convert = stage(NAMES.line_protocol_files, NAMES.export_files)
    load = stage(NAMES.influxdb_bucket, NAMES.line_protocol_files)
    dg.materialize([export, convert, load], instance=instance, partition_key=partition, raise_on_error=False)


@pytest.mark.parametrize("stage", ["export_files", "line_protocol_files", "influxdb_bucket"])
def test_a_window_that_failed_in_any_stage_has_failed_until_it_is_tried_again(instance, stage):
    attempt(instance, "2023-01-01", breaks=stage)
    state = table_state(instance, NAMES, DAYS.get_partition_keys())
    assert state.reasons == {"failed": ("2023-01-01",), "not migrated": ("2023-01-02",)}

    attempt(instance, "2023-01-01")
    assert not table_state(instance, NAMES, DAYS.get_partition_keys()).failed


def test_a_window_whose_failed_attempt_was_taken_back_by_a_reset_has_not_failed(instance):
    attempt(instance, "2023-01-01", breaks="influxdb_bucket")
    for asset in (NAMES.export_files, NAMES.line_protocol_files, NAMES.influxdb_bucket):
        report(instance, asset, "2023-01-01", TAKEN_BACK)
    assert not table_state(instance, NAMES, DAYS.get_partition_keys()).failed
