"""The Terraform configuration, read without its providers: what it declares, what it refers to, what it promises."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.infra.documents import INFRA, require_terraform, run_terraform

GUIDE_OUTPUTS = {
    "migration_orchestrator_lambda_arn": "MIGRATION_ORCHESTRATOR_LAMBDA_ARN",
    "migration_state_machine_arn": "MIGRATION_STATE_MACHINE_ARN",
    "migration_export_bucket": "S3_EXPORT_BUCKET",
    "migration_notification_topic_arn": "NOTIFICATION_TOPIC_ARN",
}


@cache
def blocks(kind: str, folder: Path = INFRA) -> list[Any]:
    """Top-level blocks of a kind, of every file of a folder."""
    return [
        block
        for path in sorted(folder.glob("*.tf"))
        for block in hcl2.loads(path.read_text(encoding="utf-8")).get(kind, [])
    ]


def named(kind: str) -> dict[str, Any]:
    """Blocks with one label (variable, output), by it."""
    return {name.strip('"'): body for block in blocks(kind) for name, body in block.items() if isinstance(body, dict)}


def addresses(kind: str) -> set[str]:
    """type.name of resources or data sources."""
    return {
        f"{type_}.{name}".replace('"', "")
        for block in blocks(kind)
        for type_, found in block.items()
        if isinstance(found, dict)
        for name, body in found.items()
        if isinstance(body, dict)
    }


def resource(type_: str, name: str) -> Any:
    return next(
        block[f'"{type_}"'][f'"{name}"'] for block in blocks("resource") if f'"{name}"' in block.get(f'"{type_}"', ())
    )


def text() -> str:
    """All files, without comments."""
    whole = "\n".join(path.read_text(encoding="utf-8") for path in sorted(INFRA.glob("*.tf")))
    return re.sub(r"^\s*#.*$", "", whole, flags=re.MULTILINE)


def test_the_guides_four_outputs_are_there_and_say_which_variable_they_become() -> None:
    outputs = named("output")
    assert {name: outputs[name]["description"].strip('"') for name in GUIDE_OUTPUTS} == GUIDE_OUTPUTS
    script = (CHECKOUT / "scripts" / "setup_migration_environment.sh").read_text(encoding="utf-8")
    for output, variable in GUIDE_OUTPUTS.items():
        assert f"_migration_take {variable} {output}\n" in script


def test_what_is_referred_to_is_declared() -> None:
    found = text()
    local_names = {name for block in blocks("locals") for name in block if not name.startswith("__")}
    assert set(re.findall(r"\bvar\.(\w+)", found)) == set(named("variable"))
    assert set(re.findall(r"\blocal\.(\w+)", found)) == local_names
    assert set(re.findall(r"\bdata\.(\w+\.\w+)", found)) == addresses("data")
    used = set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)", found))
    assert used - addresses("resource") == set()


def test_every_variable_says_what_it_is() -> None:
    assert [name for name, body in named("variable").items() if not body.get("description")] == []


def test_every_file_is_formatted_as_terraform_formats() -> None:
    require_terraform()
    answer = run_terraform(INFRA, "fmt", "-check", "-recursive", "-diff")
    assert answer.returncode == 0, answer.stdout


def test_the_export_bucket_is_private_encrypted_tls_only_and_forgets_aborted_uploads() -> None:
    block = resource("aws_s3_bucket_public_access_block", "export")
    for setting in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
        assert block[setting] is True
    (encryption,) = resource("aws_s3_bucket_server_side_encryption_configuration", "export")["rule"]
    assert "AES256" in encryption["apply_server_side_encryption_by_default"][0]["sse_algorithm"]
    rules = {
        rule["id"].strip('"'): rule for rule in resource("aws_s3_bucket_lifecycle_configuration", "export")["rule"]
    }
    assert rules["aborted-uploads"]["abort_incomplete_multipart_upload"][0]["days_after_initiation"] == 7
    # Nothing that proves anything, and no export, expires by itself.
    assert [id_ for id_, rule in rules.items() if "expiration" in rule] == ["range-checks"]
    assert "aws:SecureTransport" in (INFRA / "export_bucket.tf").read_text()


def test_every_log_group_ends_and_every_alarm_tells_the_topic() -> None:
    groups = [name for name in addresses("resource") if name.startswith("aws_cloudwatch_log_group.")]
    assert len(groups) == 3
    for group in groups:
        assert "log_retention_days" in str(resource(*group.split("."))["retention_in_days"])
    for alarm in ("migration", "service"):
        assert "aws_sns_topic.notifications.arn" in str(resource("aws_cloudwatch_metric_alarm", alarm)["alarm_actions"])


@pytest.mark.parametrize("variable", ["tables", "dagster_url"])
def test_the_readme_names_what_has_to_be_given(variable: str) -> None:
    required = [name for name, body in named("variable").items() if "default" not in body]
    assert required == ["tables", "dagster_url"]
    assert f"{variable} " in (INFRA / "README.md").read_text(encoding="utf-8")
