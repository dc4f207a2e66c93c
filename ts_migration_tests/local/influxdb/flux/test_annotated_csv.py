"""Annotated CSV: dialects, blocks, quoting, the error table, and what influxdb-client reads of it."""

import csv
import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influxdb_client.client.flux_csv_parser import FluxCsvParser, FluxSerializationMode

from ts_migration.local.influxdb.flux.annotated_csv import Dialect, DialectError, Encoder, float_texts, time_texts
from ts_migration.local.influxdb.flux.errors import ReadError
from ts_migration.local.influxdb.flux.tables import Column, ColumnType, GroupKey, KeyColumn, Table, constant
from ts_migration.local.influxdb.flux.values import float_text, time_text
from ts_migration.local.influxdb.points import FieldType
from ts_migration_tests.local.influxdb.flux.memory import ALL, MemoryPoints, ask

RANGE = 'from(bucket: "b") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)'


def strings(*values: str, key: str = "") -> Table:
    group = GroupKey((KeyColumn("tag", ColumnType.STRING, key),)) if key else GroupKey()
    columns = (Column("_value", ColumnType.STRING, np.array(values, object)),)
    if key:
        columns += (constant("tag", ColumnType.STRING, key, len(values)),)
    return Table(group, columns)


def encoded(*tables: Table, dialect: dict[str, object] | None = None) -> str:
    encoder = Encoder(Dialect.of(ALL if dialect is None else dialect))
    return b"".join(encoder.encode([("_result", tables)])).decode("utf-8", "surrogateescape")


def test_a_block_is_opened_again_only_where_columns_change() -> None:
    other = Table(GroupKey(), (Column("_value", ColumnType.INT, np.array([1])),))
    text = encoded(strings("a", key="x"), strings("b", key="y"), other)
    assert text == (
        "#datatype,string,long,string,string\r\n#group,false,false,false,true\r\n#default,_result,,,\r\n"
        ",result,table,_value,tag\r\n,,0,a,x\r\n,,1,b,y\r\n"
        "\r\n#datatype,string,long,long\r\n#group,false,false,false\r\n#default,_result,,\r\n"
        ",result,table,_value\r\n,,2,1\r\n\r\n"
    )


def test_an_empty_table_shows_its_key_in_the_defaults_and_the_next_one_opens_a_block() -> None:
    text = encoded(strings(key="x"), strings("a", key="y"))
    assert text.split("\r\n")[2:4] == ["#default,_result,0,,x", ",result,table,_value,tag"]
    assert text.count("#datatype") == 2


def test_without_the_default_annotation_rows_carry_the_name_of_the_result() -> None:
    assert encoded(strings("a"), dialect={"annotations": ["datatype"]}) == (
        "#datatype,string,long,string\r\n,result,table,_value\r\n,_result,0,a\r\n\r\n"
    )


def test_a_delimiter_and_no_header() -> None:
    text = encoded(strings("a,b", "c;d"), dialect={"annotations": [], "header": False, "delimiter": ";"})
    assert text == ';_result;0;a,b\r\n;_result;0;"c;d"\r\n\r\n'


@pytest.mark.parametrize(
    "settings",
    [
        {"delimiter": ",,"},
        {"delimiter": "\n"},
        {"annotations": ["nope"]},
        {"quoteChar": "'"},
        {"dateTimeFormat": "unix"},
    ],
)
def test_a_dialect_that_cannot_be_written_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(DialectError):
        Dialect.of(settings)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", ""),
        ("plain", "plain"),
        (" leading", '" leading"'),
        ("a\nb", '"a\r\nb"'),
        ("a\rb", '"ab"'),
        ("a\r\nb", '"a\r\nb"'),
        ('say "x"', '"say ""x"""'),
        ("\\.", '"\\."'),
        ("\\.x", "\\.x"),
        ("#x", "#x"),
        ("100%s", "100%s"),
    ],
)
def test_a_cell_is_quoted_as_go_quotes_it(text: str, cell: str) -> None:
    assert (
        encoded(strings(text, "other"), dialect={"header": False}) == f",_result,0,{cell}\r\n,_result,0,other\r\n\r\n"
    )
    assert encoded(Table(GroupKey(), (constant("_value", ColumnType.STRING, text, 1),)), dialect={"header": False}) == (
        f",_result,0,{cell}\r\n\r\n"
    )


def test_bytes_that_are_not_utf8_come_out_as_they_went_in() -> None:
    encoder = Encoder(Dialect(header=False))
    assert b"".join(encoder.encode([("r", [strings(b"\xff,\xfe".decode("utf-8", "surrogateescape"))])])) == (
        b',r,0,"\xff,\xfe"\r\n\r\n'
    )


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1))
def test_a_csv_reader_reads_every_text_back(texts: list[str]) -> None:
    rows = list(csv.reader(io.StringIO(encoded(strings(*texts), dialect={"header": False}), newline="")))
    assert [row[3] for row in rows if row] == texts


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=30, max_size=60))
def test_a_column_of_floats_prints_as_single_ones_do(values: list[float]) -> None:
    assert float_texts(np.array(values)) == [float_text(value) for value in values]


@settings(deadline=None)
@given(
    st.lists(
        st.integers(-(2**63) + 2, 2**63 - 2) | st.integers(0, 10**6).map(lambda s: s * 10**9), min_size=30, max_size=60
    )
)
def test_a_column_of_times_prints_as_single_ones_do(values: list[int]) -> None:
    assert time_texts(np.array(values, np.int64)) == [time_text(value) for value in values]


def test_an_error_after_the_first_byte_is_a_table_and_before_it_is_raised() -> None:
    def broken(first: bool) -> Iterator[Table]:
        if first:
            yield strings("a")
        raise ReadError("storage, said no")

    encoder = Encoder(Dialect.of(ALL))
    text = b"".join(encoder.encode([("_result", broken(True))])).decode()
    assert text.endswith(
        ",,0,a\r\n\r\n#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n"
        ',"storage, said no",\r\n'
    )
    with pytest.raises(ReadError):
        list(Encoder(Dialect.of(ALL)).encode([("_result", broken(False))]))


def test_a_large_answer_comes_in_pieces_before_all_tables_are_made() -> None:
    made = []

    def tables() -> Iterator[Table]:
        for number in range(100):
            made.append(number)
            yield strings(*(["text"] * 1000), key=str(number))

    pieces = Encoder(Dialect.of(ALL)).encode([("_result", tables())])
    assert len(next(pieces)) > 10_000
    assert len(made) < 20


def test_influxdb_client_reads_every_type_and_table() -> None:
    points = MemoryPoints()
    for time in range(3):
        fields = {
            "f": (FieldType.FLOAT, time + 0.5),
            "i": (FieldType.INTEGER, 2**62 + time),
            "u": (FieldType.UNSIGNED, 2**63 + time),
            "s": (FieldType.STRING, f'a "{time}", ção'),
            "b": (FieldType.BOOLEAN, time == 1),
        }
        points.add("m", {"tag": "x y"}, fields, time * 10**9)
    answer = ask(RANGE, points)
    response = io.BytesIO(answer.text.encode())
    with FluxCsvParser(response, FluxSerializationMode.tables) as parser:
        list(parser.generator())
        read = {
            table.records[0].get_field(): [record.get_value() for record in table.records] for table in parser.tables
        }
    assert read == {
        "b": [False, True, False],
        "f": [0.5, 1.5, 2.5],
        "i": [2**62, 2**62 + 1, 2**62 + 2],
        "s": ['a "0", ção', 'a "1", ção', 'a "2", ção'],
        "u": [2**63, 2**63 + 1, 2**63 + 2],
    }
