"""`ts-migration cutover` on the embedded stack: shut until all is proven, then there and back."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest

from ts_migration.local.timestream.seed import seed
from ts_migration_tests.embedded_stack import EmbeddedStack, clean_environment, configuration
from ts_migration_tests.end_to_end.proven_table import SPEC, at, plant_rows

pytestmark = pytest.mark.stack

FILE = "cutover.yaml"
ACTIONS = """\
cutover:
  actions:
    - type: lambda_environment
      function: migration-orchestrator
      set: {DATABASE: influxdb, INFLUXDB_TOKEN: "{influxdb_token}"}
    - {type: ssm_parameter, name: /plants/bucket, value: "{bucket}"}
"""
BROKEN = (
    ACTIONS
    + """\
    - {type: webhook, request: {url: "{env:HOOK}"}}
"""
)
SETTINGS = "migration_settings: {max_retry_attempts: 1, retry_delay_seconds: 0}\n"
TABLE = "switched_plants"
JOB = configuration(TABLE, start="2023-01-01T00:00:00Z", end="2023-02-01T00:00:00Z")


def aws(stack: EmbeddedStack, service: str) -> Any:
    variables = stack.variables
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL_LAMBDA"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )


def state(stack: EmbeddedStack) -> tuple[dict[str, str], list[str]]:
    """The function's variables, and the names of the parameters."""
    function = aws(stack, "lambda").get_function_configuration(FunctionName="migration-orchestrator")
    parameters = aws(stack, "ssm").describe_parameters()["Parameters"]
    return function.get("Environment", {}).get("Variables", {}), [one["Name"] for one in parameters]


BEFORE: tuple[dict[str, str], list[str]] = ({}, [])


def cutover(stack: EmbeddedStack, *options: str, actions: str = ACTIONS, **variables: str) -> Any:
    stack.write_config(f"{JOB}{SETTINGS}{actions}", FILE)
    answer = stack.run("cutover", "--config", FILE, *options, variables=variables)
    assert stack.variables["INFLUXDB_TOKEN"] not in answer.stdout + answer.stderr
    return answer


@pytest.fixture(scope="module")
def stack(embedded_stack: EmbeddedStack) -> EmbeddedStack:
    """With a table of its own, of which nothing is proven yet."""
    rows = plant_rows().filter(pl.col("time") < at("2023-02-01"))  # a source that holds more keeps the cutover shut
    seed(embedded_stack.timestream_url, SPEC.model_copy(update={"table": TABLE}), rows)
    return embedded_stack


@pytest.fixture(scope="module")
def proven(stack: EmbeddedStack) -> EmbeddedStack:
    """With the one window of the configuration proven."""
    stack.write_config(f"{JOB}{SETTINGS}{ACTIONS}", FILE)
    answer = stack.run("execute", "--config", FILE)
    assert answer.returncode == 0, answer.stderr
    return stack


def test_a_cutover_waits_until_everything_is_proven(stack):
    answer = cutover(stack, "--apply", "--approve")
    assert answer.returncode == 1
    assert "error: not ready: switched-plants-job: windows that are not migrated: 1, the first: window 2023-01-01" in (
        answer.stderr
    )
    assert state(stack) == BEFORE
    told = cutover(stack, "--status")
    assert (told.returncode, told.stderr.count("error: not ready: ")) == (1, answer.stderr.count("error: not ready: "))


def test_one_of_the_four_is_needed(stack):
    for options in ([], ["--plan", "--apply"], ["--revert", "--approve"]):
        assert cutover(stack, *options).returncode == 2


def test_what_is_proven_is_told_as_ready(proven):
    answer = cutover(proven, "--status")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("ready: everything is proven, and the source is still, by its numbers of rows (")


def test_a_plan_shows_what_would_change(proven):
    answer = cutover(proven, "--plan")
    assert answer.returncode == 0, answer.stderr
    rows = [line.split() for line in answer.stdout.splitlines() if "(absent)" in line]
    assert [row[-3:] for row in rows] == [
        ["DATABASE", "(absent)", "influxdb"],
        ["INFLUXDB_TOKEN", "(absent)", "{influxdb_token}"],
        ["/plants/bucket", "(absent)", TABLE],
    ]
    assert state(proven) == BEFORE


def test_a_cutover_without_approval_is_refused_where_nobody_can_be_asked(proven):
    answer = cutover(proven, "--apply")
    assert (answer.returncode, "--apply --approve" in answer.stderr) == (2, True)
    assert state(proven) == BEFORE


def asked(stack: EmbeddedStack, word: str) -> tuple[int, str]:
    """`cutover --apply` on a terminal where somebody answers."""
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "ts_migration.cli.main", "cutover", "--config", FILE, "--apply"]
    process = subprocess.Popen(
        command, cwd=stack.folder, env=clean_environment(), stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.write(mine, f"{word}\n".encode())
    text, _ = process.communicate(timeout=60)
    os.close(mine)
    os.close(theirs)
    return process.returncode, text


def test_a_cutover_goes_there_and_back(proven):
    cutover(proven, "--plan")
    assert asked(proven, "n")[0] == 130
    assert state(proven) == BEFORE
    code, text = asked(proven, "y")
    assert code == 0, text
    switched = ({"DATABASE": "influxdb", "INFLUXDB_TOKEN": proven.variables["INFLUXDB_TOKEN"]}, ["/plants/bucket"])
    assert state(proven) == switched
    again = cutover(proven, "--apply")
    assert (again.returncode, "a cutover is applied once" in again.stderr) == (0, True)
    assert state(proven) == switched
    other = cutover(proven, "--apply", "--approve", actions=BROKEN)
    assert (other.returncode, "another cutover is applied" in other.stderr) == (2, True)
    reverted = cutover(proven, "--revert")
    assert (reverted.returncode, ": reverted, begun" in reverted.stdout) == (0, True)
    assert state(proven) == BEFORE


def test_an_action_that_fails_reverts_those_before_it_and_the_message_says_so(proven):
    answer = cutover(proven, "--apply", "--approve", actions=BROKEN, HOOK="http://127.0.0.1:9/hunter2")
    assert answer.returncode == 1
    assert "error: action 3 (webhook POST {…}) failed: webhook at 127.0.0.1: it does not answer" in answer.stderr
    assert "all is as it was before" in answer.stderr
    assert "hunter2" not in answer.stdout + answer.stderr
    assert state(proven) == BEFORE


def test_what_stands_in_the_way_ends_with_2_and_nothing_is_changed(proven):
    answer = cutover(proven, "--apply", "--approve", actions=BROKEN)
    assert answer.returncode == 2
    assert "nothing was changed" in answer.stderr
    assert "the environment variable HOOK is not set" in answer.stderr
    assert state(proven) == BEFORE


def test_no_token_is_in_any_proof_object(proven):
    folder = Path(proven.folder) / ".ts_migration" / "local" / "s3" / "migration-export" / "manifests"
    texts = [path.read_bytes() for path in folder.glob("cutover*") if path.is_file()]
    assert texts
    assert not [text for text in texts if proven.variables["INFLUXDB_TOKEN"].encode() in text]
