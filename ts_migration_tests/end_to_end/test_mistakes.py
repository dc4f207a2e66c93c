"""What an operator gets wrong: each mistake is one message, quickly, and leaves no trace behind.

The last one, more processes than the machine has room for, is found out amid the work: what there is of it is reported.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from influxdb_client import Permission, PermissionResource

from ts_migration_tests.embedded_stack import EmbeddedStack, configuration
from ts_migration_tests.end_to_end.history import runs
from ts_migration_tests.end_to_end.target import plain_client

pytestmark = pytest.mark.stack

QUICK_S = 30
# Two windows of a month.
RANGE = {"start": "2023-01-01T00:00:00Z", "end": "2023-02-28T23:59:59Z"}
SETTINGS = "migration_settings:\n  parallel_jobs: 1\n  retry_delay_seconds: 0.05\n"
ONE_WORKER_STARTS = """\
import os, sys
if "ts_migration.orchestration.worker" in sys.orig_argv:
    try:
        os.mkdir(os.environ["FIRST_WORKER"])
    except FileExistsError:
        sys.stderr.write("no room for another process")
        sys.stderr.flush()
        os._exit(7)
"""
"""A sitecustomize: Python runs it in every process as it starts."""
FIVE_MISTAKES = """\
migration_jobs:
  - job_name: "Load"
    source_database: "ons_energy_data"
    source_table: "load_data"
    target_bucket: "load_data"
    retention_day: 30
    start_time: "2024-01-01T00:00:00Z"
    end_time: "2023-01-01T00:00:00Z"
    batch_size: -1
    window: "fortnight"
migration_settings:
  parallel_jobs: "two"
"""


@dataclass(frozen=True)
class Trace:
    """All that a migration could have left."""

    buckets: frozenset[str]
    objects: frozenset[Path]
    runs: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    one = EmbeddedStack(tmp_path_factory.mktemp("mistakes"))
    one.up()
    try:
        one.seed_examples(600)
        yield one
    finally:
        one.down()


def trace(stack: EmbeddedStack) -> Trace:
    with plain_client(stack) as client:
        buckets = {bucket.name for bucket in client.buckets_api().find_buckets(limit=100).buckets}
    root = stack.folder / ".ts_migration" / "local" / "s3"
    objects = {path for path in root.rglob("*") if path.is_file()}
    return Trace(frozenset(buckets), frozenset(objects), len(runs(stack)))


def read_only_token(stack: EmbeddedStack) -> str:
    """A token that may read every bucket of the organisation and write to none."""
    with plain_client(stack) as client:
        (organisation,) = client.organizations_api().find_organizations(org=stack.variables["INFLUXDB_ORG"])
        kinds = [PermissionResource(type=kind, org_id=organisation.id) for kind in ("buckets", "orgs")]
        permissions = [Permission(action="read", resource=kind) for kind in kinds]
        made = client.authorizations_api().create_authorization(org_id=organisation.id, permissions=permissions)
        return str(made.token)


def assert_one_clear_message(
    stack: EmbeddedStack, *texts: str, config: str | None = None, variables: dict[str, str] | None = None
) -> None:
    """`execute` ends soon, not well, with one message that holds `texts`, and nothing of it is left."""
    stack.write_config(config or configuration("load_data", **RANGE) + SETTINGS)
    before = trace(stack)
    began = time.monotonic()
    answer = stack.run("execute", variables=variables)
    assert time.monotonic() - began < QUICK_S
    assert answer.returncode == 2, answer.stderr
    assert len(re.findall(r"^error: ", answer.stderr, re.MULTILINE)) == 1, answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr
    assert [text for text in texts if text not in answer.stderr] == [], answer.stderr
    assert trace(stack) == before


def test_a_wrong_token(stack):
    assert_one_clear_message(
        stack, "the token is not accepted", "check INFLUXDB_TOKEN", variables={"INFLUXDB_TOKEN": "wrong"}
    )


def test_a_token_that_may_only_read(stack):
    token = read_only_token(stack)
    assert_one_clear_message(
        stack, "load_data", "use a token that may create buckets", variables={"INFLUXDB_TOKEN": token}
    )


def test_an_influxdb_that_cannot_be_reached(stack):
    assert_one_clear_message(
        stack, "http://127.0.0.1:1", "cannot be reached", "Next: ", variables={"INFLUXDB_URL": "http://127.0.0.1:1"}
    )


def test_an_organisation_that_is_not_there(stack):
    assert_one_clear_message(
        stack, "no organisation 'nobody'", "check INFLUXDB_ORG", variables={"INFLUXDB_ORG": "nobody"}
    )


def test_an_export_bucket_that_is_not_there(stack):
    assert_one_clear_message(
        stack, "no-such-bucket", "set S3_EXPORT_BUCKET", variables={"S3_EXPORT_BUCKET": "no-such-bucket"}
    )


def test_a_table_that_is_not_there(stack):
    # The first job alone would work: it is not begun either.
    config = configuration("load_data", "load_dataa", **RANGE) + SETTINGS
    assert_one_clear_message(stack, "there is no table 'load_dataa'", "load_data", config=config)


def test_a_range_without_rows(stack):
    config = configuration("load_data", start="2013-01-01", end="2014-01-01") + SETTINGS
    assert_one_clear_message(
        stack, "has no row from 2013-01-01", "its rows lie between 2023", "correct start_time", config=config
    )


def test_a_configuration_with_five_mistakes_names_all_of_them(stack):
    names = ("did you mean retention_days?", "end_time", "batch_size", "window", "parallel_jobs")
    assert_one_clear_message(stack, "5 mistakes in the configuration", *names, config=FIVE_MISTAKES)


def test_a_worker_that_cannot_start_beside_another_ends_in_a_report_and_the_next_call_goes_on(stack, tmp_path):
    stack.write_config(configuration("generation_data", **RANGE) + SETTINGS)
    (tmp_path / "sitecustomize.py").write_text(ONE_WORKER_STARTS)
    variables = {"PYTHONPATH": str(tmp_path), "FIRST_WORKER": str(tmp_path / "first")}
    answer = stack.run("execute", "--parallel-jobs", "2", variables=variables)

    assert answer.returncode == 1, answer.stdout + answer.stderr
    told = answer.stdout + answer.stderr
    assert "windows were not tried: " in told and "no room for another process" in told, told
    assert "Traceback" not in told
    again = stack.run("execute")
    assert again.returncode == 0, again.stdout + again.stderr
