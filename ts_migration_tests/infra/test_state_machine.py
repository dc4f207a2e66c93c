"""The state machine, executed by moto over a scripted Lambda: every end of a migration is told, and none is missed."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import lambda_simple_backends
from moto.sns import sns_backends

from ts_migration_tests.end_to_end.dagit import await_value
from ts_migration_tests.infra.documents import ACCOUNT, FUNCTION, REGION, TOPIC, documents

STARTED = {"tables": [{"table": "grid/load", "backfill": "b1"}]}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "t")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws(config={"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}):
        yield


def executed(*answers: dict[str, Any], **given: Any) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The execution, the messages by subject, and the states it entered, of a Lambda that answers by script."""
    definition = documents(poll_seconds=0).state_machine
    for state in definition["States"].values():
        for retry in state.get("Retry", ()):
            retry["IntervalSeconds"] = 1
            retry["MaxAttempts"] = 1
    role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    boto3.client("lambda").create_function(
        FunctionName=FUNCTION.rpartition(":")[2], Runtime="python3.12", Role=role, Handler="handler.handler",
        Code={"ZipFile": b"z"},
    )  # fmt: skip
    boto3.client("sns").create_topic(Name=TOPIC.rpartition(":")[2])
    lambda_simple_backends[ACCOUNT][REGION].lambda_simple_results_queue = [json.dumps(answer) for answer in answers]
    machines = boto3.client("stepfunctions")
    machine = machines.create_state_machine(name="m", definition=json.dumps(definition), roleArn=role)
    started = machines.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given))

    def look() -> dict[str, Any] | None:
        found = machines.describe_execution(executionArn=started["executionArn"])
        return None if found["status"] == "RUNNING" else found

    execution = await_value(look, "the execution to end", 30)
    events = machines.get_execution_history(executionArn=started["executionArn"], maxResults=1000)["events"]
    states = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
    sent = sns_backends[ACCOUNT][REGION].topics[TOPIC].sent_notifications
    return execution, {subject: message for _, message, subject, *_ in sent}, states


def status(state: str) -> dict[str, Any]:
    return {"state": state, "tables": [{"table": "grid/load", "reason": "because"}]}


def test_a_migration_that_succeeds_is_waited_for_and_told(aws: None) -> None:
    execution, told, states = executed(STARTED, status("RUNNING"), status("SUCCEEDED"))

    assert execution["status"] == "SUCCEEDED"
    assert states == ["Start", "Wait", "Look", "HasEnded", "Wait", "Look", "HasEnded", "TellSuccess"]
    (message,) = told.values()
    assert json.loads(message) == status("SUCCEEDED")


@pytest.mark.parametrize("given", [{}, {"roll_back": False}], ids=["not_said", "no"])
def test_a_failed_migration_is_told_and_not_rolled_back_unless_that_is_asked_for(
    aws: None, given: dict[str, bool]
) -> None:
    execution, told, states = executed(STARTED, status("FAILED"), **given)

    assert (execution["status"], execution["error"]) == ("FAILED", "MigrationFailed")
    assert list(told) == ["Migration failed"]
    assert "RollBack" not in states


def test_a_failed_migration_is_rolled_back_where_that_is_asked_for(aws: None) -> None:
    rolled_back = {"rolled_back": [{"table": "grid/load", "run": "r1"}]}

    execution, told, states = executed(STARTED, status("FAILED"), rolled_back, roll_back=True)

    assert (execution["status"], execution["error"]) == ("FAILED", "MigrationFailed")
    assert states[-3:] == ["RollBack", "TellRollBack", "Failed"]
    assert json.loads(told["Migration failed, and its rollback was started"]) == {"rolled_back": rolled_back}


def test_a_cancelled_migration_is_told_and_never_rolled_back(aws: None) -> None:
    execution, told, states = executed(STARTED, status("CANCELLED"), roll_back=True)

    assert (execution["status"], execution["error"]) == ("FAILED", "MigrationCancelled")
    assert list(told) == ["Migration cancelled: execute --resume goes on"]
    assert "RollBack" not in states


def test_every_failure_of_a_task_ends_in_a_message(aws: None) -> None:
    states = documents().state_machine["States"]
    for name, state in states.items():
        if state["Type"] == "Task" and not name.startswith("Tell"):
            (caught,) = state["Catch"]
            assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "TellTrouble"), name
    assert states["TellTrouble"]["Next"] == "Unwatched"


def test_the_state_machine_hands_its_input_and_its_name_to_the_start(aws: None) -> None:
    payload = documents().state_machine["States"]["Start"]["Parameters"]["Payload"]
    assert payload == {"action": "start", "request.$": "$", "execution.$": "$$.Execution.Name"}
