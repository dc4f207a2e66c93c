"""Any columns are read back to the bit, by the product's reader and by a plain walk over the file."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.influxdb.tsm import layout
from ts_migration.influxdb.tsm.columns import FieldKind, TsmColumn
from ts_migration.influxdb.tsm.reader import read_stretches, read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration_tests.influxdb.tsm.columns import bits, column_of, points_of
from ts_migration_tests.influxdb.tsm.plain_tsm import gorilla, walk
from ts_migration_tests.influxdb.tsm.series import columns


def in_order(column: TsmColumn) -> dict[bytes, list[tuple]]:
    return dict(sorted(points_of(column).items()))


@pytest.mark.parametrize("kind", FieldKind)
def test_any_column_is_read_back_to_the_bit(kind):
    @given(columns(kind))
    @settings(max_examples=25, deadline=None)
    def holds(column):
        file = b"".join(tsm_file([column]))
        (read,) = read_tsm(file)
        assert list(points_of(read).items()) == list(in_order(column).items())
        walked = walk(file)
        assert {key: found.points for key, found in walked.items()} == in_order(column)
        assert {found.type for found in walked.values()} == {kind.value}

    holds()


@given(st.tuples(*(columns(kind) for kind in FieldKind)), st.integers(100, 100_000))
@settings(max_examples=8, deadline=None)
def test_columns_of_all_kinds_lie_in_one_file_in_the_order_of_their_keys(made, stretch_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "STRETCH_BYTES", stretch_bytes)
        file = b"".join(tsm_file(made))
    assert [points_of(column) for column in read_tsm(file)] == [in_order(column) for column in made]
    assert {key: found.points for key, found in walk(file).items()} == {
        key: points for column in made for key, points in points_of(column).items()
    }


def test_a_kind_may_come_in_several_columns_and_is_read_as_one():
    made = [
        column_of(FieldKind.INTEGER, {b"b#!~#f": [(1, 1)], b"d#!~#f": [(2, 2)]}),
        column_of(FieldKind.INTEGER, {b"a#!~#f": [(3, 3)], b"c#!~#f": [(4, 4)]}),
    ]
    (read,) = read_tsm(b"".join(tsm_file(made)))
    assert points_of(read) == {b"a#!~#f": [(3, 3)], b"b#!~#f": [(1, 1)], b"c#!~#f": [(4, 4)], b"d#!~#f": [(2, 2)]}


def test_sliced_arrow_arrays_are_written_as_what_they_show():
    keys = pa.array([b"x#!~#x", b"a#!~#f", b"b#!~#f"], pa.large_binary())[1:]
    values = pa.array([b"not", b"one", b"two", b"three"], pa.large_binary())[1:]
    column = TsmColumn(FieldKind.STRING, keys, np.array([0, 1, 3]), np.array([5, 6, 7]), values)
    (read,) = read_tsm(b"".join(tsm_file([column])))
    assert points_of(read) == {b"a#!~#f": [(5, b"one")], b"b#!~#f": [(6, b"two"), (7, b"three")]}


EVERY_TIME_ENCODING = {
    "run": ([10**18 + 600 * 10**9 * place for place in range(1000)], 2),
    "a time before 1970": ([-(10**18) + 10**9 * place for place in range(1000)], 2),
    "two times from end to end": ([-(2**63), 2**63 - 1], 2),
    "one": ([5], 1),
    "packed": ([10**18 + 10**9 * place**2 for place in range(1000)], 1),
    "raw": ([-(2**63), -5, 2**63 - 1], 0),
    "the longest step that is packed": ([0, 2**60 - 1, 2**60], 1),
    "the shortest step that is not": ([0, 2**60, 2**60 + 1], 0),
}


@pytest.mark.parametrize("name", EVERY_TIME_ENCODING)
def test_times_take_the_encoding_that_a_server_would_choose(name):
    times, encoding = EVERY_TIME_ENCODING[name]
    file = b"".join(tsm_file([column_of(FieldKind.BOOLEAN, {b"m#!~#f": [(time, True) for time in times]})]))
    (block,) = walk(file)[b"m#!~#f"].blocks
    assert (block.times, block.time_encoding) == (times, encoding)
    assert read_tsm(file)[0].times.tolist() == times


@pytest.mark.parametrize(
    ("steps", "exponent"),
    [([40, 120], 1), ([10**12, 3 * 10**12], 12), ([10**13, 2 * 10**13], 12), ([1500, 2500, 700], 2), ([15, 25], 0)],
)
def test_times_are_divided_by_the_greatest_power_of_ten_that_divides_all_steps(steps, exponent):
    times = np.cumsum([7, *steps]).tolist()
    file = b"".join(tsm_file([column_of(FieldKind.BOOLEAN, {b"m#!~#f": [(time, True) for time in times]})]))
    header_crc_type_and_length = 5 + 4 + 1 + 1
    assert file[header_crc_type_and_length] == 0x10 | exponent
    assert read_tsm(file)[0].times.tolist() == times == walk(file)[b"m#!~#f"].blocks[0].times


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        ([7] * 1000, 2),
        ([-(2**63), -(2**63), -(2**63)], 2),
        ([3, 3], 1),
        ([2**63 - 1, 5, 7], 0),
        ([-(2**63), 2**63 - 1, -(2**63), 0], 0),
        ([place**2 for place in range(1000)], 1),
        ([0, -(2**59), -(2**59) + 1], 1),
        ([0, 2**59, 2**59 + 1], 0),
        ([2**63 - 1, 2**63 - 1 - 2**58, 2**63 - 1], 1),
    ],
)
def test_integers_take_the_encoding_that_a_server_would_choose(values, encoding):
    file = b"".join(tsm_file([column_of(FieldKind.INTEGER, {b"m#!~#f": list(enumerate(values))})]))
    (block,) = walk(file)[b"m#!~#f"].blocks
    assert (block.values, block.value_encoding) == (values, encoding)
    assert read_tsm(file)[0].values.tolist() == values


@pytest.mark.parametrize("width", range(61))
def test_numbers_of_every_width_are_packed(width):
    """Zigzag takes a bit: steps of so many bits, and a single one of all bits among small ones."""
    steps = [(1 << width) - 1] * 3 + [0] * 70 + [(1 << width) - 1, 0, 1 if width else 0] * 30
    times = [0]
    for step in steps:
        times.append(min(times[-1] + step + 1, 2**63 - 1))
    times = sorted(set(times))
    file = b"".join(tsm_file([column_of(FieldKind.BOOLEAN, {b"m#!~#f": [(time, True) for time in times]})]))
    (block,) = walk(file)[b"m#!~#f"].blocks
    assert block.times == times == read_tsm(file)[0].times.tolist()


def test_a_constant_column_takes_a_bit_a_value():
    values = [(time, bits(42.0)) for time in range(1000)]
    (block,) = walk(b"".join(tsm_file([column_of(FieldKind.FLOAT, {b"m#!~#f": values})])))[b"m#!~#f"].blocks
    assert block.size < 1000 / 8 + 50


@pytest.mark.parametrize("digits", [0, 1, 2, 15])
@pytest.mark.parametrize("spread", [0.1, 50.0])
def test_floats_take_no_more_than_a_servers_own_encoder_would(digits, spread):
    values = [bits(value) for value in np.round(np.random.default_rng(1).normal(400, spread, 1000), digits).tolist()]
    file = b"".join(tsm_file([column_of(FieldKind.FLOAT, {b"m#!~#f": list(enumerate(values))})]))
    (block,) = walk(file)[b"m#!~#f"].blocks
    assert block.size <= 1.03 * (len(gorilla(values)) + 4 + 2 + 1 + 8 + 3)


def test_a_long_key_is_read_in_stretches_that_make_the_whole(monkeypatch):
    monkeypatch.setattr("ts_migration.influxdb.tsm.reader.STRETCH_BLOCKS", 3)
    points = {b"a#!~#f": [(time, time) for time in range(7500)], b"b#!~#f": [(1, 2)]}
    file = b"".join(tsm_file([column_of(FieldKind.INTEGER, points)]))
    pieces = [points_of(piece) for piece in read_stretches(file)]
    assert [sum(map(len, piece.values())) for piece in pieces] == [3000, 3000, 1501]
    assert [point for piece in pieces for point in piece.get(b"a#!~#f", [])] == points[b"a#!~#f"]
    assert points_of(read_tsm(file)[0]) == points


def test_blocks_have_a_thousand_points_and_the_last_one_what_is_left():
    file = b"".join(tsm_file([column_of(FieldKind.INTEGER, {b"m#!~#f": [(time, time) for time in range(2300)]})]))
    blocks = walk(file)[b"m#!~#f"].blocks
    assert [len(block.times) for block in blocks] == [1000, 1000, 300]
    assert all(first.times[-1] < second.times[0] for first, second in pairwise(blocks))
