"""docs/permissions.md, the code and the policies say the same: a call without its permission is found here, not at night."""

import re
from fnmatch import fnmatchcase

import pytest

from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.infra.aws_calls import calls_in_the_code, calls_of
from ts_migration_tests.infra.documents import BUCKET, documents

PAGE = (CHECKOUT / "docs" / "permissions.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """Cells of the table of a section, without its head."""
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    lines = [line for line in body.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def allowed(policy: dict, action: str, resource: str = "") -> bool:
    """Whether a policy of Allow statements allows an action, on a resource if one is named."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        matching = not resource or any(fnmatchcase(resource, pattern) for pattern in resources)
        if action in statement["Action"] and matching:
            return True
    return False


def test_a_call_is_known_by_its_name_and_its_arguments():
    source = """
sns.publish(TopicArn=a, Message=b)
gateway.get_stage(ApiId=a, StageName=b)
api.create_bucket(bucket_name=b)
secret.get_secret_value()
s3.get_paginator("list_objects_v2").paginate(Bucket=b)
client.upload_fileobj(body, bucket, key)
self.client.query(**request)
frame.query(**request)
"""
    assert set(calls_of(source)) == {
        ("publish", "sns"), ("get_stage", "apigatewayv2"), ("list_objects_v2", "s3"), ("upload_fileobj", "s3"),
        ("query", "timestream-query"),
    }  # fmt: skip


def test_every_call_of_aws_in_the_code_is_on_the_page_and_no_other():
    documented = {(names(where)[0], names(operation)[0], service) for where, operation, service, _ in rows("AWS calls")}
    called = calls_in_the_code()
    assert called - documented == set(), "add a row to docs/permissions.md, and the action to a policy under infra/"
    assert documented - called == set(), "the code calls this no more: take the row away, and the action"


def test_every_action_of_the_page_is_in_a_policy_and_every_action_of_a_policy_on_the_page():
    derived = {
        action for row in [*rows("AWS calls"), *rows("Timestream's statements")] for action in names(" ".join(row))
    }
    derived = {name for name in derived if re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", name)}
    policies = documents().policies
    granted = {action for policy in policies.values() for one in policy["Statement"] for action in one["Action"]}
    assert derived - granted == set()
    assert {action for action in granted if f"`{action}`" not in PAGE} == set()


def test_every_stage_of_the_page_has_its_policies():
    named = {policy for _, policies, _ in rows("Stages") for policy in names(policies)}
    assert named | {"key"} == set(documents().policies)


@pytest.mark.parametrize("stage", ["preflight", "export", "validation", "restore"])
def test_every_stage_that_unloads_may_do_all_that_an_unload_needs(stage):
    policy, table = (
        documents().policies[stage],
        "arn:aws:timestream:us-east-1:123456789012:database/"
        f"{'restored' if stage == 'restore' else 'other'}/table/exchange",
    )
    folder = {
        "preflight": "_probe",
        "export": "other/exchange/w/export",
        "validation": "@checks/c",
        "restore": "@checks/r",
    }[stage]
    (needed,) = [names(actions) for statement, actions, _ in rows("Timestream's statements") if statement == "`UNLOAD`"]
    for action in needed:
        resource = table if action.startswith("timestream:") else f"{BUCKET}/timestream-export/{folder}/1"
        assert allowed(policy, action, BUCKET if action == "s3:GetBucketAcl" else resource), action
    assert allowed(policy, "timestream:DescribeEndpoints")


@pytest.mark.parametrize("stage", ["conversion", "load", "cleanup", "messages", "rollback", "monitor", "cutover"])
def test_no_other_stage_may_ask_timestream_anything(stage):
    actions = {action for one in documents().policies[stage]["Statement"] for action in one["Action"]}
    assert not [action for action in actions if action.startswith("timestream:")]


def test_no_policy_allows_all_actions_or_all_resources_where_the_service_knows_any():
    without_resources = {
        "timestream:DescribeEndpoints", "timestream:ListDatabases", "timestream:CancelQuery", "ssm:DescribeParameters",
        "cloudwatch:PutMetricData", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData",
        "timestream-influxdb:ListDbInstances",
    }  # fmt: skip
    for stage, policy in documents().policies.items():
        for statement in policy["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action], stage
            if statement["Resource"] in ("*", ["*"]):
                assert set(statement["Action"]) <= without_resources, stage


@pytest.mark.parametrize(
    ("stage", "action", "key", "expected"),
    [
        ("cleanup", "s3:DeleteObject", "timestream-export/grid/load/w/part-0.lp.gz", True),
        ("cleanup", "s3:DeleteObject", "manifests/grid/load/w/load.json", False),
        ("load", "s3:PutObject", "timestream-export/grid/load/w/part-0.lp.gz", False),
        ("load", "s3:PutObject", "manifests/grid/load/w/load.json", True),
        ("validation", "s3:PutObject", "timestream-export/grid/load/w/part-0.lp.gz", False),
        ("validation", "s3:DeleteObject", "timestream-export/@checks/c/export/1", True),
        ("preflight", "s3:PutObject", "manifests/grid/load/table.json", False),
        ("export", "s3:PutObject", "reports/r.html", False),
        ("restore", "s3:DeleteObject", "timestream-export/grid/load/w/export/1", False),
        ("restore", "s3:DeleteObject", "timestream-export/@checks/c/export/1", True),
    ],
)
def test_a_stage_may_change_its_own_objects_and_no_others(stage, action, key, expected):
    assert allowed(documents().policies[stage], action, f"{BUCKET}/{key}") is expected


def test_a_cutover_without_actions_may_change_nothing_but_its_record():
    nothing = {key: [] for key in ("lambda_functions", "apis", "ssm_parameters", "secrets", "dashboards", "topics")}
    policies = documents(cutover=nothing, token_secret=None, key=None).policies
    assert "token" not in policies
    assert {action for one in policies["cutover"]["Statement"] for action in one["Action"]} == {
        "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
    }  # fmt: skip


def test_the_statements_of_the_page_are_those_that_timestream_is_sent():
    source = "".join(path.read_text() for path in (CHECKOUT / "ts_migration" / "timestream").rglob("*.py"))
    sent = set(re.findall(r'f?"(DESCRIBE|SHOW [A-Z]+|UNLOAD|SELECT|INSERT|CREATE|DROP)\b', source))
    assert {names(statement)[0] for statement, *_ in rows("Timestream's statements")} == sent


def test_the_requests_of_the_page_are_those_that_influxdb_is_sent():
    folders = ("influxdb", "operations", "stages", "validation")
    source = "".join(path.read_text() for one in folders for path in (CHECKOUT / "ts_migration" / one).rglob("*.py"))
    paths = set(re.findall(r'"(/(?:api/v2/(?:restore|backup)/[a-zA-Z]+|api/v2/[a-z]+|query|health))\b', source))
    by_client = {"buckets_api": "/api/v2/buckets", "organizations_api": "/api/v2/orgs"}
    paths |= {by_client[name] for name in re.findall(r"\.(\w+_api)\(\)", source)}
    assert {names(request)[0].split()[1] for request, _ in rows("The InfluxDB token")} == paths
