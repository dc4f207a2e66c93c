"""`plan` tells what Timestream says now: rows of every window, the range as it was resolved, and what stands in the way."""

from dataclasses import replace

import pytest

from ts_migration.aws import client
from ts_migration.config import parse_config
from ts_migration.objects import ExportBucket
from ts_migration.operations.plan import MANY_WINDOWS, ROWS_PER_WINDOW, WindowRows, plan, recommended_window
from ts_migration.stages.table import begin_table
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.windows import Window, iso
from ts_migration_tests.embedded_stack import configuration


@pytest.fixture
def query(embedded_stack, monkeypatch):
    for name, value in embedded_stack.variables.items():
        monkeypatch.setenv(name, value)
    return TimestreamQuery(client("timestream-query"))


def planned(query, text, bucket=None):
    return plan(parse_config(text), query, bucket=bucket)[0]


@pytest.mark.stack
def test_rows_of_all_windows_are_the_rows_of_the_table(query):
    made = planned(query, configuration("generation_data"))
    assert made.rows == 2000
    assert len(made.windows) == 24
    assert made.problems == ()
    assert made.largest.rows == max(window.rows for window in made.windows)
    assert iso(made.range.end_ns) == "2025-01-01T00:00:00Z"


@pytest.mark.stack
def test_a_bulk_load_whose_bucket_would_be_made_of_very_many_shards_is_told_of_it(query):
    bulk = configuration("generation_data").replace("    target_bucket:", "    load: bulk\n    target_bucket:")
    few, many = bulk, bulk.replace("    load: bulk", "    load: bulk\n    shard_group_duration: 1h")
    assert not any("many for one request" in note for note in planned(query, few).notes)
    assert any("many for one request" in note for note in planned(query, many).notes)


@pytest.mark.stack
def test_the_mapping_is_shown_before_anything_moves(query):
    made = planned(query, configuration("generation_data"))
    assert [tag.tag for tag in made.mapping.tags] == ["measure_name", "plant", "source", "subsystem"]
    assert {field.field: str(field.type) for field in made.mapping.fields} == {
        "availability": "float",
        "generation_mw": "float",
        "units_online": "integer",
    }


@pytest.mark.stack
def test_rows_outside_of_the_range_are_told(query):
    made = planned(query, configuration("load_data", start="2023-06-01", end="2024-01-01"))
    assert 0 < made.rows < 2000
    outside = [int(note.split()[0].replace(",", "")) for note in made.notes if "are not migrated" in note]
    assert len(outside) == 2
    assert sum(outside) + made.rows == 2000


@pytest.mark.stack
def test_a_range_without_rows_and_a_missing_table_are_problems_of_their_jobs(query):
    text = configuration("load_data", "no_table", start="2013-01-01", end="2014-01-01")
    empty, missing = plan(parse_config(text), query)
    assert "there is no row in the range; its rows lie between 2023-01-01" in empty.problems[0]
    assert "no table 'no_table'" in missing.problems[0]


@pytest.mark.stack
def test_a_thousand_windows_are_planned_by_a_handful_of_queries(query, monkeypatch):
    text = configuration("generation_data", start="2022-06-01", end="2025-03-01") + '    window: "day"\n'
    asked = []
    pages = TimestreamQuery.pages
    monkeypatch.setattr(
        TimestreamQuery, "pages", lambda self, sql, **more: asked.append(sql) or pages(self, sql, **more)
    )
    made = planned(query, text)
    assert len(made.windows) == 1004
    assert made.rows == 2000
    assert len(asked) <= 20


@pytest.mark.stack
def test_a_table_that_was_begun_with_another_grid_is_a_problem(query, embedded_stack):
    config = parse_config(configuration("load_data"))
    begun = config.migration_jobs[0]
    bucket = ExportBucket(client("s3"), embedded_stack.variables["S3_EXPORT_BUCKET"])
    begin_table(begun, config.place(begun), describe(query, begun.source_database, begun.source_table), bucket)
    try:
        assert planned(query, configuration("load_data"), bucket).problems == ()
        (problem,) = planned(query, configuration("load_data") + '    window: "day"\n', bucket).problems
    finally:
        bucket.delete_prefix(config.place(begun).proof)
    assert problem.startswith("the table was begun")
    assert "with another grid: window is '0 0 * * *' and was '0 0 1 * *'" in problem
    assert "Next: put the old value back" in problem


@pytest.mark.stack
def test_without_an_export_bucket_the_plan_says_what_it_does_not_know(query):
    assert any("S3_EXPORT_BUCKET is not set" in note for note in planned(query, configuration("load_data")).notes)


@pytest.mark.stack
def test_a_retention_shorter_than_the_data_is_old_is_a_problem(query):
    (problem,) = planned(query, configuration("load_data") + "    retention_days: 365\n").problems
    assert problem.startswith("retention_days is 365, and the oldest data of the range is up to 1,")


def job(window="month"):
    return parse_config(configuration("t") + f'    window: "{window}"\n').migration_jobs[0]


def full(rows, days=30, count=3):
    day = 86_400 * 10**9
    return [
        WindowRows(Window(index * days * day, (index + 1) * days * day, str(index)), rows) for index in range(count)
    ]


def test_windows_of_a_bearable_size_need_no_advice():
    assert recommended_window(job(), full(ROWS_PER_WINDOW)) is None
    assert recommended_window(job(), full(0)) is None


@pytest.mark.parametrize(("rows", "advice"), [(2, "week"), (10, "day"), (300, "hour"), (100_000, "hour")])
def test_fuller_windows_are_advised_to_be_shorter(rows, advice):
    assert recommended_window(job(), full(rows * ROWS_PER_WINDOW)) == advice


def test_one_full_window_is_enough_for_the_advice():
    windows = [*full(10), replace(full(1)[0], rows=20 * ROWS_PER_WINDOW)]
    assert recommended_window(job(), windows) == "day"


def test_very_many_small_windows_are_advised_to_be_longer():
    assert recommended_window(job("hour"), full(5, days=1, count=MANY_WINDOWS + 1)) == "month"
