"""What Dagster's event log says of windows that were taken back: they are not materialised until they are again."""

import dagster as dg
import pytest

from ts_migration.orchestration.check_state import is_materialized, standing_partitions
from ts_migration.orchestration.names import DATA_VERSION_TAG, ROLLED_BACK_TAG, ROLLED_BACK_VERSION

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
