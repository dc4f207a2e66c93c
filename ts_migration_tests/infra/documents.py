"""Policies and state machine as Terraform writes them: by terraform itself, which needs no provider and no network here.

Where terraform is not installed, tests that need what it computes are skipped.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ts_migration_tests.embedded_stack import CHECKOUT

INFRA = CHECKOUT / "infra"
PARTITION, REGION, ACCOUNT = "aws", "us-east-1", "123456789012"
BUCKET = "arn:aws:s3:::migration-export"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:migration-notifications"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:migration-orchestrator"
STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:migration-state-machine"
INPUTS: dict[str, Any] = {
    "partition": PARTITION,
    "region": REGION,
    "account": ACCOUNT,
    "tables": ["ons_energy_data/load_data", "ons_energy_data/*", "other/exchange"],
    "restored_tables": ["restored/*"],
    "bucket": BUCKET,
    "topic": TOPIC,
    "function": FUNCTION,
    "state_machine": STATE_MACHINE,
    "token_secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:influxdb-token",
    "key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k",
    "metrics_namespace": "ts-migration",
    "cutover": {
        "lambda_functions": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:reader"],
        "apis": [f"arn:aws:apigateway:{REGION}::/restapis/a1"],
        "ssm_parameters": [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/reader/url"],
        "secrets": [f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:reader"],
        "dashboards": [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/load"],
        "topics": [f"arn:aws:sns:{REGION}:{ACCOUNT}:owners"],
    },
    "poll_seconds": 1,
    "timeout_seconds": 3600,
}


@dataclass(frozen=True)
class Documents:
    """The module's two outputs, parsed."""

    policies: dict[str, dict[str, Any]]
    state_machine: dict[str, Any]


def run_terraform(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`terraform ARGUMENTS` in a folder, without the user's own settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env={**environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def require_terraform() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")


def documents(**changed: Any) -> Documents:
    """The documents for `INPUTS`, with some of them changed."""
    require_terraform()
    return _documents(json.dumps({**INPUTS, **changed}))


@cache
def _documents(inputs: str) -> Documents:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        module = {"source": str(INFRA / "documents"), **json.loads(inputs)}
        main = {"module": {"documents": module}, "output": {"all": {"value": "${module.documents}"}}}
        (folder / "main.tf.json").write_text(json.dumps(main))
        for command in (("init", "-no-color"), ("apply", "-no-color", "-auto-approve")):
            answer = run_terraform(folder, *command)
            assert answer.returncode == 0, answer.stderr
        found = json.loads(run_terraform(folder, "output", "-json", "all").stdout)
    policies = {stage: json.loads(text) for stage, text in found["policies"].items()}
    return Documents(policies, json.loads(found["state_machine"]))
