"""Every text of docs/queries.md is asked: Timestream's SQL beside its Flux and its InfluxQL, and the answers compared."""

import re
from typing import Any

import pytest

from ts_migration.query_settings import QueryPair, QuerySettings
from ts_migration.stages.proof import proof_of
from ts_migration.stages.queries import ask_queries
from ts_migration_tests.embedded_stack import CHECKOUT
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack
from ts_migration_tests.stages.test_hard_tables import migration_of, record

pytestmark = pytest.mark.stack

STEP = HOUR // 3
DAYS = 3
GAP = range(2 * 72 + 30, 2 * 72 + 42)
"""Steps of the third day in which plant B is silent: its hours 10 to 13."""
TEXT = (CHECKOUT / "docs" / "queries.md").read_text(encoding="utf-8")
SECTIONS = {
    title: dict(re.findall(r"^```(\w+)\n(.*?)^```$", body, re.MULTILINE | re.DOTALL))
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
PAIRS = [(title, language) for title, blocks in SECTIONS.items() for language in blocks if language != "sql"]


def loads() -> list[dict[str, Any]]:
    records = []
    for step in range(DAYS * 72):
        for number, plant in enumerate("ABC"):
            if plant == "B" and step in GAP:
                continue
            load = 100 + (step * 37 % 101) / 7 + number * 5.5 + step / 1000
            values = [
                ("load_mw", "DOUBLE", repr(load)),
                ("energy_mwh", "DOUBLE", repr(step * step / 8 + number)),
                ("status", "VARCHAR", ("up", "down", "idle")[step % 3]),
            ]
            time = str(START + step * STEP + number * 1_000)
            records.append(record(0, {"plant": plant}, "balance", values) | {"Time": time})
    return records


@pytest.fixture(scope="module")
def migrated(stack: Stack) -> Migration:
    migration = migration_of(stack, loads(), end_time="2023-02-01")
    assert migration.run().status == "proven"
    return migration


def test_the_commonest_queries_are_there_and_nearly_all_in_both_languages() -> None:
    assert len(SECTIONS) >= 10
    assert all({"sql", "flux"} <= blocks.keys() for blocks in SECTIONS.values())
    assert sum("influxql" in blocks for blocks in SECTIONS.values()) >= 10


@pytest.mark.parametrize(("title", "language"), PAIRS)
def test_a_documented_query_has_one_answer_in_both_systems(migrated: Migration, title: str, language: str) -> None:
    blocks = SECTIONS[title]
    pair = QueryPair(name=title, timestream=blocks["sql"], runs=1, **{language: blocks[language]})
    config = migrated.config.model_copy(
        update={"queries": (pair,), "query_settings": QuerySettings(default_queries=False)}
    )
    proof = proof_of(config, migrated.job, migrated.stack.bucket)
    stack = migrated.stack
    (result,) = ask_queries(config, migrated.job, proof, stack.bucket, stack.target, stack.query).results
    assert result.same, (result.summary, result.comparison and result.comparison.examples)
