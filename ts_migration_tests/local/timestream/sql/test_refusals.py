"""What is refused, and in which words: nothing outside the allow-list may be answered, and nothing may be misread."""

import pytest

from ts_migration.local.timestream.sql import SqlRefused, execution_refusal, parse
from ts_migration_tests.local.timestream.sql.engine import NOW, Engine, TwoTables

M = '"grid"."metrics"'

WORDS = [
    (f"SELECT x FROM {M}", "line 1:8: Column 'x' does not exist"),
    (f"SELECT 1,\n  x FROM {M}", "line 2:3: Column 'x' does not exist"),
    ('SELECT 1 FROM "grid"."nope"', "line 1:15: Table 'grid.nope' does not exist"),
    ('SELECT 1 FROM "nope"."t"', "line 1:15: Database 'nope' does not exist"),
    ("SELECT 1 FROM t", "line 1:15: Table 't' must be qualified with its database"),
    ("SHOW TABLES FROM nope", "line 1:18: Database 'nope' does not exist"),
    ("DESCRIBE grid.nope", "line 1:10: Table 'grid.nope' does not exist"),
    ('SHOW MEASURES FROM "grid"."nope"', "line 1:20: Table 'grid.nope' does not exist"),
    (f"SELECT region FROM {M} a, {M} b", "line 1:8: Column 'region' is ambiguous"),
    (
        f"SELECT region FROM {M} GROUP BY measure_name",
        "'region' must be an aggregate expression or appear in GROUP BY clause",
    ),
    (f"SELECT * FROM {M} GROUP BY region", "must be an aggregate expression or appear in GROUP BY clause"),
    (f"SELECT region, count(*) FROM {M}", "'region' must be an aggregate expression or appear in GROUP BY clause"),
    (f"SELECT 1 FROM {M} WHERE count(*) > 1", "WHERE clause cannot contain aggregations"),
    (f"SELECT 1 FROM {M} GROUP BY count(*)", "GROUP BY clause cannot contain aggregations"),
    (f"SELECT count(max(time)) FROM {M}", "Aggregate clause cannot contain aggregations"),
    (f"SELECT 1 FROM {M} WHERE row_number() OVER () = 1", "WHERE clause cannot contain aggregations, window functions"),
    (
        f"SELECT DISTINCT region FROM {M} ORDER BY time",
        "For SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    (f"SELECT region FROM {M} ORDER BY 2", "ORDER BY position 2 is not in select list"),
    (f"SELECT region FROM {M} GROUP BY 3", "GROUP BY position 3 is not in select list"),
    ("SELECT 1 + 'a'", "line 1:10: '+' cannot be applied to integer, varchar"),
    ("SELECT 1 = 'a'", "line 1:10: '=' cannot be applied to integer, varchar"),
    (f"SELECT 1 FROM {M} WHERE time >= 5", "'>=' cannot be applied to timestamp, integer"),
    (f"SELECT 1 FROM {M} WHERE time >= region", "'>=' cannot be applied to timestamp, varchar"),
    (f"SELECT 1 FROM {M} WHERE time >= 'yesterday'", "Value cannot be cast to timestamp: yesterday"),
    ("SELECT TIMESTAMP 'yesterday'", "line 1:8: 'yesterday' is not a valid timestamp literal"),
    ("SELECT TIMESTAMP '2022-06-17 00:00:00.1234567890'", "is not a valid timestamp literal"),
    ("SELECT TIMESTAMP '2022-06-17 00:00:00 UTC'", "is not a valid timestamp literal"),
    ("SELECT abs('a')", "line 1:8: Unexpected parameters (varchar) for function abs"),
    ("SELECT abs(1, 2)", "Unexpected parameters (integer, integer) for function abs"),
    ("SELECT 9223372036854775808", "Invalid numeric literal: 9223372036854775808"),
    (f"SELECT 1 FROM {M} WHERE region", "WHERE clause must evaluate to a boolean: actual type varchar"),
    ("SELECT CAST(now() AS bigint)", "Cannot cast timestamp to bigint"),
    ("SELECT CAST(1 AS decimal(10, 2))", "Unknown type: decimal"),
    ("SELECT (SELECT 1, 2)", "Multiple columns returned by subquery"),
    ("SELECT 1 UNION SELECT 'a'", "columns of UNION have mismatched types: integer, varchar"),
    ("SELECT 1 UNION SELECT 1, 2", "UNION query has different number of fields: 1, 2"),
    ("VALUES (1, 2), (3)", "Values rows have mismatched types"),
    ("WITH a AS (SELECT 1), a AS (SELECT 2) SELECT 1", "WITH query name 'a' specified more than once"),
    ("SELECT 'a' LIKE 'a!' ESCAPE '!'", "Escape character must be followed by '%', '_' or the escape character itself"),
    ("SELECT bin(now(), 0h)", "the interval must be positive"),
    ("SELECT date_format(now(), '%U')", "the format specifier %U is not supported"),
    ("SELECT date_trunc('century', now())", "'century' is not a valid timestamp field"),
]

NOT_SPOKEN = [
    ("SELECT 1 OFFSET 5", "OFFSET is not part of the language"),
    (f"SELECT region FROM {M} OFFSET 5", "OFFSET is not part of the language"),
    (f"SELECT region FROM {M} FETCH FIRST 5 ROWS ONLY", "FETCH is not part of the language"),
    (f"SELECT count(*) FROM {M} GROUP BY ROLLUP (region)", "GROUPING SETS, ROLLUP and CUBE"),
    (f"SELECT count(*) FROM {M} GROUP BY GROUPING SETS ((region), ())", "GROUPING SETS, ROLLUP and CUBE"),
    (f"SELECT count(*) FILTER (WHERE region = 'n') FROM {M}", "FILTER is not supported"),
    (f"SELECT 1 FROM {M} TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE is not part of the language"),
    (f"SELECT 1 FROM {M} NATURAL JOIN {M}", "NATURAL JOIN is not supported"),
    ("WITH RECURSIVE a AS (SELECT 1) SELECT 1", "recursive WITH is not supported"),
    ("SELECT 1 = ANY (SELECT 1)", "quantified comparisons are not supported"),
    ("SELECT 1 INTERSECT ALL SELECT 1", "INTERSECT ALL is not supported"),
    ("INSERT INTO t VALUES (1)", "mismatched input 'INSERT'"),
    ("UPDATE t SET a = 1", "mismatched input 'UPDATE'"),
    ("DELETE FROM t", "mismatched input 'DELETE'"),
    ("DROP TABLE t", "mismatched input 'DROP'"),
    ("CREATE TABLE t (a int)", "mismatched input 'CREATE'"),
    ("COPY t TO 'file'", "mismatched input 'COPY'"),
    ("PRAGMA version", "mismatched input 'PRAGMA'"),
    ("", "mismatched input '<EOF>'"),
    ("SELECT 1; SELECT 2", "mismatched input 'SELECT'. Expecting: <EOF>"),
    ("SELECT xxhash64(CAST('a' AS varbinary))", "Unknown type: varbinary"),
    ("SELECT xxhash64('a')", "Function xxhash64 not registered"),
    ("SELECT md5('a')", "Function md5 not registered"),
    ("SELECT to_base64('a')", "Function to_base64 not registered"),
    ("SELECT checksum(1)", "Function checksum not registered"),
    ("SELECT read_csv('/etc/passwd')", "Function read_csv not registered"),
    ("SELECT getenv('HOME')", "Function getenv not registered"),
    ("SELECT format_datetime(now(), 'YYYY')", "Function format_datetime not registered"),
    ("SELECT random()", "answers must be reproducible"),
    ("SELECT * FROM read_csv('/etc/passwd')", "mismatched input '('"),
    ("SELECT * FROM '/etc/passwd'", "mismatched input '/etc/passwd'"),
    ("SELECT transform(ARRAY[1], x -> x + 1)", "mismatched input '->'"),
    ("SELECT 1::bigint", "mismatched input '::'"),
    ("SELECT ?", "mismatched input '?'"),
    ("SELECT `a`", "mismatched input '`'"),
    ("SELECT U&'a'", "mismatched input '&'"),
    ('SELECT ""', "Zero-length delimited identifier not allowed"),
    ("SELECT 'open", 'mismatched input "\'"'),
    ("SELECT 'a\0b'", "the query holds a NUL or an unpaired surrogate"),
    ("SELECT (1, 2) = (1, 2)", "'=' cannot be applied to row(integer, integer), row(integer, integer)"),
    (
        "SELECT sum(c) OVER (ORDER BY c RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES 1) AS t(c)",
        "a frame's offset",
    ),
    ("SELECT count(DISTINCT c) OVER () FROM (VALUES 1) AS t(c)", "DISTINCT and ORDER BY in window function parameters"),
    ("SELECT rank() IGNORE NULLS OVER () FROM (VALUES 1) AS t(c)", "Cannot specify IGNORE NULLS for rank"),
    ("SELECT rank() FROM (VALUES 1) AS t(c)", "Window function rank requires an OVER clause"),
    ("SELECT replace('abc', '', 'x')", "replacing the empty text is not supported"),
]


@pytest.mark.parametrize(("query", "words"), WORDS + NOT_SPOKEN, ids=[query[:60] for query, _ in WORDS + NOT_SPOKEN])
def test_a_query_that_cannot_be_answered_is_a_validation_exception_that_says_why(engine: Engine, query, words):
    refused = engine.refusal(query)
    assert refused.code == "ValidationException"
    assert words in refused.message


@pytest.mark.parametrize("query", ["SELECT 1w", "SELECT 1q", "SELECT 5minutes", "SELECT now() + 1hx", "SELECT 1.5h"])
def test_a_number_with_letters_behind_it_is_an_interval_or_refused_and_never_an_alias(engine: Engine, query):
    assert engine.refusal(query).code == "ValidationException"


def test_an_interval_behind_a_plus_is_added_and_not_an_alias(engine: Engine):
    assert engine.names("SELECT now() + 1h") == ["_col0"]
    assert engine.value("now() + 1h") == NOW + 3_600_000_000_000


def test_nesting_without_end_is_refused_and_not_a_crash(engine: Engine):
    assert "nests deeper" in engine.refusal("SELECT " + "(" * 5000 + "1" + ")" * 5000).message
    assert engine.refusal("SELECT " + "- " * 5000 + "1").code == "ValidationException"
    assert engine.refusal("SELECT " + "NOT " * 5000 + "TRUE").code == "ValidationException"
    assert engine.refusal("SELECT " + "1 + " * 5000 + "1").code == "ValidationException"


def test_thousands_of_terms_and_choices_are_no_nesting(engine: Engine):
    terms = " OR ".join(f"c = {i}" for i in range(2000))
    assert engine.rows(f"SELECT c FROM (VALUES 5, 5000) AS t(c) WHERE {terms}") == [(5,)]
    choices = ", ".join(f"'{i}'" for i in range(10_000))
    assert engine.rows(f"SELECT c FROM (VALUES '5', 'x') AS t(c) WHERE c IN ({choices})") == [("5",)]


def test_a_query_text_has_the_length_limit_of_the_api():
    with pytest.raises(SqlRefused, match="longer than 262144 characters"):
        parse("SELECT 1" + " " * 262_144, TwoTables(), now_ns=NOW)


def test_names_and_texts_of_a_query_cannot_become_duckdb_sql(engine: Engine):
    assert engine.value("'a''; DROP TABLE x; --'") == "a'; DROP TABLE x; --"
    assert engine.names('SELECT 1 AS "a""b; DROP"') == ['a"b; DROP']
    assert engine.refusal(f'SELECT "r0""; --" FROM {M}').message == "line 1:8: Column 'r0\"; --' does not exist"


def test_an_unknown_error_of_the_engine_keeps_its_first_line():
    refused = execution_refusal(RuntimeError("Out of Memory Error: failed to allocate\nmore"))
    assert (refused.code, refused.message) == ("QueryExecutionException", "failed to allocate")
