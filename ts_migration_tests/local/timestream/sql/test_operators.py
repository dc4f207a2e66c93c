"""Literals, operators, predicates and casts, by examples whose results follow from Trino's rules."""

import pytest

from ts_migration.local.timestream.catalog import ScalarType as S
from ts_migration_tests.local.timestream.sql.engine import Engine

LITERALS = [
    ("1", S.INTEGER, "1"),
    ("-2147483648", S.INTEGER, "-2147483648"),
    ("2147483648", S.BIGINT, "2147483648"),
    ("-9223372036854775808", S.BIGINT, "-9223372036854775808"),
    ("1.5", S.DOUBLE, "1.5"),
    (".5", S.DOUBLE, "0.5"),
    ("1e0", S.DOUBLE, "1.0"),
    ("1E-5", S.DOUBLE, "1.0E-5"),
    ("0.1e0 + 0.2e0", S.DOUBLE, "0.30000000000000004"),
    ("1.7976931348623157e308", S.DOUBLE, "1.7976931348623157E308"),
    ("5e-324", S.DOUBLE, "4.9E-324"),
    ("-0.0", S.DOUBLE, "-0.0"),
    ("'it''s -- no /* comment */'", S.VARCHAR, "it's -- no /* comment */"),
    ("TRUE", S.BOOLEAN, "true"),
    ("NULL", S.UNKNOWN, None),
    ("TIMESTAMP '2022-06-17 17:44:43.771000678'", S.TIMESTAMP, "2022-06-17 17:44:43.771000678"),
    ("TIMESTAMP '2022-06-17'", S.TIMESTAMP, "2022-06-17 00:00:00.000000000"),
    ("TIMESTAMP '2262-04-11 23:47:16.854775807'", S.TIMESTAMP, "2262-04-11 23:47:16.854775807"),
    ("DATE '1971-02-03'", S.DATE, "1971-02-03"),
    ("TIME '17:02:07.496'", S.TIME, "17:02:07.496000000"),
    ("1ns", S.INTERVAL_DAY_TO_SECOND, "0 00:00:00.000000001"),
    ("15m", S.INTERVAL_DAY_TO_SECOND, "0 00:15:00.000000000"),
    ("1day", S.INTERVAL_DAY_TO_SECOND, "1 00:00:00.000000000"),
    ("-36h", S.INTERVAL_DAY_TO_SECOND, "-1 12:00:00.000000000"),
    ("interval '2' day", S.INTERVAL_DAY_TO_SECOND, "2 00:00:00.000000000"),
    ("INTERVAL '-3' hour", S.INTERVAL_DAY_TO_SECOND, "-0 03:00:00.000000000"),
    ("interval '14' month", S.INTERVAL_YEAR_TO_MONTH, "1-2"),
    ("1 -- comment\n + /* another\n one */ 2", S.INTEGER, "3"),
]

ARITHMETIC = [
    ("7/2", S.INTEGER, "3"),
    ("-7/2", S.INTEGER, "-3"),
    ("7/-2", S.INTEGER, "-3"),
    ("7/2e0", S.DOUBLE, "3.5"),
    ("7 / 2.0", S.DOUBLE, "3.5"),
    ("7%3", S.INTEGER, "1"),
    ("-7%3", S.INTEGER, "-1"),
    ("2 + 3 * 4 - 6 / 2", S.INTEGER, "11"),
    ("(2 + 3) * 4", S.INTEGER, "20"),
    ("2147483647 + CAST(1 AS bigint)", S.BIGINT, "2147483648"),
    ("- - 5", S.INTEGER, "5"),
    ("1e0 / 0", S.DOUBLE, "Infinity"),
    ("-1e0 / 0", S.DOUBLE, "-Infinity"),
    ("0e0 / 0", S.DOUBLE, "NaN"),
    ("5.5 % 0", S.DOUBLE, "NaN"),
    ("1 + NULL", S.INTEGER, None),
    ("'a' || 'b' || 'c'", S.VARCHAR, "abc"),
    ("'a' || NULL", S.VARCHAR, None),
    ("(ARRAY[1] || ARRAY[2, 3])[3]", S.INTEGER, "3"),
    ("TIMESTAMP '2022-06-17' + 1h", S.TIMESTAMP, "2022-06-17 01:00:00.000000000"),
    ("1ns + TIMESTAMP '2022-06-17'", S.TIMESTAMP, "2022-06-17 00:00:00.000000001"),
    ("TIMESTAMP '2022-06-17' - interval '2' day", S.TIMESTAMP, "2022-06-15 00:00:00.000000000"),
    ("TIMESTAMP '2022-01-31 00:00:00.000000009' + 1month", S.TIMESTAMP, "2022-02-28 00:00:00.000000009"),
    ("TIMESTAMP '2022-03-31' - 1month", S.TIMESTAMP, "2022-02-28 00:00:00.000000000"),
    (
        "TIMESTAMP '2022-06-17' - TIMESTAMP '2022-06-16 23:59:59.999999999'",
        S.INTERVAL_DAY_TO_SECOND,
        "0 00:00:00.000000001",
    ),
    ("DATE '2022-06-17' + 2d", S.DATE, "2022-06-19"),
    ("DATE '2022-01-31' + 1month", S.DATE, "2022-02-28"),
    ("DATE '2022-06-17' - DATE '2022-06-15'", S.INTERVAL_DAY_TO_SECOND, "2 00:00:00.000000000"),
    ("2 * 1h", S.INTERVAL_DAY_TO_SECOND, "0 02:00:00.000000000"),
    ("1h * 2.5", S.INTERVAL_DAY_TO_SECOND, "0 02:30:00.000000000"),
    ("1h / 4", S.INTERVAL_DAY_TO_SECOND, "0 00:15:00.000000000"),
    ("1h - 30m + 1s", S.INTERVAL_DAY_TO_SECOND, "0 00:30:01.000000000"),
    ("1year + 1month", S.INTERVAL_YEAR_TO_MONTH, "1-1"),
    ("-(1h)", S.INTERVAL_DAY_TO_SECOND, "-0 01:00:00.000000000"),
]

PREDICATES = [
    ("1 = 1.0", "true"),
    ("1 <> 2", "true"),
    ("1 != 1", "false"),
    ("9007199254740993 = 9007199254740992", "false"),
    ("NULL = 1", None),
    ("NULL IS NULL", "true"),
    ("1 IS NOT NULL", "true"),
    ("1 IS DISTINCT FROM NULL", "true"),
    ("NULL IS NOT DISTINCT FROM NULL", "true"),
    ("nan() = nan()", "false"),
    ("nan() <> nan()", "true"),
    ("nan() > 1", "false"),
    ("1 < nan()", "false"),
    ("nan() = NULL", None),
    ("nan() IS DISTINCT FROM nan()", "false"),
    ("nan() BETWEEN 0 AND 1e0 / 0", "false"),
    ("nan() IN (nan(), 1)", "false"),
    ("CAST('NaN' AS double) = CAST('NaN' AS double)", "false"),
    ("CAST(concat('Na', 'N') AS double) > 1", "false"),
    ("TRY_CAST('NaN' AS double) IN (1, nan())", "false"),
    ("0e0 = -0e0", "true"),
    ("'Z' < 'a'", "true"),
    ("'z' < 'é'", "true"),
    ("'a' < 'ab'", "true"),
    ("TRUE AND NULL", None),
    ("FALSE AND NULL", "false"),
    ("TRUE OR NULL", "true"),
    ("NOT NULL", None),
    ("NOT 1 = 2 AND 1 = 1", "true"),
    ("TRUE OR FALSE AND FALSE", "true"),
    ("5 BETWEEN 1 AND 5", "true"),
    ("5 NOT BETWEEN 1 AND 5", "false"),
    ("5 BETWEEN 6 AND NULL", "false"),
    ("5 IN (1, 5)", "true"),
    ("5 IN (1, NULL)", None),
    ("5 NOT IN (1, 2)", "true"),
    ("5 NOT IN (1, NULL)", None),
    ("2.5 IN (1, 2.5)", "true"),
    ("'a_c' LIKE 'a_c'", "true"),
    ("'abc' LIKE 'a%'", "true"),
    ("'abc' NOT LIKE 'A%'", "true"),
    ("'a%c' LIKE 'a!%c' ESCAPE '!'", "true"),
    ("'abc' LIKE 'a!%c' ESCAPE '!'", "false"),
    (r"'a\bc' LIKE 'a\%'", "true"),
    ("'a' || chr(10) || 'b' LIKE 'a_b'", "true"),
    ("TIMESTAMP '2022-06-17 00:00:00.000000001' > '2022-06-17 00:00:00'", "true"),
    ("'2022-06-17 00:00:00.000000001' = TIMESTAMP '2022-06-17 00:00:00.000000001'", "true"),
    ("TIMESTAMP '2022-06-17 12:00:00' BETWEEN '2022-06-17' AND '2022-06-18'", "true"),
    ("TIMESTAMP '2022-06-17' IN ('2022-06-17 00:00:00', '2022-06-18')", "true"),
    ("DATE '2022-06-17' = TIMESTAMP '2022-06-17'", "true"),
    ("DATE '2022-06-17' < '2022-06-18'", "true"),
    ("1h = 60m", "true"),
    ("EXISTS (SELECT 1 WHERE FALSE)", "false"),
]

CONDITIONALS = [
    ("CASE WHEN 1 > 2 THEN 'a' WHEN 2 > 1 THEN 'b' ELSE 'c' END", S.VARCHAR, "b"),
    ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", S.VARCHAR, "b"),
    ("CASE 3 WHEN 1 THEN 1 WHEN 2 THEN 2.5 END", S.DOUBLE, None),
    ("CASE nan() WHEN nan() THEN 1 ELSE 0 END", S.INTEGER, "0"),
    ("CASE WHEN TRUE THEN 1 ELSE 1 / 0 END", S.INTEGER, "1"),
]

CASTS = [
    ("CAST('42' AS bigint)", S.BIGINT, "42"),
    ("CAST('-42' AS int)", S.INTEGER, "-42"),
    ("TRY_CAST('1.5' AS bigint)", S.BIGINT, None),
    ("TRY_CAST(' 1' AS bigint)", S.BIGINT, None),
    ("TRY_CAST('9223372036854775808' AS bigint)", S.BIGINT, None),
    ("TRY_CAST('x' AS double)", S.DOUBLE, None),
    ("CAST('1e3' AS double)", S.DOUBLE, "1000.0"),
    ("CAST('NaN' AS double)", S.DOUBLE, "NaN"),
    ("CAST('-Infinity' AS double)", S.DOUBLE, "-Infinity"),
    ("CAST(2.5 AS bigint)", S.BIGINT, "3"),
    ("CAST(-2.5 AS bigint)", S.BIGINT, "-3"),
    ("CAST(2.4 AS integer)", S.INTEGER, "2"),
    ("TRY_CAST(1e30 AS bigint)", S.BIGINT, None),
    ("TRY_CAST(3000000000 AS integer)", S.INTEGER, None),
    ("CAST(9007199254740993 AS double)", S.DOUBLE, "9.007199254740992E15"),
    ("CAST(1 AS boolean)", S.BOOLEAN, "true"),
    ("CAST(0e0 AS boolean)", S.BOOLEAN, "false"),
    ("CAST('T' AS boolean)", S.BOOLEAN, "true"),
    ("CAST('0' AS boolean)", S.BOOLEAN, "false"),
    ("TRY_CAST('yes' AS boolean)", S.BOOLEAN, None),
    ("CAST(TRUE AS bigint)", S.BIGINT, "1"),
    ("CAST(TRUE AS varchar)", S.VARCHAR, "true"),
    ("CAST(-5 AS varchar)", S.VARCHAR, "-5"),
    ("CAST(35.5 AS varchar)", S.VARCHAR, "35.5"),
    ("CAST(1e7 AS varchar)", S.VARCHAR, "1.0E7"),
    ("CAST(1655487883.7710001 AS varchar)", S.VARCHAR, "1.6554878837710001E9"),
    ("CAST(0.00012 AS varchar)", S.VARCHAR, "1.2E-4"),
    ("CAST(-1e-300 AS varchar)", S.VARCHAR, "-1.0E-300"),
    ("CAST(-5e-324 AS varchar)", S.VARCHAR, "-4.9E-324"),
    ("CAST(1e22 AS varchar)", S.VARCHAR, "1.0E22"),
    ("CAST(nan() AS varchar)", S.VARCHAR, "NaN"),
    ("CAST(-0e0 AS varchar)", S.VARCHAR, "-0.0"),
    ("CAST('2022-06-17 08:04:05.000000001' AS timestamp)", S.TIMESTAMP, "2022-06-17 08:04:05.000000001"),
    ("CAST(concat('2022-06-17 08:04', ':05.000000001') AS timestamp)", S.TIMESTAMP, "2022-06-17 08:04:05.000000001"),
    ("CAST(concat('2022-06-17', ' 8:04') AS timestamp)", S.TIMESTAMP, "2022-06-17 08:04:00.000000000"),
    ("TRY_CAST(concat('2022-06-17', ' 24:00:00') AS timestamp)", S.TIMESTAMP, None),
    ("TRY_CAST(concat('2022-02-', '30') AS timestamp)", S.TIMESTAMP, None),
    ("TRY_CAST('2022-02-30' AS timestamp)", S.TIMESTAMP, None),
    ("CAST(TIMESTAMP '2022-06-17 08:04:05.000000001' AS varchar)", S.VARCHAR, "2022-06-17 08:04:05.000000001"),
    ("CAST(TIMESTAMP '2022-06-17 08:04:05' AS date)", S.DATE, "2022-06-17"),
    ("CAST(from_nanoseconds(-1) AS date)", S.DATE, "1969-12-31"),
    ("CAST(TIMESTAMP '2022-06-17 08:04:05' AS time)", S.TIME, "08:04:05.000000000"),
    ("CAST(DATE '2022-06-17' AS timestamp)", S.TIMESTAMP, "2022-06-17 00:00:00.000000000"),
    ("CAST(DATE '2022-06-17' AS varchar)", S.VARCHAR, "2022-06-17"),
    ("CAST('2022-6-7' AS date)", S.DATE, "2022-06-07"),
    ("TRY_CAST('2022-02-30' AS date)", S.DATE, None),
    ("CAST(TIME '08:04:05' AS varchar)", S.VARCHAR, "08:04:05.000000000"),
    ("CAST(NULL AS timestamp)", S.TIMESTAMP, None),
]


def _ids(examples):
    return [example[0] for example in examples]


TYPED = LITERALS + ARITHMETIC + CONDITIONALS + CASTS


@pytest.mark.parametrize(("expression", "data_type", "expected"), TYPED, ids=_ids(TYPED))
def test_an_expression_has_trinos_type_and_value(engine: Engine, expression, data_type, expected):
    assert engine.typed(expression) == (data_type, expected)


@pytest.mark.parametrize(("expression", "expected"), PREDICATES, ids=_ids(PREDICATES))
def test_a_predicate_is_true_false_or_unknown_as_in_trino(engine: Engine, expression, expected):
    assert engine.typed(expression) == (S.BOOLEAN, expected)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("7 / 0", "Division by zero"),
        ("7 % 0", "Division by zero"),
        ("mod(7, 0)", "Division by zero"),
        ("2147483647 + 1", "integer addition overflow: 2147483647 + 1"),
        ("9223372036854775807 + 1", "bigint addition overflow: 9223372036854775807 + 1"),
        ("9223372036854775807 * 2", "bigint multiplication overflow: 9223372036854775807 * 2"),
        ("CAST('x' AS bigint)", "Cannot cast 'x' to bigint"),
        ("CAST(' 1' AS bigint)", "Cannot cast ' 1' to bigint"),
        ("CAST('1_000' AS bigint)", "Cannot cast '1_000' to bigint"),
        ("CAST('yes' AS boolean)", "Cannot cast 'yes' to boolean"),
        ("CAST('2022-02-30' AS timestamp)", "Cannot cast '2022-02-30' to timestamp"),
        ("ARRAY[1, 2][3]", "Array subscript must be less than or equal to array length: 3 > 2"),
        ("ARRAY[1, 2][0]", "SQL array indices start at 1"),
        ("split_part('a', ',', 0)", "Index must be greater than zero"),
        ("hamming_distance('a', 'bc')", "The input strings to hamming_distance function must have the same length"),
        ("codepoint('ab')", "Input string must be a single character string"),
        ("DATE '2022-06-17' + 1h", "Cannot add hour, minutes or seconds to a date"),
        ("from_iso8601_timestamp(concat('yester', 'day'))", 'Invalid format: "yesterday"'),
        ("(SELECT x FROM (VALUES 1, 2) AS t(x))", "Scalar sub-query has returned multiple rows"),
    ],
)
def test_an_evaluation_that_fails_is_a_query_execution_exception(engine: Engine, expression, words):
    refused = engine.refusal(f"SELECT {expression}")
    assert (refused.code, refused.message) == ("QueryExecutionException", words)
