"""Which mapping a range is checked by: given, frozen, configured or the defaults; never one of several by chance."""

from typing import Any

import pytest

from ts_migration.config import MappingOptions, parse_config
from ts_migration.errors import Refused
from ts_migration.operations.range_mapping import ChosenMapping, choose_mapping
from ts_migration.timestream.description import describe
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

DAY = Window(START, START + 24 * HOUR)


def chosen(migration: Migration, bucket: str = "", **arguments: Any) -> ChosenMapping:
    stack = migration.stack
    schema = describe(stack.query, migration.job.source_database, migration.job.source_table)
    return choose_mapping(schema, DAY, bucket or migration.job.target_bucket, stack.bucket, **arguments)


class SecondJob(Migration):
    """The second job of a configuration."""

    @property
    def job(self) -> Any:
        return self.config.migration_jobs[1]


def second_job(migration: Migration, bucket: str) -> SecondJob:
    """Another job over the same table, into another bucket, with another mapping."""
    job = migration.job
    both = f"source_database: energy, source_table: {job.source_table}, start_time: 2023-01-01, end_time: 2023-03-01"
    config = parse_config(f"""
migration_jobs:
  - {{job_name: "{job.job_name}", {both}, target_bucket: {job.target_bucket}}}
  - {{job_name: "second {job.job_name}", {both}, target_bucket: {bucket}, mapping: {{measurement: renamed}}}}
""")
    return SecondJob(migration.stack, config)


@pytest.fixture(scope="module")
def unloaded(stack: Stack) -> Migration:
    return new_migration(stack, plant_rows(2))


def test_a_table_that_nobody_began_has_the_default_mapping(unloaded: Migration) -> None:
    found = chosen(unloaded)
    assert (found.origin, found.mapping.measurement) == ("the defaults", unloaded.job.source_table)


def test_a_job_of_the_configuration_says_how_a_table_that_was_not_begun_is_mapped(unloaded: Migration) -> None:
    job = unloaded.changed(mapping=MappingOptions(measurement="power")).job
    found = chosen(unloaded, job=job)
    assert (found.mapping.measurement, found.origin) == ("power", f"job {job.job_name!r} of the configuration")


def test_the_frozen_mapping_is_taken_with_the_rules_that_its_windows_were_rewritten_by(stack: Stack) -> None:
    rewriting = new_migration(
        stack, plant_rows(2, name="ends in \\"), mapping="{rewrite: {trailing_backslash: drop, newline_in_tag: space}}"
    )
    rewriting.run()
    found = chosen(rewriting)
    assert found.origin == f"frozen in {stack.bucket.uri(rewriting.place.table_manifest)}"
    assert found.rewrite == {"trailing_backslash": "drop"}, "the other rule touched no row"


def test_a_table_whose_name_begins_alike_is_another_one(stack: Stack, unloaded: Migration) -> None:
    """`load` must not be checked by what `load_2` was migrated with."""
    stack.bucket.put(f"manifests/energy/{unloaded.job.source_table}_2/table.json", b"{}")
    assert chosen(unloaded).origin == "the defaults"


def test_of_several_jobs_the_one_that_loads_into_the_bucket_counts_and_else_none_is_guessed(stack: Stack) -> None:
    first = new_migration(stack, plant_rows(2))
    first.run()
    second_job(first, "second_bucket").run()
    assert chosen(first).mapping.measurement == first.job.source_table
    assert chosen(first, "second_bucket").mapping.measurement == "renamed"
    with pytest.raises(Refused, match="several mappings"):
        chosen(first, "a_third_bucket")
    given = chosen(first, "a_third_bucket", options=MappingOptions(measurement="mine"))
    assert (given.mapping.measurement, given.origin) == ("mine", "the options given")
