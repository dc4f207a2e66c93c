"""Answers as bytes: every value is read back as it is stored, by readers that are not ours, whole and in chunks."""

import csv
import io
import json
import math
import struct

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ts_migration.local.influxdb.influxql.writing.numerals import json_float, plain_float
from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints
from ts_migration_tests.local.influxdb.influxql.asking import CSV, JSON, MSGPACK, ask, body, documents

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\,\n\r<>&\u2028 \udcff\udc80'), max_size=40)
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "f": st.tuples(st.just(FieldType.FLOAT), FLOATS),
            "i": st.tuples(st.just(FieldType.INTEGER), INTEGERS | st.integers(-40, 300) | st.integers(-70000, 70000)),
            "u": st.tuples(st.just(FieldType.UNSIGNED), st.integers(0, 2**64 - 1) | st.integers(0, 70000)),
            "s": st.tuples(st.just(FieldType.STRING), TEXTS),
            "b": st.tuples(st.just(FieldType.BOOLEAN), st.booleans()),
        },
    ).filter(bool),
    min_size=1,
    max_size=12,
)


def stored(rows: list[dict]) -> MemoryPoints:
    points = MemoryPoints()
    for place, fields in enumerate(rows):
        points.add("m", {"t": "x" * (place % 2 + 1)}, fields, place * 10**17 - 5 * 10**17)
    return points


def expected(rows: list[dict]) -> list[list]:
    names = sorted({name for fields in rows for name in fields} | {"t"})
    return [
        [place * 10**17 - 5 * 10**17]
        + ["x" * (place % 2 + 1) if name == "t" else fields.get(name, (None, None))[1] for name in names]
        for place, fields in enumerate(rows)
    ]


def bits(rows: list[list]) -> list[list]:
    return [
        [struct.pack(">d", cell) if isinstance(cell, float) else (type(cell), cell) for cell in row] for row in rows
    ]


@given(ROWS)
def test_msgpack_holds_every_value_with_its_type_and_bits(rows: list[dict]):
    (document,) = documents(body("SELECT * FROM m", stored(rows), accept=MSGPACK))
    assert bits(document["results"][0]["series"][0]["values"]) == bits(expected(rows))


@given(ROWS)
def test_json_holds_every_value_but_bytes_that_are_no_text(rows: list[dict]):
    (found,) = json.loads(body("SELECT * FROM m", stored(rows)))["results"][0]["series"]

    def shown(cell: object) -> object:
        if isinstance(cell, str):
            return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in cell)
        return cell

    for read, written in zip(found["values"], expected(rows), strict=True):
        # A float without a fraction is printed as its shortest digits and zeros, which read as a float give it back.
        same = [float(cell) if isinstance(value, float) else cell for cell, value in zip(read, written, strict=True)]
        assert same == [shown(cell) for cell in written]


@given(ROWS)
def test_csv_holds_every_text_and_number(rows: list[dict]):
    text = body("SELECT * FROM m", stored(rows), accept=CSV).decode("utf-8", "surrogateescape")
    (_, *read) = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    for cells, written in zip(read, expected(rows), strict=True):
        for cell, value in zip(cells[2:], written, strict=True):
            if isinstance(value, bool) or value is None:
                assert cell == {True: "true", False: "false", None: ""}[value]
            elif isinstance(value, float):
                assert struct.pack(">d", float(cell)) == struct.pack(">d", value)
                assert "e" not in cell
            else:
                assert cell == str(value)


@given(INTEGERS)
@example(-32)
@example(-33)
@example(-128)
@example(-129)
@example(127)
@example(128)
@example(2**15)
@example(-(2**15) - 1)
@example(2**31)
def test_integers_take_the_form_that_go_s_packer_gives_them(value: int):
    points = MemoryPoints()
    points.add("m", {}, {"i": (FieldType.INTEGER, value)}, 0)
    raw = body("SELECT i FROM m", points, accept=MSGPACK)
    forms = ((127, b"", "b"), (2**15 - 1, b"\xd1", ">h"), (2**31 - 1, b"\xd2", ">i"), (2**63 - 1, b"\xd3", ">q"))
    if value >= 0:
        packed = next(head + struct.pack(form, value) for bound, head, form in forms if value <= bound)
    else:
        small = (
            (-32, b"", "b"),
            (-128, b"\xd0", "b"),
            (-(2**15), b"\xd1", ">h"),
            (-(2**31), b"\xd2", ">i"),
            (-(2**63), b"\xd3", ">q"),
        )
        packed = next(head + struct.pack(form, value) for bound, head, form in small if value >= bound)
    assert raw.endswith(b"\x92\x00" + packed)


@pytest.mark.parametrize(
    ("value", "in_json", "in_csv"),
    [
        (1.0, "1", "1"),
        (-0.0, "-0", "-0"),
        (0.1, "0.1", "0.1"),
        (1e300, "1e+300", "1" + "0" * 300),
        (5e-324, "5e-324", "0." + "0" * 323 + "5"),
        (1e20, "100000000000000000000", "100000000000000000000"),
        (1e21, "1e+21", "1000000000000000000000"),
        (1.5e-7, "1.5e-7", "0.00000015"),
        (0.000001, "0.000001", "0.000001"),
        (-123456789.25, "-123456789.25", "-123456789.25"),
        (2.0**60, "1152921504606847000", "1152921504606847000"),
    ],
)
def test_floats_are_printed_as_go_prints_them(value: float, in_json: str, in_csv: str):
    assert (json_float(value), plain_float(value)) == (in_json, in_csv)
    points = MemoryPoints()
    points.add("m", {}, {"f": (FieldType.FLOAT, value)}, 7)
    assert body("SELECT f FROM m", points).endswith(f'"values":[[7,{in_json}]]}}]}}]}}\n'.encode())
    assert body("SELECT f FROM m", points, accept=CSV) == f"name,tags,time,f\nm,,7,{in_csv}\n".encode()


@given(FLOATS)
def test_a_printed_float_is_the_float(value: float):
    for text in (json_float(value), plain_float(value)):
        assert struct.pack(">d", float(text)) == struct.pack(">d", value)


@pytest.mark.parametrize(
    ("epoch", "shown"),
    [
        ("ns", "1672534800123456789"),
        ("u", "1672534800123456"),
        ("ms", "1672534800123"),
        ("s", "1672534800"),
        ("m", "27875580"),
        ("h", "464593"),
        (None, '"2023-01-01T01:00:00.123456789Z"'),
    ],
)
def test_times_are_in_the_unit_that_was_asked_for(epoch: str | None, shown: str):
    points = MemoryPoints().write("m f=1 1672534800123456789")
    assert f'"values":[[{shown},1]]' in body("SELECT f FROM m", points, epoch=epoch).decode()


def test_times_without_a_unit_have_no_more_digits_than_they_need():
    points = MemoryPoints().write("m f=1 -500000000\nm f=1 0\nm f=1 1672534800000000000")
    shown = [
        row[0] for row in json.loads(body("SELECT f FROM m", points, epoch=None))["results"][0]["series"][0]["values"]
    ]
    assert shown == ["1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "2023-01-01T01:00:00Z"]


def test_a_time_in_msgpack_without_a_unit_is_go_s_extension():
    points = MemoryPoints().write("m f=1 1672534800000000007")
    (document,) = documents(body("SELECT f FROM m", points, accept=MSGPACK, epoch=None))
    assert document["results"][0]["series"][0]["values"][0][0] == (5, struct.pack(">qi", 1672534800, 7))


def test_long_texts_and_wide_rows_take_the_longer_heads_of_msgpack():
    points = MemoryPoints()
    fields = {
        f"c{place:02}": (FieldType.STRING, "x" * length)
        for place, length in enumerate((31, 32, 255, 256, 65535, 65536, *range(20)))
    }
    points.add("m", {}, fields, 1)
    raw = body("SELECT * FROM m", points, accept=MSGPACK)
    row = msgpack.unpackb(raw)["results"][0]["series"][0]["values"][0]
    assert [len(cell) for cell in row[1:]] == [31, 32, 255, 256, 65535, 65536, *range(20)]
    assert len(raw) == len(msgpack.packb(msgpack.unpackb(raw)))


@pytest.mark.parametrize("accept", [JSON, MSGPACK])
@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM generation", "SELECT * FROM generation GROUP BY *", "SELECT count(*) FROM generation GROUP BY *"],
)
@pytest.mark.parametrize("size", [1, 2, 4, 5, 100])
def test_chunks_put_together_are_the_whole_answer(text: str, accept: str, size: int):
    read = documents if accept == MSGPACK else lambda raw: [json.loads(line) for line in raw.splitlines()]
    chunks = [one["results"][0] for one in read(body(text, accept=accept, chunked=True, chunk_size=size))]
    (whole,) = read(body(text, accept=accept))
    assert [bool(one.get("partial")) for one in chunks] == [True] * (len(chunks) - 1) + [False]
    joined: list[dict] = []
    for one in (piece for chunk in chunks for piece in chunk["series"]):
        assert len(one["values"]) <= size
        if joined and joined[-1].get("tags") == one.get("tags"):
            assert joined[-1].pop("partial") is True
            joined[-1] = one | {"values": joined[-1]["values"] + one["values"]}
        else:
            joined.append(dict(one))
    assert joined == whole["results"][0]["series"]


def test_the_keys_of_each_measurement_are_results_that_promise_no_other():
    points = MemoryPoints().write("a,x=1 f=1 1\nb,x=1 f=1 1")
    for text, partial in (("SHOW TAG KEYS", False), ("SHOW FIELD KEYS", True)):
        first, last = (json.loads(line)["results"][0] for line in body(text, points, chunked=True).splitlines())
        assert (first["series"][0]["name"], last["series"][0]["name"]) == ("a", "b")
        assert (first.get("partial", False), "partial" in last) == (partial, False)


def test_csv_in_chunks_is_csv_whole_with_an_empty_line_between_statements():
    text = "SELECT mw FROM generation GROUP BY source; SHOW USERS"
    whole = body(text, accept=CSV)
    assert body(text, accept=CSV, chunked=True, chunk_size=2) == whole
    two = body("SHOW MEASUREMENTS; SELECT * FROM nothing; SHOW TAG KEYS", accept="text/csv")
    assert (
        two
        == b"name,tags,name\nmeasurements,,generation\n\nname,tags,tagKey\ngeneration,,source\ngeneration,,subsystem\n"
    )


def test_tags_in_csv_are_escaped_as_a_series_key_and_an_empty_one_is_left_out():
    points = MemoryPoints()
    points.add("m", {"a b": "c,d=e"}, {"f": (FieldType.FLOAT, 1.0)}, 1)
    points.add("m", {"z": "1"}, {"f": (FieldType.FLOAT, 2.0)}, 1)
    text = body("SELECT f FROM m GROUP BY *", points, accept=CSV).decode()
    assert text == 'name,tags,time,f\nm,z=1,1,2\nm,"a\\ b=c\\,d\\=e",1,1\n'


def test_the_content_type_follows_the_accept_header_and_is_json_for_anything_else():
    asked = {MSGPACK: MSGPACK, CSV: CSV, "text/csv": "text/csv", "*/*": JSON, None: JSON, "text/html": JSON}
    for accept, given_back in asked.items():
        assert ask("SHOW MEASUREMENTS", accept=accept).headers == {"Content-Type": given_back}


def test_an_error_in_msgpack_stands_alone_and_in_json_beside_its_statement():
    assert documents(body("SHOW USERS", accept=MSGPACK)) == [{"results": [{"error": "not implemented: SHOW USERS"}]}]
    assert body("SHOW USERS") == b'{"results":[{"statement_id":0,"error":"not implemented: SHOW USERS"}]}\n'
    assert body("SHOW USERS", accept=CSV) == b""


def test_what_json_cannot_say_is_an_error_and_no_wrong_number():
    points = MemoryPoints().write("m f=1e308 1")
    assert b'"error":"json: unsupported value: +Inf"' in body("SELECT f * 10 FROM m", points)
    (document,) = documents(body("SELECT f * 10 FROM m", points, accept=MSGPACK))
    assert math.isinf(document["results"][0]["series"][0]["values"][0][1])


def test_no_statement_is_an_empty_answer():
    assert body(";") == b"{}\n"
