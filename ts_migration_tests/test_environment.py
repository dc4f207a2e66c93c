"""A process becomes ready for a working folder: `.env`, Dagster's home, proxies."""

import os

import pytest

from ts_migration.config import Environment
from ts_migration.dotenv import read_dotenv
from ts_migration.environment import (
    activate,
    config_path,
    differing_variables,
    prepare_dagster_home,
    remember,
)


@pytest.fixture
def shell(monkeypatch):
    """os.environ as it was before, after the test."""
    names = (
        "DAGSTER_HOME",
        "INFLUXDB_URL",
        "INFLUXDB_ORG",
        "TS_MIGRATION_CONFIG",
        "HTTPS_PROXY",
        "NO_PROXY",
        "no_proxy",
    )
    for name in names:
        # setenv first: only what monkeypatch knows is put back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_variables_of_the_file_are_loaded(shell, tmp_path):
    (tmp_path / ".env").write_text("INFLUXDB_URL='http://from-file'\n")
    assert activate(tmp_path).influxdb_url == "http://from-file"


def test_the_shell_wins_over_the_file_and_the_difference_is_known(shell, tmp_path):
    (tmp_path / ".env").write_text("INFLUXDB_URL=http://from-file\nINFLUXDB_ORG=o\n")
    shell.setenv("INFLUXDB_URL", "http://from-shell")
    assert differing_variables(tmp_path, os.environ) == ["INFLUXDB_URL"]
    assert activate(tmp_path).influxdb_url == "http://from-shell"


def test_dagster_gets_a_lasting_home_of_the_folder_with_telemetry_off(shell, tmp_path):
    activate(tmp_path, parallel_jobs=3)
    home = tmp_path / ".ts_migration" / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    text = (home / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false" in text
    assert "max_concurrent_runs: 3" in text


def test_the_generated_instance_file_is_one_that_dagster_accepts(shell, tmp_path):
    activate(tmp_path, parallel_jobs=2)
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:
        assert instance.root_directory == os.environ["DAGSTER_HOME"]
        assert instance.telemetry_enabled is False


def test_a_home_of_the_users_own_is_left_alone(shell, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    shell.setenv("DAGSTER_HOME", str(home))
    activate(tmp_path, parallel_jobs=5)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: true}\n"


def test_the_limit_of_runs_follows_the_configuration(tmp_path):
    prepare_dagster_home(tmp_path, 2)
    prepare_dagster_home(tmp_path, 4)
    assert "max_concurrent_runs: 4" in (tmp_path / "dagster.yaml").read_text()
    prepare_dagster_home(tmp_path)
    assert "max_concurrent_runs: 4" in (tmp_path / "dagster.yaml").read_text()


def test_a_relative_dagster_home_becomes_absolute(shell, tmp_path):
    shell.setenv("DAGSTER_HOME", "my_home")
    activate(tmp_path)
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "my_home")


def test_a_proxy_does_not_stand_between_us_and_loopback(shell, tmp_path):
    shell.setenv("HTTPS_PROXY", "http://proxy:3128")
    shell.setenv("NO_PROXY", "internal")
    activate(tmp_path)
    assert os.environ["NO_PROXY"] == "internal,127.0.0.1,localhost"


def test_what_execute_used_is_remembered_for_dagit_and_for_new_shells(shell, tmp_path):
    activate(tmp_path)
    config = tmp_path / "jobs.yaml"
    remember(tmp_path, config=config)
    known = read_dotenv(tmp_path / ".env")
    assert known == {"DAGSTER_HOME": os.environ["DAGSTER_HOME"], "TS_MIGRATION_CONFIG": str(config)}
    remember(tmp_path)
    assert read_dotenv(tmp_path / ".env") == known


def test_the_configuration_is_the_given_one_else_the_remembered_one_else_the_one_that_is_there(tmp_path):
    nothing, remembered = Environment(), Environment(ts_migration_config="/x/remembered.yaml")
    assert str(config_path("given.yaml", remembered, tmp_path)) == "given.yaml"
    assert str(config_path(None, remembered, tmp_path)) == "/x/remembered.yaml"
    assert config_path(None, nothing, tmp_path) == tmp_path / "migration_config.yaml"
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "migration_config.yaml").touch()
    assert config_path(None, nothing, tmp_path) == tmp_path / "scripts" / "migration_config.yaml"
    (tmp_path / "migration_config.yaml").touch()
    assert config_path(None, nothing, tmp_path) == tmp_path / "migration_config.yaml"
