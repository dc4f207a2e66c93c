"""A table that was begun keeps its grid and mapping; `reset` is the way out, and its own points are no strangers then."""

import re
from collections.abc import Iterator

import pytest
from influxdb_client.client.write_api import SYNCHRONOUS

from ts_migration_tests.embedded_stack import DATABASE, EmbeddedStack, configuration
from ts_migration_tests.end_to_end.history import runs
from ts_migration_tests.end_to_end.manifests import Objects
from ts_migration_tests.end_to_end.target import count, plain_client

pytestmark = pytest.mark.stack

TABLE = f"{DATABASE}/load_data"
WHOLE = ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")
BY_MONTH = configuration("load_data", end="2023-02-14T23:59:59Z")
BY_HALF_MONTH = BY_MONTH + "    window: '0 0 1,15 * *'\n"
OTHER_MEASUREMENT = BY_MONTH + "    mapping: {measurement: loads}\n"
RESET = "ts-migration reset load-data-job"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack with a table that is migrated by months."""
    one = EmbeddedStack(tmp_path_factory.mktemp("reset"))
    one.up()
    try:
        one.seed_examples(2_000)
        migrate(one, BY_MONTH)
        yield one
    finally:
        one.down()


def migrate(stack: EmbeddedStack, config: str) -> None:
    stack.write_config(config)
    answer = stack.run("execute")
    assert answer.returncode == 0, answer.stderr


def values(stack: EmbeddedStack) -> dict[str, int]:
    with plain_client(stack) as client:
        return count(client, "load_data", "load_data", *WHOLE)


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        (BY_HALF_MONTH, ("begun with another grid: window is '0 0 1,15 * *' and was '0 0 1 * *'",)),
        (OTHER_MEASUREMENT, ("the options of `mapping` differ",)),
    ],
    ids=["window", "mapping"],
)
def test_another_grid_or_mapping_is_refused_with_the_way_out_and_nothing_is_touched(stack, config, texts):
    before, ran = Objects(stack, TABLE).finished(), len(runs(stack))
    stack.write_config(config)
    answer = stack.run("execute")
    assert answer.returncode == 2, answer.stderr
    assert len(re.findall(r"^error: ", answer.stderr, re.MULTILINE)) == 1
    assert "Traceback" not in answer.stderr
    assert [text for text in (*texts, "job 'load_data job'", RESET) if text not in answer.stderr] == [], answer.stderr
    assert Objects(stack, TABLE).finished() == before
    assert len(runs(stack)) == ran


def test_nothing_is_reset_unless_somebody_says_yes(stack):
    before = Objects(stack, TABLE).finished()
    answer = stack.run("reset", "load_data job")
    assert answer.returncode == 2
    assert f"{RESET} --yes" in answer.stderr
    assert Objects(stack, TABLE).finished() == before
    assert len(before) == 2


def test_a_table_that_was_reset_is_begun_anew_by_another_grid_over_its_own_points(stack):
    there = values(stack)
    stack.write_config(BY_HALF_MONTH)
    answer = stack.run("reset", "load_data job", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert "manifests and verdicts of 2 windows" in answer.stdout
    assert "--stop 2023-02-14T23:59:59.999999999Z --predicate '_measurement=\"load_data\"'" in answer.stderr
    left = [path.name for path in Objects(stack, TABLE).proof.rglob("*") if path.is_file()]
    assert left == ["own_ranges.json"], "the proof is gone, what is the job's own is remembered"
    assert not [path for path in Objects(stack, TABLE).bulk.rglob("*") if path.is_file()]
    assert values(stack) == there, "points stay"
    shown = stack.run("status")
    assert re.search(r"load_data +not begun +3 +0 +0 +0 +0", shown.stdout), shown.stdout

    migrate(stack, BY_HALF_MONTH)
    assert Objects(stack, TABLE).statuses() == dict.fromkeys(["2023-01-01", "2023-01-15", "2023-02-01"], "proven")
    assert values(stack) == there, "the same points were written over themselves"
    shown = stack.run("status")
    assert re.search(r"load_data +migrated +3 +3 +3 +0 +0", shown.stdout), shown.stdout


def test_what_others_wrote_meanwhile_is_still_refused(stack):
    # One point of somebody else's in a range that the job never wrote to: the month grows by two weeks.
    stack.write_config(BY_MONTH.replace("2023-02-14", "2023-02-28"))
    assert stack.run("reset", "load_data job", "--yes").returncode == 0
    again = stack.run("reset", "load_data job", "--yes")
    assert (again.returncode, "nothing to take back" in again.stdout) == (0, True), again.stderr
    with plain_client(stack) as client:
        point = {"measurement": "load_data", "time": "2023-02-20T00:00:00Z", "fields": {"strange": 1.0}}
        client.write_api(write_options=SYNCHRONOUS).write(bucket="load_data", record=point)
    answer = stack.run("execute")
    assert answer.returncode == 1
    assert "window 2023-02-01" in answer.stderr
    assert "already holds 1 values of 'load_data' in this window that this job did not write" in answer.stderr
    assert Objects(stack, TABLE).statuses() == {"2023-01-01": "proven"}
