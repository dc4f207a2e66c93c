"""Clauses: select lists, grouping, ordering, joins, sub-queries, WITH, set operations, UNNEST, and names."""

import re

import pytest

from ts_migration.local.timestream.sql import Describe, ShowDatabases, ShowMeasures, ShowTables, like_matches, parse
from ts_migration_tests.local.timestream.sql.engine import METRICS, MINUTE, NOW, ROWS, T0, Engine, TwoTables

M = '"grid"."metrics"'
SITES = '"grid"."sites.v2"'


def test_star_gives_the_columns_of_the_schema_in_order(engine: Engine):
    assert engine.names(f"SELECT * FROM {M}") == [column.name for column in METRICS.columns]
    assert engine.rows(f'SELECT * FROM {M} ORDER BY time, region, "measure_value::double"') == sorted(
        ROWS, key=lambda row: (row[3], row[0] or "~")
    )


def test_a_qualified_star_and_names_qualified_in_every_way_mean_the_table(engine: Engine):
    query = f'SELECT m.*, 1 FROM {M} m WHERE m."Region name" IS NULL AND m.measure_value::bigint = -7'
    assert engine.rows(query) == [(*ROWS[-1], 1)]
    query = f'SELECT metrics.region, "grid"."metrics"."time" FROM {M} WHERE measure_value::bigint = 7'
    assert engine.rows(query) == [("s", T0 + 90 * MINUTE)]


def test_columns_without_a_name_are_numbered_by_position(engine: Engine):
    names = engine.names(
        f"SELECT region, time + 1h, count(*) AS n, 'x', \"measure_value::double\" FROM {M} GROUP BY 1, 2, 5"
    )
    assert names == ["region", "_col1", "n", "_col3", "measure_value::double"]


def test_names_are_case_sensitive_and_functions_and_keywords_are_not(engine: Engine):
    assert engine.rows(f"select COUNT(*) FroM {M} WHERE Time_ is NULL".replace("Time_", "region")) == [(1,)]
    assert engine.refusal(f"SELECT Region FROM {M}").message == "line 1:8: Column 'Region' does not exist"
    assert engine.refusal('SELECT 1 FROM "grid"."Metrics"').message == "line 1:15: Table 'grid.Metrics' does not exist"


def test_bare_and_quoted_measure_values_are_the_same_column(engine: Engine):
    query = (
        f'SELECT sum("measure_value::double"), sum(measure_value::double), sum(m.measure_value::double) FROM {M} AS m'
    )
    assert engine.rows(query) == [(10.25, 10.25, 10.25)]


def test_times_come_out_exact_to_the_last_nanosecond(engine: Engine):
    query = (
        f"SELECT to_nanoseconds(\"time\") AS time_ns FROM {M} WHERE time = TIMESTAMP '2022-06-17 07:00:00.000000002'"
    )
    assert engine.rows(query) == [(T0 + 1,)]


def test_a_half_open_window_by_nanoseconds_holds_its_start_and_not_its_end(engine: Engine):
    query = f"SELECT count(*) FROM {M} WHERE time >= from_nanoseconds({T0}) AND time < from_nanoseconds({T0 + 1})"
    assert engine.rows(query) == [(2,)]


def test_the_time_window_reaches_the_scan_as_plain_comparisons(engine: Engine):
    """Otherwise every window would read the whole table."""
    query = f"SELECT region FROM {M} WHERE time > '2022-06-17 07:00:00.5' AND time < ago(9h) + 1m AND region = 'n'"
    plan = engine.connection.execute(f"EXPLAIN {engine.translate(query).duckdb_sql}").fetchall()[0][1]
    scan = re.sub(r"[\s│]+", "", plan[plan.index("Filters") :])
    start, end = T0 - 1 + 500_000_000, NOW - 9 * 60 * MINUTE + MINUTE
    assert f"time>{start}" in scan and f"time<{end}" in scan and "region='n'" in scan


def test_a_histogram_by_bin_counts_each_bin(engine: Engine):
    query = f"SELECT bin(time, 1h) AS hour, measure_name, count(*) FROM {M} GROUP BY bin(time, 1h), measure_name ORDER BY hour, 2"
    hour = T0 - 1
    expected = [(0, "count", 1), (0, "load", 3), (1, "count", 1), (1, "load", 1), (2, "count", 1)]
    assert engine.rows(query) == [(hour + n * 60 * MINUTE, name, count) for n, name, count in expected]


def test_group_by_takes_positions_expressions_and_names(engine: Engine):
    by_position = engine.rows(f"SELECT region r, count(*) FROM {M} GROUP BY 1 ORDER BY r")
    by_name = engine.rows(f"SELECT region r, count(*) FROM {M} GROUP BY region ORDER BY r")
    by_qualified = engine.rows(f"SELECT m.region, count(*) FROM {M} m GROUP BY region ORDER BY m.region")
    assert by_position == by_name == by_qualified == [("n", 3), ("s", 3), (None, 1)]
    assert engine.rows(f"SELECT length(region) + 1, count(*) FROM {M} GROUP BY length(region) ORDER BY 1") == [
        (2, 6),
        (None, 1),
    ]
    assert engine.rows(f"SELECT 5, count(*) FROM {M} GROUP BY 1") == [(5, 7)]


def test_having_without_group_by_filters_the_one_row(engine: Engine):
    assert engine.rows(f"SELECT count(*) FROM {M} HAVING count(*) > 100") == []
    assert engine.rows(f"SELECT 1 FROM {M} HAVING max(measure_value::double) > 10") == [(1,)]


def test_group_by_of_no_rows_gives_no_rows_and_an_aggregate_gives_one(engine: Engine):
    assert engine.rows(f"SELECT region, count(*) FROM {M} WHERE FALSE GROUP BY region") == []
    assert engine.rows(f"SELECT count(*), min(time) FROM {M} WHERE FALSE") == [(0, None)]


def test_nulls_sort_last_both_ways_unless_asked_for(engine: Engine):
    source = "(VALUES 2, NULL, 1) AS t(c)"
    assert engine.rows(f"SELECT c FROM {source} ORDER BY c") == [(1,), (2,), (None,)]
    assert engine.rows(f"SELECT c FROM {source} ORDER BY c DESC") == [(2,), (1,), (None,)]
    assert engine.rows(f"SELECT c FROM {source} ORDER BY c DESC NULLS FIRST") == [(None,), (2,), (1,)]


def test_text_sorts_by_its_bytes(engine: Engine):
    assert engine.rows("SELECT c FROM (VALUES 'b', 'Z', 'é', 'a', '~') AS t(c) ORDER BY 1") == [
        ("Z",),
        ("a",),
        ("b",),
        ("~",),
        ("é",),
    ]


def test_order_by_sees_aliases_first_then_columns_and_expressions_of_both(engine: Engine):
    source = "(VALUES (1, 20), (2, 10)) AS t(a, b)"
    assert engine.rows(f"SELECT a AS b FROM {source} ORDER BY b") == [(1,), (2,)]
    assert engine.rows(f"SELECT a FROM {source} ORDER BY b") == [(2,), (1,)]
    assert engine.rows(f"SELECT a AS x FROM {source} ORDER BY -x") == [(2,), (1,)]
    assert engine.rows(f"SELECT region FROM {M} GROUP BY region ORDER BY count(*), 1") == [(None,), ("n",), ("s",)]


def test_a_name_that_two_columns_have_is_ambiguous_in_order_by(engine: Engine):
    source = "(VALUES (1, 20), (2, 10)) AS t(a, b)"
    for key in ("x", "t.x"):
        assert engine.refusal(f"SELECT a AS x, b AS x FROM {source} ORDER BY {key}").code == "ValidationException"
    assert engine.refusal(f"SELECT a AS x, b AS x FROM {source} ORDER BY x + 1").code == "ValidationException"
    assert engine.rows(f"SELECT a AS x, a AS x FROM {source} ORDER BY x DESC LIMIT 1") == [(2, 2)]


def test_a_null_column_meets_any_type(engine: Engine):
    assert engine.rows("SELECT NULL UNION ALL SELECT ARRAY[1]") == [(None,), ([1],)]
    assert engine.rows("SELECT x + 1, x = 'a' FROM (SELECT NULL AS x) AS t") == [(None, None)]


def test_columns_may_have_the_names_the_translation_uses_itself(engine: Engine):
    query = 'SELECT "v0" + "w" * 2, bin("v0" + 5ns, 3ns), "_0" FROM (SELECT from_nanoseconds(10) AS "v0", 2ns AS "w", 7 AS "_0") AS "r0"'
    assert engine.rows(query) == [(14, 15, 7)]
    query = 'SELECT strrpos("w" || \'\', "v0") FROM (VALUES (\'banana\', \'na\')) AS t("w", "v0")'
    assert engine.rows(query) == [(5,)]


def test_distinct_and_limit(engine: Engine):
    assert engine.rows(f"SELECT DISTINCT region FROM {M} ORDER BY region LIMIT 2") == [("n",), ("s",)]
    assert engine.rows(f"SELECT region FROM {M} LIMIT 0") == []
    assert len(engine.rows(f"SELECT region FROM {M} LIMIT ALL")) == 7


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("JOIN", [("n", "n")]),
        ("INNER JOIN", [("n", "n")]),
        ("LEFT JOIN", [("n", "n"), ("s", None), (None, None)]),
        ("RIGHT OUTER JOIN", [("n", "n"), (None, "w")]),
        ("FULL JOIN", [("n", "n"), ("s", None), (None, "w"), (None, None)]),
    ],
)
def test_a_join_keeps_the_rows_of_its_kind(engine: Engine, join, expected):
    query = f"SELECT DISTINCT m.region, t.region FROM {M} m {join} {SITES} t ON m.region = t.region ORDER BY 1, 2"
    assert engine.rows(query) == expected


def test_join_using_gives_the_column_once_and_first(engine: Engine):
    query = f"SELECT * FROM (SELECT DISTINCT region, 1 AS one FROM {M}) a FULL JOIN (SELECT megawatts, region FROM {SITES}) b USING (region) ORDER BY 1"
    assert engine.names(query) == ["region", "one", "megawatts"]
    assert engine.rows(query) == [("n", 1, 100), ("s", 1, None), ("w", None, 50), (None, 1, None)]


def test_cross_joins_by_word_and_by_comma_and_nested_joins(engine: Engine):
    assert engine.rows(f"SELECT count(*) FROM {M} CROSS JOIN {SITES}") == [(14,)]
    assert engine.rows(f"SELECT count(*) FROM {M} a, {SITES} b, {SITES} c") == [(28,)]
    query = f"SELECT count(*) FROM {SITES} a LEFT JOIN ({SITES} b JOIN {SITES} c ON b.region = c.region) ON a.region = b.region"
    assert engine.rows(query) == [(2,)]


def test_with_queries_see_the_earlier_ones_and_may_rename_columns(engine: Engine):
    query = f"""
        WITH latest (r, v) AS (SELECT region, max(measure_value::double) FROM {M} GROUP BY region),
             big AS (SELECT r FROM latest WHERE v > 5)
        SELECT latest.r, v FROM latest JOIN big ON latest.r = big.r"""
    assert engine.rows(query) == [("s", 10.25)]


def test_sub_queries_in_every_place(engine: Engine):
    assert engine.rows(f"SELECT (SELECT max(megawatts) FROM {SITES}) - 1") == [(99,)]
    assert engine.rows(f"SELECT count(*) FROM {M} WHERE region IN (SELECT region FROM {SITES})") == [(3,)]
    assert engine.rows(f"SELECT count(*) FROM {M} WHERE region NOT IN (SELECT region FROM {SITES})") == [(3,)]
    assert engine.rows(f"SELECT count(*) FROM {M} WHERE region NOT IN (SELECT region FROM {M})") == [(0,)]
    exists = f"SELECT DISTINCT region FROM {M} m WHERE EXISTS (SELECT 1 FROM {SITES} t WHERE t.region = m.region)"
    assert engine.rows(exists) == [("n",)]
    scalar = f"SELECT t.region, (SELECT count(*) FROM {M} m WHERE m.region = t.region) FROM {SITES} t ORDER BY 1"
    assert engine.rows(scalar) == [("n", 3), ("w", 0)]
    grouped = f"SELECT region, (SELECT count(*) FROM {SITES} t WHERE t.region = m.region) FROM {M} m GROUP BY region ORDER BY 1"
    assert engine.rows(grouped) == [("n", 1), ("s", 0), (None, 0)]
    assert engine.rows("SELECT 5 BETWEEN (SELECT 1) AND (SELECT 9)") == [(True,)]
    assert engine.rows('SELECT bin((SELECT max(time) FROM "grid"."metrics"), 1h * (SELECT 2)) > ago(1d)') == [(True,)]
    assert engine.rows("SELECT ((SELECT 1) + 1)") == [(2,)]


def test_set_operations_bring_types_together_and_bind_as_in_the_standard(engine: Engine):
    assert engine.rows("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2.5 ORDER BY 1") == [(1.0,), (2.5,)]
    assert engine.rows("SELECT 1 UNION ALL SELECT 1") == [(1,), (1,)]
    assert engine.rows("(SELECT 1 UNION ALL SELECT 2) EXCEPT SELECT 1") == [(2,)]
    assert engine.rows("SELECT 3 UNION SELECT 1 INTERSECT SELECT 2") == [(3,)]
    assert engine.rows("SELECT x FROM ((SELECT 1 AS x) UNION ALL (SELECT 2 LIMIT 1)) AS t ORDER BY x DESC") == [
        (2,),
        (1,),
    ]
    assert engine.names("SELECT 1 AS a UNION SELECT 2 AS b") == ["a"]
    assert engine.rows("SELECT NULL UNION ALL SELECT TIMESTAMP '1970-01-01'") == [(None,), (0,)]


def test_values_are_a_table(engine: Engine):
    assert engine.rows("VALUES (1, 'a'), (2, NULL) ORDER BY 1 DESC") == [(2, None), (1, "a")]
    assert engine.names("VALUES (1, 'a')") == ["_col0", "_col1"]
    assert engine.rows("SELECT x + y FROM (VALUES (1, 2.5)) AS t(x, y)") == [(3.5,)]


def test_unnest_of_arrays_and_time_series_gives_rows(engine: Engine):
    query = (
        "SELECT a, n FROM (VALUES 1) AS t(x) CROSS JOIN UNNEST(ARRAY['p', 'q']) WITH ORDINALITY AS u(a, n) ORDER BY n"
    )
    assert engine.rows(query) == [("p", 1), ("q", 2)]
    query = f"""
        WITH s AS (SELECT region, create_time_series(time, measure_value::double) AS series FROM {M}
                   WHERE measure_value::double IS NOT NULL GROUP BY region)
        SELECT region, t.time, value FROM s CROSS JOIN UNNEST(series) AS t(time, value) WHERE region = 'n' ORDER BY t.time"""
    assert engine.rows(query) == [("n", T0, 1.5), ("n", T0 + 30 * MINUTE, 2.5), ("n", T0 + 60 * MINUTE, -4.0)]


def test_stored_doubles_and_what_is_made_of_them_keep_the_meaning_of_nan(engine: Engine):
    query = f"SELECT count(*) FROM (SELECT measure_value::double * nan() AS x FROM {M}) AS t WHERE x = x OR x > 0"
    assert engine.rows(query) == [(0,)]


def test_a_semicolon_and_comments_may_end_a_statement(engine: Engine):
    assert engine.rows("SELECT 1; -- done") == [(1,)]


def test_show_and_describe_name_what_exists():
    def read(text: str):
        return parse(text, TwoTables(), now_ns=NOW)

    assert read("SHOW DATABASES LIKE 'g%'") == ShowDatabases("g%")
    assert read('show tables from "grid"') == ShowTables("grid", None)
    assert read("SHOW TABLES") == ShowTables(None, None)
    assert read("SHOW MEASURES FROM \"grid\".\"metrics\" LIKE 'a''b'") == ShowMeasures("grid", "metrics", "a'b")
    assert read('DESCRIBE "grid"."sites.v2"') == Describe("grid", "sites.v2")
    assert read("DESCRIBE grid.metrics;") == Describe("grid", "metrics")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [(None, "x", True), ("g%", "grid", True), ("g_", "grid", False), ("g.id", "grid", False), ("G%", "grid", False)],
)
def test_the_pattern_of_show_is_a_like_pattern(pattern, name, expected):
    assert like_matches(pattern, name) is expected
