"""What checks and plans ask the source, on the embedded Timestream, against what was written to it."""

import pytest

from ts_migration.line_protocol.resolution import resolve
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery
from ts_migration.timestream.readings import rows_at, sample_rows, source_counts
from ts_migration.timestream.series import collisions
from ts_migration.windows import Window
from ts_migration_tests.stages.source.tables import HOUR, START, Source, multi, single

ALL = Window(START, START + 1000 * HOUR, "all")


@pytest.fixture
def table(source: Source) -> Source:
    source.put([multi(index) for index in range(100)])
    return source


def test_counts_are_per_measure_name_and_column(table: Source) -> None:
    table.put([single(3, "temp", "DOUBLE", "1"), single(4, "temp", "BIGINT", "1"), single(5, "on", "BOOLEAN", "true")])
    mapping = resolve(table.schema, table.job().mapping, "t")
    counts = source_counts(table.query, table.schema, mapping, ALL)
    assert counts.rows == {"balance": 100, "temp": 2, "on": 1}
    assert counts.total_rows == 103
    assert counts.values["balance", "load"] == 100 and counts.values["balance", "open"] == 80
    assert (counts.first_ns, counts.last_ns) == (START, START + 99 * HOUR + 99)
    assert counts.field_values(mapping) == {
        "at": 80, "count": 100, "load": 100, "on": 1, "open": 80, "temp_bigint": 1, "temp_double": 1, "text": 80,
    }  # fmt: skip


def test_a_window_without_rows_counts_nothing(table: Source) -> None:
    mapping = resolve(table.schema, table.job().mapping, "t")
    counts = source_counts(table.query, table.schema, mapping, Window(0, 10))
    assert (counts.total_rows, counts.first_ns, counts.last_ns, counts.field_values(mapping)) == (0, None, None, {})


def test_rows_of_given_times_come_whole_and_exact(table: Source) -> None:
    times = [START + index * HOUR + index for index in (3, 5, 7)]
    frame = rows_at(table.query, table.schema, ALL, [*times, 5, START + 1])
    assert frame.sort("time_ns")["time_ns"].to_list() == times
    row = frame.sort("time_ns").row(0, named=True)
    assert row["load"] == 3 * 1.1 - 20 and row["count"] == 2**62 + 3 and row["at"] == START + 3
    assert rows_at(table.query, table.schema, ALL, []).schema == frame.schema


def test_a_sample_holds_distinct_rows_of_the_window_and_follows_its_seed(table: Source) -> None:
    window = Window(START, START + 100 * HOUR)
    first = sample_rows(table.query, table.schema, window, 20, seed=7)
    assert 18 <= len(first) <= 20
    assert first.equals(sample_rows(table.query, table.schema, window, 20, seed=7))
    assert not first.equals(sample_rows(table.query, table.schema, window, 20, seed=8))
    assert first["time_ns"].n_unique() == len(first)


def test_a_sample_finds_the_rows_of_a_window_whose_end_is_empty(table: Source) -> None:
    wide = Window(START, START + 100_000 * HOUR)
    assert len(sample_rows(table.query, table.schema, wide, 5, seed=1)) >= 1
    assert len(sample_rows(table.query, table.schema, Window(0, 10), 5, seed=1)) == 0
    assert len(sample_rows(table.query, table.schema, wide, 0, seed=1)) == 0


def test_a_window_no_larger_than_the_sample_is_sampled_whole_by_one_query(table: Source) -> None:
    window = Window(START, START + 30 * HOUR)
    asked: list[str] = []
    query = TimestreamQuery(table.query.client)
    query.pages = lambda sql: asked.append(sql) or table.query.pages(sql)  # type: ignore[method-assign, func-returns-value]
    whole = sample_rows(query, table.schema, window, 30, seed=7, rows=30)
    assert (len(whole), len(asked)) == (30, 1)
    assert whole.schema == sample_rows(query, table.schema, Window(0, 10), 30, seed=7, rows=0).schema
    asked.clear()
    assert len(sample_rows(query, table.schema, window, 29, seed=7, rows=30)) <= 29 and len(asked) == 3


def of_series(index: int, time_ns: int) -> dict[str, object]:
    """A row of one of many series; every third has no zone."""
    zone = [{"Name": "zone", "Value": f"z {index % 3}'"}] if index % 3 else []
    return multi(0, Dimensions=[{"Name": "plant", "Value": f"p{index:04d}"}, *zone], Time=str(time_ns))


def test_a_sample_of_many_series_of_one_time_is_drawn_from_all_over_them(source: Source) -> None:
    """Ordering rows by name would draw the first or the last of them each time, and never one in the middle."""
    source.put([of_series(index, START + 5) for index in range(400)])
    found = sample_rows(source.query, source.schema, Window(START, START + HOUR), 40, seed=3, rows=400)
    numbers = sorted(int(plant[1:]) for plant in found["plant"])
    assert len(numbers) == 40
    assert [len([number for number in numbers if number // 100 == part]) for part in range(4)] == [10] * 4
    firsts = {
        sample_rows(source.query, source.schema, Window(START, START + HOUR), 40, seed, 400)["plant"].min()
        for seed in range(4)
    }
    assert len(firsts) > 1, "each sample begins with another series"


def test_a_sample_of_one_series_is_drawn_from_all_over_its_life(source: Source) -> None:
    source.put([of_series(1, START + minute * 60 * 10**9) for minute in range(600)])
    found = sample_rows(source.query, source.schema, Window(START, START + 1000 * HOUR), 20, seed=3, rows=600)
    stretches = [(time - START) // HOUR for time in found["time_ns"]]
    assert set(stretches) == set(range(10)), "two draws for each hour of the ten"
    assert 18 <= len(found) <= 20


def test_series_with_few_rows_are_drawn_no_more_often_than_they_have_rows(source: Source) -> None:
    source.put([of_series(index, START + 7) for index in range(5)])
    source.put([of_series(9, START + minute) for minute in range(100)])
    found = sample_rows(source.query, source.schema, Window(START, START + HOUR), 30, seed=1, rows=105)
    per_series = {plant: len(rows) for (plant,), rows in found.group_by("plant")}
    assert per_series.pop("p0009") >= 20
    assert per_series == {f"p{index:04d}": 1 for index in range(5)}


def test_a_sample_of_series_with_long_names_is_asked_by_queries_of_bounded_length(source: Source) -> None:
    def named(index: int) -> list[dict[str, str]]:
        return [{"Name": "plant", "Value": f"{index:03d}" + "'" * 1800}]

    source.put([multi(0, Dimensions=named(index), Time=str(START + index)) for index in range(120)])
    asked: list[str] = []
    query = TimestreamQuery(source.query.client)
    query.pages = lambda sql: asked.append(sql) or source.query.pages(sql)  # type: ignore[method-assign, func-returns-value]
    found = sample_rows(query, source.schema, Window(START, START + HOUR), 100, seed=1, rows=120)
    assert 50 <= len(found) <= 100
    assert 3 < len(asked) < 20 and max(map(len, asked)) < 150_000


def test_a_table_with_more_series_than_can_be_numbered_is_sampled_by_time(table: Source) -> None:
    asked: list[str] = []

    def pages(sql: str) -> object:
        asked.append(sql)
        if "row_number()" in sql:
            raise QueryTooLarge("too many series")
        return table.query.pages(sql)

    query = TimestreamQuery(table.query.client)
    query.pages = pages  # type: ignore[method-assign, assignment]
    found = sample_rows(query, table.schema, Window(START, START + 100 * HOUR), 20, seed=7, rows=100)
    assert len(found) == 20 and 10 < len(asked) <= 21
    assert {(time - START) // (10 * HOUR) for time in found["time_ns"]} >= {0, 3, 5, 8}


def test_rows_that_would_overwrite_each_other_are_found_with_examples(source: Source) -> None:
    for index in range(5):
        source.put([multi(index, Dimensions=[{"Name": "plant", "Value": "p"}, {"Name": "unit", "Value": f"u{unit}"}]) for unit in range(2)])  # fmt: skip
    injective = resolve(source.schema, source.job().mapping, "t")
    assert collisions(source.query, source.schema, injective, ALL).points == 0
    options = source.job(mapping="{dimensions_as_fields: [unit]}").mapping
    found = collisions(source.query, source.schema, resolve(source.schema, options, "t"), ALL)
    assert found.points == 5
    assert len(found.examples) == 3
    assert found.examples[0] == "2023-01-01T00:00:00Z measure_name='balance' plant='p': 2 rows"


def test_rows_of_different_single_measures_do_not_collide(source: Source) -> None:
    source.put([single(0, "temp", "DOUBLE", "1"), single(0, "wind", "DOUBLE", "1")])
    mapping = resolve(source.schema, source.job().mapping, "t")
    assert collisions(source.query, source.schema, mapping, ALL).points == 0


def test_a_dropped_measure_name_collides_only_where_one_field_is_written_twice(source: Source) -> None:
    values = [{"Name": "only_here", "Type": "DOUBLE", "Value": "1"}]
    source.put([multi(0), multi(0, MeasureName="other"), multi(1), multi(1, MeasureName="other", MeasureValues=values)])
    options = source.job(mapping="{keep_measure_name: false}").mapping
    assert collisions(source.query, source.schema, resolve(source.schema, options, "t"), ALL).points == 1


def test_what_came_after_the_mapping_is_counted_by_the_same_query(source: Source) -> None:
    source.put(
        [multi(index) for index in range(10)] + [single(1, "temp", "DOUBLE", "1"), single(1, "hum", "BIGINT", "1")]
    )
    options = source.job(mapping="{single_measure: field_per_measure_name}").mapping
    mapping = resolve(source.schema, options, "t")
    assert source_counts(source.query, source.schema, mapping, ALL).unmapped == {}
    extended = [{"Name": "q", "Type": "DOUBLE", "Value": "7"}]
    source.put([
        multi(2, MeasureValues=extended, Version=9), multi(3, MeasureValues=extended, Version=9),
        multi(50, Dimensions=[{"Name": "plant", "Value": "p"}, {"Name": "unit", "Value": "u"}]),
        single(60, "wind", "DOUBLE", "1"), single(61, "temp", "BIGINT", "1"),
    ])  # fmt: skip

    counts = source_counts(source.query, source.schema, mapping, ALL)

    assert counts.unmapped == {
        "measure 'wind'": 1, "column 'q'": 2, "column 'unit'": 1, "column 'measure_value::bigint' of measure 'temp'": 1
    }  # fmt: skip
    assert source_counts(source.query, source.schema, mapping, Window(START, START + HOUR)).unmapped == {}
