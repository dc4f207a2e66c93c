"""The encoder by example: how each value is written, which rows are set apart, and what stops a conversion.

That all values of any table arrive is in `test_exactness`.
"""

import itertools
import math
from typing import Any

import polars as pl
import pytest

from ts_migration.errors import Permanent
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.rejects import MAX_STRING_BYTES, Reason
from ts_migration_tests.line_protocol.points import parsed

SCHEMA = {
    "d1": pl.String,
    "d,2 =": pl.String,
    "measure_name": pl.String,
    "f": pl.Float64,
    "i": pl.Int64,
    "b": pl.Boolean,
    "s p": pl.String,
    "t": pl.Int64,
    "w": pl.Int64,
    "time_ns": pl.Int64,
}

MULTI = Mapping(
    measurement="my table,é",
    tags=(TagSource("d1", "a tag"), TagSource("d,2 =", "d,2 ="), TagSource("measure_name", "measure_name")),
    fields=(
        FieldSource("b", "b", FieldType.BOOLEAN),
        FieldSource("f", "f", FieldType.FLOAT),
        FieldSource("i", "i", FieldType.INTEGER),
        FieldSource("s p", 's p="q', FieldType.STRING),
        FieldSource("t", "t", FieldType.STRING, rfc3339=True),
        FieldSource("w", "w", FieldType.FLOAT),
    ),
    measure_names=("m",),
    dimensions=("d1", "d,2 ="),
    injective=True,
)

SINGLE = Mapping(
    measurement="single",
    tags=(TagSource("d1", "d1"), TagSource("d,2 =", "x"), TagSource("measure_name", "measure_name", ("both",))),
    fields=(
        FieldSource("b", "on off", FieldType.BOOLEAN, ("on",)),
        FieldSource("f", "temp", FieldType.FLOAT, ("temp",)),
        FieldSource("f", "wind,speed", FieldType.FLOAT, ("wind",)),
        FieldSource("i", "count", FieldType.INTEGER, ("count",)),
        FieldSource("i", "temp", FieldType.FLOAT, ("temp",)),
        FieldSource("s p", "text", FieldType.STRING, ("text",)),
        FieldSource("t", "at", FieldType.INTEGER),
        FieldSource("w", "both", FieldType.INTEGER, ("both",)),
    ),
    measure_names=("both", "count", "on", "temp", "text", "wind"),
    dimensions=("d1", "d,2 ="),
    injective=True,
)


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def text_of(encoded: Encoded) -> bytes:
    return bytes(encoded.text)


def one(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(SCHEMA) | {"measure_name": "m", "f": 1.5, "time_ns": 10} | values


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"f": 0.1}, b"f=0.1"),
        ({"f": -0.0}, b"f=-0.0"),
        ({"f": 1e300}, b"f=1e+300"),
        ({"f": 5e-324}, b"f=5e-324"),
        ({"f": 7.0}, b"f=7.0"),
        ({"f": None, "i": -(2**63)}, b"i=-9223372036854775808i"),
        ({"f": None, "b": True}, b"b=true"),
        ({"f": None, "s p": 'a"b\\c'}, b's\\ p\\="q="a\\"b\\\\c"'),
        ({"f": None, "s p": ""}, b's\\ p\\="q=""'),
        ({"f": None, "t": 1_700_000_000_123_000_000}, b't="2023-11-14T22:13:20.123Z"'),
        ({"f": None, "t": 1_700_000_000_000_000_000}, b't="2023-11-14T22:13:20Z"'),
        ({"f": None, "w": 2**53}, b"w=9007199254740992.0"),
    ],
)
def test_values_are_written_as_the_server_reads_them(values: dict[str, Any], line: bytes) -> None:
    encoded = encode(frame_of([one(**values)]), MULTI)
    assert encoded.lines() == ["my\\ table\\,é,measure_name=m ".encode() + line + b" 10"]


@pytest.mark.parametrize(
    ("values", "reason", "column"),
    [
        ({"d1": "x\\"}, Reason.TAG_ENDS_IN_BACKSLASH, "d1"),
        ({"d1": "x\ny"}, Reason.TAG_HOLDS_LINE_FEED, "d1"),
        ({"d1": "x\\ y", "d,2 =": "\\,"}, Reason.TAGS_MISREAD, ""),
        ({"d1": "x\\ \\="}, Reason.TAGS_MISREAD, ""),
        ({"d1": "\\ ", "d,2 =": '\\="\\,'}, Reason.TAGS_MISREAD, ""),
        ({"d1": "a#!~#b"}, Reason.TAG_HOLDS_SEPARATOR, "d1"),
        ({"d1": "x" * 65_536}, Reason.KEY_TOO_LONG, ""),
        ({"f": math.nan}, Reason.FLOAT_NOT_FINITE, "f"),
        ({"f": -math.inf}, Reason.FLOAT_NOT_FINITE, "f"),
        ({"w": 2**53 + 1}, Reason.INTEGER_NOT_EXACT, "w"),
        ({"w": 2**63 - 1}, Reason.INTEGER_NOT_EXACT, "w"),
        ({"s p": "é" * (MAX_STRING_BYTES // 2 + 1)}, Reason.STRING_TOO_LONG, "s p"),
        ({"time_ns": 2**63 - 1}, Reason.TIME_OUT_OF_RANGE, "time_ns"),
    ],
)
def test_a_row_that_cannot_be_said_is_set_apart_with_its_reason_and_the_rest_is_written(
    values: dict[str, Any], reason: Reason, column: str
) -> None:
    encoded = encode(frame_of([one(), one(**values), one(time_ns=11)]), MULTI)
    assert encoded.points == 2
    assert encoded.rejects.reasons.to_list() == [reason.value]
    assert encoded.rejects.columns.to_list() == [column]
    assert encoded.rejects.rows.rows(named=True)[0] == pytest.approx(one(**values), nan_ok=True)


def test_a_string_of_one_mebibyte_is_written() -> None:
    assert encode(frame_of([one(**{"s p": "x" * MAX_STRING_BYTES})]), MULTI).points == 1


def test_the_longest_series_key_the_server_takes_is_written() -> None:
    longest = 65_535 - 4 - len('s\\ p\\="q') - len("my\\ table\\,é,a\\ tag=,measure_name=m".encode())
    text = {"s p": ""}
    assert encode(frame_of([one(d1="x" * longest, **text)]), MULTI).points == 1
    assert encode(frame_of([one(d1="x" * (longest + 1), **text)]), MULTI).points == 0


def test_a_row_is_written_where_only_a_field_that_it_lacks_has_too_long_a_key_for_its_series() -> None:
    longest = 65_535 - 4 - len("f") - len("my\\ table\\,é,a\\ tag=,measure_name=m".encode())
    encoded = encode(frame_of([one(d1="x" * longest), one(d1="x" * longest, **{"s p": "text"})]), MULTI)
    assert (encoded.points, len(encoded.rejects)) == (1, 1)
    assert encoded.rejects.rows["s p"].to_list() == ["text"]


def test_null_and_empty_dimensions_make_no_tag() -> None:
    encoded = encode(frame_of([one(d1="", **{"d,2 =": None})]), MULTI)
    assert encoded.lines() == ["my\\ table\\,é,measure_name=m f=1.5 10".encode()]


@pytest.mark.parametrize(
    "value", ["two\\ words", "\\ east", "a\\,b", "a\\=b", "a\\=\\,\\ b", "\\ \\,\\=", "\\\\ x\\\\,"]
)
def test_a_backslash_before_a_special_character_is_kept_as_real_servers_keep_it(value: str) -> None:
    point = parsed(text_of(encode(frame_of([one(d1=value)]), MULTI)))[0]
    assert dict(point[1])["a tag"] == value


def test_lines_are_sorted_by_series_and_then_by_time() -> None:
    rows = [one(d1=tag, time_ns=time) for time in (3, 1, 2) for tag in ("b", "a")]
    points = parsed(text_of(encode(frame_of(rows), MULTI)))
    assert [(point[1][0][1], point[2]) for point in points] == [(tag, time) for tag in "ab" for time in (1, 2, 3)]


def test_rows_that_share_a_series_are_sorted_by_time_whatever_told_them_apart_in_the_source() -> None:
    encoded = encode(frame_of([one(d1=None, time_ns=2), one(d1="", time_ns=1), one(d1=None, time_ns=0)]), MULTI)
    assert encoded.times.tolist() == [0, 1, 2]


def test_tags_are_written_in_the_order_of_their_key_bytes() -> None:
    encoded = encode(frame_of([one(d1="1", **{"d,2 =": "2"})]), MULTI)
    assert encoded.lines()[0].startswith("my\\ table\\,é,a\\ tag=1,d\\,2\\ \\==2,measure_name=m ".encode())


def test_a_row_without_a_field_is_counted_and_not_written() -> None:
    encoded = encode(frame_of([one(f=None), one()]), MULTI)
    assert (encoded.points, encoded.empty, len(encoded.rejects)) == (1, 1, 0)


def test_an_empty_frame_becomes_no_line() -> None:
    encoded = encode(frame_of([]), MULTI)
    assert (text_of(encoded), encoded.points, encoded.counts) == (b"", 0, {})


def test_a_measure_name_that_came_later_stops_the_conversion_and_says_the_way_out() -> None:
    with pytest.raises(Permanent, match=r"measure_name 'new'.*ts-migration reset"):
        encode(frame_of([one(), one(measure_name="new")]), MULTI)


def test_a_measure_name_of_null_is_no_known_one() -> None:
    with pytest.raises(Permanent, match="measure_name None"):
        encode(frame_of([one(measure_name=None)]), MULTI)


def test_a_known_measure_name_with_a_value_of_a_new_type_stops_the_conversion() -> None:
    row = dict.fromkeys(SCHEMA) | {"measure_name": "on", "f": 1.0, "time_ns": 1}
    with pytest.raises(Permanent, match="measure_name 'on' in the column 'f'"):
        encode(frame_of([row]), SINGLE)


def test_a_field_string_may_hold_line_feeds_and_is_not_cut() -> None:
    encoded = encode(frame_of([one(**{"s p": "a\nb"}), one(time_ns=11)]), MULTI)
    assert encoded.points == 2
    assert [bytes(encoded.text[start:end]).count(b"\n") for start, end in itertools.pairwise(encoded.offsets)] == [2, 1]


@pytest.mark.parametrize("column", ["*", "^.*$", "^f$", "^d1$"])
def test_a_column_whose_name_polars_would_take_for_a_pattern_is_written_with_its_own_values(column: str) -> None:
    fields = (FieldSource("f", "f", FieldType.FLOAT), FieldSource(column, "own", FieldType.INTEGER))
    mapping = Mapping("m", (TagSource("d1", "d1"),), fields, ("m",), ("d1",), injective=True)
    frame = frame_of([one(d1="a", f=0.5, i=7)]).rename({"i": column})
    assert encode(frame, mapping).lines() == [b"m,d1=a f=0.5,own=7i 10"]
    tagged = Mapping("m", (TagSource(column, "own"),), fields[:1], ("m",), (column,), injective=True)
    assert encode(
        frame_of([one(d1="a")]).rename({"d,2 =": column}).with_columns(pl.lit("b c").alias(column)), tagged
    ).lines() == [b"m,own=b\\ c f=1.5 10"]
