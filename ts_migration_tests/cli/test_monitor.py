"""The guide's monitor, beside an `execute` that runs: what it shows, that it ends by itself, and what is told meanwhile."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ts_migration_tests.embedded_stack import CHECKOUT, EmbeddedStack, configuration, run_command, start_command
from ts_migration_tests.end_to_end.proven_table import seed_plants

pytestmark = pytest.mark.stack
SCRIPT = str(CHECKOUT / "scripts" / "monitor_migration.py")


@pytest.fixture
def heard(embedded_stack: EmbeddedStack) -> Iterator[Any]:
    """What a queue hears of the stack's topic."""
    variables = embedded_stack.variables
    access = {
        "endpoint_url": variables["AWS_ENDPOINT_URL_SNS"],
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        "region_name": variables["AWS_DEFAULT_REGION"],
    }
    sqs, sns = boto3.client("sqs", **access), boto3.client("sns", **access)
    queue = sqs.create_queue(QueueName="heard-of-monitor")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = variables["NOTIFICATION_TOPIC_ARN"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]

    def listen() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in found]

    yield listen
    sns.unsubscribe(SubscriptionArn=subscription)


def watched(stack: EmbeddedStack, *options: str) -> subprocess.CompletedProcess[str]:
    """What the guide's monitor says, once the job that is about to begin has begun."""
    for _ in range(10):
        answer = run_command(SCRIPT, *options, cwd=stack.folder)
        if "no migration is running" not in answer.stderr:
            break
    return answer


def test_a_migration_is_watched_to_its_end_from_another_terminal_and_told_to_the_topic(
    embedded_stack: EmbeddedStack, heard: Any
) -> None:
    seed_plants(embedded_stack, "watched")
    embedded_stack.write_config(configuration("watched", end="2023-03-31T23:59:59Z"), "watched.yaml")
    execute = (
        "-m",
        "ts_migration.cli.main",
        "execute",
        "--config",
        "watched.yaml",
        "--window",
        "2023-01-01..2023-02-01",
    )
    with start_command(*execute, cwd=embedded_stack.folder) as executing:
        answer = watched(
            embedded_stack, "--auto-discover", "--json", "--target", "--logs", "--update-interval", "1", "--max-duration", "100",
        )  # fmt: skip
        assert executing.wait(60) == 0
    assert answer.returncode == 0, answer.stdout + answer.stderr
    updates = [json.loads(line) for line in answer.stdout.splitlines()]
    (job,) = updates[-1]["jobs"]
    assert updates[-1]["over"]
    assert (job["state"], job["done"], job["windows"], job["job"]) == ("succeeded", 2, 2, "watched-job")
    assert job["points"] == job["rows"] > 0
    assert updates[-1]["target"]["memory"] > 0
    events = heard()
    assert [event["event"] for event in events] == ["started", "ended"]
    assert events[1]["state"] == "succeeded"
    assert events[1]["jobs"][0]["points"] == job["points"]

    named = run_command(
        SCRIPT, "--job-ids", job["id"], "watched-job", "--update-interval", "30", cwd=embedded_stack.folder
    )
    assert named.returncode == 0, named.stderr
    assert f"{job['id']}: succeeded, 2 of 2 windows" in named.stdout


def test_where_nothing_runs_the_monitor_says_so_and_ends(embedded_stack: EmbeddedStack) -> None:
    answer = run_command(SCRIPT, cwd=embedded_stack.folder)

    assert answer.returncode == 0
    assert "no migration is running" in answer.stderr


def test_an_unknown_job_is_one_message_and_exit_code_2(embedded_stack: EmbeddedStack) -> None:
    answer = embedded_stack.run("monitor", "--job-id", "never-was")

    assert answer.returncode == 2
    assert answer.stderr.startswith("error: there is no job 'never-was'")
