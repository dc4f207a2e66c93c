"""A rollback as a run of Dagster: what Dagit and the orchestrator's Lambda launch does what the command does."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from ts_migration.influxdb import buckets
from ts_migration.orchestration.table_definitions import build_definitions
from ts_migration.stages.rollback_record import read_rollback
from ts_migration_tests.local.s3 import ACCESS_KEY, SECRET_KEY
from ts_migration_tests.stages.conftest import Migration

pytestmark = pytest.mark.stack


@pytest.fixture
def loaded(migration: Migration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migration:
    """A window that is loaded and proven, and the variables that a run finds the stack by."""
    stack = migration.stack
    path = tmp_path / "migration_config.yaml"
    job = migration.job
    told = {"job_name": job.job_name, "source_database": job.source_database, "source_table": job.source_table}
    path.write_text(yaml.safe_dump({"migration_jobs": [told]}))
    variables = {
        "TS_MIGRATION_CONFIG": str(path),
        "S3_EXPORT_BUCKET": stack.bucket.name,
        "AWS_ENDPOINT_URL_S3": stack.bucket.client.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "INFLUXDB_URL": stack.target.url,
        "INFLUXDB_ORG": stack.target.org,
        "INFLUXDB_TOKEN": stack.target._token.get_secret_value(),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    migration.run()
    return migration


def launched(migration: Migration, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    name = "roll_back_" + "__".join(migration.config.key_prefix(migration.job))
    job = build_definitions(migration.config).resolve_job_def(name)
    config = {"ops": {f"{name}_points": {"config": options}}}
    return job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)


def test_a_launched_rollback_deletes_the_points_and_a_dry_run_none(loaded: Migration) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert launched(loaded, instance, dry_run=True).success
        assert buckets.find(loaded.stack.target, loaded.job.target_bucket) is not None
        assert read_rollback(loaded.stack.bucket, loaded.place) is None

        result = launched(loaded, instance, reason="a test")

        assert result.success
        assert buckets.find(loaded.stack.target, loaded.job.target_bucket) is None
        record = read_rollback(loaded.stack.bucket, loaded.place)
        assert record is not None and (record.state, record.reason, len(record.ranges)) == ("done", "a test", 1)
        (event,) = [event for event in result.all_node_events if event.event_type_value == "STEP_OUTPUT"]
        told = event.step_output_data.metadata
        assert told["values deleted"].value == record.deleted > 0
        assert launched(loaded, instance).success, "there is nothing left to roll back"
        assert read_rollback(loaded.stack.bucket, loaded.place) == record


def test_a_rollback_that_is_refused_fails_its_run_and_says_why(loaded: Migration) -> None:
    loaded.stack.bucket.delete(loaded.own().manifest("line_protocol"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = launched(loaded, instance)
    assert not result.success
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    assert "nothing was deleted" in failure.step_failure_data.user_failure_data.description
    assert buckets.find(loaded.stack.target, loaded.job.target_bucket) is not None


def test_the_job_is_listed_for_every_table_with_what_launching_it_means(loaded: Migration) -> None:
    jobs = build_definitions(loaded.config).resolve_all_job_defs()
    (found,) = [job for job in jobs if job.name.startswith("roll_back_")]
    assert "To launch it is to approve it" in (found.description or "")
    assert found.tags["ts_migration/table"] == loaded.job.source
