"""The reader knows encodings that other writers of TSM use and this one does not."""

import random

import pytest

from ts_migration.influxdb.tsm.columns import FieldKind
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration_tests.influxdb.tsm import plain_tsm as plain
from ts_migration_tests.influxdb.tsm.columns import bits, points_of


def read_block(kind: int, first: int, last: int, times: bytes, values: bytes) -> list[tuple]:
    (column,) = read_tsm(plain.file_of({b"m#!~#f": (kind, [(first, last, plain.block(kind, times, values))])}))
    return points_of(column)[b"m#!~#f"]


@pytest.mark.parametrize("seed", range(5))
def test_floats_that_keep_a_window_are_read(seed):
    rng = random.Random(seed)
    values = [bits(round(rng.gauss(400, 10**seed), 2)) for _ in range(300)] + [bits(1.5)] * 20
    times = plain.run_of_times(0, 10, 320, 1)
    assert [value for _, value in read_block(plain.FLOAT, 0, 3190, times, plain.gorilla(values))] == values


def test_runs_of_240_and_120_ones_are_read_in_times_and_integers():
    packed = plain.packed_word(0, [1] * 240) + plain.packed_word(1, [1] * 120) + plain.packed_word(15, [77])
    times = b"\x13" + (10**18).to_bytes(8, "big") + packed
    integers = b"\x10" + (10).to_bytes(8, "big") + packed
    last = 10**18 + (360 + 77) * 1000
    found = read_block(plain.INTEGER, 10**18, last, times, integers)
    assert [time for time, _ in found] == [10**18 + 1000 * place for place in range(361)] + [last]
    assert [value for _, value in found] == [5 - place for place in range(361)] + [-355 - 39]


def test_a_block_of_ten_thousand_points_is_read():
    """InfluxDB's full compactions make them."""
    times = plain.run_of_times(0, 1, 10_000, 0)
    values = b"\x20" + bytes(8) + plain.varint(2) + plain.varint(9_999)
    assert read_block(plain.INTEGER, 0, 9_999, times, values) == [(time, time) for time in range(10_000)]


@pytest.mark.parametrize("selector", range(2, 16))
def test_every_selector_of_simple8b_is_read(selector):
    count, width = plain.COUNTS[selector], plain.WIDTHS[selector]
    numbers = [(1 << width) - 1 if place % 3 else place % (1 << width) for place in range(count)]
    values = b"\x10" + bytes(8) + plain.packed_word(selector, numbers)
    found = read_block(plain.UNSIGNED, 0, count, plain.run_of_times(0, 1, count + 1, 0), values)
    assert [value for _, value in found] == [value & plain.MASK for value in plain.integers_of(values)]


def test_blocks_may_lie_in_another_order_than_their_keys():
    one = plain.block(plain.BOOLEAN, plain.run_of_times(5, 1, 1, 0), b"\x10\x01\x80")
    content = plain.file_of({b"a#!~#f": (2, [(5, 5, one)]), b"b#!~#f": (2, [(5, 5, one)])})
    first, second = (5).to_bytes(8, "big"), (5 + len(one)).to_bytes(8, "big")
    at, behind = (
        content.rindex(first + len(one).to_bytes(4, "big")),
        content.rindex(second + len(one).to_bytes(4, "big")),
    )
    swapped = bytearray(content)
    swapped[at : at + 8], swapped[behind : behind + 8] = second, first
    (column,) = read_tsm(bytes(swapped))
    assert points_of(column) == {b"a#!~#f": [(5, True)], b"b#!~#f": [(5, True)]}
    assert column.kind is FieldKind.BOOLEAN
