"""What no file can hold is refused before the first byte, with the key; a file comes in pieces."""

import numpy as np
import pyarrow as pa
import pytest

from ts_migration.influxdb.tsm import layout
from ts_migration.influxdb.tsm.columns import FieldKind, TsmColumn, TsmUnwritable
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration_tests.influxdb.tsm.columns import bits, column_of

KEY = b"m,t=1#!~#f"


def column(keys, offsets, times, values, kind=FieldKind.INTEGER):
    return TsmColumn(kind, pa.array(keys, pa.large_binary()), np.array(offsets), np.array(times), values)


ONE = np.array([1])
REFUSED = {
    "nothing at all": ([], "at least one key"),
    "a key twice": ([column([KEY, KEY], [0, 1, 2], [1, 2], np.array([1, 2]))], "there twice"),
    "a key in two columns": (
        [column([KEY], [0, 1], [1], ONE), column_of(FieldKind.BOOLEAN, {KEY: [(1, True)]})],
        "there twice",
    ),
    "a key that is too long": ([column([b"m" * 65_532 + b"#!~#"], [0, 1], [1], ONE)], "too long"),
    "a key without a field": ([column([b"m,t=1"], [0, 1], [1], ONE)], "names no field"),
    "a key without points": ([column([KEY, KEY + b"g"], [0, 1, 1], [1], ONE)], "no points"),
    "times that go back": ([column([KEY], [0, 2], [2, 1], np.array([1, 2]))], "do not ascend"),
    "a time twice": ([column([KEY], [0, 2], [1, 1], np.array([1, 2]))], "there twice"),
    "NaN": ([column_of(FieldKind.FLOAT, {b"a#!~#f": [(1, bits(1.0))], KEY: [(1, bits(float("nan")))]})], "NaN"),
    "values of another type": ([column([KEY], [0, 1], [1], np.array([1.5]))], "cannot be of float64"),
    "a null string": ([column([KEY], [0, 1], [1], pa.array([None], pa.large_binary()), FieldKind.STRING)], "null"),
    "more values than times": ([column([KEY], [0, 1], [1], np.array([1, 2]))], "2 values at 1 times"),
    "offsets that end early": ([column([KEY], [0, 1], [1, 2], np.array([1, 2]))], "offsets"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_file_can_hold_is_refused_before_the_first_byte(name):
    columns, what = REFUSED[name]
    with pytest.raises(TsmUnwritable, match=what):
        tsm_file(columns)


def test_the_key_with_the_wrong_times_is_named():
    points = {b"a#!~#f": [(5, 1), (6, 1)], b"b#!~#f": [(1, 1), (2, 1), (2, 1)], b"c#!~#f": [(1, 1)]}
    with pytest.raises(TsmUnwritable) as refused:
        tsm_file([column_of(FieldKind.INTEGER, points)])
    assert "b#!~#f" in refused.value.where


def test_the_key_with_nan_is_named():
    with pytest.raises(TsmUnwritable) as refused:
        tsm_file(REFUSED["NaN"][0])
    assert "m,t=1#!~#f" in refused.value.where


def test_a_key_of_more_than_65535_blocks_is_refused():
    count = 65_535_001
    times = np.broadcast_to(np.int64(0), count)
    with pytest.raises(TsmUnwritable, match="too many points") as refused:
        tsm_file([TsmColumn(FieldKind.INTEGER, pa.array([KEY], pa.large_binary()), np.array([0, count]), times, times)])
    assert refused.value.allowed == "65,535,000 points of a key"


def test_strings_that_are_too_long_for_a_block_are_refused(monkeypatch):
    monkeypatch.setattr(layout, "MOST_STRING_BYTES", 100)
    with pytest.raises(TsmUnwritable, match="too long"):
        tsm_file([column_of(FieldKind.STRING, {KEY: [(time, b"x" * 30) for time in range(5)]})])


def test_strings_before_a_slice_do_not_count(monkeypatch):
    monkeypatch.setattr(layout, "MOST_STRING_BYTES", 100)
    values = pa.array([b"x" * 200, b"a"], pa.large_binary())[1:]
    assert tsm_file([column([KEY], [0, 1], [1], values, FieldKind.STRING)])


def test_times_are_compared_across_slices_too(monkeypatch):
    monkeypatch.setattr(layout, "_CHECKED", 2)
    with pytest.raises(TsmUnwritable, match="there twice"):
        tsm_file([column([KEY], [0, 4], [1, 2, 2, 3], np.arange(4))])


def test_the_longest_key_is_written():
    assert tsm_file([column([b"m" * 65_530 + b"#!~#f"], [0, 1], [1], ONE)])


def test_a_file_comes_in_pieces_that_do_not_grow_with_it(monkeypatch):
    monkeypatch.setattr(layout, "STRETCH_BYTES", 100_000)
    rng = np.random.default_rng(1)
    for count in (50_000, 200_000):
        times = np.arange(count)
        values = rng.integers(-(2**62), 2**62, count)
        pieces = list(tsm_file([column([KEY], [0, count], times, values)]))
        assert len(pieces) > count / 10_000
        assert max(map(len, pieces)) < 150_000
