"""What a person on duty sees in Dagit: whose it is, what it is made with, how to read it, and what a launch proposes."""

import re

import dagster as dg
import pytest
import yaml

from ts_migration.config import parse_config
from ts_migration.errors import ConfigurationError
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.metadata import conversion_metadata, export_metadata, load_metadata
from ts_migration.orchestration.names import (
    DATABASE_TAG,
    JOB_NAME_TAG,
    TABLE_TAG,
    UNLOAD_POOL,
    WRITE_POOL,
    TableNames,
)
from ts_migration.orchestration.resources import ExportBucketResource, TimestreamResource
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration_tests.orchestration.scripted import without_environment
from ts_migration_tests.orchestration.test_definitions import job
from ts_migration_tests.stages.manifests import window_manifests

CONFIG = parse_config("migration_jobs:" + job("One Job").rstrip() + "\n    owners: ['team:grid', 'ana@ons.example']\n")
JOB = CONFIG.migration_jobs[0]
NAMES = TableNames.of(CONFIG, JOB)
ASSETS = [NAMES.export_files, NAMES.converted_files, NAMES.influxdb_bucket, NAMES.migrated]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(CONFIG)


def test_assets_name_their_owners_and_are_found_with_their_jobs_by_job_database_and_table(
    definitions: dg.Definitions,
) -> None:
    tags = {JOB_NAME_TAG: "one-job", DATABASE_TAG: "grid", TABLE_TAG: "grid.load"}
    graph = definitions.resolve_asset_graph()
    for key in ASSETS:
        node = graph.get(key)
        assert list(node.owners) == ["team:grid", "ana@ons.example"]
        assert tags.items() <= node.tags.items()
        assert node.kinds
    for name in (NAMES.job, NAMES.check_job, NAMES.roll_up_job):
        found = definitions.resolve_job_def(name)
        assert tags.items() <= found.tags.items()


def test_an_owner_that_dagster_would_refuse_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="an e-mail address, or a team as team:name"):
        parse_config("migration_jobs:" + job("one").rstrip() + "\n    owners: [the grid people]\n")


def test_every_asset_check_job_and_sensor_says_what_it_is(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert [key for key in graph.get_all_asset_keys() if not graph.get(key).description] == []
    assert [key for key in graph.asset_check_keys if not graph.get(key).description] == []
    jobs = [found for found in definitions.resolve_all_job_defs() if not found.name.startswith("__")]
    assert [found.name for found in jobs if not found.description] == []
    assert [sensor.name for sensor in definitions.sensors if not sensor.description] == []


def test_descriptions_explain_metadata_that_is_there(definitions: dg.Definitions) -> None:
    manifests = window_manifests(next(iter(JOB.grid)))
    bucket, place = ExportBucket(None, "b"), CONFIG.place(JOB).window(JOB.grid.keys[0])  # type: ignore[arg-type]
    shown = {
        NAMES.export_files: export_metadata(manifests.export, bucket, place),
        NAMES.converted_files: conversion_metadata(manifests.converted, bucket, place),
        NAMES.influxdb_bucket: load_metadata(manifests.loaded, bucket, place),
    }
    # Of the checks, of rules that this window needed none of, and names of other things than metadata.
    others = {"expected", "actual", "difference", "rewritten by …", "write_connections", "grid.load", "One Job", "load"}
    for key, metadata in shown.items():
        named = set(re.findall(r"`([^`]+)`", definitions.resolve_asset_graph().get(key).description or ""))
        named = {name for name in named if not name.startswith("ts-migration ")}
        assert named - set(metadata) - others == set(), key


def test_exports_and_loads_are_in_pools_that_an_instance_can_limit(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pools = {key: set(graph.get(key).pools or ()) for key in ASSETS}
    assert pools == {
        NAMES.export_files: {UNLOAD_POOL},
        NAMES.converted_files: set(),
        NAMES.influxdb_bucket: {WRITE_POOL},
        NAMES.migrated: set(),
    }


def proposed(definitions: dg.Definitions, name: str) -> dict:
    """The configuration that the launchpad fills in."""
    from dagster._config.snap import ConfigSchemaSnapshot
    from dagster_graphql.schema import run_config

    snapshot = definitions.resolve_job_def(name).get_job_snapshot()
    schema: ConfigSchemaSnapshot = snapshot.config_schema_snapshot
    root = schema.get_config_snap(snapshot.mode_def_snaps[0].root_config_key)
    return yaml.safe_load(run_config.default_values_yaml_from_type_snap(schema, root))


def test_what_the_launchpad_proposes_is_what_a_launch_without_it_does(definitions: dg.Definitions) -> None:
    for name in (NAMES.job, NAMES.check_job, NAMES.roll_up_job, "cutover"):
        resources = proposed(definitions, name)["resources"]
        assert set(resources) == {"export_bucket", "timestream"}
        # dagster-aws's own client would be made of settings that differ: without the product's endpoints and retries.
        made = ExportBucketResource(**resources["export_bucket"]["config"])
        assert made.model_dump(exclude_defaults=True) == {}
        assert TimestreamResource(**resources["timestream"]["config"]).region == ""


def test_a_cutover_is_not_approved_by_what_the_launchpad_proposes(definitions: dg.Definitions) -> None:
    assert proposed(definitions, "cutover")["ops"] == {"switch": {"config": {"approve": False}}}
