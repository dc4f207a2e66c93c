"""Answers of both systems compared: what counts as the same, and that nothing else does."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.validation.query_answers import AnswerRules, Comparison, compare_answers
from ts_migration.validation.query_verdicts import Latencies, QueryResult, query_verdicts

TIMES = pl.Series("time", [0, 3_600_000_000_000, 7_200_000_000_001]).cast(pl.Datetime("ns"))
HOURS = pl.DataFrame({"time": TIMES, "plant": ["A", "A", "B"], "mw": [1.0, 2.0, 3.0], "units": [1, 2, 2**60]})


def compared(source: pl.DataFrame, target: pl.DataFrame, **rules: object) -> Comparison:
    return compare_answers(source, target, AnswerRules(**rules))


def test_rows_are_found_in_any_order_and_by_other_names():
    flux = (
        HOURS.rename({"time": "_time", "mw": "_value"}).reverse().with_columns(_start=TIMES, _measurement=pl.lit("m"))
    )
    found = compared(HOURS, flux, columns={"mw": "_value"})
    assert found.same
    assert found.summary == "3 rows, the same in both"


def test_an_order_counts_where_it_is_asked_for():
    assert compared(HOURS, HOURS, ordered=True).same
    found = compared(HOURS, HOURS.reverse(), ordered=True)
    assert (found.different, found.missing, found.extra) == (2, 0, 0)
    assert found.examples[0].startswith("row 1: time is 1970-01-01T00:00:00Z in Timestream and 1970-01-01T02:00:00.000")


def test_missing_extra_and_different_rows_are_counted_and_shown_with_both_values():
    target = HOURS.with_columns(
        time=pl.Series([0, 3_600_000_000_000, 7_200_000_000_002]).cast(pl.Datetime("ns")), mw=pl.Series([1.0, 2.5, 3.0])
    )
    found = compared(HOURS, target)
    assert (found.missing, found.extra, found.different) == (1, 1, 1)
    assert found.examples == (
        "time 1970-01-01T01:00:00Z, plant 'A': mw is 2.0 in Timestream and 2.5 in InfluxDB",
        f"only in Timestream: time 1970-01-01T02:00:00.000000001Z, plant 'B', mw 3.0, units {2**60}",
        f"only in InfluxDB: time 1970-01-01T02:00:00.000000002Z, plant 'B', mw 3.0, units {2**60}",
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "rules", "same"),
    [
        (1.0, 1.0 + 1e-12, {}, False),
        (1.0, 1.0 + 1e-12, {"relative": 1e-9}, True),
        (1.0, 1.0 + 1e-6, {"relative": 1e-9}, False),
        (0.0, 1e-12, {"relative": 1e-9}, False),
        (0.0, 1e-12, {"absolute": 1e-9}, True),
        (float("nan"), float("nan"), {}, True),
        (float("nan"), 1.0, {"relative": 0.5, "absolute": 9.0}, False),
        (float("inf"), float("inf"), {"relative": 1e-9}, True),
        (float("inf"), -float("inf"), {"relative": 0.5}, False),
        (float("inf"), 1e300, {"relative": 0.5}, False),
        (None, 0.0, {"absolute": 1.0}, False),
        (None, None, {}, True),
        (0.0, -0.0, {}, True),
    ],
)
def test_floats_are_compared_with_the_tolerance_and_nulls_and_nans_with_their_like(mine, theirs, rules, same):
    one = pl.DataFrame({"k": ["a"], "x": [mine]}, schema_overrides={"x": pl.Float64})
    other = pl.DataFrame({"k": ["a"], "x": [theirs]}, schema_overrides={"x": pl.Float64})
    assert compared(one, other, **rules).same is same


def test_integers_have_no_tolerance_however_large():
    one, other = pl.DataFrame({"n": [2**60]}), pl.DataFrame({"n": [2**60 + 1]})
    assert not compared(one, other, relative=0.5, absolute=1e9).same


def test_a_mean_of_values_that_cancel_out_may_keep_their_rounding_and_no_more():
    source = pl.DataFrame({"k": ["a"], "mean": [0.0], "size": [1e6]})
    assert compared(source, pl.DataFrame({"k": ["a"], "mean": [1e-4]}), relative=1e-9, scale="size").same
    assert not compared(source, pl.DataFrame({"k": ["a"], "mean": [1e-2]}), relative=1e-9, scale="size").same


def test_an_empty_answer_is_never_the_same():
    for one, other in ((HOURS, HOURS.clear()), (HOURS.clear(), HOURS), (HOURS.clear(), HOURS.clear())):
        found = compared(one, other)
        assert not found.same
        assert "answered no row, which proves nothing" in found.summary


def test_an_empty_answer_to_a_text_that_is_known_to_ask_the_right_thing_lacks_rows():
    found = compared(HOURS, HOURS.clear(), trusted=True)
    assert (found.same, found.missing, found.problems) == (False, len(HOURS), ())
    assert "answered no row" in compared(HOURS.clear(), HOURS, trusted=True).summary
    assert "answered no row" in compared(HOURS.clear(), HOURS.clear(), trusted=True).summary


def test_a_column_that_only_one_side_has_is_a_difference_unless_it_holds_nothing():
    without = HOURS.drop("units")
    assert "InfluxDB's answer has no column 'units'" in compared(HOURS, without).summary
    assert "Timestream's answer has no column 'units'" in compared(without, HOURS).summary
    assert compared(HOURS.with_columns(zone=pl.lit(None, pl.String)), HOURS).same
    assert compared(HOURS, HOURS.with_columns(zone=pl.lit(""))).same
    assert "`columns` names 'kw'" in compared(HOURS, HOURS, columns={"kw": "mw"}).summary


def test_columns_of_two_kinds_are_told_and_integers_may_stand_for_floats():
    assert compared(HOURS.select(pl.col("units").clip(0, 9)), HOURS.select(units=pl.col("units").clip(0, 9) * 1.0)).same
    found = compared(HOURS, HOURS.with_columns(pl.col("mw").cast(pl.String)))
    assert found.summary == "column 'mw' is float in Timestream and text in InfluxDB"


def test_an_empty_text_is_null_and_carriage_returns_are_nothing():
    source = pl.DataFrame({"k": ["a", "b"], "text": ["", "x\r\ny\r"]})
    assert compared(source, pl.DataFrame({"k": ["a", "b"], "text": [None, "x\ny"]})).same
    assert not compared(source, pl.DataFrame({"k": ["a", "b"], "text": [" ", "x\ny"]})).same


def test_rows_of_one_key_are_counted_each():
    one, other = pl.DataFrame({"k": ["a", "a", "b"]}), pl.DataFrame({"k": ["a", "b", "b"]})
    found = compared(one, other)
    assert (found.missing, found.extra) == (1, 1)


def test_names_of_columns_that_the_comparison_might_use_are_columns_like_others():
    frame = pl.DataFrame({"row": ["a"], "here": [1.0], "there": [2], "source:row": ["x"]})
    assert compared(frame, frame).same
    assert compared(frame, frame.with_columns(here=pl.lit(3.0))).different == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 3), st.floats(-2, 2)), min_size=1, max_size=8),
    st.randoms(),
    st.integers(0, 7),
    st.sampled_from(("drop", "add", "change")),
)
def test_a_shuffled_answer_is_the_same_and_one_changed_row_is_seen(rows, chance, number, change):
    schema = {"k": pl.String, "n": pl.Int64, "x": pl.Float64}
    source = pl.DataFrame(rows, schema=schema, orient="row")
    shuffled = chance.sample(rows, len(rows))
    assert compared(source, pl.DataFrame(shuffled, schema=schema, orient="row")).same
    at = number % len(rows)
    key, integer, value = shuffled[at]
    if change == "drop":
        del shuffled[at]
    elif change == "add":
        shuffled.append((key, integer, value))
    else:
        shuffled[at] = (key, integer, value + 1.0)
    assert not compared(source, pl.DataFrame(shuffled, schema=schema, orient="row")).same


def result(name: str, *ms: float, limit: float | None = None, same: bool = True) -> QueryResult:
    answers = Comparison(2, 2, different=0 if same else 1, examples=() if same else ("plant 'A': both values",))
    return QueryResult(name, answers, source=Latencies((5.0,)), target=Latencies(ms), max_latency_ms=limit)


def test_median_and_percentile_are_those_of_the_runs():
    assert (Latencies((3.0, 1.0, 2.0)).median, Latencies((4.0, 1.0, 2.0, 3.0)).median) == (2.0, 2.5)
    assert Latencies(tuple(float(each) for each in range(1, 101))).p95 == 95.0
    assert Latencies((1.0, 9.0)).p95 == 9.0


def test_one_unlike_answer_fails_the_equivalence_and_is_told_first():
    equivalence, performance = query_verdicts([result("one", 1.0), result("two", 1.0, same=False)])
    assert (equivalence.passed, equivalence.severity, equivalence.actual) == (False, "ERROR", "1 of 2 alike")
    assert equivalence.evidence[:2] == (
        "two: 2 rows in Timestream, 2 in InfluxDB: 1 different",
        "two: plant 'A': both values",
    )
    assert performance.passed


def test_one_slow_run_of_twenty_may_be_slower_and_one_of_ten_may_not():
    assert query_verdicts([result("q", *[1.0] * 20, 99.0, limit=50.0)])[1].passed
    slow = query_verdicts([result("q", *[1.0] * 9, 99.0, limit=50.0)])[1]
    assert (slow.passed, slow.severity, slow.actual) == (False, "WARN", "p95 up to 99.0 ms")


def test_nothing_asked_is_no_pass_and_no_error():
    for verdict in query_verdicts([], ["the table has no numeric field"]):
        assert (verdict.passed, verdict.severity) == (False, "WARN")
        assert verdict.evidence == ("the table has no numeric field",)


def test_columns_whose_names_polars_takes_for_patterns_are_compared_as_they_are() -> None:
    names = {"*": ["a", "b"], "^x.*$": ["c", "d"], "x1": ["e", "f"]}
    numbers = {"^y.*$": [1.5, 2.5], "y1": [3.5, 4.5]}
    source = pl.DataFrame(names | numbers)
    assert compare_answers(source, source.reverse(), AnswerRules()).same
    found = compare_answers(source, pl.DataFrame(names | numbers | {"^y.*$": [1.5, 9.0]}), AnswerRules())
    assert (found.missing, found.extra, found.different) == (0, 0, 1)
    kept = compare_answers(source, pl.DataFrame(names | numbers | {"*": ["a", "z"]}), AnswerRules())
    assert (kept.missing, kept.extra) == (1, 1)
    ordered = compare_answers(source, source, AnswerRules(ordered=True))
    assert ordered.same
