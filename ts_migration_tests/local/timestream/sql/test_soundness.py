"""Whatever is accepted runs: DuckDB binds it, its columns have the promised types, and what fails fails at its values.

A query that passes the allow-list and then breaks in DuckDB's parser or binder would reach a user as nonsense.
"""

import os

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ts_migration.local.timestream.sql import SqlRefused
from ts_migration.local.timestream.sql.aggregates import AGGREGATES
from ts_migration.local.timestream.sql.functions import FUNCTIONS
from ts_migration_tests.local.timestream.sql.engine import Engine

COLUMNS = [
    "region",
    '"Region name"',
    "time",
    "measure_value::double",
    "measure_value::bigint",
    "measure_value::boolean",
    "seen",
]
CONSTANTS = [
    "NULL", "0", "1", "-7", "2147483647", "9223372036854775807", "0.5", "-0e0", "1e300", "nan()", "'n'", "''", "'é'", "'5'", "','",
    "'month'", "'second'", "'%Y-%m-%d %H:%i:%s.%f'", "'2022-06-17 07:00:00'", "'NaN'", "TRUE", "FALSE", "1h", "15m", "-1ns", "1month",
    "TIMESTAMP '2022-06-17 07:00:00.000000001'", "DATE '2022-02-28'", "TIME '01:02:03'", "now()", "current_date",
    "ARRAY[1, 2]", "ARRAY['a', NULL]", "ARRAY[]", "ROW(1, 'a')", "(SELECT 1)", "(SELECT max(time) FROM \"grid\".\"metrics\")",
]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "%", "||", "=", "<>", "<", ">=", "IS DISTINCT FROM", "AND", "OR"]
TYPES = ["varchar", "bigint", "integer", "double", "boolean", "timestamp", "date", "time"]

atoms = st.sampled_from(COLUMNS + COLUMNS + CONSTANTS)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("{}({})".format, st.sampled_from(sorted(FUNCTIONS)), inner),
        st.builds("{}({}, {})".format, st.sampled_from(sorted(FUNCTIONS)), inner, inner),
        st.builds("{}({}, {}, {})".format, st.sampled_from(sorted(FUNCTIONS)), inner, inner, inner),
        st.builds("{}({} AS {})".format, st.sampled_from(["CAST", "TRY_CAST"]), inner, st.sampled_from(TYPES)),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, inner, inner, inner),
        st.builds("CASE {} WHEN {} THEN {} END".format, inner, inner, inner),
        st.builds("({} BETWEEN {} AND {})".format, inner, inner, inner),
        st.builds("({} IN ({}, {}))".format, inner, inner, inner),
        st.builds('({} NOT IN (SELECT {} FROM "grid"."metrics"))'.format, inner, inner),
        st.builds("({} LIKE {})".format, inner, inner),
        st.builds("({} IS NOT NULL)".format, inner),
        st.builds("(NOT {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("ARRAY[{}, {}]".format, inner, inner),
        st.builds("(SELECT max({}) FROM (VALUES 1) AS u(x))".format, inner),
    )


mixed = st.recursive(atoms, _compound, max_leaves=5)
"""Expressions of any types: most are refused, and what slips through must still bind."""


def _calls(pattern: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(pattern.format, *parts)


def _one_of(*words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words)


numbers = st.deferred(
    lambda: st.one_of(
        _one_of(
            "measure_value::double", "measure_value::bigint", "1", "-7", "2.5", "nan()", "NULL", "9223372036854775807"
        ),
        _calls("({} {} {})", numbers, _one_of("+", "-", "*", "/", "%"), numbers),
        _calls(
            "{}({})",
            _one_of("abs", "ceil", "floor", "round", "sign", "truncate", "sqrt", "ln", "exp", "log10"),
            numbers,
        ),
        _calls("{}({}, {})", _one_of("mod", "power", "greatest", "least", "coalesce", "nullif"), numbers, numbers),
        _calls("CASE {} WHEN {} THEN {} END", numbers, numbers, numbers),
        _calls(
            "{}({})",
            _one_of("to_nanoseconds", "to_milliseconds", "year", "week", "hour", "nanosecond", "to_unixtime"),
            times,
        ),
        _calls("date_diff({}, {}, {})", _one_of("'hour'", "'month'", "'year'"), times, times),
        _calls("{}({})", _one_of("length", "codepoint"), texts),
        _calls("{}({}, {})", _one_of("strpos", "strrpos", "levenshtein_distance", "hamming_distance"), texts, texts),
        _calls("TRY_CAST({} AS {})", texts, _one_of("bigint", "integer", "double")),
        _calls("CAST({} AS {})", numbers, _one_of("bigint", "integer", "double")),
        _calls("ARRAY[{}, {}][{}]", numbers, numbers, numbers),
        _calls("(SELECT max({}) FROM (VALUES {}) AS u(x) WHERE x > 0)", _one_of("x", "x + 1", "1"), numbers),
    )
)
texts = st.deferred(
    lambda: st.one_of(
        _one_of("region", '"Region name"', "measure_name", "'é'", "''", "'5'", "NULL", "'2022-06-17T01:02:03Z'"),
        _calls("({} || {})", texts, texts),
        _calls("{}({})", _one_of("upper", "lower", "trim", "ltrim", "reverse"), texts),
        _calls("CAST({} AS varchar)", st.one_of(numbers, times, conditions)),
        _calls("substr({}, {}, {})", texts, _one_of("0", "2", "-1", "-9"), _one_of("1", "0", "9")),
        _calls("{}({}, {}, {})", _one_of("lpad", "rpad"), texts, _one_of("0", "3", "9"), texts),
        _calls("split_part({}, ',', {})", texts, _one_of("1", "2")),
        _calls("date_format({}, '%Y-%m-%d %H:%i:%s.%f')", times),
        _calls("{}({})", _one_of("to_iso8601", "date_trunc('hour', now()) || upper"), _one_of("now()", "seen")),
        _calls("CASE WHEN {} THEN {} ELSE {} END", conditions, texts, texts),
    )
)
times = st.deferred(
    lambda: st.one_of(
        _one_of("time", "seen", "now()", "from_nanoseconds(-1)", "TIMESTAMP '2022-06-17 07:00:00.000000001'"),
        _calls("({} {} {})", times, _one_of("+", "-"), _one_of("1h", "1month", "2 * 1ns", "interval '1' year")),
        _calls("bin({}, {})", times, _one_of("1h", "15m", "3 * 1s")),
        _calls("date_trunc({}, {})", _one_of("'second'", "'day'", "'week'", "'month'", "'year'"), times),
        _calls("date_add({}, {}, {})", _one_of("'minute'", "'quarter'"), _one_of("1", "-100", "NULL"), times),
        _calls("from_milliseconds(to_milliseconds({}))", times),
        _calls("TRY_CAST({} AS timestamp)", texts),
        _calls("from_iso8601_timestamp({})", _one_of("to_iso8601(time)", "to_iso8601(seen)", "region")),
        _calls("coalesce({}, {})", times, times),
    )
)
conditions = st.deferred(
    lambda: st.one_of(
        _one_of("measure_value::boolean", "TRUE", "NULL", "EXISTS (SELECT 1)"),
        _calls("({} {} {})", numbers, _one_of("=", "<>", "<", ">=", "IS DISTINCT FROM"), numbers),
        _calls("({} {} {})", texts, _one_of("=", "<", "LIKE", "NOT LIKE"), texts),
        _calls("({} {} {})", times, _one_of("=", ">="), st.one_of(times, _one_of("'2022-06-17 08:00:00'"))),
        _calls("({} {} {})", conditions, _one_of("AND", "OR"), conditions),
        _calls("(NOT {})", conditions),
        _calls("({} BETWEEN {} AND {})", numbers, numbers, numbers),
        _calls("({} BETWEEN {} AND {})", times, times, times),
        _calls("({} {} ({}, {}))", numbers, _one_of("IN", "NOT IN"), numbers, numbers),
        _calls('({} IN (SELECT region FROM "grid"."sites.v2"))', texts),
        _calls("is_nan({})", numbers),
    )
)
expressions = st.one_of(numbers, texts, times, conditions, mixed)
aggregates = st.one_of(
    st.builds(
        "{}({})".format, _one_of("sum", "avg", "min", "max", "stddev", "variance", "geometric_mean", "count"), numbers
    ),
    st.builds(
        "{}({})".format, _one_of("min", "max", "arbitrary", "array_agg", "approx_distinct"), st.one_of(times, texts)
    ),
    st.builds("{}({}, {})".format, _one_of("min_by", "max_by"), expressions, st.one_of(times, numbers)),
    st.builds("{}({})".format, _one_of("bool_and", "bool_or", "every", "count_if"), conditions),
    st.builds("count(DISTINCT ({}, {}))".format, texts, times),
    st.builds("{}({})".format, st.sampled_from(sorted(AGGREGATES)), expressions),
    st.builds("{}(DISTINCT {})".format, st.sampled_from(sorted(AGGREGATES)), expressions),
    st.builds("{}({} ORDER BY {} DESC)".format, st.sampled_from(sorted(AGGREGATES)), expressions, atoms),
    st.builds("{}({}, {})".format, st.sampled_from(sorted(AGGREGATES)), expressions, expressions),
)
windows = st.builds(
    "{}({}) OVER (PARTITION BY {} ORDER BY {} {})".format,
    st.sampled_from([*sorted(AGGREGATES), "lag", "lead", "first_value", "last_value"]),
    numbers,
    texts,
    times,
    st.sampled_from(["", "DESC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"]),
)
queries = st.one_of(
    st.builds('SELECT {} FROM "grid"."metrics"'.format, expressions),
    st.builds(
        'SELECT {} AS x FROM "grid"."metrics" WHERE {} ORDER BY x, {}'.format, expressions, conditions, expressions
    ),
    st.builds('SELECT {0}, {1} FROM "grid"."metrics" GROUP BY {0} HAVING count(*) > 0'.format, expressions, aggregates),
    st.builds('SELECT {} FROM "grid"."metrics"'.format, windows),
    st.builds(
        'SELECT DISTINCT {} FROM "grid"."metrics" a JOIN "grid"."sites.v2" b USING (region) LIMIT 3'.format, expressions
    ),
    st.builds('SELECT {} UNION SELECT {} FROM "grid"."metrics" ORDER BY 1'.format, expressions, expressions),
)
EXAMPLES = 1_000 if os.environ.get("LONG") or os.environ.get("FULL") else 60


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries)
def test_an_accepted_query_binds_and_has_the_types_it_promised(engine: Engine, query):
    try:
        engine.rows(query)
    except SqlRefused as refused:
        assert refused.code == "ValidationException" or not isinstance(
            refused.__cause__,
            (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.InternalException),
        ), refused
