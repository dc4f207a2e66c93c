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

COLUMNS = ["region", '"Region name"', "time", "measure_value::double", "measure_value::bigint", "measure_value::boolean", "seen"]
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
        st.builds("({} NOT IN (SELECT {} FROM \"grid\".\"metrics\"))".format, inner, inner),
        st.builds("({} LIKE {})".format, inner, inner),
        st.builds("({} IS NOT NULL)".format, inner),
        st.builds("(NOT {})".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("ARRAY[{}, {}]".format, inner, inner),
        st.builds("(SELECT max({}) FROM (VALUES 1) AS u(x))".format, inner),
    )


expressions = st.recursive(atoms, _compound, max_leaves=5)
aggregates = st.one_of(
    st.builds("{}({})".format, st.sampled_from(sorted(AGGREGATES)), expressions),
    st.builds("{}(DISTINCT {})".format, st.sampled_from(sorted(AGGREGATES)), expressions),
    st.builds("{}({} ORDER BY {} DESC)".format, st.sampled_from(sorted(AGGREGATES)), expressions, atoms),
    st.builds("{}({}, {})".format, st.sampled_from(sorted(AGGREGATES)), expressions, expressions),
)
windows = st.builds(
    "{}({}) OVER (PARTITION BY {} ORDER BY {} {})".format,
    st.sampled_from([*sorted(AGGREGATES), "lag", "lead", "first_value", "last_value"]),
    expressions,
    atoms,
    expressions,
    st.sampled_from(["", "DESC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"]),
)
queries = st.one_of(
    st.builds("SELECT {} FROM \"grid\".\"metrics\"".format, expressions),
    st.builds("SELECT {} AS x FROM \"grid\".\"metrics\" WHERE {} ORDER BY x, {}".format, expressions, expressions, expressions),
    st.builds("SELECT {0}, {1} FROM \"grid\".\"metrics\" GROUP BY {0} HAVING count(*) > 0".format, expressions, aggregates),
    st.builds("SELECT {} FROM \"grid\".\"metrics\"".format, windows),
    st.builds("SELECT DISTINCT {} FROM \"grid\".\"metrics\" a JOIN \"grid\".\"sites.v2\" b USING (region) LIMIT 3".format, expressions),
    st.builds("SELECT {} UNION SELECT {} FROM \"grid\".\"metrics\" ORDER BY 1".format, expressions, expressions),
)
EXAMPLES = 20_000 if os.environ.get("LONG") or os.environ.get("FULL") else 700


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries)
def test_an_accepted_query_binds_and_has_the_types_it_promised(engine: Engine, query):
    try:
        engine.rows(query)
    except SqlRefused as refused:
        assert refused.code == "ValidationException" or not isinstance(
            refused.__cause__, (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.InternalException)
        ), refused
