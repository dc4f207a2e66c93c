"""Raw queries: rows, columns, types, conditions, order and limits."""

import pytest

from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints
from ts_migration_tests.local.influxdb.influxql.asking import HOUR, START, error, result, results, series, values


def memory(*lines: str) -> MemoryPoints:
    return MemoryPoints().write("\n".join(lines))


def test_a_star_names_fields_and_tags_in_byte_order_and_leaves_missing_ones_null():
    points = memory("m,t=a,Z=1 f=1,B=2i 1", "m,t=b f=2 2")
    (found,) = series("SELECT * FROM m", points)
    assert found["columns"] == ["time", "B", "Z", "f", "t"]
    assert found["values"] == [[1, 2, "1", 1, "a"], [2, None, None, 2, "b"]]


def test_rows_are_merged_by_time_over_series_and_by_leading_tags_among_equal_times():
    points = memory("m,a=2,b=1 z=1 5", "m,a=1,b=2 z=2 5", "m,a=3,b=0 z=3 4")
    assert values("SELECT * FROM m", points) == [[4, "3", "0", 3], [5, "1", "2", 2], [5, "2", "1", 1]]


def test_group_by_star_answers_series_by_series_and_an_absent_tag_is_empty():
    points = memory("m,a=1,b=1 f=1 1", "m,b=1 f=2 1", "m,a=1 f=3 1")
    found = series("SELECT * FROM m GROUP BY *", points)
    assert [one["tags"] for one in found] == [{"a": "", "b": "1"}, {"a": "1", "b": ""}, {"a": "1", "b": "1"}]
    assert [one["values"] for one in found] == [[[1, 2]], [[1, 3]], [[1, 1]]]


def test_group_by_some_tags_merges_the_series_of_a_group():
    found = series("SELECT mw FROM generation GROUP BY nothing LIMIT 3")
    assert [one["tags"] for one in found] == [{"nothing": ""}]
    assert [row[1] for row in found[0]["values"]] == [100, 100, 101.5]


def test_a_pattern_in_group_by_takes_the_tags_it_finds():
    assert [one["tags"] for one in series("SELECT mw FROM generation GROUP BY /^sub/")] == [
        {"subsystem": "NE"},
        {"subsystem": "SE"},
    ]


def test_descending_order_turns_rows_and_groups_around():
    found = series("SELECT mw FROM generation GROUP BY source ORDER BY time DESC LIMIT 1")
    assert [one["tags"]["source"] for one in found] == ["wind", "hydro"]
    assert [one["values"] for one in found] == [[[START + 5 * HOUR, 107.5]]] * 2


def test_limits_count_rows_of_a_series_and_series_limits_count_groups():
    found = series("SELECT units FROM generation GROUP BY * LIMIT 2 OFFSET 3 SLIMIT 1 SOFFSET 1")
    assert [(one["tags"]["source"], [row[1] for row in one["values"]]) for one in found] == [("wind", [3, 4])]


@pytest.mark.parametrize(
    ("condition", "units"),
    [
        (f"time >= {START + HOUR} AND time < {START + 3 * HOUR}", [1, 2]),
        ("time >= '2023-01-01T01:00:00Z' AND time < '2023-01-01T03:00:00Z'", [1, 2]),
        ("time > '2023-01-01 01:00:00' AND time <= '2023-01-01 03:00:00.000'", [2, 3]),
        ("time >= '2023-01-01' + 4h", [4, 5]),
        ("time > now() - 2h", [5]),
        (f"{START + 4 * HOUR} < time", [5]),
        ("time = 1672531200s", [0]),
        ("time >= '2023-01-01T04:00:00+00:30'", [4, 5]),
        ("units > 3", [4, 5]),
        ("units >= 1.5 AND units <= 2.5", [2]),
        ("mw = 103", [2]),
        ("online = true AND units < 4", [1, 3]),
        ("note = 'h4' OR note =~ /[01]$/", [0, 1, 4]),
        ("note !~ /[01234]/", [5]),
        ("units * 2 = mw - 97", []),
        ("(units = 1 OR units = 2) AND note != 'h1'", [2]),
        ("nothing = 'x' OR units = 3", [3]),
        ("nothing = '' AND units = 3", [3]),
        ("note > 'a'", []),
    ],
)
def test_conditions_choose_rows(condition: str, units: list[int]):
    found = series(f"SELECT units FROM generation WHERE source = 'wind' AND ({condition})")
    assert [row[1] for one in found for row in one["values"]] == units


@pytest.mark.parametrize(
    ("condition", "sources"),
    [
        ("source != 'wind'", ["hydro"]),
        ("source =~ /^w/ OR subsystem = 'SE'", ["hydro", "wind"]),
        ("source = '' ", []),
        ("absent = '' AND source !~ /hydro/", ["wind"]),
        ("source = 'wind' AND units = 99", []),
        ("source = 'wind' OR units = 2", ["hydro", "wind"]),
    ],
)
def test_tags_choose_series(condition: str, sources: list[str]):
    found = series(f"SELECT units FROM generation WHERE {condition} GROUP BY source")
    assert [one["tags"]["source"] for one in found] == sources


def test_a_row_needs_a_selected_field_and_not_one_of_the_condition():
    points = memory("m f=1,g=1 1", "m g=1 2", "m f=3,g=2 3")
    assert values("SELECT f FROM m WHERE g = 1", points) == [[1, 1]]


def test_tags_alone_have_no_rows_and_unknown_names_are_null_beside_fields():
    assert result("SELECT source FROM generation") == {"statement_id": 0}
    assert result("SELECT nothing FROM generation") == {"statement_id": 0}
    assert values("SELECT nothing, mw FROM generation LIMIT 1") == [[START, None, 100]]


def test_arithmetic_follows_influxql():
    points = memory("m a=7i,b=2i,z=0i,x=1.5 1", "m a=1i 2")
    (found,) = series("SELECT a+b, a-b, a*b, a/b, a%b, a/z, x*2, x/0, -a AS n, a&3, (a+b)*x FROM m", points)
    assert found["columns"] == ["time", "a_b", "a_b_1", "a_b_2", "a_b_3", "a_b_4", "a_z", "x", "x_1", "n", "a", "a_b_x"]
    assert found["values"][0] == [1, 9, 5, 14, 3.5, 1, 0, 3, 0, -7, 3, 13.5]
    assert found["values"][1][1:9] == [None] * 8


def test_where_shards_disagree_on_a_type_numbers_become_the_widest_and_texts_are_left_out():
    points = memory("m f=1i 1", "m f=2.5 2", 'm f="x" 3')
    assert values("SELECT f FROM m", points) == [[1, 1], [2, 2.5]]
    assert values("SELECT f::integer FROM m", points) == [[1, 1], [2, 2]]


def test_a_field_goes_before_a_tag_of_its_name():
    points = memory("n,x=a x=1 1")
    (found,) = series("SELECT * FROM n", points)
    assert (found["columns"], found["values"]) == (["time", "x", "x_1"], [[1, 1, "a"]])
    assert values("SELECT x::tag, x::field FROM n", points) == [[1, "a", 1]]


def test_several_measurements_are_answered_in_the_order_of_their_names():
    points = memory("b f=1 1", "a,t=x g=2 2", "c f=3 3")
    found = series("SELECT * FROM c, a, /b/", points)
    assert [(one["name"], one["columns"], one["values"]) for one in found] == [
        ("a", ["time", "f", "g", "t"], [[2, None, 2, "x"]]),
        ("b", ["time", "f", "g", "t"], [[1, 1, None, None]]),
        ("c", ["time", "f", "g", "t"], [[3, 3, None, None]]),
    ]


def test_times_at_both_ends_of_their_range_are_read():
    points = memory("e f=1 -9223372036854775806", "e f=2 9223372036854775806", "e f=3 0")
    assert [row[0] for row in values("SELECT f FROM e", points)] == [-9223372036854775806, 0, 9223372036854775806]
    assert values("SELECT f FROM e ORDER BY time DESC", points)[0][0] == 9223372036854775806


def test_the_time_may_be_selected_and_renamed():
    (found,) = series("SELECT time AS t, mw FROM generation LIMIT 1")
    assert found["columns"] == ["t", "mw"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT mw FROM other.autogen.generation", "database not found: other"),
        ("SELECT mw FROM db.week.generation", "retention policy not found: week"),
        ("SELECT time FROM generation", "at least 1 non-time field must be queried"),
        ("SELECT mw FROM generation GROUP BY time(1h)", "GROUP BY requires at least one aggregate function"),
        ("SELECT mean(mw), units FROM generation", "mixing aggregate and non-aggregate queries is not supported"),
        (
            "SELECT mw FROM generation WHERE time > 'x'",
            "invalid operation: time and *influxql.StringLiteral are not compatible",
        ),
        ("SELECT mw FROM generation WHERE time > '2023-13-01'", "invalid timestamp string"),
        ("SELECT mw FROM generation WHERE time != 3", "invalid time comparison operator: !="),
        ("SELECT mw FROM generation WHERE online", "invalid condition expression: online"),
        ("SELECT mw FROM _series", "unable to use system source '_series': use SHOW SERIES instead"),
        ("SELECT mw INTO x FROM generation", "not implemented: SELECT INTO"),
        ("SELECT frobnicate(mw) FROM generation", "undefined function frobnicate()"),
        ("SELECT mean(note) FROM generation", "unsupported mean iterator type: *query.stringInterruptIterator"),
        ("SHOW SERIES CARDINALITY", "not implemented: SHOW SERIES CARDINALITY"),
        ("CREATE DATABASE x", "not implemented: CREATE DATABASE"),
    ],
)
def test_what_influxdb_refuses_is_refused_in_its_words(text: str, message: str):
    assert error(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "SELECT top(mw, 2) FROM generation",
        "SELECT derivative(mw) FROM generation",
        "SELECT abs(mw) FROM generation",
        "SELECT mw FROM (SELECT mw FROM generation)",
        "SELECT mw FROM generation tz('America/Sao_Paulo')",
        "EXPLAIN SELECT mw FROM generation",
        "SHOW MEASUREMENTS ON *.*",
        "SHOW SERIES WHERE time > 0",
    ],
)
def test_what_only_the_embedded_server_lacks_is_refused_by_name(text: str):
    assert error(text).endswith("not supported by the embedded InfluxDB")


def test_statements_behind_a_failed_one_are_not_executed():
    found = results("SELECT mw FROM generation LIMIT 1; SHOW USERS; SELECT mw FROM generation")
    assert [one.get("error") for one in found] == [None, "not implemented: SHOW USERS", "not executed"]


def test_a_query_without_a_database_says_so():
    assert error("SELECT mw FROM generation", database=None) == "database name required"
    assert len(series("SELECT mw FROM db..generation", database=None)) == 1
