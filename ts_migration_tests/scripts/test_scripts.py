"""The guide's commands, word for word, do what `ts-migration` does."""

import os
import subprocess

import pytest

from ts_migration_tests.embedded_stack import CHECKOUT, clean_environment, configuration, run_command

SCRIPTS = CHECKOUT / "scripts"
GUIDE_LINES = [
    "Configuration validation completed: 3 jobs validated",
    "Prerequisites validation passed",
    "All infrastructure components accessible",
]


@pytest.mark.parametrize("name", ["execute_migration.py", "validate_migration.py"])
def test_a_script_explains_itself(name, tmp_path):
    answer = run_command(str(SCRIPTS / name), "--help", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert f"Usage: {name}" in answer.stdout
    assert "--config" in answer.stdout


@pytest.mark.stack
@pytest.mark.parametrize("region", [[], ["--region", "us-east-1"]])
def test_the_guides_dry_run_prints_the_guides_lines(embedded_stack, region):
    # `cp scripts/migration_config.yaml my_migration_config.yaml`, then the dry run of step 2.
    embedded_stack.write_config((SCRIPTS / "migration_config.yaml").read_text(), "my_migration_config.yaml")
    answer = run_command(
        str(SCRIPTS / "execute_migration.py"), "--config", "my_migration_config.yaml", "--dry-run", *region,
        cwd=embedded_stack.folder,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-3:] == GUIDE_LINES


@pytest.mark.stack
def test_a_script_ends_with_one_message_and_a_code(embedded_stack):
    embedded_stack.write_config(configuration("load_dat"), "missing.yaml")
    answer = run_command(
        str(SCRIPTS / "execute_migration.py"), "--config", "missing.yaml", "--parallel-jobs", "2",
        cwd=embedded_stack.folder,
    )  # fmt: skip
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: Timestream table ons_energy_data.load_dat: there is no table")
    assert "Traceback" not in answer.stderr


def sourced(tmp_path, terraform: str, **variables: str) -> dict[str, str]:
    """Variables of a shell after it sourced the guide's script, with a terraform of ours on its PATH."""
    program = tmp_path / "terraform"
    program.write_text(f"#!/bin/sh\n{terraform}\n")
    program.chmod(0o755)
    answer = subprocess.run(
        ["bash", "-c", f"source '{SCRIPTS / 'setup_migration_environment.sh'}' && env -0"],
        env={**clean_environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    listing = answer.stdout.partition("Migration environment configured\n")[2]
    return dict(entry.split("=", 1) for entry in listing.split("\0") if "=" in entry) | {"STDERR": answer.stderr}


def test_the_setup_script_takes_the_guides_outputs_of_terraform(tmp_path):
    found = sourced(tmp_path, 'echo "value-of-$4"')
    assert found["S3_EXPORT_BUCKET"] == "value-of-migration_export_bucket"
    assert found["MIGRATION_ORCHESTRATOR_LAMBDA_ARN"] == "value-of-migration_orchestrator_lambda_arn"
    assert found["MIGRATION_STATE_MACHINE_ARN"] == "value-of-migration_state_machine_arn"
    assert found["NOTIFICATION_TOPIC_ARN"] == "value-of-migration_notification_topic_arn"
    assert found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert found["INFLUXDB_ORG"] == "ons-energy"


def test_the_setup_script_never_overwrites_a_variable_with_nothing(tmp_path):
    found = sourced(
        tmp_path, "echo 'no state file' >&2; exit 1", S3_EXPORT_BUCKET="mine", AWS_DEFAULT_REGION="sa-east-1"
    )
    assert found["S3_EXPORT_BUCKET"] == "mine"
    assert found["AWS_DEFAULT_REGION"] == "sa-east-1"
    assert "warning: NOTIFICATION_TOPIC_ARN is not set" in found["STDERR"]
    assert "warning: neither INFLUXDB_TOKEN" in found["STDERR"]


@pytest.mark.parametrize("script", ["execute_migration.py", "validate_migration.py"])
def test_a_script_without_the_package_says_what_to_install(tmp_path, script):
    # -S: without the installed packages.
    answer = run_command("-S", str(SCRIPTS / script), "--help", cwd=tmp_path)
    assert answer.returncode == 2
    assert "pip install ." in answer.stderr
    assert "Traceback" not in answer.stderr
