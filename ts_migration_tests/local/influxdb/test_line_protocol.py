"""Line protocol is read as influxd 2.7.11 reads it, and both of our parsers read it the same way."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.line_protocol import parser, stored
from ts_migration.local.influxdb.line_protocol.batch import Batch, LineProtocolError
from ts_migration.local.influxdb.line_protocol.go_text import json_text, quote
from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.verdicts import verdicts

NOW = 1_795_341_272_660_376_375


def contents(batch: Batch) -> object:
    """Everything a batch says, in one comparable value: floats by their bits, duplicates resolved."""
    columns = {}
    for column in batch.columns:
        values = column.values
        plain = values.view(np.int64).tolist() if column.type is FieldType.FLOAT else values.tolist()
        columns[column.name, column.type] = dict(zip(column.rows.tolist(), plain, strict=True))
    lines = [batch.body[a:b].lstrip(b" \t\0") for a, b in batch.lines.tolist()]
    return [batch.keys[n] for n in batch.series.tolist()], batch.times.tolist(), columns, batch.poison, lines


def read(parse, body: bytes, multiplier: int = 1) -> object:
    try:
        return contents(parse(body, multiplier, NOW))
    except LineProtocolError as error:
        return str(error)


def test_every_recorded_verdict_on_syntax_is_reproduced_word_for_word():
    different = []
    for verdict in verdicts():
        try:
            batch = parser.parse(verdict.body, 1, NOW)
        except LineProtocolError as error:
            if (verdict.status, verdict.message) != (400, json_text(str(error))):
                different.append((verdict.body, verdict.message, str(error)))
            continue
        if verdict.status == 400 or (verdict.status == 204 and batch.poison):
            different.append((verdict.body, verdict.message, batch.poison))
    assert different == []


def test_every_recorded_input_is_read_the_same_by_both_parsers_alone_and_among_ordinary_lines():
    around = b"cpu,host=a,region=us\\ west value=1.5,n=3i 17\n" * 3
    for verdict in verdicts():
        assert read(parser.parse, verdict.body) == read(parser.parse_scalar, verdict.body), verdict.body
        mixed = around + verdict.body + b"\n" + around
        assert read(parser.parse, mixed) == read(parser.parse_scalar, mixed), verdict.body


name = st.text(st.sampled_from("abcdeé0_-./:#@x"), min_size=1, max_size=6).map(str.encode)
tag_text = st.text(st.sampled_from('abé "09./;|'), min_size=1, max_size=6).map(
    lambda text: text.replace(" ", "\\ ").replace("|", "\\,").replace(";", "\\=").encode()
)
number = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: repr(value).encode()),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: b"%di" % value),
    st.integers(0, 2**64 - 1).map(lambda value: b"%du" % value),
    st.sampled_from([b"t", b"F", b"true", b"FALSE", b"0", b"-0", b"1.", b".5", b"1e300", b"1E-400", b"007i", b"-7i"]),
)
text = st.text(st.sampled_from("ab ,=#'é\r\t0\\\""), max_size=8).map(
    lambda value: b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
)
stamp = st.integers(-(2**63), 2**63).map(lambda value: b" %d" % value) | st.just(b"")


@st.composite
def ordinary_line(draw: st.DrawFn) -> bytes:
    tags = draw(st.lists(st.tuples(name, tag_text), max_size=3))
    fields = draw(st.lists(st.tuples(name, number | text), min_size=1, max_size=4))
    head = b"".join([draw(name), *(b",%b=%b" % tag for tag in tags)])
    return head + b" " + b",".join(b"%b=%b" % field for field in fields) + draw(stamp)


messy_line = st.one_of(
    st.lists(st.sampled_from([b"m", b",", b"=", b" ", b'"', b"\\", b"1", b"i", b"a", b"\t", b"\0", b"\xff", b"#", b"-", b".", b"e", b"t", b"\r"]), max_size=14).map(b"".join),
    st.sampled_from([b"", b"   ", b"# note", b'm f="a\\"b" 1', b'm f="a\\b\\\\" 1', b'm f="a\\', b'm f="a\\"', b'm f=\\"a"', b'm f="\xff\\"\xfe" 1', b'm f="open', b'close" 2', b"m f=1 ", b"m  f=1  2", b"m f=0x10i", b"m f=1_0", b"m f=1 +1", b"m f=1i1", b"m f=+1", b"m f=inf", b"m f=-inf", b"m f=1e999", b"m f=1 1 1", b"m,a=1,a=2 f=1", b"m,b=1,a=2 f=1", b"m f=1,f=2,f=3i", b"m f=9223372036854775808i", b"m f=1\r", b"m f=1 1\r", b"m\\", b'm,a="b f="c d",g=1', b"m f=\"\",g=\"x\"y", b"m f=-i", b"m f=u", b"m f=1 -", b'm f"=x"=1', b'm f"q"=1', b'm f="a""b"', b'm f="a"b,g="c"', b'm f="a"="b"']),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(ordinary_line() | messy_line, min_size=2, max_size=12), multiplier=st.sampled_from([1, 1000, 10**9])
)
@example(lines=[b"m,a=b f=1 1", b'm f="x', b'n f=2 2"', b"m,a=b f=3 3" * 2], multiplier=1)
def test_the_vectorised_parser_agrees_with_the_scalar_one_on_any_body(lines: list[bytes], multiplier: int):
    body = b"\n".join(lines)
    assert read(parser.parse, body, multiplier) == read(parser.parse_scalar, body, multiplier)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(ordinary_line(), min_size=2, max_size=12))
def test_ordinary_bodies_agree_too_when_no_messy_line_spoils_them(lines: list[bytes]):
    good = [line for line in lines if not isinstance(read(parser.parse_scalar, line), str)]
    body = b"\n".join(good) + b"\n"
    result = read(parser.parse, body)
    assert not isinstance(result, str)
    assert result == read(parser.parse_scalar, body)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"m", "missing fields"),
        (b"m,a=1 10", "invalid field format"),
        (b"m f= 10", "missing field value"),
        (b"m,time=1 f=1", 'cannot use reserved tag key "time"'),
        (b"m,b=1,a=2,b=3 f=1 10", "duplicate tags"),
        (b"m,a=x\tf=1 10", "invalid tag format"),
        (b"m f=1 10 20", "point is invalid"),
        (b"m f=" + b"9" * 400, "invalid float"),
        (b"m,a=" + b"x" * 65532 + b" f=1 10", "max key length exceeded: 65536 > 65535"),
        (b"m f=1 -", 'strconv.ParseInt: parsing "-": invalid syntax'),
        (b"m f\\\\=1 10", "invalid value: field-key=f\\\\=1"),
    ],
)
def test_a_bad_line_is_refused_with_the_servers_words(line: bytes, reason: str):
    with pytest.raises(LineProtocolError) as caught:
        parser.parse(line, 1, NOW)
    assert str(caught.value) == f"unable to parse '{line.decode()}': {reason}"


def test_crlf_line_ends_are_refused_line_by_line():
    with pytest.raises(LineProtocolError, match="bad timestamp\nunable to parse"):
        parser.parse(b"cpu,host=a value=1 1\r\ncpu,host=a value=1 2\r\n" * 2, 1, NOW)


def test_a_quoted_line_feed_stays_in_its_string_and_ordinary_lines_around_it_stay_ordinary():
    body = b'cpu,host=a value="x" 1\ncpu,host=a value="y\nz" 2\ncpu,host=a value="w" 3\n'
    batch = parser.parse(body, 1, NOW)
    assert batch.times.tolist() == [1, 2, 3]
    (column,) = batch.columns
    assert [column.values[n].as_py() for n in np.argsort(column.rows)] == [b"x", b"y\nz", b"w"]


def test_a_line_without_a_timestamp_gets_now_cut_to_the_precision():
    assert parser.parse(b"cpu,host=a value=1\n" * 5, 10**6, NOW).times.tolist() == [NOW // 10**6 * 10**6] * 5


def test_tags_are_sorted_by_their_escaped_bytes_so_that_spellings_of_one_series_meet():
    batch = parser.parse(b"m,b=2,a=1 f=1.5 10\nm,a=1,b=2 f=1.5 11\nm,b=2,a=1 f=1.5 12\n", 1, NOW)
    assert batch.keys == [b"m,a=1,b=2"]


def test_measurement_and_tags_are_unescaped_as_the_server_reads_them():
    assert stored.measurement_of(b"m\\,x\\ y,a=1") == b"m,x y"
    assert stored.tags_of(b"m,hi\\ yo\\ =w\\,est,server=a\\\\b") == [(b"hi yo ", b"w,est"), (b"server", b"a\\\\b")]


def test_go_quotes_are_gos():
    assert quote(b'\xff\x00\t"\\\xc3\xa9\x07') == '"\\xff\\x00\\t\\"\\\\é\\a"'
