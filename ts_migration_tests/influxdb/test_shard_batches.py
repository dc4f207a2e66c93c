"""Columns of TSM files as the points that a server would answer: of several files, of one window, of some times."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import SecretStr

from ts_migration.errors import Permanent
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import ShardFileOf
from ts_migration.influxdb.shard_batches import at_times, batches_of, cut_to, newest, series_of
from ts_migration.influxdb.shard_groups import ShardGroup
from ts_migration.influxdb.tsm.columns import FieldKind, TsmColumn, TsmDamaged
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.stages import stored_points
from ts_migration.windows import Window

Points = dict[tuple[str, str, int], Any]
"""(plant, field, time) -> value."""


def column(kind: FieldKind, points: Points) -> TsmColumn:
    keys = sorted({(plant, field) for plant, field, _ in points})
    times = [sorted(at for plant, field, at in points if (plant, field) == key) for key in keys]
    values = [points[*key, at] for key, of_key in zip(keys, times, strict=True) for at in of_key]
    types = {FieldKind.FLOAT: np.float64, FieldKind.INTEGER: np.int64, FieldKind.UNSIGNED: np.uint64}
    return TsmColumn(
        kind,
        pa.array([f"m,plant={plant}#!~#{field}".encode() for plant, field in keys], pa.large_binary()),
        np.cumsum([0, *map(len, times)]),
        np.array([at for of_key in times for at in of_key], np.int64),
        pa.array(values, pa.large_binary()) if kind is FieldKind.STRING else np.array(values, types[kind]),
    )


def points(columns: Any) -> Points:
    found: Points = {}
    for batch in batches_of(columns, "m"):
        for block in batch.blocks():
            for one in block.columns:
                for at, value in zip(block.times.tolist(), one.values.tolist(), strict=True):
                    found[block.tags["plant"], one.field, at] = value
    return found


def test_of_several_files_the_later_value_of_a_point_counts_and_all_others_stay() -> None:
    older = [column(FieldKind.FLOAT, {("a", "x", 1): 1.0, ("a", "x", 2): 2.0, ("b", "y", 1): 3.0})]
    newer = [
        column(FieldKind.FLOAT, {("a", "x", 2): 20.0, ("c", "x", 9): 4.0}),
        column(FieldKind.STRING, {("a", "note", 2): "é\n"}),
    ]
    assert points(newest([older, newer])) == {
        ("a", "x", 1): 1.0, ("a", "x", 2): 20.0, ("b", "y", 1): 3.0, ("c", "x", 9): 4.0, ("a", "note", 2): "é\n",
    }  # fmt: skip


def test_a_column_is_cut_to_a_range_and_to_times_key_by_key() -> None:
    whole = column(FieldKind.INTEGER, {("a", "x", 1): 1, ("a", "x", 5): 5, ("b", "x", 5): 6, ("b", "x", 9): 9})
    cut, chosen = cut_to(whole, 5, 9), at_times(whole, np.array([1, 9]))
    assert cut is not None and points([cut]) == {("a", "x", 5): 5, ("b", "x", 5): 6}
    assert chosen is not None and points([chosen]) == {("a", "x", 1): 1, ("b", "x", 9): 9}
    assert cut_to(whole, 6, 9) is None
    assert cut_to(whole, 0, 10) is whole


def test_series_keys_are_read_as_the_server_reads_them() -> None:
    series = series_of(rb"load\ curve\,x,a\=b=c\,\ d\\,plant=x\y,z=e\=f".replace(rb"d\\,", b"d,"))
    assert (series.measurement, series.tags) == ("load curve,x", {"a=b": "c, d", "plant": r"x\y", "z": "e=f"})


def test_a_backslash_before_an_equals_sign_is_the_measurements_own() -> None:
    series = series_of(rb"a\=b\,c,t=\=x")
    assert (series.measurement, series.tags) == (r"a\=b,c", {"t": "=x"})


@pytest.mark.parametrize("key", [b"m,plant<a", b"m,,plant=a", rb"m,plant\=a"])
def test_a_key_that_a_flipped_bit_made_no_series_key_is_told_as_damage(key: bytes) -> None:
    with pytest.raises(TsmDamaged, match="a tag has no value"):
        series_of(key)


def test_other_measurements_are_left_out_and_unsigned_fields_refused() -> None:
    both = column(FieldKind.FLOAT, {("a", "x", 1): 1.0})
    assert not list(batches_of([both], "other"))
    with pytest.raises(Permanent, match="'u' is unsigned"):
        list(batches_of([column(FieldKind.UNSIGNED, {("a", "u", 1): 1})], "m"))


TARGET = Target("http://127.0.0.1:1", "org", SecretStr("token"))
SHARDS = {ShardGroup(0, 100): 1, ShardGroup(100, 200): 2}


def stored(monkeypatch: pytest.MonkeyPatch, *files: tuple[str, bytes]) -> Points:
    def backup(_: Target, shard: int) -> Iterator[ShardFileOf]:
        assert shard == 1, "the other shard is not in the window"
        return (ShardFileOf(*file) for file in files)

    monkeypatch.setattr(stored_points, "backup", backup)
    found: Points = {}
    for batch in stored_points.stored_batches(TARGET, SHARDS, "m", Window(10, 50)):
        for block in batch.blocks():
            for one in block.columns:
                found |= {
                    ("a", one.field, at): v for at, v in zip(block.times.tolist(), one.values.tolist(), strict=True)
                }
    return found


def file(values: dict[int, float]) -> bytes:
    return b"".join(tsm_file([column(FieldKind.FLOAT, {("a", "x", at): value for at, value in values.items()})]))


def test_what_is_stored_is_read_in_the_order_of_the_files_names(monkeypatch: pytest.MonkeyPatch) -> None:
    newer, older = (
        ("000000010-000000001.tsm", file({20: 2.0, 60: 9.0})),
        ("000000009-000000002.tsm", file({20: 1.0, 30: 3.0})),
    )
    for files in ((newer, older), (older, newer)):
        assert stored(monkeypatch, *files) == {("a", "x", 20): 2.0, ("a", "x", 30): 3.0}


def test_a_shard_with_deletes_that_are_in_no_file_yet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Permanent, match="holds deletes") as refused:
        stored(monkeypatch, ("000000009-000000001.tsm", file({20: 1.0})), ("000000009-000000001.tombstone", b"x"))
    assert "influxql" in refused.value.next_step
