"""CSV text of an UNLOAD, read back with the settings that AWS's escaping asks for."""

import csv
import io
import math
import re
import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.local.timestream.unload_csv import CsvDialect, csv_header, csv_lines, double_text

JAVA = re.compile(r"-?\d{1,7}\.\d+|-?\d\.\d+E-?\d+")


def lines(*columns: pa.Array, dialect: CsvDialect | None = None) -> str:
    names = [f"c{number}" for number in range(len(columns))]
    return csv_lines(pa.record_batch(list(columns), names=names), dialect or CsvDialect()).decode()


def test_values_that_hold_the_delimiter_are_quoted_and_quotes_are_escaped_not_doubled() -> None:
    text = lines(pa.array(["plain", "a,b", 'say "x"', "back\\slash", None, "a\nb"]), pa.array([1, 2, 3, 4, 5, 6]))
    assert text == 'plain,1\n"a,b",2\n"say \\"x\\"",3\nback\\\\slash,4\n,5\n"a\nb",6\n'


def test_times_have_nine_digits_and_booleans_are_words() -> None:
    when = pa.array([1_700_000_000_771_000_678], type=pa.int64()).cast(pa.timestamp("ns"))
    assert lines(when, pa.array([True])) == "2023-11-14 22:13:20.771000678,true\n"


def test_the_dialect_is_that_of_the_options() -> None:
    dialect = CsvDialect("|", "'", header=True)
    assert csv_header(["measure_value::double", "a|b"], dialect) == b'measure_value::double|"a|b"\n'
    assert lines(pa.array(["it's", "a|b", "a,b"]), pa.array([1.5, 2.0, -3.25]), dialect=dialect) == (
        "it''s|1.5\n\"a|b\"|2.0\na,b|-3.25\n"
    )


def test_a_delimiter_that_numbers_contain_quotes_numbers() -> None:
    assert lines(pa.array([1.5]), pa.array(["x"]), dialect=CsvDialect(".", "\\")) == '"1.5".x\n'


def test_a_sliced_batch_gives_only_its_own_lines() -> None:
    batch = pa.record_batch([pa.array(["a", "b", "c", "d"])], names=["c"])
    assert csv_lines(batch.slice(1, 2), CsvDialect()) == b"b\nc\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (35.5, "35.5"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (100.0, "100.0"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (1.6554878837710001e9, "1.6554878837710001E9"),
        (-1e23, "-1.0E23"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (math.inf, "Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_doubles_are_spelt_as_the_service_spells_them(value: float, text: str) -> None:
    assert double_text(pa.array([1.0, value])).to_pylist()[1] == text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_every_double_reads_back_to_the_same_bits(values: list[float]) -> None:
    for value, text in zip(values, double_text(pa.array(values)).to_pylist(), strict=True):
        assert JAVA.fullmatch(text)
        assert struct.pack("d", float(text)) == struct.pack("d", value)


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1)] * 2),
        min_size=1,
    )
)
def test_any_text_reads_back(rows: list[tuple[str, str]]) -> None:
    text = lines(*(pa.array(column, type=pa.string()) for column in zip(*rows, strict=True)))
    reader = csv.reader(io.StringIO(text, newline=""), escapechar="\\", doublequote=False)
    assert [tuple(row) for row in reader] == rows
