"""Every scalar function on the allow-list, by examples whose results follow from Trino's and Timestream's documents."""

import pytest

from ts_migration.local.timestream.catalog import ScalarType as S
from ts_migration.local.timestream.sql.functions import FUNCTIONS
from ts_migration_tests.local.timestream.sql.engine import Engine

T = "TIMESTAMP '2022-06-17 17:44:43.771000678'"

NUMBERS = [
    ("abs(-5)", S.INTEGER, "5"),
    ("abs(-2.5)", S.DOUBLE, "2.5"),
    ("abs(-9223372036854775807)", S.BIGINT, "9223372036854775807"),
    ("ceil(1.2)", S.DOUBLE, "2.0"),
    ("ceil(-0.5)", S.DOUBLE, "-0.0"),
    ("ceiling(3)", S.INTEGER, "3"),
    ("floor(-1.2)", S.DOUBLE, "-2.0"),
    ("floor(3)", S.INTEGER, "3"),
    ("round(2.5)", S.DOUBLE, "3.0"),
    ("round(-2.5)", S.DOUBLE, "-3.0"),
    ("round(2.345678, 2)", S.DOUBLE, "2.35"),
    ("round(7)", S.INTEGER, "7"),
    ("truncate(-2.7)", S.DOUBLE, "-2.0"),
    ("sign(-3)", S.INTEGER, "-1"),
    ("sign(0)", S.INTEGER, "0"),
    ("sign(2.5)", S.DOUBLE, "1.0"),
    ("sign(-3000000000)", S.BIGINT, "-1"),
    ("sign(-0e0)", S.DOUBLE, "-0.0"),
    ("sign(nan())", S.DOUBLE, "NaN"),
    ("mod(7, 3)", S.INTEGER, "1"),
    ("mod(-7, 3)", S.INTEGER, "-1"),
    ("mod(5.5, 2)", S.DOUBLE, "1.5"),
    ("sqrt(9)", S.DOUBLE, "3.0"),
    ("sqrt(-1)", S.DOUBLE, "NaN"),
    ("exp(0)", S.DOUBLE, "1.0"),
    ("ln(e())", S.DOUBLE, "1.0"),
    ("ln(0)", S.DOUBLE, "-Infinity"),
    ("ln(-1)", S.DOUBLE, "NaN"),
    ("log10(1000)", S.DOUBLE, "3.0"),
    ("log2(8)", S.DOUBLE, "3.0"),
    ("pow(2, 10)", S.DOUBLE, "1024.0"),
    ("power(4, 0.5)", S.DOUBLE, "2.0"),
    ("sin(0)", S.DOUBLE, "0.0"),
    ("cos(0)", S.DOUBLE, "1.0"),
    ("tan(0)", S.DOUBLE, "0.0"),
    ("atan(0)", S.DOUBLE, "0.0"),
    ("atan2(0, 1)", S.DOUBLE, "0.0"),
    ("degrees(pi())", S.DOUBLE, "180.0"),
    ("radians(180)", S.DOUBLE, "3.141592653589793"),
    ("nan()", S.DOUBLE, "NaN"),
    ("infinity()", S.DOUBLE, "Infinity"),
    ("-infinity()", S.DOUBLE, "-Infinity"),
    ("is_nan(0e0 / 0)", S.BOOLEAN, "true"),
    ("is_nan(1)", S.BOOLEAN, "false"),
    ("is_infinite(1e0 / 0)", S.BOOLEAN, "true"),
    ("is_finite(1e0 / 0)", S.BOOLEAN, "false"),
    ("coalesce(NULL, NULL, 5)", S.INTEGER, "5"),
    ("coalesce(NULL, 5, 2.5)", S.DOUBLE, "5.0"),
    ("nullif(1, 1)", S.INTEGER, None),
    ("nullif(1, 2)", S.INTEGER, "1"),
    ("nullif('a', NULL)", S.VARCHAR, "a"),
    ("if(1 > 0, 'yes', 'no')", S.VARCHAR, "yes"),
    ("if(NULL, 'yes')", S.VARCHAR, None),
    ("greatest(1, 3, 2)", S.INTEGER, "3"),
    ("greatest(1, NULL, 2)", S.INTEGER, None),
    ("greatest(1e0 / 0, nan(), 1)", S.DOUBLE, "NaN"),
    ("greatest('a', 'é', 'z')", S.VARCHAR, "é"),
    ("least(2, 1.5)", S.DOUBLE, "1.5"),
]

STRINGS = [
    ("concat('a', 'b', 'c')", S.VARCHAR, "abc"),
    ("concat('a', NULL)", S.VARCHAR, None),
    ("length('añb😀')", S.BIGINT, "4"),
    ("lower('ÀB')", S.VARCHAR, "àb"),
    ("upper('straße é')", S.VARCHAR, "STRAßE É"),
    ("trim('  \t a b ')", S.VARCHAR, "a b"),
    ("ltrim('  a ')", S.VARCHAR, "a "),
    ("rtrim('  a ')", S.VARCHAR, "  a"),
    ("reverse('añ😀')", S.VARCHAR, "😀ña"),
    ("reverse('e\u0301x')", S.VARCHAR, "x\u0301e"),
    ("lpad('abc', 5, 'xy')", S.VARCHAR, "xyabc"),
    ("lpad('abc', 2, 'x')", S.VARCHAR, "ab"),
    ("rpad('abc', 6, 'xy')", S.VARCHAR, "abcxyx"),
    ("replace('banana', 'an')", S.VARCHAR, "ba"),
    ("replace('banana', 'an', 'x')", S.VARCHAR, "bxxa"),
    ("regexp_replace('banana', 'an')", S.VARCHAR, "ba"),
    ("regexp_replace('x\\y\\\\', '\\\\+\\z', '')", S.VARCHAR, "x\\y"),
    ("split_part('a,b,c', ',', 2)", S.VARCHAR, "b"),
    ("split_part('a,b,c', ',', 4)", S.VARCHAR, None),
    ("strpos('banana', 'na')", S.BIGINT, "3"),
    ("strpos('banana', 'x')", S.BIGINT, "0"),
    ("position('na' IN 'banana')", S.BIGINT, "3"),
    ("strrpos('banana', 'na')", S.BIGINT, "5"),
    ("strrpos('aaa', 'aa')", S.BIGINT, "2"),
    ("strrpos('banana', 'x')", S.BIGINT, "0"),
    ("substr('hello', 2)", S.VARCHAR, "ello"),
    ("substr('hello', 2, 3)", S.VARCHAR, "ell"),
    ("substr('hello', -3)", S.VARCHAR, "llo"),
    ("substr('hello', -3, 2)", S.VARCHAR, "ll"),
    ("substr('hello', 0)", S.VARCHAR, ""),
    ("substr('hello', -9)", S.VARCHAR, ""),
    ("substr('hello', 2, -1)", S.VARCHAR, ""),
    ("substring('hello', 9)", S.VARCHAR, ""),
    ("starts_with('hello', 'he')", S.BOOLEAN, "true"),
    ("chr(233)", S.VARCHAR, "é"),
    ("codepoint('é')", S.INTEGER, "233"),
    ("levenshtein_distance('kitten', 'sitting')", S.BIGINT, "3"),
    ("hamming_distance('karolin', 'kathrin')", S.BIGINT, "3"),
    ("cardinality(split('a,b,,c', ','))", S.BIGINT, "4"),
    ("split('a,b', ',')[2]", S.VARCHAR, "b"),
    ("element_at(ARRAY[1, 2, 3], -1)", S.INTEGER, "3"),
    ("element_at(ARRAY[1, 2, 3], 4)", S.INTEGER, None),
    ("element_at(ARRAY[1, 2, 3], -4)", S.INTEGER, None),
    ("contains(ARRAY[1, 2], 2)", S.BOOLEAN, "true"),
    ("contains(ARRAY[1, NULL], 2)", S.BOOLEAN, None),
    ("contains(ARRAY[1, 3], 2)", S.BOOLEAN, "false"),
    ("array_join(ARRAY['a', NULL, 'b'], '-')", S.VARCHAR, "a-b"),
    ("array_sort(ARRAY[3, NULL, 1])[1]", S.INTEGER, "1"),
    ("array_sort(ARRAY[3, NULL, 1])[3]", S.INTEGER, None),
]

TIMES = [
    ("now()", S.TIMESTAMP, "2022-06-17 17:44:43.771000678"),
    ("current_timestamp", S.TIMESTAMP, "2022-06-17 17:44:43.771000678"),
    ("current_date", S.DATE, "2022-06-17"),
    ("current_time", S.TIME, "17:44:43.771000678"),
    ("current_timezone()", S.VARCHAR, "UTC"),
    ("ago(1d)", S.TIMESTAMP, "2022-06-16 17:44:43.771000678"),
    ("ago(2 * 30m)", S.TIMESTAMP, "2022-06-17 16:44:43.771000678"),
    ("bin(TIMESTAMP '2022-06-17 10:15:20', 5m)", S.TIMESTAMP, "2022-06-17 10:15:00.000000000"),
    ("bin(TIMESTAMP '2022-06-17 10:15:20', 1d)", S.TIMESTAMP, "2022-06-17 00:00:00.000000000"),
    ("bin(TIMESTAMP '2022-06-17 10:15:20', 7 * 1d)", S.TIMESTAMP, "2022-06-16 00:00:00.000000000"),
    ("bin(from_nanoseconds(-1), 1h)", S.TIMESTAMP, "1969-12-31 23:00:00.000000000"),
    ("from_nanoseconds(300000001)", S.TIMESTAMP, "1970-01-01 00:00:00.300000001"),
    ("from_microseconds(1)", S.TIMESTAMP, "1970-01-01 00:00:00.000001000"),
    ("from_milliseconds(1655487883771)", S.TIMESTAMP, "2022-06-17 17:44:43.771000000"),
    ("from_unixtime(1655487883.771)", S.TIMESTAMP, "2022-06-17 17:44:43.771000000"),
    ("from_unixtime(0)", S.TIMESTAMP, "1970-01-01 00:00:00.000000000"),
    ("from_iso8601_timestamp('2022-06-17T08:04:05.000000000+05:00')", S.TIMESTAMP, "2022-06-17 03:04:05.000000000"),
    (
        "from_iso8601_timestamp(concat('2022-06-17T08:04:05', '.123456789Z'))",
        S.TIMESTAMP,
        "2022-06-17 08:04:05.123456789",
    ),
    ("from_iso8601_timestamp(concat('2022-06-17T08:04', '-0130'))", S.TIMESTAMP, "2022-06-17 09:34:00.000000000"),
    ("from_iso8601_timestamp(concat('2022-06-', '17'))", S.TIMESTAMP, "2022-06-17 00:00:00.000000000"),
    ("from_iso8601_date('2022-06-17')", S.DATE, "2022-06-17"),
    (f"to_nanoseconds({T})", S.BIGINT, "1655487883771000678"),
    ("to_nanoseconds(1h)", S.BIGINT, "3600000000000"),
    (f"to_microseconds({T})", S.BIGINT, "1655487883771000"),
    (f"to_milliseconds({T})", S.BIGINT, "1655487883771"),
    ("to_milliseconds(from_nanoseconds(-1))", S.BIGINT, "-1"),
    ("to_milliseconds(1s)", S.BIGINT, "1000"),
    (
        "to_unixtime(TIMESTAMP '2022-06-17 17:44:43.771000000')",
        S.DOUBLE,
        "1.6554878837710001E9",
    ),  # as the developer guide prints it
    (f"to_iso8601({T})", S.VARCHAR, "2022-06-17T17:44:43.771000678Z"),
    ("to_iso8601(DATE '2022-06-17')", S.VARCHAR, "2022-06-17"),
    (f"date({T})", S.DATE, "2022-06-17"),
    ("date('2022-06-17')", S.DATE, "2022-06-17"),
    ("last_day_of_month(TIMESTAMP '2022-07-07 17:44:43.771000000')", S.DATE, "2022-07-31"),
    ("last_day_of_month(DATE '2024-02-01')", S.DATE, "2024-02-29"),
    (f"date_trunc('second', {T})", S.TIMESTAMP, "2022-06-17 17:44:43.000000000"),
    (f"date_trunc('minute', {T})", S.TIMESTAMP, "2022-06-17 17:44:00.000000000"),
    (f"date_trunc('hour', {T})", S.TIMESTAMP, "2022-06-17 17:00:00.000000000"),
    (f"date_trunc('day', {T})", S.TIMESTAMP, "2022-06-17 00:00:00.000000000"),
    (f"date_trunc('week', {T})", S.TIMESTAMP, "2022-06-13 00:00:00.000000000"),
    (f"date_trunc('month', {T})", S.TIMESTAMP, "2022-06-01 00:00:00.000000000"),
    (f"date_trunc('quarter', {T})", S.TIMESTAMP, "2022-04-01 00:00:00.000000000"),
    (f"date_trunc('year', {T})", S.TIMESTAMP, "2022-01-01 00:00:00.000000000"),
    ("date_trunc('month', DATE '2022-06-17')", S.DATE, "2022-06-01"),
    ("date_trunc('year', from_nanoseconds(-1))", S.TIMESTAMP, "1969-01-01 00:00:00.000000000"),
    (f"date_add('hour', 9, {T})", S.TIMESTAMP, "2022-06-18 02:44:43.771000678"),
    (f"date_add('month', -4, {T})", S.TIMESTAMP, "2022-02-17 17:44:43.771000678"),
    ("date_add('month', 1, TIMESTAMP '2020-01-31 00:00:00.123456789')", S.TIMESTAMP, "2020-02-29 00:00:00.123456789"),
    ("date_add('week', 1, DATE '2022-06-17')", S.DATE, "2022-06-24"),
    ("date_diff('day', TIMESTAMP '2020-03-01', TIMESTAMP '2020-03-02')", S.BIGINT, "1"),
    ("date_diff('day', TIMESTAMP '2020-03-02', TIMESTAMP '2020-03-01 00:00:00.000000001')", S.BIGINT, "0"),
    ("date_diff('hour', TIMESTAMP '2020-03-02', TIMESTAMP '2020-03-01')", S.BIGINT, "-24"),
    ("date_diff('month', TIMESTAMP '2020-01-31', TIMESTAMP '2020-03-01')", S.BIGINT, "1"),
    (
        "date_diff('month', TIMESTAMP '2020-01-15 00:00:00.000000005', TIMESTAMP '2020-02-15 00:00:00.000000004')",
        S.BIGINT,
        "0",
    ),
    (
        "date_diff('month', TIMESTAMP '2020-02-15 00:00:00.000000004', TIMESTAMP '2020-01-15 00:00:00.000000005')",
        S.BIGINT,
        "0",
    ),
    ("date_diff('year', TIMESTAMP '2020-06-17', TIMESTAMP '2018-06-17')", S.BIGINT, "-2"),
    ("date_diff('quarter', DATE '2020-01-01', DATE '2020-09-30')", S.BIGINT, "2"),
    (f"date_format({T}, '%Y-%m-%d %H:%i:%s.%f')", S.VARCHAR, "2022-06-17 17:44:43.771000"),
    (f"date_format({T}, '%y %c %e %k %l %h %I %p %j')", S.VARCHAR, "22 6 17 17 5 05 05 PM 168"),
    (f"date_format({T}, '%M %b %W %a %T %r %S %%')", S.VARCHAR, "June Jun Friday Fri 17:44:43 05:44:43 PM 43 %"),
    ("date_format(from_nanoseconds(-1), '%Y-%m-%d %H:%i:%s.%f')", S.VARCHAR, "1969-12-31 23:59:59.999999"),
    ("date_parse('2022-06-17 08:04', '%Y-%m-%d %H:%i')", S.TIMESTAMP, "2022-06-17 08:04:00.000000000"),
    ("parse_duration('42.8ms')", S.INTERVAL_DAY_TO_SECOND, "0 00:00:00.042800000"),
    ("parse_duration('3.81 d')", S.INTERVAL_DAY_TO_SECOND, "3 19:26:24.000000000"),
    (f"year({T})", S.BIGINT, "2022"),
    (f"quarter({T})", S.BIGINT, "2"),
    (f"month({T})", S.BIGINT, "6"),
    (f"week({T})", S.BIGINT, "24"),
    (f"week_of_year({T})", S.BIGINT, "24"),
    ("year_of_week(DATE '2021-01-03')", S.BIGINT, "2020"),
    ("yow(DATE '2021-01-03')", S.BIGINT, "2020"),
    (f"day({T})", S.BIGINT, "17"),
    (f"day_of_month({T})", S.BIGINT, "17"),
    (f"day_of_week({T})", S.BIGINT, "5"),
    ("dow(DATE '2022-06-19')", S.BIGINT, "7"),
    (f"day_of_year({T})", S.BIGINT, "168"),
    (f"doy({T})", S.BIGINT, "168"),
    (f"hour({T})", S.BIGINT, "17"),
    (f"minute({T})", S.BIGINT, "44"),
    (f"second({T})", S.BIGINT, "43"),
    (f"millisecond({T})", S.BIGINT, "771"),
    (f"microsecond({T})", S.BIGINT, "771000"),
    (f"nanosecond({T})", S.BIGINT, "771000678"),
    ("hour(26h)", S.BIGINT, "2"),
    ("day(50h)", S.BIGINT, "2"),
    (f"extract(year FROM {T})", S.BIGINT, "2022"),
    (f"EXTRACT(DOW FROM {T})", S.BIGINT, "5"),
    ("extract(minute FROM 90s)", S.BIGINT, "1"),
]

EXAMPLES = NUMBERS + STRINGS + TIMES


@pytest.mark.parametrize(("expression", "data_type", "expected"), EXAMPLES, ids=[e for e, _, _ in EXAMPLES])
def test_a_function_gives_the_documented_type_and_value(engine: Engine, expression, data_type, expected):
    assert engine.typed(expression) == (data_type, expected)


def test_every_function_of_the_allow_list_has_an_example():
    refused = {"rand", "random"}
    shown = " ".join(expression.lower() for expression, _, _ in EXAMPLES)
    missing = [name for name in FUNCTIONS if f"{name}(" not in shown and name not in refused]
    assert [name for name in missing if not name.startswith("current_")] == []


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"now", "current_timestamp", "current_date", "current_time"}))
def test_a_function_given_null_for_everything_gives_null_or_refuses_cleanly(engine: Engine, name):
    """A NULL in a column must come out as NULL, never as an error of the engine or as a value."""
    if name in {"nan", "infinity", "pi", "e", "rand", "random", "current_timezone", "coalesce", "if", "nullif"}:
        pytest.skip("takes nothing, or is about NULL itself: has examples of its own")
    from ts_migration.local.timestream.sql import SqlRefused

    arguments = {
        "bin": "CAST(NULL AS timestamp), 1h",
        "date_trunc": "'month', CAST(NULL AS timestamp)",
        "date_add": "'month', 1, CAST(NULL AS timestamp)",
        "date_diff": "'year', now(), CAST(NULL AS timestamp)",
        "date_format": "CAST(NULL AS timestamp), '%Y'",
        "date_parse": "CAST(NULL AS varchar), '%Y'",
        "split": "CAST(NULL AS varchar), ','",
        "split_part": "CAST(NULL AS varchar), ',', 1",
        "replace": "CAST(NULL AS varchar), 'a'",
        "regexp_replace": "CAST(NULL AS varchar), 'a'",
        "cardinality": "split(NULL, ',')",
        "element_at": "split(NULL, ','), 1",
        "contains": "split(NULL, ','), 'a'",
        "array_join": "split(NULL, ','), ','",
        "array_sort": "split(NULL, ',')",
        "parse_duration": "'1s'",
        "to_iso8601": "CAST(NULL AS timestamp)",
        "to_nanoseconds": "CAST(NULL AS timestamp)",
        "to_milliseconds": "CAST(NULL AS timestamp)",
        "to_microseconds": "CAST(NULL AS timestamp)",
        "atan2": "NULL, 1",
    }
    if name == "parse_duration":
        pytest.skip("takes a constant only")
    tried = [arguments[name]] if name in arguments else ["NULL", "NULL, NULL", "NULL, NULL, NULL"]
    for text in tried:
        try:
            assert engine.typed(f"{name}({text})")[1] is None
        except SqlRefused as refused:
            assert "Unexpected parameters" in refused.message
        else:
            return
    pytest.fail(f"{name} takes no NULL at all")
