"""`source setup_migration_environment.sh`, as in the guide's appendix A, with a terraform that a test writes itself."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ts_migration_tests.embedded_stack import CHECKOUT, clean_environment

OUTPUTS = {
    "MIGRATION_ORCHESTRATOR_LAMBDA_ARN": "migration_orchestrator_lambda_arn",
    "MIGRATION_STATE_MACHINE_ARN": "migration_state_machine_arn",
    "S3_EXPORT_BUCKET": "migration_export_bucket",
    "NOTIFICATION_TOPIC_ARN": "migration_notification_topic_arn",
}
INFLUXDB = {"INFLUXDB_URL": "https://influx.example:8086", "INFLUXDB_TOKEN": "t"}
ALL_OUTPUTS = 'echo "$1 $2" >> "$CALLS"; printf %s "arn:aws:made:up::$5"'
NO_OUTPUTS = "echo 'The output variable requested could not be found' >&2; exit 1"


@dataclass(frozen=True)
class Shell:
    """A shell that has sourced the script: its variables, what was printed, and what `source` returned."""

    variables: dict[str, str]
    stdout: str
    stderr: str
    returned: int
    calls: str


def sourced(
    folder: Path,
    terraform: str,
    script: str = "setup_migration_environment.sh",
    first: str = "",
    shell: str = "bash",
    project: Path = CHECKOUT,
    **variables: str,
) -> Shell:
    program = folder / "bin" / "terraform"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{terraform}\n")
    program.chmod(0o755)
    calls = folder / "calls"
    calls.touch()
    answer = subprocess.run(
        [shell, "-c", f"{first} . '{project / script}' || returned=$?; echo \"@@${{returned:-0}}\"; env -0"],
        cwd=folder,
        env={**clean_environment(), "PATH": f"{program.parent}:{os.environ['PATH']}", "CALLS": str(calls), **variables},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    stdout, _, rest = answer.stdout.partition("@@")
    returned, _, listing = rest.partition("\n")
    found = dict(entry.split("=", 1) for entry in listing.split("\0") if "=" in entry)
    return Shell(found, stdout, answer.stderr, int(returned), calls.read_text())


@pytest.mark.skipif(not shutil.which("dash"), reason="no plain sh here")
@pytest.mark.parametrize("script", ["setup_migration_environment.sh", "scripts/setup_migration_environment.sh"])
def test_a_plain_sh_in_the_projects_folder_gets_them_too(tmp_path, script):
    for name in ("setup_migration_environment.sh", "scripts/setup_migration_environment.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / "infra").mkdir()

    shell = sourced(tmp_path, ALL_OUTPUTS, script, shell="dash", project=tmp_path, **INFLUXDB)

    assert (shell.returned, shell.stderr) == (0, "")
    assert shell.variables["S3_EXPORT_BUCKET"] == "arn:aws:made:up::migration_export_bucket"
    assert set(shell.calls.splitlines()) == {f"-chdir={tmp_path / 'infra'} output"}


@pytest.mark.parametrize("script", ["setup_migration_environment.sh", "scripts/setup_migration_environment.sh"])
def test_the_four_outputs_of_the_infra_folder_become_the_guides_variables(tmp_path, script):
    shell = sourced(tmp_path, ALL_OUTPUTS, script, **INFLUXDB)

    assert shell.returned == 0
    assert shell.stdout == "Migration environment configured successfully\n"
    assert shell.stderr == ""
    assert {name: shell.variables[name] for name in OUTPUTS} == {
        name: f"arn:aws:made:up::{output}" for name, output in OUTPUTS.items()
    }
    assert shell.variables["AWS_DEFAULT_REGION"] == "us-east-1"
    assert shell.variables["INFLUXDB_ORG"] == "ons-energy"
    assert set(shell.calls.splitlines()) == {f"-chdir={CHECKOUT / 'infra'} output"}


def test_what_the_shell_sets_is_kept_and_terraform_is_not_asked_for_it(tmp_path):
    mine = {name: f"my-{name}" for name in (*OUTPUTS, "AWS_DEFAULT_REGION", "INFLUXDB_ORG", "INFLUXDB_URL")}

    shell = sourced(tmp_path, ALL_OUTPUTS, INFLUXDB_TOKEN_SECRET_ARN="arn:secret", **mine)

    assert shell.returned == 0
    assert {name: shell.variables[name] for name in mine} == mine
    assert shell.calls == ""


def test_what_the_folders_dotenv_sets_is_left_to_it(tmp_path):
    # `ts-migration local up` has written it: a value of the shell would win over the embedded stack's.
    names = (*OUTPUTS, "INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG")
    (tmp_path / ".env").write_text("".join(f"{name}=embedded\n" for name in names))

    shell = sourced(tmp_path, NO_OUTPUTS)

    assert (shell.returned, shell.stderr) == (0, "")
    assert not [name for name in names if name in shell.variables]


def test_missing_outputs_are_one_message_that_says_what_to_do(tmp_path):
    shell = sourced(tmp_path, NO_OUTPUTS, S3_EXPORT_BUCKET="mine", **INFLUXDB)

    assert shell.returned == 1
    assert shell.stdout == ""
    assert shell.stderr.splitlines() == [
        f"error: Terraform's folder {CHECKOUT / 'infra'} gives no value for:",
        *(f"  {name} (output {output})" for name, output in OUTPUTS.items() if name != "S3_EXPORT_BUCKET"),
        f"next: terraform -chdir={CHECKOUT / 'infra'} apply; or export them yourself",
    ]
    assert not {"NOTIFICATION_TOPIC_ARN", "MIGRATION_STATE_MACHINE_ARN"} & set(shell.variables)


def test_words_of_terraform_are_never_taken_for_a_value(tmp_path):
    # Some versions print this and end with 0 where the state holds no output at all.
    shell = sourced(tmp_path, "printf '%s\\n' '╷' '│ Warning: No outputs found'", **INFLUXDB)

    assert shell.returned == 1
    assert not set(OUTPUTS) & set(shell.variables)


def test_a_strict_shell_lives_on_and_keeps_nothing_but_variables(tmp_path):
    shell = sourced(tmp_path, NO_OUTPUTS, first="set -euo pipefail; set -o allexport;")

    assert shell.returned == 1
    assert not [name for name in shell.variables if "migration_" in name]
    assert "INFLUXDB_URL is not set" in shell.stderr
    assert "neither INFLUXDB_TOKEN nor INFLUXDB_TOKEN_SECRET_ARN is set" in shell.stderr


def test_a_script_that_is_run_and_not_sourced_says_so(tmp_path):
    answer = subprocess.run(
        ["bash", CHECKOUT / "setup_migration_environment.sh"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "source this script" in answer.stderr
