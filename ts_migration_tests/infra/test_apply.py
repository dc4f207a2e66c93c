"""From Terraform to a dry run: outputs that a real terraform wrote are sourced, and the guide's dry run finds all of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from ts_migration.local.variables import EXPORT_BUCKET, LAMBDA_ARN, REGION, STATE_MACHINE_ARN, TOPIC_ARN
from ts_migration_tests.embedded_stack import CHECKOUT, EmbeddedStack, clean_environment
from ts_migration_tests.infra.documents import INFRA, require_terraform, run_terraform

OUTPUTS = {
    "migration_orchestrator_lambda_arn": LAMBDA_ARN,
    "migration_state_machine_arn": STATE_MACHINE_ARN,
    "migration_export_bucket": EXPORT_BUCKET,
    "migration_notification_topic_arn": TOPIC_ARN,
}
GUIDE_VARIABLES = (
    "MIGRATION_ORCHESTRATOR_LAMBDA_ARN", "MIGRATION_STATE_MACHINE_ARN", "S3_EXPORT_BUCKET", "NOTIFICATION_TOPIC_ARN",
)  # fmt: skip
LAST_LINES = ["Prerequisites validation passed", "All infrastructure components accessible"]

OVERRIDE = """
provider "aws" {
  access_key                  = "t"
  secret_key                  = "t"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    %s
  }
}
"""


def dry_run_after_sourcing(stack: EmbeddedStack, terraform_folder: Path, folder: Path) -> list[str]:
    """What the guide's dry run prints in a shell that has sourced the script; servers as of the stack."""
    servers = {name: value for name, value in stack.variables.items() if name not in GUIDE_VARIABLES}
    commands = f"""
        source {CHECKOUT / "setup_migration_environment.sh"} || exit 9
        python {CHECKOUT / "scripts" / "execute_migration.py"} --config {CHECKOUT / "scripts" / "migration_config.yaml"} --dry-run
    """
    answer = subprocess.run(
        ["bash", "-c", commands],
        cwd=folder,
        env={
            **clean_environment(), **servers, "TERRAFORM_DIR": str(terraform_folder), "PYTHONPATH": str(CHECKOUT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout.splitlines()


@pytest.mark.stack
def test_the_dry_run_finds_what_terraforms_outputs_name(embedded_stack: EmbeddedStack, tmp_path: Path) -> None:
    require_terraform()
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "main.tf").write_text(
        "".join(f'output "{name}" {{ value = "{value}" }}\n' for name, value in OUTPUTS.items())
    )
    applied = run_terraform(folder, "apply", "-auto-approve")
    assert applied.returncode == 0, applied.stderr

    lines = dry_run_after_sourcing(embedded_stack, folder, tmp_path)

    assert lines[0] == "Migration environment configured successfully"
    assert lines[-2:] == LAST_LINES


@pytest.mark.stack
def test_the_infrastructure_is_applied_and_the_dry_run_finds_it(embedded_stack: EmbeddedStack, tmp_path: Path) -> None:
    require_terraform()
    mirror = os.environ.get("TERRAFORM_PROVIDERS")
    if not mirror:
        pytest.skip("TERRAFORM_PROVIDERS names no mirror of the providers, see infra/README.md")
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    settings = tmp_path / "terraform.rc"
    settings.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}\n')
    services = ("cloudwatch", "iam", "kms", "lambda", "logs", "s3", "secretsmanager", "sfn", "sns", "sts")
    # A server of its own: the stack's has a Lambda and a state machine of these names.
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        (folder / "embedded_override.tf").write_text(OVERRIDE % "\n    ".join(f'{one} = "{url}"' for one in services))
        given = {
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_VAR_tables": '["ons_energy_data/*"]',
            "TF_VAR_dagster_url": "http://dagster.internal:3000",
            "TF_VAR_export_bucket": EXPORT_BUCKET,
            "TF_VAR_region": REGION,
        }
        for command in (("init",), ("validate",), ("apply", "-auto-approve")):
            answer = run_terraform(folder, *command, "-no-color", **given)
            assert answer.returncode == 0, answer.stdout + answer.stderr
        for name, value in OUTPUTS.items():
            assert run_terraform(folder, "output", "-raw", name, **given).stdout == value
        planned = run_terraform(folder, "plan", "-no-color", "-detailed-exitcode", **given)
        assert planned.returncode == 0, f"a second apply would change something: {planned.stdout}"
    finally:
        server.stop()

    assert dry_run_after_sourcing(embedded_stack, folder, tmp_path)[-2:] == LAST_LINES
