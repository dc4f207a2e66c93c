"""SHOW, DELETE and DROP MEASUREMENT."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints
from ts_migration_tests.local.influxdb.influxql.asking import error, result, results, series, values


def bucket() -> MemoryPoints:
    return MemoryPoints().write('a,x=1,y=1 f=1,g=2i 1\na,x=2 f=1 2\nb,x=1 f="t" 3\nmy\\ b\\,c,k=v\\ w f=true 4')


def rows(text: str) -> dict[str, list]:
    return {one.get("name", ""): one["values"] for one in series(text, bucket())}


def test_measurements_are_listed_filtered_and_limited():
    assert rows("SHOW MEASUREMENTS") == {"measurements": [["a"], ["b"], ["my b,c"]]}
    assert rows("SHOW MEASUREMENTS WITH MEASUREMENT =~ /^[ab]$/") == {"measurements": [["a"], ["b"]]}
    assert rows("SHOW MEASUREMENTS WITH MEASUREMENT = b") == {"measurements": [["b"]]}
    assert rows("SHOW MEASUREMENTS WHERE x = '1' LIMIT 1 OFFSET 1") == {"measurements": [["b"]]}
    assert result("SHOW MEASUREMENTS WHERE x = '7'", bucket()) == {"statement_id": 0}
    assert (
        error("SHOW MEASUREMENTS WHERE time > 0", bucket()) == "SHOW MEASUREMENTS doesn't support time in WHERE clause"
    )


def test_field_keys_have_their_types():
    assert rows("SHOW FIELD KEYS FROM a, b") == {"a": [["f", "float"], ["g", "integer"]], "b": [["f", "string"]]}
    assert rows("SHOW FIELD KEYS FROM /my/ LIMIT 1") == {"my b,c": [["f", "boolean"]]}


def test_tag_keys_are_those_of_the_series_that_the_condition_lets_through():
    assert rows("SHOW TAG KEYS") == {"a": [["x"], ["y"]], "b": [["x"]], "my b,c": [["k"]]}
    assert rows("SHOW TAG KEYS FROM a WHERE x = '2'") == {"a": [["x"]]}
    assert rows("SHOW TAG KEYS FROM a LIMIT 1 OFFSET 1") == {"a": [["y"]]}


def test_tag_values_are_asked_by_key_keys_or_pattern():
    assert rows('SHOW TAG VALUES WITH KEY = "x"') == {"a": [["x", "1"], ["x", "2"]], "b": [["x", "1"]]}
    assert rows("SHOW TAG VALUES FROM a WITH KEY IN (x, y) LIMIT 2 OFFSET 1") == {"a": [["x", "2"], ["y", "1"]]}
    assert rows("SHOW TAG VALUES WITH KEY =~ /k|y/") == {"a": [["y", "1"]], "my b,c": [["k", "v w"]]}
    assert rows("SHOW TAG VALUES FROM a WITH KEY != x WHERE x = '1'") == {"a": [["y", "1"]]}


def test_series_are_shown_by_their_escaped_keys():
    assert rows("SHOW SERIES") == {"": [["a,x=1,y=1"], ["a,x=2"], ["b,x=1"], ["my\\ b\\,c,k=v\\ w"]]}
    assert rows("SHOW SERIES FROM a WHERE y = ''") == {"": [["a,x=2"]]}
    assert rows("SHOW SERIES LIMIT 1 OFFSET 2") == {"": [["b,x=1"]]}


def test_exact_cardinalities_are_counted_and_estimates_not_implemented():
    assert rows("SHOW SERIES EXACT CARDINALITY") == {"a": [[2]], "b": [[1]], "my b,c": [[1]]}
    assert rows("SHOW SERIES EXACT CARDINALITY FROM a WHERE x = '1'") == {"a": [[1]]}
    assert rows("SHOW MEASUREMENT EXACT CARDINALITY") == {"": [[3]]}
    assert rows("SHOW FIELD KEY EXACT CARDINALITY FROM a") == {"a": [[2]]}
    assert rows("SHOW TAG KEY EXACT CARDINALITY FROM a") == {"a": [[2]]}
    assert rows("SHOW TAG VALUES EXACT CARDINALITY FROM a WITH KEY = x") == {"a": [[2]]}
    assert error("SHOW MEASUREMENT CARDINALITY", bucket()) == "not implemented: SHOW MEASUREMENT CARDINALITY"


def test_databases_and_policies_are_what_the_server_says():
    assert values("SHOW DATABASES", databases=lambda: ["db", "other"]) == [["db"], ["other"]]
    assert values("SHOW RETENTION POLICIES ON db") == [["autogen", "0s", "168h0m0s", 1, True]]
    assert error("SHOW TAG KEYS ON other") == "default retention policy not set for: other"
    assert error("SHOW FIELD KEYS ON other") == "database not found: other"


@dataclass
class Recorder:
    """Writes down what it is told to change."""

    told: list[tuple] = field(default_factory=list)

    def delete(
        self,
        database: str,
        measurement: str | None,
        start_ns: int,
        stop_ns: int,
        where: Callable[[Mapping[str, str]], bool] | None,
    ) -> None:
        chosen = None if where is None else [bool(where({"x": value})) for value in ("1", "2")]
        self.told.append((database, measurement, start_ns, stop_ns, chosen))

    def drop_measurement(self, database: str, measurement: str) -> None:
        self.told.append((database, measurement))


def test_deletions_are_passed_on_with_their_bounds_and_tags():
    recorder = Recorder()
    found = results(
        "DELETE FROM a WHERE time >= 5 AND time < 9 AND x = '1'; DELETE FROM /b/; DROP MEASUREMENT b",
        bucket(),
        mutate=recorder,
    )
    assert found == [{"statement_id": 0}, {"statement_id": 1}, {"statement_id": 2}]
    assert recorder.told == [
        ("db", "a", 5, 8, [True, False]),
        ("db", "b", MIN_TIME_NS, MAX_TIME_NS, None),
        ("db", "my b,c", MIN_TIME_NS, MAX_TIME_NS, None),
        ("db", "b"),
    ]


def test_a_deletion_by_field_is_refused_before_anything_is_deleted():
    recorder = Recorder()
    assert (
        error("DELETE WHERE g = 2", bucket(), mutate=recorder) == "fields not supported in WHERE clause during deletion"
    )
    assert recorder.told == []


def test_nothing_behind_a_failed_statement_is_deleted():
    recorder = Recorder()
    results("SHOW USERS; DELETE FROM a", bucket(), mutate=recorder)
    assert recorder.told == []
