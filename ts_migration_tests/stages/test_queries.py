"""Questions asked of both systems about a loaded table: the guide's two by default, and pairs of the configuration."""

from dataclasses import replace
from typing import Any

import pytest

from ts_migration.query_settings import QueryPair, QuerySettings
from ts_migration.stages import query_scope
from ts_migration.stages.proof import proof_of
from ts_migration.stages.queries import TableQueries, ask_queries
from ts_migration.stages.roll_up import roll_up
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack
from ts_migration_tests.stages.test_hard_tables import migration_of, record

pytestmark = pytest.mark.stack

MINUTE = HOUR // 60
ONE_WINDOW = {"end_time": "2023-02-01"}


def at(minute: int, dimensions: dict[str, str], name: str, values: Any) -> dict[str, Any]:
    return record(0, dimensions, name, values) | {"Time": str(START + minute * MINUTE + 7)}


def asked(migration: Migration, *pairs: QueryPair, **settings: Any) -> TableQueries:
    config = migration.config.model_copy(
        update={"queries": pairs, "query_settings": QuerySettings(**{"runs": 1, **settings})}
    )
    proof = proof_of(config, migration.job, migration.stack.bucket)
    stack = migration.stack
    return ask_queries(config, migration.job, proof, stack.bucket, stack.target, stack.query)


def found(queries: TableQueries) -> dict[str, str]:
    return {result.name: result.summary for result in queries.results}


def hourly(hours: int = 40) -> list[dict[str, Any]]:
    """Quarter-hourly records of two plants; integers are NULL now and then, and all of them on the last day's evening."""
    records = []
    for step in range(hours * 4):
        for number, plant in enumerate(("A", "B")):
            values = [("mw", "DOUBLE", repr((step * 7 % 11) / 3 - 1 + number)), ("note", "VARCHAR", f"n{step}")]
            if step % 3 and step < hours * 4 - 4:
                values.append(("units", "BIGINT", str(2**50 + step)))
            records.append(at(step * 15, {"plant": plant}, "balance", values))
    return records


def test_the_guides_queries_are_asked_by_default_and_answered_alike(stack: Stack) -> None:
    migration = migration_of(stack, hourly(), **ONE_WINDOW)
    assert migration.run().status == "proven"
    queries = asked(migration)
    assert found(queries) == {
        "last hour, limit 10": "8 rows, the same in both",
        "last hour, limit 10, integers": "6 rows, the same in both",
        "last 24 h, mean of every hour": "94 rows, the same in both",
    }
    assert [verdict.passed for verdict in queries.verdicts] == [True, True]


@pytest.mark.parametrize("single_measure", ["field_per_measure_name", "value_columns"])
def test_any_names_and_any_kind_of_rows_can_be_asked(stack: Stack, single_measure: str) -> None:
    hard = {"plant, or =": "Itaipu, 1 = \\ x", "região": "São\tPaulo's", 'quo"te': '"${x}', "Same": "1"}
    records = []
    for step in range(60):
        some = {**hard, "table": "2"} if step % 3 else hard
        records.append(
            at(step, some, "a = b, c's", [('mw "x"', "DOUBLE", repr(step / 7)), ("on, off", "VARCHAR", " ")])
        )
        records.append(at(step, some, "tempé ratur, e=", ("DOUBLE", repr(step * 1.1))))
        records.append(at(step, {"plant, or =": "B"}, "tempé ratur, e=", ("BIGINT", str(2**60 + step))))
    options = {"single_measure": single_measure, "measurement": 'm, é = "${x}"', "rename": {"Same": "the same"}}
    migration = migration_of(stack, records, mapping=options, **ONE_WINDOW)
    assert migration.run().status == "proven"
    queries = asked(migration)
    assert all(result.same for result in queries.results), found(queries)
    assert len(queries.results) == 3
    (left_out,) = queries.unasked
    assert "bigint" in left_out
    assert "passes 64 bits" in left_out


def test_widened_integers_and_dimensions_as_fields_are_asked_as_they_are_kept(stack: Stack) -> None:
    records = [
        at(
            step,
            {"plant": "A", "serial": f"s{step}"},
            "balance",
            [("n", "BIGINT", str(step)), ("at", "TIMESTAMP", str(START + step)), ("v", "DOUBLE", "0.1")],
        )
        for step in range(90)
    ]
    options = {
        "rename": {"plant": "power plant", "v": "value"},
        "dimensions_as_fields": ["serial"],
        "keep_measure_name": False,
        "types": {"n": "float"},
    }
    migration = migration_of(stack, records, mapping=options, **ONE_WINDOW)
    assert migration.run().status == "proven"
    assert found(asked(migration)) == {
        "last hour, limit 10": "20 rows, the same in both",
        "last 24 h, mean of every hour": "4 rows, the same in both",
    }


def test_a_value_that_is_changed_added_or_missing_in_the_last_hour_is_shown_with_both_values(stack: Stack) -> None:
    migration = migration_of(stack, hourly(), **ONE_WINDOW)
    migration.run()
    last = START + (40 * 60 - 15) * MINUTE + 7
    migration.write(f"{migration.job.measurement},plant=A,measure_name=balance mw=99 {last}")
    migration.write(f"{migration.job.measurement},plant=C,measure_name=balance mw=1 {last}")
    result = next(result for result in asked(migration).results if result.name == "last hour, limit 10")
    assert result.summary == "8 rows in Timestream, 9 in InfluxDB: 1 only in InfluxDB, 1 different"
    assert result.comparison is not None
    different, extra = result.comparison.examples
    assert "plant 'A'" in different
    assert "_value is 0.0 in Timestream and 99.0 in InfluxDB" in different or "and 99.0 in InfluxDB" in different
    assert extra.startswith("only in InfluxDB: ") and "plant 'C'" in extra
    equivalence, _ = asked(migration).verdicts
    assert (equivalence.passed, equivalence.severity) == (False, "ERROR")


PEAKS = {
    "name": "peak of every plant",
    "timestream": 'SELECT "plant", max("mw") AS "peak" FROM {{database}}.{{table}} '
    'WHERE "time" >= {{anchor - 12h}} AND "time" < {{anchor}} GROUP BY "plant"',
}
PEAKS_FLUX = """
from(bucket: {{bucket}})
  |> range(start: {{anchor - 12h}}, stop: {{ anchor }})
  |> filter(fn: (r) => r._measurement == {{measurement}} and r._field == "mw")
  |> max()
  |> keep(columns: ["plant", "_value"])
"""
PEAKS_INFLUXQL = 'SELECT max("mw") AS "peak" FROM {{measurement}} WHERE time >= {{anchor - 12h}} AND time < {{anchor}} GROUP BY plant'


@pytest.fixture(scope="module")
def plants(stack: Stack) -> Migration:
    """The hourly records, proven. No test may change them."""
    migration = migration_of(stack, hourly(), **ONE_WINDOW)
    assert migration.run().status == "proven"
    return migration


def test_a_pair_of_the_configuration_is_asked_in_flux_or_influxql(plants: Migration) -> None:
    flux = QueryPair(**PEAKS, flux=PEAKS_FLUX, columns={"peak": "_value"})
    influxql = QueryPair(**{**PEAKS, "name": "the same"}, influxql=PEAKS_INFLUXQL)
    queries = asked(plants, flux, influxql, default_queries=False)
    assert found(queries) == {
        "peak of every plant": "2 rows, the same in both",
        "the same": "2 rows, the same in both",
    }


def test_a_pair_that_asks_different_things_fails_and_shows_both_values(plants: Migration) -> None:
    pair = QueryPair(**PEAKS, flux=PEAKS_FLUX.replace("max()", "min()"), columns={"peak": "_value"})
    queries = asked(plants, pair, default_queries=False)
    equivalence, performance = queries.verdicts
    assert (equivalence.passed, equivalence.severity, equivalence.actual) == (False, "ERROR", "0 of 1 alike")
    assert equivalence.evidence[:2] == (
        "peak of every plant: 2 rows in Timestream, 2 in InfluxDB: 2 different",
        "peak of every plant: plant 'A': peak is 2.3333333333333335 in Timestream and -1.0 in InfluxDB",
    )
    assert performance.passed


def test_a_question_that_a_system_refuses_fails_with_its_words(plants: Migration) -> None:
    wrong_sql = QueryPair(name="one", timestream="SELECT nothing FROM {{database}}.{{table}}", flux=PEAKS_FLUX)
    wrong_flux = QueryPair(**PEAKS, flux="from(bucket: {{bucket}}) |> rnage(start: {{start}})")
    queries = asked(plants, wrong_sql, wrong_flux, default_queries=False)
    one, other = (result.summary for result in queries.results)
    assert one.startswith("Timestream did not answer: ")
    assert "nothing" in one
    assert other.startswith("InfluxDB did not answer: ")
    assert "rnage" in other
    assert [verdict.passed for verdict in queries.verdicts] == [False, False]


def test_an_empty_answer_is_no_pass(plants: Migration) -> None:
    nothing = QueryPair(
        name="nothing",
        timestream='SELECT "time", "mw" FROM {{database}}.{{table}} WHERE "time" >= {{end}}',
        influxql="SELECT mw FROM {{measurement}} WHERE time >= {{end}}",
    )
    queries = asked(plants, nothing, default_queries=False)
    assert found(queries) == {"nothing": "Timestream and InfluxDB answered no row, which proves nothing"}
    assert not queries.verdicts[0].passed


def test_a_limit_that_influxdb_does_not_keep_is_told_as_a_warning_with_both_latencies(plants: Migration) -> None:
    pair = QueryPair(**PEAKS, influxql=PEAKS_INFLUXQL, runs=3, max_latency_ms=0.001)
    equivalence, performance = asked(plants, pair, default_queries=False).verdicts
    assert equivalence.passed
    assert (performance.passed, performance.severity, performance.expected) == (False, "WARN", "p95 within 0.001 ms")
    (line,) = performance.evidence
    assert "(3 runs, limit 0.001 ms); Timestream median" in line


def test_where_there_are_too_many_series_the_newest_are_asked_and_that_is_told(
    plants: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_scope, "MOST_SERIES", 1)
    monkeypatch.setattr(query_scope, "FEW_SERIES", 1)
    queries = asked(plants)
    note = "(1 of 2 numeric fields, the 1 newest of more than 1 series)"
    assert found(queries) == {
        f"last hour, limit 10 {note}": "4 rows, the same in both",
        f"last 24 h, mean of every hour {note}": "24 rows, the same in both",
    }


def test_windows_that_only_passed_make_a_difference_a_warning(plants: Migration) -> None:
    pair = QueryPair(**PEAKS, influxql=PEAKS_INFLUXQL.replace("max", "min"))
    found = replace(asked(plants, pair, default_queries=False), kept_out=True)
    (equivalence, _) = found.verdicts
    (accepted, _) = replace(found, accepted=True).verdicts
    assert (accepted.passed, accepted.severity) == (True, "WARN")
    assert (equivalence.passed, equivalence.severity) == (False, "WARN")


@pytest.mark.parametrize(
    "influxql",
    [
        PEAKS_INFLUXQL.replace("{{measurement}}", '"nothing"'),
        PEAKS_INFLUXQL.replace('AS "peak"', 'AS "other"'),
        "SELECT nonsense",
    ],
    ids=["no row", "no column", "refused"],
)
def test_rows_that_were_kept_out_explain_no_answer_that_says_nothing(plants: Migration, influxql: str) -> None:
    pair = QueryPair(**PEAKS, influxql=influxql)
    found = replace(asked(plants, pair, default_queries=False), kept_out=True, accepted=True)
    (equivalence, _) = found.verdicts
    assert (equivalence.passed, equivalence.severity) == (False, "ERROR")


def test_a_last_hour_of_which_every_row_is_quarantined_is_a_warning_that_an_acceptance_passes(stack: Stack) -> None:
    early = [at(minute, {"plant": "A"}, "balance", [("mw", "DOUBLE", "1.5")]) for minute in range(0, 600, 30)]
    late = [at(minute, {"plant": "A\\"}, "balance", [("mw", "DOUBLE", "2.5")]) for minute in (700, 710)]
    migration = migration_of(stack, early + late, **ONE_WINDOW)
    assert migration.run().status == "passed"
    queries = asked(migration)
    assert found(queries)["last hour, limit 10"] == "2 rows in Timestream, 0 in InfluxDB: 2 only in Timestream"
    (waiting, _) = queries.verdicts
    (accepted, _) = replace(queries, accepted=True).verdicts
    (unexplained, _) = replace(queries, kept_out=False).verdicts
    assert (waiting.passed, waiting.severity) == (False, "WARN")
    assert (accepted.passed, accepted.severity) == (True, "WARN")
    assert (unexplained.passed, unexplained.severity) == (False, "ERROR")


def test_a_table_without_numbers_or_without_records_says_so_and_does_not_pass(stack: Stack) -> None:
    records = [at(step, {"plant": "A"}, "state", [("text", "VARCHAR", f"{step}")]) for step in range(9)]
    words = migration_of(stack, records, **ONE_WINDOW)
    words.run()
    equivalence, performance = asked(words).verdicts
    assert (equivalence.passed, equivalence.severity, equivalence.actual) == (False, "WARN", "nothing was asked")
    assert (performance.passed, performance.severity) == (False, "WARN")
    assert "no numeric field" in equivalence.evidence[0]
    own = QueryPair(
        name="states",
        timestream='SELECT "time", "text" FROM {{database}}.{{table}}',
        influxql='SELECT "text" FROM {{measurement}}',
    )
    assert asked(words, own).verdicts[0].passed

    empty = migration_of(stack, records, start_time="2023-01-02", **ONE_WINDOW)
    empty.run()
    assert asked(empty, own).unasked == ("the table has no record in the job's range, so there is nothing to ask",)
    assert not asked(empty, own).verdicts[0].passed


def test_a_table_is_rolled_up_with_its_queries(plants: Migration) -> None:
    rolled = roll_up(plants.config, plants.job, plants.stack.bucket, plants.stack.target, plants.stack.query)
    assert rolled.status == "proven"
    checks = {verdict.check: verdict for verdict in rolled.verdicts}
    assert checks["query_equivalence"].actual == "3 of 3 alike"
    assert checks["query_performance"].expected == "measured; no max_latency_ms is set"
    assert rolled.verdicts_now(plants.config, plants.job) == rolled.verdicts
    other = plants.config.model_copy(update={"queries": (QueryPair(**PEAKS, influxql=PEAKS_INFLUXQL),)})
    stale = {verdict.check: verdict for verdict in rolled.verdicts_now(other, plants.job)}
    assert stale["totals"].passed
    assert not stale["query_equivalence"].passed
    assert "changed since" in stale["query_performance"].evidence[0]


def test_a_job_without_validation_is_asked_nothing_and_stays_unchecked(plants: Migration) -> None:
    unchecked = plants.changed(validation_enabled=False)
    assert asked(unchecked).unasked == ("validation_enabled is false: nothing is asked",)


def test_a_range_that_begins_and_ends_within_an_hour_is_asked_for_its_own_rows_alone(plants: Migration) -> None:
    migration = migration_of(
        plants.stack, hourly(6), start_time="2023-01-01T02:20:00Z", end_time="2023-01-01T04:40:00Z"
    )
    assert migration.run().status == "proven"
    assert found(asked(migration)) == {
        "last hour, limit 10": "8 rows, the same in both",
        "last hour, limit 10, integers": "6 rows, the same in both",
        "last 24 h, mean of every hour": "8 rows, the same in both",
    }
    short = migration_of(plants.stack, hourly(6), start_time="2023-01-01T02:20:00Z", end_time="2023-01-01T02:50:00Z")
    assert short.run().status == "proven"
    queries = asked(short)
    assert [result.same for result in queries.results] == [True, True]
    assert "no whole hour" in queries.unasked[0]
