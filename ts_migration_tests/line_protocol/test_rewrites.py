"""Rules touch only rows that could not be said, and what they make of them is what the server reads."""

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.config import RewriteRules
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.rejects import MAX_STRING_BYTES, Reason
from ts_migration.line_protocol.rewrites import RULE_OF, Said, say
from ts_migration_tests.line_protocol.points import parsed

SCHEMA = {
    "d": pl.String, "measure_name": pl.String, "f": pl.Float64, "s": pl.String, "w": pl.Int64, "time_ns": pl.Int64,
}  # fmt: skip
MAPPING = Mapping(
    "m",
    (TagSource("d", "d"), TagSource("measure_name", "measure_name")),
    (
        FieldSource("f", "f", FieldType.FLOAT),
        FieldSource("s", "s", FieldType.STRING),
        FieldSource("w", "w", FieldType.FLOAT),
    ),
    ("x",),
    ("d",),
    injective=True,
)
ALL = RewriteRules(
    trailing_backslash="drop",
    newline_in_tag="space",
    float_not_finite="drop",
    string_too_long="cut",
    integer_not_exact="round",
).active


def one(**values: Any) -> dict[str, Any]:
    return {"d": "a", "measure_name": "x", "f": 1.5, "s": None, "w": None, "time_ns": 1} | values


def said(*rows: dict[str, Any], rules: dict[str, str] = ALL) -> Said[Encoded]:
    return say(pl.DataFrame(list(rows), schema=SCHEMA, orient="row"), MAPPING, rules, encode)


def points(result: Said[Encoded]) -> list[Any]:
    return [point for batch in result.batches for point in parsed(bytes(batch.text))]


def test_without_rules_nothing_is_rewritten() -> None:
    result = said(one(d="x\\"), one(), rules={})
    assert (len(result.rejects), result.rewritten, len(result.batches)) == (1, {}, 1)


@pytest.mark.parametrize(
    ("values", "rule", "tag", "field"),
    [
        ({"d": "x\\\\"}, "trailing_backslash", "x", ("f", 1.5)),
        ({"d": "x\ny\n"}, "newline_in_tag", "x y ", ("f", 1.5)),
        ({"f": math.nan, "s": "kept"}, "float_not_finite", "a", ("s", "kept")),
        ({"w": 2**63 - 1, "f": None}, "integer_not_exact", "a", ("w", float(2**63 - 1024))),
        ({"w": 2**53 + 1, "f": None}, "integer_not_exact", "a", ("w", float(2**53))),
    ],
)
def test_a_rule_makes_a_row_sayable_and_is_counted(
    values: dict[str, Any], rule: str, tag: str, field: tuple[str, Any]
) -> None:
    result = said(one(), one(time_ns=2, **values))
    assert len(result.rejects) == 0
    assert result.rewritten == {rule: 1}
    (point,) = (point for point in points(result) if point[2] == 2)
    assert dict(point[1])["d"] == tag
    assert [key for key, _, _ in point[3]] == [field[0]]
    accepted = result.accepted.filter(time_ns=2).row(0, named=True)
    assert accepted[field[0]] == field[1], "the digest sees what was written"


def test_a_row_that_two_rules_change_counts_for_both() -> None:
    result = said(one(d="x\n\\"))
    assert result.rewritten == {"newline_in_tag": 1, "trailing_backslash": 1}
    assert dict(points(result)[0][1])["d"] == "x "


def test_a_long_string_is_cut_between_characters() -> None:
    result = said(one(s="é" * (MAX_STRING_BYTES // 2) + "x"))
    (point,) = points(result)
    assert point[3][1] == ("s", "string", "é" * (MAX_STRING_BYTES // 2))
    assert result.rewritten == {"string_too_long": 1}


def test_line_feeds_can_be_kept_as_two_characters() -> None:
    result = said(one(d="x\ny"), rules={"newline_in_tag": "escape"})
    assert dict(points(result)[0][1])["d"] == "x\\ny"


def test_a_row_with_a_second_fault_that_no_rule_ends_stays_quarantined_as_it_was() -> None:
    row = one(d="x\\", f=math.inf)
    result = said(one(), row, rules={"trailing_backslash": "drop"})
    assert result.rejects.rows.rows(named=True) == [row], "the source's own row, not the rewritten one"
    assert result.rejects.reasons.to_list() == [Reason.FLOAT_NOT_FINITE.value]
    assert result.rewritten == {}


def test_a_row_that_loses_its_only_field_is_counted_as_empty() -> None:
    result = said(one(f=math.nan))
    assert sum(batch.empty for batch in result.batches) == 1
    assert points(result) == []


def test_every_rule_has_a_reason_that_it_ends() -> None:
    assert set(RULE_OF.values()) == set(RewriteRules.model_fields)


nasty = st.text(st.sampled_from([*',= \\"\n#a']), max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            one,
            d=st.none() | nasty,
            f=st.none() | st.floats(),
            s=st.none() | nasty,
            w=st.none() | st.integers(-(2**63), 2**63 - 1),
            time_ns=st.integers(0, 9),
        ),
        max_size=8,
    ),
    st.sets(st.sampled_from(sorted(ALL))),
)
def test_rows_are_written_once_empty_or_kept_whole_and_sayable_ones_are_never_touched(
    rows: list[dict[str, Any]], names: set[str]
) -> None:
    rules = {name: ALL[name] for name in names}
    plain, result = said(*rows, rules={}), said(*rows, rules=rules)
    written = sum(batch.points + batch.empty for batch in result.batches)
    assert written + len(result.rejects) == len(rows)
    made_sayable = len(plain.rejects) - len(result.rejects)
    assert bool(made_sayable) is bool(result.rewritten)
    assert all(0 < rows <= made_sayable for rows in result.rewritten.values())
    assert set(result.rewritten) <= names
    assert bytes(result.batches[0].text) == bytes(plain.batches[0].text)
    assert len(points(result)) == sum(batch.points for batch in result.batches)
    kept = pl.concat([result.rejects.rows, result.rejects.rows.clear()]).rows()
    assert set(map(repr, kept)) <= set(map(repr, plain.rejects.rows.rows()))
