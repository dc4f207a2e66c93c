"""What one shell ran, a new one sees: without any export, in the same folder; and after the guide's cleanup, too."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
from botocore.config import Config
from influxdb_client.client.write_api import SYNCHRONOUS

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, configuration, run_command
from ts_migration_tests.end_to_end.history import materialized, runs
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.target import count, plain_client

pytestmark = pytest.mark.stack

TABLE = f"{DATABASE}/load_data"
MONTHS = ["2023-01-01", "2023-02-01"]
WHOLE = ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")


@dataclass(frozen=True)
class FirstShell:
    """A folder in which a shell with all exports has migrated a table, and what it told."""

    stack: EmbeddedStack
    told: str

    @property
    def objects(self) -> Objects:
        return Objects(self.stack, TABLE)

    @property
    def job_id(self) -> str:
        return re.search(r"job id (\S+)", self.told)[1]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstShell]:
    stack = EmbeddedStack(tmp_path_factory.mktemp("shells"))
    stack.up()
    try:
        stack.seed_examples(2_000)
        stack.write_config(configuration("load_data", end="2023-02-28T23:59:59Z"))
        exports = json.loads(stack.run("local", "env", "--format", "json").stdout)
        answer = stack.run("execute", variables=exports)
        assert answer.returncode == 0, answer.stderr
        yield FirstShell(stack, answer.stdout)
    finally:
        stack.down()


def empty_bulk(stack: EmbeddedStack) -> int:
    """The guide's cleanup, `aws s3 rm s3://…/timestream-export/ --recursive`; how many objects there were."""
    names = stack.variables
    s3 = boto3.client(
        "s3",
        endpoint_url=names["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=names["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=names["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    bucket = names["S3_EXPORT_BUCKET"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="timestream-export/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    return len(keys)


def test_status_sees_what_the_first_shell_ran(first):
    answer = first.stack.run("status")
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"load_data +migrated +2 +2 +2 +0 +0", answer.stdout), answer.stdout


def test_the_home_that_dotenv_names_holds_the_runs(first):
    assert materialized(first.stack, TABLE) == set(MONTHS)
    assert {run.tags.get("ts_migration/job_id") for run in runs(first.stack)} == {first.job_id}


def test_dagster_loads_the_definitions_of_the_folder(first):
    # As `dagster dev` would: the configuration's path and Dagster's home come from .env.
    answer = run_command(
        "-m", "dagster", "definitions", "validate", "-m", "ts_migration.definitions", cwd=first.stack.folder
    )
    assert answer.returncode == 0, answer.stderr
    assert "Validation successful" in answer.stdout + answer.stderr


def test_after_the_cleanup_execute_does_nothing_and_the_proof_stands(first):
    assert empty_bulk(first.stack) > 0
    before, ran = first.objects.finished(), len(runs(first.stack))
    with plain_client(first.stack) as client:
        values = count(client, "load_data", "load_data", *WHOLE)
    answer = first.stack.run("execute")
    assert answer.returncode == 0, answer.stderr
    assert "2 of 2 windows are done already" in answer.stderr
    assert len(runs(first.stack)) == ran, "nothing is run"
    assert first.objects.finished() == before, "nothing is written"
    assert sorted(before) == MONTHS
    assert not first.objects.bulk.exists() or not any(path.is_file() for path in first.objects.bulk.rglob("*"))
    with plain_client(first.stack) as client:
        assert count(client, "load_data", "load_data", *WHOLE) == values


def test_after_the_cleanup_validate_still_proves_it_and_says_what_it_compares(first):
    empty_bulk(first.stack)
    answer = first.stack.run("validate")
    assert answer.returncode == 0, answer.stderr
    assert "2 of 2 windows checked, 2 proven" in answer.stdout
    assert "its export files are gone; compared were the digests" in answer.stdout


def test_after_the_cleanup_a_spoiled_value_is_still_found(first):
    empty_bulk(first.stack)
    with plain_client(first.stack) as client:
        flux = f"""from(bucket: "load_data") |> range(start: {MONTHS[0]}T00:00:00Z, stop: {MONTHS[1]}T00:00:00Z)
            |> filter(fn: (r) => r._measurement == "load_data") |> first() |> limit(n: 1)"""
        record = next(record for table in client.query_api().query(flux) for record in table.records)
        tags = {
            key: value
            for key, value in record.values.items()
            if not key.startswith("_") and key not in ("result", "table")
        }
        point = {
            "measurement": "load_data", "tags": tags, "time": record.get_time(),
            "fields": {record.get_field(): record.get_value() + 1.0},
        }  # fmt: skip
        client.write_api(write_options=SYNCHRONOUS).write(bucket="load_data", record=point)
    answer = first.stack.run("validate")
    assert answer.returncode == 1
    assert f"window {MONTHS[0]}: checks failed: " in answer.stderr
    assert "checksum" in answer.stderr
    assert MONTHS[1] not in "".join(re.findall(r"^error: .*$", answer.stderr, re.MULTILINE))


def test_after_the_cleanup_execute_mends_what_was_spoiled_from_the_source(first):
    before = first.objects.finished()
    assert list(before) == MONTHS[1:], "the test before this one has spoiled the first month"
    answer = first.stack.run("execute")
    assert answer.returncode == 0, answer.stderr
    assert first.objects.statuses() == dict.fromkeys(MONTHS, "proven")
    assert first.objects.finished()[MONTHS[1]] == before[MONTHS[1]], "the other month is left alone"
