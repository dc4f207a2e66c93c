"""What only the rows and the bucket can say of a mapping: found by plan and dry run, refused before anything moves."""

import polars as pl
import pytest

from ts_migration.config import MappingOptions
from ts_migration.errors import Refused
from ts_migration.influxdb.buckets import ensure
from ts_migration.line_protocol.resolution import resolve
from ts_migration.operations.findings import FindingStatus
from ts_migration.operations.mapping_look import above_limit, look_at_mapping, mapping_finding
from ts_migration.operations.plan import plan
from ts_migration.timestream.description import describe
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import START, Migration, Stack, new_migration, plant_rows, stack

__all__ = ["stack"]

pytestmark = pytest.mark.stack


@pytest.fixture
def migration(stack: Stack) -> Migration:
    return new_migration(stack, plant_rows())


def with_options(migration: Migration, **options: object) -> Migration:
    return migration.changed(mapping=MappingOptions(**options))


def asked(migration: Migration):
    job = migration.job
    schema = describe(migration.stack.query, job.source_database, job.source_table)
    return job, schema, resolve(schema, job.mapping, job.measurement), migration.stack.query


def test_rows_that_would_become_one_point_are_a_problem_of_the_plan_with_how_many_and_three_of_them(migration) -> None:
    clash = with_options(migration, dimensions_as_fields=("plant", "subsystem"))
    (made,) = plan(clash.config, clash.stack.query, target=clash.stack.target)
    (problem,) = made.problems
    assert "472 rows would become 236 points" in problem
    assert problem.count(": 2 rows") == 3
    assert "mapping.dimensions_as_fields" in problem


def test_the_dry_run_fails_on_them_and_passes_without(migration) -> None:
    found = mapping_finding(
        *asked(with_options(migration, dimensions_as_fields=("plant", "subsystem"))), migration.stack.target
    )
    assert found.status is FindingStatus.FAILED
    assert "472 rows would become 236 points" in found.detail
    assert mapping_finding(*asked(migration), migration.stack.target).ok


def test_a_field_that_the_bucket_holds_with_another_type_is_a_problem_before_anything_moves(migration) -> None:
    ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    migration.write(f'{migration.job.measurement} load_mw="text",units=1.5 {START}')
    look = look_at_mapping(*asked(migration), migration.stack.target)
    (problem,) = look.problems
    assert isinstance(problem, Refused)
    assert "'load_mw' is mapped to float and there it is string" in str(problem)
    assert "'units' is mapped to integer and there it is float" in str(problem)
    (made,) = plan(migration.config, migration.stack.query, target=migration.stack.target)
    assert len(made.problems) == 1


def test_a_name_that_is_a_tag_on_one_side_and_a_field_on_the_other_is_a_problem_before_anything_moves(
    migration,
) -> None:
    ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    migration.write(f'{migration.job.measurement},load_mw=x,other=y plant="text",one=1i {START}')
    (problem,) = look_at_mapping(*asked(migration), migration.stack.target).problems
    assert "'load_mw' is mapped to a field and there it is a tag" in str(problem)
    assert "'plant' is mapped to a tag and there it is a field" in str(problem)
    renamed = with_options(migration, rename={"plant": "power plant", "load_mw": "load"})
    assert look_at_mapping(*asked(renamed), migration.stack.target).problems == ()


def test_without_influxdb_the_plan_says_that_types_are_not_known(migration) -> None:
    (made,) = plan(migration.config, migration.stack.query)
    assert made.problems == ()
    assert any("InfluxDB is not configured" in note for note in made.notes)


def test_series_are_counted_with_their_field_keys_as_they_will_be(migration) -> None:
    """Two plants, each with four measures; `subsystem` is there for the first of them only."""
    look = look_at_mapping(*asked(migration), migration.stack.target)
    assert look.series is not None
    assert (look.series.series, look.series.with_fields) == (2, 8)
    migration.run(0)
    migration.run(1)
    job, target = migration.job, migration.stack.target
    from ts_migration.influxdb.reader import range_counts

    found = range_counts(target, job.target_bucket, job.measurement, Window(job.start_time, job.end_time))
    assert (found.series, found.with_fields) == (look.series.series, look.series.with_fields)


def test_a_series_whose_fields_are_all_null_is_none(stack) -> None:
    rows = plant_rows(10).with_columns(
        units=pl.when(pl.col("plant").str.contains("Itaipu")).then(None).otherwise(pl.col("units"))
    )
    look = look_at_mapping(*asked(new_migration(stack, rows)), None)
    assert look.series is not None
    assert (look.series.series, look.series.with_fields) == (2, 7)


def test_more_series_than_the_limit_are_told_with_the_way_out(migration) -> None:
    tight = migration.changed(series_limit=7)
    look = look_at_mapping(*asked(tight), None)
    assert look.series is not None
    told = above_limit(tight.job, look.series)
    assert "8 series with their field keys (2 series) are more than series_limit, 7" in told
    assert "dimensions_as_fields" in told
    assert above_limit(migration.job, look.series) == ""
    (made,) = plan(tight.config, tight.stack.query, target=tight.stack.target)
    assert told in made.notes
    assert made.problems == (), "nothing is lost by it: execute goes on"
