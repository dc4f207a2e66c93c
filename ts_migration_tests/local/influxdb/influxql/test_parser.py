"""InfluxQL as text: what is parsed to what, and the words and places of what is not."""

import pytest

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import ParseError
from ts_migration.local.influxdb.influxql.lexer import duration_ns
from ts_migration.local.influxdb.influxql.parser import parse
from ts_migration_tests.local.influxdb.influxql.asking import ask


def only(text: str):
    (statement,) = parse(text)
    return statement


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT", "found EOF, expected identifier, string, number, bool at line 1, char 8"),
        ("SELECT * FROM", "found EOF, expected identifier at line 1, char 15"),
        ("SELECT *", "found EOF, expected FROM at line 1, char 9"),
        ("SELECT *\n  FROM m WHERE", "found EOF, expected identifier, string, number, bool at line 2, char 16"),
        ("SELECT * FROM m x", "found x, expected ; at line 1, char 17"),
        ("SELECT a FROM m LIMIT x", "found x, expected integer at line 1, char 23"),
        ("SELECT a FROM m GROUP time(1h)", "found time, expected BY at line 1, char 23"),
        ("SELECT a FROM m ORDER BY a", "only ORDER BY time supported at this time"),
        (
            "SELECT a = 1 FROM m",
            "invalid operator = in SELECT clause at line 1, char 8; operator is intended for WHERE clause",
        ),
        ("SELECT a FROM m WHERE b =~ 'x'", "found x, expected regex at line 1, char 28"),
        ("SELECT a FROM m WHERE b > $p", "missing parameter: p"),
        ("SELECT a FROM m WHERE b > 5x", "invalid duration"),
        ("DELETE", "found EOF, expected FROM, WHERE at line 1, char 8"),
        ("SHOW TAG VALUES FROM m", "found EOF, expected WITH at line 1, char 24"),
        ("SHOW TAG", "found EOF, expected KEY, KEYS, VALUES at line 1, char 10"),
        (
            "INSERT m f=1",
            "found INSERT, expected SELECT, DELETE, SHOW, CREATE, DROP, EXPLAIN, GRANT, REVOKE, ALTER, SET, KILL"
            " at line 1, char 1",
        ),
    ],
)
def test_what_is_no_influxql_is_refused_with_the_place_that_influxdb_counts(text: str, message: str):
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_a_parse_error_is_a_400_of_the_whole_request():
    answer = ask("SELECT * FROM m; SELECT")
    assert answer.status == 400
    assert answer.headers["X-Platform-Error-Code"] == "invalid"
    assert b'{"code":"invalid","message":"failed to parse query: found EOF, expected' in b"".join(answer.body)


def test_operators_bind_by_precedence_and_from_the_left():
    assert syntax.text_of(only("SELECT a+b*c-d FROM m").fields[0].expr) == "a + b * c - d"
    difference = only("SELECT a+b*c-d FROM m").fields[0].expr
    assert (difference.operator, difference.left.operator, difference.left.right.operator) == ("-", "+", "*")
    condition = only("SELECT a FROM m WHERE a = 1 OR b = 2 AND c = 3").condition
    assert (condition.operator, condition.right.operator) == ("OR", "AND")


def test_sources_may_name_a_database_a_policy_and_a_pattern():
    sources = only('SELECT * FROM "a b", db..m, db.rp.m, rp.m, db.rp./x\\/y/, /z/').sources
    named = [(one.database, one.policy, one.name, one.pattern and one.pattern.text) for one in sources]
    assert named == [
        ("", "", "a b", None),
        ("db", "", "m", None),
        ("db", "rp", "m", None),
        ("", "rp", "m", None),
        ("db", "rp", "", "x/y"),
        ("", "", "", "z"),
    ]


def test_quoted_names_keep_every_character():
    field = only('SELECT "measure_value::double", "a\\"b\\\\c" AS "x y", f::integer FROM m').fields
    assert [one.expr.name for one in field] == ["measure_value::double", 'a"b\\c', "f"]
    assert (field[1].alias, field[2].expr.type) == ("x y", "integer")


def test_comments_and_case_of_keywords_do_not_matter():
    assert only("select * /* all */ from m -- the end\n where a = 1") == only("SELECT * FROM m WHERE a = 1")


def test_statements_are_separated_by_semicolons_that_may_be_many():
    assert len(parse(";SELECT a FROM m;; SHOW DATABASES;")) == 2


def test_durations_add_up_their_units():
    assert duration_ns("1h30m") == 5_400_000_000_000
    assert duration_ns("1w2d3s4ms5u6ns") == 777_603_004_005_006


@pytest.mark.parametrize(
    "text", ["CREATE DATABASE x", "GRANT ALL TO y", "DROP SERIES FROM m WHERE a = 'b'", "KILL QUERY 3"]
)
def test_what_influxdb_2_does_not_execute_is_parsed_and_named(text: str):
    assert isinstance(only(text), syntax.Unimplemented)
