"""Rows decoded by columns: bit for bit what unpacking them one by one gives, whatever they hold."""

import struct

import msgpack
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ts_migration.errors import Permanent
from ts_migration.influxdb import row_columns
from ts_migration.influxdb.blocks import Block, SeriesBatch
from ts_migration.influxdb.documents import Documents, Rows
from ts_migration.influxdb.row_columns import batches_of
from ts_migration.influxdb.unpacking import block_of, unpacked
from ts_migration.line_protocol.mapping import FieldType

NOW = 1_672_531_200 * 10**9

texts = st.text(max_size=40) | st.sampled_from(
    ["", "x" * 31, "x" * 32, "é" * 128, "x" * 255, "x" * 256, "y" * 70_000, "\udcff\udc80", "\x96"]
)
bytes_as_text = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
edges = st.sampled_from(
    [
        edge + step
        for edge in (0, -32, 127, 128, 255, 2**8, 2**15, -(2**7), -(2**15), 2**16, 2**31, -(2**31), 2**32, 2**62)
        for step in (-1, 0, 1)
    ]
)
integers = edges | st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, 5e-324, struct.unpack(">d", b"\x96\xd3\x17\x35" * 2)[0]]
)
of_one_kind = st.sampled_from([floats, integers, st.booleans(), texts, bytes_as_text, st.none()])
times = st.integers(NOW, NOW + 10**18) | st.integers(-(10**18), -(2**31) - 1)


@st.composite
def columns_of_one_kind_each(draw: st.DrawFn) -> list[list[list]]:
    """Rows of several series: the columns of all of them hold one kind of value, with holes."""
    kinds = [draw(of_one_kind) for _ in range(draw(st.integers(0, 20)))]
    row = st.tuples(times, *(kind | st.none() if draw(st.booleans()) else kind for kind in kinds)).map(list)
    return draw(st.lists(st.lists(row, min_size=1, max_size=8), min_size=1, max_size=5))


@st.composite
def anything(draw: st.DrawFn) -> list[list[list]]:
    """Rows of several series: any value anywhere, such as a field whose type differs between shards; any time."""
    width = draw(st.integers(0, 4))
    value = st.none() | floats | integers | st.booleans() | texts
    row = st.tuples(times | st.integers(-5, 5), *[value] * width).map(list)
    return draw(st.lists(st.lists(row, max_size=6), min_size=1, max_size=4))


def signed(value: object) -> bytes:
    """As InfluxDB packs: the shortest signed form of an integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        return msgpack.packb(value, unicode_errors="surrogateescape")
    for code, form, least in (
        (None, ">b", -32),
        (0xD0, ">b", -(2**7)),
        (0xD1, ">h", -(2**15)),
        (0xD2, ">i", -(2**31)),
        (0xD3, ">q", -(2**63)),
    ):
        if least <= value < (128 if code in (None, 0xD0) else -least):
            return (b"" if code is None else bytes([code])) + struct.pack(form, value)
    raise AssertionError(value)


def unsigned(value: object) -> bytes:
    """As other writers pack: unsigned forms where they fit."""
    return msgpack.packb(value, unicode_errors="surrogateescape")


def document(series: list[list[list]], pack=signed) -> bytes:
    """A document of series `m,s=<number>` with columns time, f0, f1, …"""
    packed = []
    for number, rows in enumerate(series):
        width = len(rows[0]) if rows else 1
        names = ["time", *(f"f{at}" for at in range(width - 1))]
        cells = b"".join(_head(row) + signed(row[0]) + b"".join(map(pack, row[1:])) for row in rows)
        fields = [
            ("name", msgpack.packb("m")),
            ("tags", msgpack.packb({"s": str(number), "t": ""})),
            ("columns", msgpack.packb(names)),
            ("values", _head(rows) + cells),
        ]
        packed.append(b"\x84" + b"".join(msgpack.packb(key) + value for key, value in fields))
    return b"\x81" + msgpack.packb("results") + b"\x91\x81" + msgpack.packb("series") + _head(packed) + b"".join(packed)


def _head(values: list) -> bytes:
    return msgpack.packb([None] * len(values))[: -len(values) or None]


def both_ways(body: bytes, piece: int = 1 << 20) -> tuple[list[Block], list[Block]]:
    """The blocks of a document, decoded by columns and one value at a time."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    documents = Documents(pieces, AssertionError)
    rows = [each for each in documents.series() if each.count]
    if not rows:
        return [], []
    raw, base = documents.cut(rows[0].start, rows[-1].end), rows[0].start
    quick = [block for same in _alike(rows) for batch in batches_of(raw, base, same) for block in batch.blocks()]
    return quick, [block_of(unpacked(raw, base, each)) for each in rows]


def _alike(rows: list[Rows]) -> list[list[Rows]]:
    found: list[list[Rows]] = []
    for each in rows:
        if not found or found[-1][0].columns != each.columns:
            found.append([])
        found[-1].append(each)
    return found


def bits(block: Block) -> object:
    """Everything that a block says, floats by their bits."""
    columns = []
    for column in block.columns:
        valid = np.ones(len(block.times), np.bool_) if column.valid is None else column.valid
        values = column.values[valid]
        exact = values.tolist() if column.kind is FieldType.STRING else values.tobytes()
        columns.append((column.field, column.kind, values.dtype, column.valid is None, valid.tolist(), exact))
    return block.measurement, block.tags, block.times.dtype, block.times.tolist(), columns


@settings(max_examples=300, deadline=None)
@given(columns_of_one_kind_each() | anything(), st.sampled_from([signed, unsigned]), st.sampled_from([1, 7, 1 << 20]))
def test_rows_by_columns_are_bit_for_bit_what_unpacking_gives(series: list, pack, piece: int) -> None:
    quick, plain = both_ways(document(series, pack), piece)
    assert list(map(bits, quick)) == list(map(bits, plain))


@settings(max_examples=100, deadline=None)
@given(columns_of_one_kind_each())
def test_columns_of_one_kind_with_holes_need_no_python_object_a_row(series: list) -> None:
    """But for the rare batch in which a value looks like a row that ends at another such value: it is told by unpacking."""
    body, rows = document(series), [row for each in series for row in each]
    assume(body.count(_head(rows[0]) + b"\xd3") == len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_columns, "unpacked", None)
        both_ways(body)


def test_bytes_that_look_like_the_beginning_of_a_row_are_not_taken_for_one() -> None:
    looks = struct.unpack(">q", b"\x00\x92\xd3\x17\x35\x92\xd3\x17")[0]
    long = [[NOW + row, looks if row % 3 else row] for row in range(5_000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_columns, "unpacked", None)
        quick, plain = both_ways(document([long, long]))
    assert list(map(bits, quick)) == list(map(bits, plain))


def test_a_text_full_of_beginnings_of_rows_costs_time_and_nothing_else() -> None:
    row = b"\x92\xd3" + struct.pack(">q", NOW) + b"\xa1x"
    rows = [[NOW + at, (row * 3).decode("utf-8", "surrogateescape")] for at in range(50)]
    quick, plain = both_ways(document([rows]))
    assert list(map(bits, quick)) == list(map(bits, plain))


def test_an_integer_beyond_int64_is_refused() -> None:
    with pytest.raises(Permanent, match="unsigned"):
        both_ways(document([[[NOW, 2**63]]], unsigned))


def test_series_of_one_answer_are_decoded_in_one_batch() -> None:
    body = document([[[NOW + row, 1.5, None if series else True] for row in range(3)] for series in range(4)])
    documents = Documents([body], AssertionError)
    rows = list(documents.series())
    (batch,) = batches_of(documents.cut(rows[0].start, rows[-1].end), rows[0].start, rows)
    assert isinstance(batch, SeriesBatch)
    assert (batch.lengths.tolist(), [series.tags for series in batch.series]) == (
        [3] * 4,
        [{"s": str(n)} for n in range(4)],
    )
    assert [len(block.columns) for block in batch.blocks()] == [2, 1, 1, 1]
