"""The instances under examples/ are ones that Dagster accepts, and their limits are those of the product's names."""

from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef

from ts_migration.orchestration.names import TABLE_TAG, UNLOAD_POOL, WRITE_POOL
from ts_migration_tests.embedded_stack import CHECKOUT

EXAMPLES = CHECKOUT / "examples"
NAMES = ["dagster.yaml", "dagster-postgres.yaml"]


def placed(name: str, folder: Path) -> InstanceRef:
    """An example as the dagster.yaml of a home."""
    (folder / "dagster.yaml").write_text((EXAMPLES / name).read_text(encoding="utf-8"), encoding="utf-8")
    return InstanceRef.from_dir(str(folder))


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_EXPORT_BUCKET", "some-bucket")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("USERNAME", "PASSWORD", "HOST"):
        monkeypatch.setenv(f"DAGSTER_PG_{name}", f"the-{name.lower()}")


def test_the_instance_of_one_machine_is_one_that_dagster_accepts(tmp_path: Path) -> None:
    with DagsterInstance.from_ref(placed("dagster.yaml", tmp_path)) as instance:
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled
        assert "sqlite" in type(instance.run_storage).__name__.lower()


def test_the_instance_of_several_machines_keeps_everything_in_postgres(tmp_path: Path) -> None:
    storage = placed("dagster-postgres.yaml", tmp_path).storage_data

    assert storage.class_name == "DagsterPostgresStorage"
    postgres = pytest.importorskip("dagster_postgres")
    checked = validate_config(postgres.DagsterPostgresStorage.config_type(), storage.config_dict)
    assert checked.success, checked.errors
    # No secret stands in the file: the database is reached by variables.
    assert storage.config_dict["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}


@pytest.mark.parametrize("name", NAMES)
def test_an_instances_limits_are_of_the_products_tags_and_pools(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    placed(name, tmp_path)
    settings, _ = dagster_instance_config(str(tmp_path))
    runs = settings["concurrency"]["runs"]
    assert [limit["key"] for limit in runs["tag_concurrency_limits"]] == [TABLE_TAG]
    assert runs["tag_concurrency_limits"][0]["limit"] < runs["max_concurrent_runs"]
    assert UNLOAD_POOL in text
    assert WRITE_POOL in text


def test_the_two_instances_differ_in_storage_and_limits_alone() -> None:
    one, several = (yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8")) for name in NAMES)
    assert several.keys() - one.keys() == {"storage"}
    assert {key for key in one if one[key] != several[key]} == {"concurrency"}
