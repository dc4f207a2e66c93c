"""Aggregates and window functions over the small table, with results worked out by hand."""

import math

import pytest

from ts_migration.local.timestream.catalog import ScalarType as S
from ts_migration.local.timestream.sql.aggregates import AGGREGATES
from ts_migration.local.timestream.sql.windows import _ONLY_WINDOWED
from ts_migration_tests.local.timestream.sql.engine import MINUTE, T0, Engine

METRICS = '"grid"."metrics"'
NUMBERS = "(VALUES 1, 2, 3, 4) AS t(c)"

EXAMPLES = [
    ("count(*)", METRICS, 7),
    ("count(region)", METRICS, 6),
    ('count("measure_value::double")', METRICS, 4),
    ("count(measure_value::bigint)", METRICS, 3),
    ("count(DISTINCT region)", METRICS, 2),
    ("count(DISTINCT (region, measure_name))", METRICS, 4),
    ("count_if(measure_value::boolean)", METRICS, 2),
    ("sum(measure_value::double)", METRICS, 10.25),
    ("sum(measure_value::bigint)", METRICS, 9_007_199_254_740_993),
    ("sum(DISTINCT c)", "(VALUES 1, 1, 2) AS t(c)", 3),
    ("sum(to_nanoseconds(time) % 1000003)", METRICS, None),
    ("avg(c)", NUMBERS, 2.5),
    ("avg(measure_value::double)", METRICS, 2.5625),
    ("min(time)", METRICS, T0),
    ("max(time)", METRICS, T0 + 120 * MINUTE),
    ("max(time) - min(time)", METRICS, 120 * MINUTE),
    ("min(region)", METRICS, "n"),
    ("max(measure_value::boolean)", METRICS, True),
    ("min_by(measure_value::double, time)", f"{METRICS} WHERE region = 'n'", 1.5),
    ("max_by(measure_value::boolean, time)", f"{METRICS} WHERE region = 'n'", None),
    ("max_by(measure_value::bigint, time)", METRICS, -7),
    ("arbitrary(c)", "(VALUES NULL, 3, 1) AS t(c)", 1),
    ("array_agg(c ORDER BY c DESC)", NUMBERS, [4, 3, 2, 1]),
    ("array_agg(c)", "(VALUES NULL) AS t(c)", [None]),
    ("bool_and(measure_value::boolean)", METRICS, False),
    ("every(measure_value::boolean)", f"{METRICS} WHERE region = 's'", True),
    ("bool_or(measure_value::boolean)", METRICS, True),
    ("geometric_mean(c)", NUMBERS, 2.213363839400643),
    ("geometric_mean(DISTINCT c)", "(VALUES 2, 2, 8) AS t(c)", 4.0),
    ("approx_distinct(region)", METRICS, 2),
    ("approx_percentile(c, 0.5)", "(VALUES 1, 2, 3, 4, 100) AS t(c)", 3),
    ("approx_percentile(c, ARRAY[0.2, 1.0])", "(VALUES 1, 2, 3, 4, 100) AS t(c)", [1, 100]),
    ("stddev(c)", NUMBERS, math.sqrt(5 / 3)),
    ("stddev_samp(c)", NUMBERS, math.sqrt(5 / 3)),
    ("stddev_pop(c)", NUMBERS, math.sqrt(1.25)),
    ("variance(c)", NUMBERS, 5 / 3),
    ("var_samp(c)", NUMBERS, 5 / 3),
    ("var_pop(c)", NUMBERS, 1.25),
    ("var_samp(c)", "(VALUES 1) AS t(c)", None),
    ("corr(c, 2 * c)", NUMBERS, 1.0),
    ("covar_pop(c, 2 * c)", NUMBERS, 2.5),
    ("covar_samp(c, 2 * c)", NUMBERS, 10 / 3),
    ("regr_slope(2 * c + 1, c)", NUMBERS, 2.0),
    ("regr_intercept(2 * c + 1, c)", NUMBERS, 1.0),
    (
        "create_time_series(time, measure_value::double)",
        f"{METRICS} WHERE region = 'n' AND measure_value::double > 2",
        None,
    ),
    ("sum(c)", "(VALUES 1) AS t(c) WHERE c > 1", None),
    ("count(c)", "(VALUES 1) AS t(c) WHERE c > 1", 0),
    ("sum(c)", "(VALUES 1h, 30m) AS t(c)", 90 * MINUTE),
]
SPECIAL = {
    "sum(to_nanoseconds(time) % 1000003)": sum(
        t % 1000003 for t in [T0, T0 + 30 * MINUTE, T0 + 60 * MINUTE, T0, T0 + 1, T0 + 90 * MINUTE, T0 + 120 * MINUTE]
    ),
    "create_time_series(time, measure_value::double)": [{"time": T0 + 30 * MINUTE, "value": 2.5}],
}


@pytest.mark.parametrize(("aggregate", "source", "expected"), EXAMPLES, ids=[f"{a} of {s}" for a, s, _ in EXAMPLES])
def test_an_aggregate_gives_what_was_worked_out_by_hand(engine: Engine, aggregate, source, expected):
    ((found,),) = engine.rows(f"SELECT {aggregate} FROM {source}")
    expected = SPECIAL.get(aggregate, expected)
    assert found == (pytest.approx(expected, rel=1e-14) if isinstance(expected, float) else expected)


def test_every_aggregate_of_the_allow_list_has_an_example():
    shown = " ".join(aggregate for aggregate, _, _ in EXAMPLES)
    assert [name for name in AGGREGATES if f"{name}(" not in shown] == []


def test_a_sum_of_bigints_that_overflows_is_refused_as_trino_does(engine: Engine):
    refused = engine.refusal("SELECT sum(c) FROM (VALUES 9223372036854775807, 1) AS t(c)")
    assert (refused.code, refused.message) == ("QueryExecutionException", "bigint addition overflow")


def test_a_sum_of_stored_doubles_is_compensated_and_overflows_to_infinity(engine: Engine):
    """Ten times 0.1 is 1.0 whatever the order, so that two runs of one query agree to the last digit."""
    tenths = ", ".join(["0.1e0"] * 10)
    assert engine.rows(f"SELECT sum(c), avg(c) FROM (VALUES {tenths}) AS t(c)") == [(1.0, 0.1)]
    assert engine.rows("SELECT sum(c) FROM (VALUES 1.7e308, 1.7e308) AS t(c)") == [(math.inf,)]
    assert engine.rows("SELECT sum(c) OVER () FROM (VALUES 1.7e308, 1.7e308) AS t(c)") == [(math.inf,)] * 2
    infinite = engine.rows("SELECT sum(c / 0) FROM (VALUES 1e0, -1e0) AS t(c)")
    assert math.isnan(infinite[0][0])


WINDOWS = [
    ("row_number() OVER (ORDER BY c DESC)", [4, 3, 2, 1]),
    ("rank() OVER (ORDER BY c / 2)", [1, 2, 2, 4]),
    ("dense_rank() OVER (ORDER BY c / 2)", [1, 2, 2, 3]),
    ("percent_rank() OVER (ORDER BY c)", [0.0, 1 / 3, 2 / 3, 1.0]),
    ("cume_dist() OVER (ORDER BY c)", [0.25, 0.5, 0.75, 1.0]),
    ("ntile(2) OVER (ORDER BY c)", [1, 1, 2, 2]),
    ("lag(c) OVER (ORDER BY c)", [None, 1, 2, 3]),
    ("lag(c, 2, 0) OVER (ORDER BY c)", [0, 0, 1, 2]),
    ("lead(c) OVER (PARTITION BY c % 2 ORDER BY c)", [3, 4, None, None]),
    ("first_value(c) OVER (ORDER BY c)", [1, 1, 1, 1]),
    ("last_value(c) OVER (ORDER BY c)", [1, 2, 3, 4]),
    ("last_value(c) OVER (ORDER BY c ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)", [4, 4, 4, 4]),
    ("nth_value(c, 2) OVER (ORDER BY c)", [None, 2, 2, 2]),
    ("lag(nullif(c, 2)) IGNORE NULLS OVER (ORDER BY c)", [None, 1, 1, 3]),
    ("sum(c) OVER (ORDER BY c)", [1, 3, 6, 10]),
    ("sum(c) OVER (ORDER BY c ROWS 1 PRECEDING)", [1, 3, 5, 7]),
    ("sum(c) OVER (ORDER BY c ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)", [3, 5, 7, 4]),
    ("sum(c) OVER (ORDER BY c / 2 RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", [1, 6, 6, 10]),
    ("count(*) OVER (PARTITION BY c % 2)", [2, 2, 2, 2]),
    ("avg(c) OVER ()", [2.5, 2.5, 2.5, 2.5]),
    ("max(c) OVER (ORDER BY c DESC) - min(c) OVER ()", [3, 3, 3, 3]),
]


@pytest.mark.parametrize(("call", "expected"), WINDOWS, ids=[call for call, _ in WINDOWS])
def test_a_window_function_gives_what_was_worked_out_by_hand(engine: Engine, call, expected):
    assert [row[1] for row in engine.rows(f"SELECT c, {call} FROM {NUMBERS} ORDER BY c")] == expected


def test_every_window_function_of_the_allow_list_has_an_example():
    shown = " ".join(call for call, _ in WINDOWS)
    assert [name for name in _ONLY_WINDOWED if f"{name}(" not in shown] == []


def test_nulls_come_last_in_a_window_whatever_the_direction(engine: Engine):
    query = "SELECT c, row_number() OVER (ORDER BY c DESC) FROM (VALUES 1, NULL, 2) AS t(c) ORDER BY 2"
    assert engine.rows(query) == [(2, 1), (1, 2), (None, 3)]


def test_a_window_over_aggregates_sees_the_groups(engine: Engine):
    query = f"SELECT region, count(*), sum(count(*)) OVER (ORDER BY region) FROM {METRICS} GROUP BY region ORDER BY 1"
    assert engine.rows(query) == [("n", 3, 3), ("s", 3, 6), (None, 1, 7)]


def test_integers_average_as_doubles_and_count_as_bigint(engine: Engine):
    _, columns = engine.arrow(f"SELECT avg(c), count(*), sum(c), min(c) FROM {NUMBERS}")
    assert [column.type for column in columns] == [S.DOUBLE, S.BIGINT, S.BIGINT, S.INTEGER]
