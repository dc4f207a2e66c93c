"""Points come back as they were written last, whatever happened in between: flush, restart, merge, delete."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.local.influxdb.line_protocol import parser
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, FieldType
from ts_migration.local.influxdb.storage import compaction
from ts_migration.local.influxdb.storage.bucket import BEYOND_RETENTION, Bucket
from ts_migration.local.influxdb.storage.field_types import PartialWrite
from ts_migration.local.influxdb.storage.shard_groups import DAY_NS, HOUR_NS, ShardGroups, default_duration

WEEK = 7 * DAY_NS


def write(bucket: Bucket, lines: str | bytes, *, oldest_ns: int | None = None, group_ns: int = WEEK):
    body = lines.encode() if isinstance(lines, str) else lines
    return bucket.write(parser.parse(body, 1, 0), oldest_ns=oldest_ns, group_ns=group_ns)


def contents(bucket: Bucket, measurement: str = "m", **bounds) -> dict:
    """(series tags, time) -> {field: value}, as `blocks` tells it."""
    found: dict = {}
    for block in bucket.snapshot().blocks(measurement, **bounds):
        assert (np.diff(block.times) > 0).all()
        assert block.columns
        for column in block.columns:
            assert column.valid is None or column.valid.any()
            for row, time in enumerate(block.times.tolist()):
                if column.valid is None or column.valid[row]:
                    value = column.values[row]
                    plain = value if isinstance(value, str) else value.item()
                    found.setdefault((block.series.tags, time), {})[column.name] = plain
    return found


point = st.tuples(
    st.sampled_from(["", ",a=1", ",a=2", ",a=1,b=x"]),
    st.dictionaries(st.sampled_from(["f", "g", "h"]), st.integers(-3, 3), min_size=1),
    st.integers(0, 12),
)
step = st.one_of(
    st.lists(point, min_size=1, max_size=12),
    st.sampled_from(["flush", "restart", "read"]),
    st.tuples(st.just("delete"), st.integers(0, 12), st.integers(0, 12), st.sampled_from([None, "1", "2"])),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, max_size=10))
def test_a_bucket_holds_what_a_dictionary_would_hold(steps: list, tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("bucket")
    bucket = Bucket(directory)
    model: dict = {}
    for one in steps:
        if one == "flush":
            bucket.flush()
        elif one == "restart":
            bucket.close()
            bucket = Bucket(directory)
        elif one == "read":
            bucket.snapshot()
        elif one[0] == "delete":
            _, start, stop, tag = one
            bucket.delete("m", start, stop, None if tag is None else lambda tags, tag=tag: tags.get("a") == tag)
            for key, time in list(model):
                if start <= time <= stop and (tag is None or dict(key).get("a") == tag):
                    del model[key, time]
        else:
            lines = []
            for tags, fields, time in one:
                lines.append(f"m{tags} " + ",".join(f"{name}={value}i" for name, value in fields.items()) + f" {time}")
                key = tuple(tuple(pair.split("=")) for pair in tags.split(",") if pair)
                model.setdefault((key, time), {}).update(fields)
            assert write(bucket, "\n".join(lines)) is None
    assert contents(bucket) == model
    assert contents(bucket, start_ns=3, stop_ns=7) == {k: v for k, v in model.items() if 3 <= k[1] <= 7}
    only_g = {k: {"g": v["g"]} for k, v in model.items() if "g" in v}
    assert contents(bucket, fields=frozenset({"g"})) == only_g
    bucket.close()


def test_blocks_come_in_byte_order_of_series_keys_and_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ts_migration.local.influxdb.storage.snapshot.ROWS_AT_A_TIME", 3)
    bucket = Bucket(tmp_path)
    write(bucket, "\n".join(f"m,a={tag} f={time}i {time}" for time in range(5) for tag in ("b", "é", "a\\ c", "Z")))
    bucket.flush()
    write(bucket, "m,a=C f=1i 1")
    blocks = list(bucket.snapshot().blocks("m"))
    assert [dict(block.series.tags)["a"] for block in blocks] == ["C", "Z", "a c", "b", "é"]
    assert [len(block.times) for block in blocks] == [1, 5, 5, 5, 5]


def test_a_snapshot_does_not_see_what_is_written_or_deleted_after_it(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "m f=1 1")
    before = bucket.snapshot()
    write(bucket, "m f=2 1\nm f=3 2")
    bucket.flush()
    bucket.delete("m", MIN_TIME_NS, MAX_TIME_NS)
    (block,) = before.blocks("m")
    assert block.columns[0].values.tolist() == [1.0]


def test_every_type_survives_a_flush_and_a_restart_bit_for_bit(tmp_path: Path):
    bucket = Bucket(tmp_path)
    text = 'm f=-0.0,i=-9223372036854775808i,u=18446744073709551615u,b=t,s="a\\"b\nc" 1\nm f=5e-324,s="" 2'
    assert write(bucket, text) is None
    first = contents(bucket)
    bucket.flush()
    bucket.close()
    bucket = Bucket(tmp_path)
    assert contents(bucket) == first
    values = first[(), 1]
    assert str(values["f"]) == "-0.0"
    assert (values["i"], values["u"], values["b"], values["s"]) == (-(2**63), 2**64 - 1, True, 'a"b\nc')


def test_bytes_that_are_not_utf8_come_back_by_surrogateescape(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, b'm\xff,a=\xfe f\xfd="\xfc" 1')
    bucket.flush()
    bucket.close()
    (block,) = Bucket(tmp_path).snapshot().blocks("m\udcff")
    assert block.series.tags == (("a", "\udcfe"),)
    assert (block.columns[0].name, block.columns[0].values[0]) == ("f\udcfd", "\udcfc")


def test_overlapping_segments_are_merged_and_the_last_write_still_wins(tmp_path: Path):
    bucket = Bucket(tmp_path)
    files = []
    for number in range(7):
        write(bucket, "\n".join(f"m,a={n % 3} f={number}i,g{number}=1i {n}" for n in range(9)))
        bucket.flush()
        rows = contents(bucket).values()
        assert {row["f"] for row in rows} == {number}
        assert all(len(row) == number + 2 for row in rows)
        files.append(len(list(tmp_path.glob("segment-*.arrow"))))
    assert max(files) == compaction.MERGE_AT
    assert files[-1] < 7


def test_a_long_run_is_cut_by_time_without_losing_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compaction, "SLICE_ROWS", 10)
    bucket = Bucket(tmp_path)
    write(bucket, "\n".join(f"m,a={n % 3} f={n}i {n // 2}" for n in range(60)))
    before = contents(bucket)
    bucket.flush()
    assert len(list(tmp_path.glob("segment-*.arrow"))) > 3
    assert contents(bucket) == before
    assert contents(bucket, start_ns=4, stop_ns=6) == {k: v for k, v in before.items() if 4 <= k[1] <= 6}


def test_a_type_conflict_drops_whole_points_with_the_first_reason_and_the_count(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "c f=1i,g=1 1")
    outcome = write(bucket, "c f=2.5 2\nc g=3i 3\nc f=5i,g=5,h=1 5")
    reason = 'field type conflict: input field "f" on measurement "c" is type float, already exists as type integer'
    assert outcome == PartialWrite(reason, 2)
    assert contents(bucket, "c") == {((), 1): {"f": 1, "g": 1.0}, ((), 5): {"f": 5, "g": 5.0, "h": 1.0}}


def test_a_request_that_brings_a_new_field_with_two_types_fails_for_that_shard_group_alone(tmp_path: Path):
    bucket = Bucket(tmp_path)
    outcome = write(bucket, f"c f=1i 1\nc f=2.5 2\nc f=7 {10 * WEEK}")
    assert outcome == "field type conflict"
    assert contents(bucket, "c") == {((), 10 * WEEK): {"f": 7.0}}
    # The first type was pinned before the server noticed, and stays.
    assert isinstance(write(bucket, "c f=2.5 2"), PartialWrite)
    assert write(bucket, "c f=2i 2") is None


def test_a_value_that_the_engine_chokes_on_fails_its_shard_group(tmp_path: Path):
    outcome = write(Bucket(tmp_path), 'm f\\\\="a=b" 1\nm g=1 1')
    assert outcome == 'engine: unable to parse bool value "b\\"": strconv.ParseBool: parsing "b\\"": invalid syntax'


def test_another_shard_group_may_have_another_type_and_both_are_told(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, f"c f=1i 1\nc f=2.5 {60 * WEEK}\nc e=t 1")
    expected = [("e", FieldType.BOOLEAN), ("f", FieldType.FLOAT), ("f", FieldType.INTEGER)]
    assert bucket.snapshot().field_types("c") == expected
    (block,) = bucket.snapshot().blocks("c", fields=frozenset({"f"}))
    assert [(column.type, column.valid.tolist()) for column in block.columns] == [
        (FieldType.FLOAT, [False, True]),
        (FieldType.INTEGER, [True, False]),
    ]


@pytest.mark.parametrize("flushed", [False, True])
def test_types_are_forgotten_when_the_last_point_of_a_measurement_leaves_a_shard_group(tmp_path: Path, flushed: bool):
    bucket = Bucket(tmp_path)
    write(bucket, "c f=1i 1\nc f=2i 2\nd f=1i 1")
    if flushed:
        bucket.flush()
    bucket.delete("c", 1, 1)
    assert isinstance(write(bucket, "c f=1.5 3"), PartialWrite)
    bucket.delete("c", 2, 2)
    assert write(bucket, "c f=1.5 3") is None
    bucket.close()
    bucket = Bucket(tmp_path)
    assert bucket.snapshot().field_types("c") == [("f", FieldType.FLOAT)]
    assert bucket.snapshot().field_types("d") == [("f", FieldType.INTEGER)]
    assert contents(bucket, "c") == {((), 3): {"f": 1.5}}


def test_a_field_named_time_is_stripped_beside_others_and_drops_a_point_it_is_alone_in(tmp_path: Path):
    bucket = Bucket(tmp_path)
    assert write(bucket, "t time=1,f=2 10") is None
    outcome = write(bucket, "t time=1 11\nt f=3 12")
    reason = 'invalid field name: input field "time" on measurement "t" is invalid'
    assert outcome == PartialWrite(reason, 1)
    assert contents(bucket, "t") == {((), 10): {"f": 2.0}, ((), 12): {"f": 3.0}}


def test_a_string_above_one_mebibyte_drops_its_point(tmp_path: Path):
    bucket = Bucket(tmp_path)
    assert write(bucket, 's f="' + "x" * 2**20 + '" 1') is None
    outcome = write(bucket, 's g=1 2\ns f="' + "x" * (2**20 + 1) + '" 2')
    assert outcome == PartialWrite('input field "f" on measurement "s" is too long, 1048577 > 1048576', 1)
    assert len(contents(bucket, "s")) == 2


def test_points_beyond_retention_are_dropped_unless_others_open_their_shard_group(tmp_path: Path):
    bucket = Bucket(tmp_path)
    now = 1000 * WEEK
    old, young = now - 3 * DAY_NS, now
    lines = f"r f=1 {old}\nr f=2 {young}\nr f=3 {young - HOUR_NS * 30}"
    outcome = write(bucket, lines, oldest_ns=now - DAY_NS, group_ns=HOUR_NS)
    assert outcome == PartialWrite(BEYOND_RETENTION, 2)
    # An hour's group that a young point opens takes an old point of the same hour with it, as in influxd.
    assert write(bucket, f"r f=1 {now}\nr f=2 {now + 5}", oldest_ns=now + 3, group_ns=HOUR_NS) is None


def test_retention_drops_shard_groups_that_ended_and_their_types(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, f"r f=1i 1\nr f=2i {WEEK * 3}")
    bucket.expire(2 * WEEK)
    assert list(contents(bucket, "r")) == [((), 3 * WEEK)]
    assert write(bucket, "r f=1.5 1") is None


def test_shard_groups_begin_where_go_truncates_times():
    # Recorded on a real server: conformance/tsm/bucket_manifest.json, 30 days.
    groups = ShardGroups()
    groups.find_or_make(np.array([1672531200000000000]), 30 * DAY_NS)
    (group,) = groups.all()
    assert (group.start, group.end) == (1671667200 * 10**9, 1674259200 * 10**9)


@given(
    times=st.lists(st.integers(MIN_TIME_NS, MAX_TIME_NS), min_size=1, max_size=20),
    durations=st.lists(st.sampled_from([HOUR_NS, DAY_NS, WEEK, 30 * DAY_NS]), min_size=1, max_size=3),
)
def test_every_time_has_exactly_one_shard_group_and_groups_never_overlap(times: list[int], durations: list[int]):
    groups = ShardGroups()
    for duration in durations:
        starts = groups.find_or_make(np.array(times), duration)
        by_start = {group.start: group for group in groups.all()}
        assert all(by_start[s].start <= t < by_start[s].end for s, t in zip(starts.tolist(), times, strict=True))
    made = groups.all()
    assert all(left.end <= right.start for left, right in pairwise(made))


def test_default_shard_group_durations_follow_the_retention():
    assert default_duration(0) == default_duration(180 * DAY_NS) == WEEK
    assert default_duration(2 * DAY_NS) == default_duration(179 * DAY_NS) == DAY_NS
    assert default_duration(HOUR_NS) == HOUR_NS


def test_series_and_tag_keys_tell_only_of_series_that_hold_points(tmp_path: Path):
    bucket = Bucket(tmp_path)
    write(bucket, "m,a=1,b=2 f=1 1\nm,c=1 f=1 2\nn f=1 1")
    snapshot = bucket.snapshot()
    assert snapshot.measurements() == ["m", "n"]
    assert snapshot.tag_keys("m") == ["a", "b", "c"]
    assert len(snapshot.series()) == 3
    bucket.delete(None, 2, 2)
    bucket.delete("n", MIN_TIME_NS, MAX_TIME_NS)
    snapshot = bucket.snapshot()
    assert (snapshot.measurements(), snapshot.tag_keys("m"), len(snapshot.series())) == (["m"], ["a", "b"], 1)
