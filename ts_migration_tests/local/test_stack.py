"""`local up` and `down` as a user lives with them: again and again, after crashes, with data that stays."""

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
import urllib3

from ts_migration.errors import Missing, Permanent
from ts_migration.local import seeding, servers, stack
from ts_migration.local.state import Service, StackFolder
from ts_migration.local.variables import EXPORT_BUCKET, stack_variables
from ts_migration_tests.embedded_stack import EmbeddedStack

pytestmark = pytest.mark.stack

GUIDE_VARIABLES = (
    "MIGRATION_ORCHESTRATOR_LAMBDA_ARN", "MIGRATION_STATE_MACHINE_ARN", "S3_EXPORT_BUCKET", "NOTIFICATION_TOPIC_ARN",
    "INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG",
)  # fmt: skip


@pytest.fixture
def own_stack(tmp_path):
    one = EmbeddedStack(tmp_path)
    yield one
    one.down()


def pids(one: EmbeddedStack) -> dict[Service, int]:
    return {found.service: found.pid for found in stack.status(one.folder)}


def states(one: EmbeddedStack) -> set[str]:
    return {found.state for found in stack.status(one.folder)}


@contextmanager
def listening(port: int):
    """Somebody else on a port of ours."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        yield


def test_up_again_starts_only_what_does_not_run(own_stack):
    assert own_stack.up().started == tuple(Service)
    before, variables = pids(own_stack), own_stack.variables
    assert own_stack.up().started == ()
    assert pids(own_stack) == before
    os.kill(before[Service.INFLUXDB], signal.SIGKILL)
    while "stopped" not in states(own_stack):
        pass
    assert own_stack.up().started == (Service.INFLUXDB,)
    after = pids(own_stack)
    assert {service for service in Service if after[service] != before[service]} == {Service.INFLUXDB}
    assert own_stack.variables == variables


def test_data_ports_and_secrets_survive_down_and_up(own_stack):
    (own_stack.folder / ".env").write_text("MINE=1\n")
    own_stack.up()
    old, variables = StackFolder(own_stack.folder).read(), own_stack.variables
    own_stack.s3().put_object(Bucket=EXPORT_BUCKET, Key="manifests/proof.json", Body=b"{}")
    own_stack.seed_examples(50)
    assert set(stack.down(own_stack.folder)) == set(Service)
    assert states(own_stack) == {"stopped"}
    with listening(old.ports[Service.AWS]):
        own_stack.up()
    new = StackFolder(own_stack.folder).read()
    assert new.ports[Service.AWS] != old.ports[Service.AWS], "the port that somebody took meanwhile is given up"
    assert {**new.ports, Service.AWS: 0} == {**old.ports, Service.AWS: 0}
    assert own_stack.variables["AWS_ENDPOINT_URL_SNS"] == new.url(Service.AWS)
    assert own_stack.variables["INFLUXDB_TOKEN"] == variables["INFLUXDB_TOKEN"]
    assert own_stack.s3().get_object(Bucket=EXPORT_BUCKET, Key="manifests/proof.json")["Body"].read() == b"{}"
    again = seeding.seed_examples(own_stack.timestream_url, "ons_energy_data", 50)
    assert [(one.records_stored, one.repetitions) for one in again] == [(0, 50)] * 3, "the rows are there already"
    stack.down(own_stack.folder, delete_data=True)
    assert not (own_stack.folder / ".ts_migration" / "local").exists()
    assert set(own_stack.variables) <= {"MINE", "DAGSTER_HOME", "TS_MIGRATION_CONFIG"}
    assert stack.status(own_stack.folder) == ()
    assert stack.down(own_stack.folder) == ()


def test_a_server_that_does_not_start_is_told_with_its_log_and_the_rest_can_be_stopped(own_stack, monkeypatch):
    broken = servers.Server(
        lambda _state, _data: ["/bin/sh", "-c", "echo the disk is full; exit 3"], "/", frozenset({200}), lambda _: {}
    )
    monkeypatch.setitem(servers.SERVERS, Service.AWS, broken)
    with pytest.raises(Permanent, match=r"(?s)embedded aws ended while it started.*the disk is full"):
        own_stack.up()
    stack.down(own_stack.folder)
    assert states(own_stack) == {"stopped"}


def test_before_the_first_up_there_is_nothing_to_print(tmp_path):
    with pytest.raises(Missing, match="ts-migration local up"):
        stack.require_state(tmp_path)


def test_the_guides_seven_variables_are_there(embedded_stack):
    variables = embedded_stack.variables
    assert all(variables[name] for name in GUIDE_VARIABLES)
    assert variables["INFLUX_HOST"] == variables["INFLUXDB_URL"]
    assert variables["INFLUX_TOKEN"] == variables["INFLUXDB_TOKEN"]


def test_endpoint_variables_have_the_names_that_boto3_knows(embedded_stack):
    state = StackFolder(embedded_stack.folder).read()
    variables = stack_variables(state)
    session = boto3.Session(region_name="us-east-1")
    for name in (
        "s3", "timestream-query", "timestream-write", "sns", "lambda", "ssm", "apigateway", "apigatewayv2", "cloudwatch",
        "secretsmanager", "stepfunctions", "iam", "sts", "logs",
    ):  # fmt: skip
        service_id = session.client(name).meta.service_model.service_id
        assert f"AWS_ENDPOINT_URL_{service_id.replace(' ', '_').upper()}" in variables, name


def test_the_guides_resources_are_there(embedded_stack):
    variables = embedded_stack.variables
    credentials = {
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        "region_name": variables["AWS_DEFAULT_REGION"],
        "endpoint_url": variables["AWS_ENDPOINT_URL_SNS"],
    }
    topic = variables["NOTIFICATION_TOPIC_ARN"]
    assert boto3.client("sns", **credentials).get_topic_attributes(TopicArn=topic)["Attributes"]["TopicArn"] == topic
    function = variables["MIGRATION_ORCHESTRATOR_LAMBDA_ARN"]
    found = boto3.client("lambda", **credentials).get_function_configuration(FunctionName=function)
    assert found["FunctionArn"] == function
    machine = variables["MIGRATION_STATE_MACHINE_ARN"]
    assert boto3.client("stepfunctions", **credentials).describe_state_machine(stateMachineArn=machine)["name"]
    assert [one["Name"] for one in embedded_stack.s3().list_buckets()["Buckets"]] == [variables["S3_EXPORT_BUCKET"]]


def test_influxdb_takes_the_token_and_no_other(embedded_stack):
    variables = embedded_stack.variables
    url = f"{variables['INFLUXDB_URL']}/api/v2/orgs?org={variables['INFLUXDB_ORG']}"
    answers = [
        urllib3.request("GET", url, headers={"Authorization": f"Token {token}"}).status
        for token in (variables["INFLUXDB_TOKEN"], "wrong")
    ]
    assert answers == [200, 401]


def test_secrets_are_on_no_command_line_and_in_no_log(embedded_stack):
    state = StackFolder(embedded_stack.folder).read()
    listing = subprocess.run(["ps", "axww", "-o", "command"], capture_output=True, text=True, check=True).stdout
    logs = "".join(StackFolder(embedded_stack.folder).log(service).read_text() for service in Service)
    for secret in (state.influxdb_token, state.secret_access_key):
        assert secret not in listing
        assert secret not in logs


def test_deleted_data_takes_the_runs_that_migrated_it_along(tmp_path):
    stack = EmbeddedStack(tmp_path)
    stack.up()
    home = Path(stack.variables["DAGSTER_HOME"])
    (home / "history").mkdir(parents=True, exist_ok=True)
    (home / "history" / "runs.db").write_text("what was migrated")

    stack.down()

    assert not (home / "history").exists()
