"""Rolling back: exactly what the job wrote goes, what others wrote is as it was, and the job can be begun anew."""

import re
from collections.abc import Iterator

import pytest
from influxdb_client.client.write_api import SYNCHRONOUS
from pydantic import SecretStr

from ts_migration.influxdb import reader
from ts_migration.influxdb.connection import Target
from ts_migration.stages.put_back import Held, held_in
from ts_migration.windows import Window
from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, configuration
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.target import plain_client

pytestmark = pytest.mark.stack

TABLE = f"{DATABASE}/load_data"
JOB = "load-data-job"
CONFIG = configuration("load_data", end="2023-02-14T23:59:59Z")
SHARED = CONFIG.replace('target_bucket: "load_data"', 'target_bucket: "shared"') + "    allow_existing_data: true\n"
JANUARY = 1_672_531_200_000_000_000
DAY = 86_400_000_000_000
ALL = Window(JANUARY - 40 * DAY, JANUARY + 90 * DAY)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack with the example tables."""
    one = EmbeddedStack(tmp_path_factory.mktemp("rollback"))
    one.up()
    try:
        one.seed_examples(2_000)
        yield one
    finally:
        one.down()


def target(stack: EmbeddedStack) -> Target:
    names = stack.variables
    return Target(names["INFLUXDB_URL"], names["INFLUXDB_ORG"], SecretStr(names["INFLUXDB_TOKEN"]))


def held(stack: EmbeddedStack, bucket: str, measurement: str = "load_data") -> Held:
    return held_in(target(stack), bucket, measurement, ALL)


def buckets(stack: EmbeddedStack) -> set[str]:
    with plain_client(stack) as client:
        return {bucket.name for bucket in client.buckets_api().find_buckets().buckets}


def write(stack: EmbeddedStack, bucket: str, *points: tuple[str, dict[str, str], dict[str, object], int]) -> None:
    with plain_client(stack) as client:
        if client.buckets_api().find_bucket_by_name(bucket) is None:
            client.buckets_api().create_bucket(bucket_name=bucket, org=stack.variables["INFLUXDB_ORG"])
        records = [dict(zip(("measurement", "tags", "fields", "time"), point, strict=True)) for point in points]
        client.write_api(write_options=SYNCHRONOUS).write(bucket=bucket, record=records)


def an_exported_point(stack: EmbeddedStack, bucket: str) -> tuple[dict[str, str], str, int]:
    """Tags, field and time of a point that the job wrote."""
    block = next(reader.points(target(stack), bucket, "load_data", Window(JANUARY, JANUARY + 20 * DAY)))
    return block.tags, block.columns[0].field, int(block.times[0])


def test_a_rollback_deletes_the_jobs_own_new_bucket_and_the_job_is_proven_again_like_the_first_time(stack):
    stack.write_config(CONFIG)
    begun = stack.run("execute")
    assert begun.returncode == 0, begun.stderr
    first = held(stack, "load_data")
    shown = stack.run("rollback", JOB, "--dry-run")
    assert (shown.returncode, held(stack, "load_data")) == (0, first), shown.stderr
    assert re.search(r"deleted  window 2023-01-01: [\d,]+ values in bucket 'load_data'", shown.stdout), shown.stdout
    asked = stack.run("rollback", JOB)
    assert (asked.returncode, held(stack, "load_data")) == (2, first)
    assert f"rollback {JOB} --approve" in asked.stderr

    answer = stack.run("rollback", JOB, "--approve")
    assert answer.returncode == 0, answer.stderr
    assert f"{first.values:,} values deleted from 2 windows" in answer.stdout
    assert "load_data" not in buckets(stack)
    left = sorted(path.name for path in Objects(stack, TABLE).proof.rglob("*") if path.is_file())
    assert left == ["rollback.json"]
    assert not [path for path in Objects(stack, TABLE).bulk.rglob("*") if path.is_file()]
    readiness = stack.run("cutover", "--status")
    assert readiness.returncode == 1, "the gate is shut"
    assert "window" in readiness.stdout + readiness.stderr

    again = stack.run("execute")
    assert again.returncode == 0, again.stderr
    assert held(stack, "load_data") == first
    assert Objects(stack, TABLE).statuses() == dict.fromkeys(["2023-01-01", "2023-02-01"], "proven")


def test_points_that_were_there_before_are_afterwards_what_they_were_by_count_and_digest(stack):
    # By the migration of the test above: the job's points are rolled back here once more.
    tags, field, time_ns = an_exported_point(stack, "load_data")
    assert stack.run("rollback", JOB, "--approve").returncode == 0
    # The same measurement, before, within and after the windows; two at the time and series of a point of the job's.
    write(
        stack,
        "shared",
        ("load_data", {"plant": "alien, 1"}, {"load": 1.25, "note": 'say "x" \\ y', "units": 7}, JANUARY - DAY),
        ("load_data", {"plant": "alien, 1"}, {"load": 2.5, "online": True}, JANUARY + DAY + 1),
        ("load_data", {"plant": "alien, 1"}, {"load": 3.5}, JANUARY + 60 * DAY),
        ("load_data", tags, {field: -12345.5, "reserve": 3}, time_ns),
        ("other", {}, {"load": 9.0}, JANUARY + DAY),
    )
    before, other = held(stack, "shared"), held(stack, "shared", "other")
    assert before.values == 8
    stack.write_config(SHARED)
    answer = stack.run("execute")
    statuses = Objects(stack, TABLE).statuses()
    assert statuses == dict.fromkeys(["2023-01-01", "2023-02-01"], "proven"), answer.stderr
    assert held(stack, "shared").values > before.values + 100

    refused = stack.run("reset", JOB, "--yes")
    assert (refused.returncode, "rollback" in refused.stderr) == (2, True)
    answer = stack.run("rollback", JOB, "--approve")
    assert answer.returncode == 0, answer.stderr
    assert "4 values that were there before the job are put back" in answer.stdout, answer.stdout
    assert held(stack, "shared") == before
    assert held(stack, "shared", "other") == other
    assert "shared" in buckets(stack)
