"""Rows that cannot be said, as a person at the command line meets them: told, listed, shown, and tried again by a rule."""

import json
import re
from collections.abc import Iterator

import polars as pl
import pytest

from ts_migration.local.timestream.seed import seed
from ts_migration_tests.embedded_stack import EmbeddedStack, configuration
from ts_migration_tests.end_to_end.proven_table import SPEC, plant_rows
from ts_migration_tests.end_to_end.target import count, plain_client

pytestmark = pytest.mark.stack

START, END = "2023-01-01T00:00:00Z", "2023-02-28T23:59:59Z"
SETTINGS = "migration_settings:\n  parallel_jobs: 1\n  retry_delay_seconds: 0.05\n"
RULE = "    mapping:\n      rewrite:\n        trailing_backslash: drop\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack with a table of two months, of whose February two rows name a plant that ends in a backslash."""
    one = EmbeddedStack(tmp_path_factory.mktemp("quarantine"))
    one.up()
    try:
        spoiled = pl.int_range(pl.len()).is_in([300, 302])
        rows = plant_rows().with_columns(plant=pl.when(spoiled).then(pl.lit("Itaipu\\")).otherwise(pl.col("plant")))
        seed(one.timestream_url, SPEC.model_copy(update={"table": "mixed"}), rows)
        one.write_config(configuration("mixed", start=START, end=END) + SETTINGS)
        yield one
    finally:
        one.down()


def values(stack: EmbeddedStack) -> int:
    with plain_client(stack) as client:
        return sum(count(client, "mixed", "mixed", START, "2023-03-01T00:00:00Z").values())


def test_what_was_kept_out_is_told_listed_shown_and_tried_again_by_a_rule(stack: EmbeddedStack) -> None:
    job = re.search(r'job_name: "?([^"\n]+)', configuration("mixed", start=START, end=END))[1]
    first = stack.run("execute")
    assert first.returncode == 1
    assert "2 rows quarantined (plant: a tag value ends in a backslash" in first.stderr
    assert "ts-migration quarantine show" in first.stderr
    before = values(stack)

    listed = stack.run("quarantine", "list")
    assert listed.returncode == 1
    assert re.search(r"2023-02-01 +2 +0 +0 +tag_ends_in_backslash: 2 +s3://\S+quarantine\.ndjson\.gz", listed.stdout)

    shown = stack.run("quarantine", "show", job, "--json")
    assert shown.returncode == 0
    kept = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [entry["row"]["plant"] for entry in kept] == ["Itaipu\\", "Itaipu\\"]
    plain = stack.run("quarantine", "show", job, "--limit", "1")
    assert "2023-02-01  plant: a tag value ends in a backslash" in plain.stdout
    assert "1 more: --limit 2" in plain.stderr

    nothing = stack.run("quarantine", "replay", job)
    assert nothing.returncode == 1
    assert "2 rows stay in the quarantine for tag_ends_in_backslash: the rule mapping.rewrite.trailing_backslash" in (
        nothing.stderr
    )
    assert "nothing to try again" in nothing.stdout

    text = configuration("mixed", start=START, end=END)
    stack.write_config(text.rstrip("\n") + "\n" + RULE + SETTINGS)
    again = stack.run("quarantine", "replay", job)
    assert again.returncode == 1, "rewritten rows are passed, not proven"
    assert "mapping.rewrite was changed: 1 windows are converted again" in again.stdout
    assert "1 windows migrated, 0 failed" in again.stdout
    assert "2 rows rewritten by trailing_backslash" in again.stdout + again.stderr
    assert values(stack) > before
    assert "quarantined" not in again.stderr

    last = stack.run("quarantine", "replay", job)
    assert "nothing was kept out" in last.stdout
    assert last.returncode == 0


def test_a_job_or_window_that_does_not_exist_is_said(stack: EmbeddedStack) -> None:
    for arguments, words in (
        (["nobody"], "there is no job 'nobody'"),
        (["mixed job", "--window", "1999-01-01"], "1999"),
    ):
        answer = stack.run("quarantine", "show", *arguments)
        assert answer.returncode == 2
        assert words in answer.stderr
