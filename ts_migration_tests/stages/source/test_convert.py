"""The conversion stage: what Timestream holds arrives in the parts to the bit, and nothing looks done that is not."""

import errno
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ts_migration.config import MigrationJob
from ts_migration.errors import Missing, Permanent, Spoiled
from ts_migration.line_protocol.files import members_of, read_members
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.members import decompressed
from ts_migration.line_protocol.parquet import unmapped_frames
from ts_migration.line_protocol.rejects import read_quarantine
from ts_migration.manifests import (
    ExportFile,
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    read_manifest,
    require_manifest,
)
from ts_migration.objects import BULK_PREFIX
from ts_migration.stages.convert import convert_window, current_conversion
from ts_migration.stages.currency import window_range
from ts_migration.stages.export import current_export, export_settings, export_window
from ts_migration.stages.progress import Progress
from ts_migration.stages.table import begin_table
from ts_migration.timestream.readings import source_counts
from ts_migration.validation.digest import PointDigest
from ts_migration.windows import Window
from ts_migration_tests.line_protocol.points import Point, expected, parsed
from ts_migration_tests.stages.source.tables import HOUR, START, Source, day, multi, single


def prepared(source: Source, window: Window, **keys: Any) -> tuple[MigrationJob, Mapping]:
    job = source.job(**keys)
    _, mapping = begin_table(job, source.place, source.schema, source.bucket)
    export_window(job, source.place, window, source.schema, source.query, source.bucket)
    return job, mapping


def points_in(source: Source, manifest: LineProtocolManifest) -> list[Point]:
    members = members_of(source.bucket, manifest)
    bodies = read_members(source.bucket, members)
    return [point for member, body in bodies for point in parsed(decompressed(body, member))]


def test_every_row_of_the_source_arrives_in_the_parts_to_the_bit(source: Source) -> None:
    source.put([multi(index) for index in range(240)])
    job, mapping = prepared(source, day(2))
    manifest = convert_window(job, source.place, day(2), mapping, source.bucket)
    rows = [
        {
            "plant": ["SE/CO", "S ul", "N,E=x"][index % 3],
            "zone": "z" if index % 2 else None,
            "measure_name": "balance",
            "load": index * 1.1 - 20,
            "count": 2**62 + index,
            "open": bool(index % 2) if index % 5 else None,
            "text": f'a "b" \\{index}' if index % 5 else None,
            "at": START + index if index % 5 else None,
            "time_ns": START + index * HOUR + index,
        }
        for index in range(24, 48)
    ]
    points = [expected(row, mapping) for row in rows]
    assert sorted(points_in(source, manifest), key=repr) == sorted(points, key=repr)
    assert (manifest.rows, manifest.points, manifest.quarantined, manifest.empty) == (24, 24, 0, 0)
    assert manifest.values == {"at": 19, "count": 24, "load": 24, "open": 19, "text": 19}
    assert manifest.values == manifest.expected.counts
    assert manifest.values == source_counts(source.query, source.schema, mapping, day(2)).field_values(mapping)
    assert [part.lines for part in manifest.parts] == [24]
    assert manifest.parts[0].members == 3, "batch_size is 10"
    assert manifest.series == len({(point[0], point[1]) for point in points_in(source, manifest)})
    assert sum((manifest.coverage_cells or {}).values()) == manifest.expected.values
    assert source.bucket.get_or_none(source.place.window(day(2).key).proof + "coverage.bin") is None


def test_a_mixed_table_arrives_with_its_single_measures_by_name(source: Source) -> None:
    source.put([multi(0), single(1, "temp", "DOUBLE", "1.5"), single(1, "temp", "BIGINT", "7", Time=str(START + 5))])
    job, mapping = prepared(source, day(1))
    manifest = convert_window(job, source.place, day(1), mapping, source.bucket)
    assert manifest.values == {"count": 1, "load": 1, "temp_bigint": 1, "temp_double": 1}
    by_time = {point[2]: point for point in points_in(source, manifest)}
    assert by_time[START][1] == (("measure_name", "balance"), ("plant", "SE/CO"))
    assert by_time[START + 5][1] == (("plant", "p1"),)
    assert by_time[START + 5][3] == (("temp_bigint", "integer", 7),)


def test_a_finished_window_is_not_converted_again_and_a_changed_one_is(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    first = convert_window(job, source.place, day(1), mapping, source.bucket)
    seen: list[pl.DataFrame] = []
    assert convert_window(job, source.place, day(1), mapping, source.bucket, observe=seen.append) == first
    assert seen == []
    harder = source.job(compression=9)
    again = convert_window(harder, source.place, day(1), mapping, source.bucket, observe=seen.append)
    assert again.settings != first.settings
    assert len(seen) == 1 and len(seen[0]) == 24
    assert again.expected == first.expected


def test_another_batch_size_leaves_what_is_converted_alone_for_the_load_cuts_it(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    first = convert_window(job, source.place, day(1), mapping, source.bucket)
    assert convert_window(source.job(batch_size=5), source.place, day(1), mapping, source.bucket) == first


def test_the_same_work_done_again_keeps_its_digest(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    first = convert_window(job, source.place, day(1), mapping, source.bucket)
    source.bucket.delete_prefix(source.place.window(day(1).key).line_protocol)
    again = convert_window(job, source.place, day(1), mapping, source.bucket)
    assert again.digest == first.digest


def loaded(source: Source, converted: LineProtocolManifest) -> None:
    """Leave behind what a finished load leaves."""
    LoadManifest(
        database=converted.database,
        table=converted.table,
        window=converted.window,
        parent=converted.digest,
        settings="0" * 64,
        org="o",
        bucket="b",
        measurement="t",
        members=1,
        points=converted.points,
        bytes=1,
        requests=1,
        retries=0,
        resumed_members=0,
        refused_lines=0,
        seconds=0.1,
    ).write(source.bucket, source.place.window(converted.window.key).manifest("load"))


def test_a_loaded_window_stands_after_cleanup_and_whatever_the_compression(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    first = convert_window(job, source.place, day(1), mapping, source.bucket)
    loaded(source, first)
    source.bucket.delete_prefix(BULK_PREFIX)
    assert current_export(job, source.place, day(1), source.bucket) is not None
    assert current_conversion(source.job(compression=3), source.place, day(1), mapping, source.bucket) == first


def test_a_window_not_loaded_is_done_again_after_cleanup(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    convert_window(job, source.place, day(1), mapping, source.bucket)
    source.bucket.delete_prefix(BULK_PREFIX)
    assert current_export(job, source.place, day(1), source.bucket) is None
    with pytest.raises(Missing, match="run the export of this window again"):
        convert_window(job, source.place, day(1), mapping, source.bucket)


def test_a_conversion_that_dies_in_the_middle_does_not_look_done(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    convert_window(job, source.place, day(1), mapping, source.bucket)

    def die(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_window(source.job(compression=9), source.place, day(1), mapping, source.bucket, progress=die)
    manifest = source.place.window(day(1).key).manifest("line_protocol")
    assert read_manifest(LineProtocolManifest, source.bucket, manifest) is None
    assert convert_window(job, source.place, day(1), mapping, source.bucket).points == 24


def test_a_window_that_was_not_exported_is_said(source: Source) -> None:
    source.put([multi(0)])
    job, mapping = prepared(source, day(1))
    with pytest.raises(Missing, match="export the window 2023-01-05"):
        convert_window(job, source.place, day(5), mapping, source.bucket)


def test_an_export_of_another_clip_is_not_taken_for_the_windows(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    half = Window(day(1).start_ns, day(1).start_ns + 12 * HOUR, day(1).key)
    job, mapping = prepared(source, half)
    with pytest.raises(Missing, match="was exported as"):
        convert_window(job, source.place, day(1), mapping, source.bucket)


def test_rows_that_cannot_be_said_are_quarantined_whole_with_their_reason(source: Source) -> None:
    bad = multi(1, Dimensions=[{"Name": "plant", "Value": "ends\\"}])
    source.put([multi(0), bad, multi(2)])
    job, mapping = prepared(source, day(1))
    manifest = convert_window(job, source.place, day(1), mapping, source.bucket)
    assert (manifest.rows, manifest.points, manifest.quarantined) == (3, 2, 1)
    assert manifest.expected.values == sum(manifest.values.values())
    (entry,) = read_quarantine(source.bucket.get(source.place.window(day(1).key).quarantine))
    assert entry["reason"] == "tag_ends_in_backslash"
    assert entry["column"] == "plant"
    assert entry["row"]["plant"] == "ends\\" and entry["row"]["count"] == 2**62 + 1


def test_an_old_quarantine_goes_when_nothing_is_quarantined_any_more(source: Source) -> None:
    source.put([multi(0)])
    job, mapping = prepared(source, day(1))
    key = source.place.window(day(1).key).quarantine
    source.bucket.put(key, gzip.compress(json.dumps({"reason": "old"}).encode()))
    convert_window(job, source.place, day(1), mapping, source.bucket)
    assert source.bucket.get_or_none(key) is None


def test_a_measure_that_came_after_the_mapping_stops_the_conversion(source: Source) -> None:
    source.put([multi(0)])
    job, mapping = prepared(source, day(1))
    source.put([single(1, "temp", "DOUBLE", "1.5")])
    export_window(job, source.place, day(2), source.schema, source.query, source.bucket)
    source.bucket.delete(source.place.window(day(1).key).manifest("export"))
    export_window(job, source.place, day(1), source.schema, source.query, source.bucket)
    with pytest.raises(Permanent, match=r"ts-migration reset"):
        convert_window(job, source.place, day(1), mapping, source.bucket)
    assert convert_window(job, source.place, day(2), mapping, source.bucket).rows == 0, (
        "its rows are not of this window"
    )


def test_a_window_without_rows_is_converted_as_such(source: Source) -> None:
    source.put([multi(0)])
    job, mapping = prepared(source, day(9))
    manifest = convert_window(job, source.place, day(9), mapping, source.bucket)
    assert (manifest.rows, manifest.points, manifest.parts) == (0, 0, ())
    assert members_of(source.bucket, manifest) == ()


COLUMNS = {"plant": "varchar", "measure_name": "varchar", "time": "timestamp", "load": "double", "time_ns": "bigint"}
GOOD: dict[str, list[Any]] = {
    "plant": ["p", "q"], "measure_name": ["balance"] * 2, "time": [START, START + 1],
    "load": [1.0, None], "time_ns": [START, START + 1],
}  # fmt: skip


def forged(source: Source, rows: int = 2, **changed: list[Any]) -> tuple[MigrationJob, Mapping]:
    """An export of one Parquet file that no UNLOAD wrote."""
    source.put([multi(0)])
    job, mapping = prepared(source, day(1))
    columns = {name: pa.array(values) for name, values in (GOOD | changed).items()}
    columns["time"] = columns["time"].cast(pa.timestamp("ns"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, use_deprecated_int96_timestamps=True, row_group_size=1)
    body, key = sink.getvalue().to_pybytes(), source.place.window(day(1).key).export_attempt("forged") + "/f.parquet"
    source.bucket.put(key, body)
    ExportManifest(
        database=source.database,
        table=source.table,
        window=window_range(day(1)),
        columns=COLUMNS,
        files=(ExportFile(key=key, bytes=len(body), rows=rows),),
        rows=rows,
        bytes=len(body),
        queries=("Q",),
        aws_manifests=(),
        settings=export_settings(job),
        seconds=0.0,
    ).write(source.bucket, source.place.window(day(1).key).manifest("export"))
    return job, mapping


def test_a_column_that_the_table_no_longer_names_is_taken_as_null(source: Source) -> None:
    job, mapping = forged(source)
    manifest = convert_window(job, source.place, day(1), mapping, source.bucket)
    assert (manifest.points, manifest.empty, manifest.values) == (1, 1, {"load": 1})


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda source: forged(source, time_ns=[START, START + 2]), "INT96 time differs"),
        (lambda source: forged(source, time=[START - 1, START], time_ns=[START - 1, START]), "outside"),
        (lambda source: forged(source, time_ns=[START, None]), "without a time"),
        (lambda source: forged(source, rows=3), "holds 2 rows, the manifest says 3"),
        (lambda source: forged(source, load=["1", "2"]), "'load' is String in the file and double"),
        (lambda source: forged(source, extra=[1, 2]), "has the columns"),
    ],
)
def test_an_export_that_is_not_what_it_says_is_refused_and_nothing_looks_done(
    source: Source, forge: Callable[[Source], tuple[MigrationJob, Mapping]], words: str
) -> None:
    job, mapping = forge(source)
    with pytest.raises(Permanent, match=words):
        convert_window(job, source.place, day(1), mapping, source.bucket)
    key = source.place.window(day(1).key).manifest("line_protocol")
    assert read_manifest(LineProtocolManifest, source.bucket, key) is None


def _zeros_within(body: bytes) -> bytes:
    """Pages of zeros, between a sound head and a sound footer."""
    third = len(body) // 3
    return body[:third] + bytes(len(body) // 6) + body[third + len(body) // 6 :]


def _no_footer(body: bytes) -> bytes:
    return body[:-8] + bytes(8)


@pytest.mark.parametrize("spoil", [_zeros_within, _no_footer])
def test_a_file_that_is_damaged_at_its_size_is_set_aside_and_exported_again(
    source: Source, spoil: Callable[[bytes], bytes]
) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    key = source.place.window(day(1).key).manifest("export")
    exported = require_manifest(ExportManifest, source.bucket, key, "")
    damaged = exported.files[0].key
    spoiled = spoil(source.bucket.get(damaged))
    source.bucket.put(damaged, spoiled)
    with pytest.raises(Spoiled, match=r"set aside as .* Next: `ts-migration execute --only"):
        convert_window(job, source.place, day(1), mapping, source.bucket)
    assert source.bucket.get(damaged + ".damaged") == spoiled
    again = export_window(job, source.place, day(1), source.schema, source.query, source.bucket)
    assert again.files != exported.files
    assert convert_window(job, source.place, day(1), mapping, source.bucket).rows == 24


def test_a_file_whose_bytes_are_damaged_anywhere_is_read_or_told_as_spoiled_and_nothing_else(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    prepared(source, day(1))
    key = source.place.window(day(1).key).manifest("export")
    exported = require_manifest(ExportManifest, source.bucket, key, "")
    sound = source.bucket.get(exported.files[0].key)
    chance = random.Random(20230101)
    spoiled = 0
    for _ in range(200):
        body = bytearray(sound)
        at, size = chance.randrange(len(body)), chance.randrange(1, 50)
        body[at : at + size] = chance.randbytes(len(body[at : at + size]))
        source.bucket.put(exported.files[0].key, bytes(body))
        try:
            assert sum(map(len, unmapped_frames(source.bucket, exported, 100))) == 24
        except Spoiled:
            spoiled += 1
    assert 50 < spoiled < 200


def test_a_disk_of_this_machine_that_fails_makes_no_file_spoiled(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(pq, "ParquetFile", failing)
        with pytest.raises(OSError, match="Input/output error"):
            convert_window(job, source.place, day(1), mapping, source.bucket)
    assert convert_window(job, source.place, day(1), mapping, source.bucket).rows == 24


def test_the_digest_is_that_of_the_export_and_not_of_the_lines(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    job, mapping = prepared(source, day(1))
    frames: list[pl.DataFrame] = []
    manifest = convert_window(job, source.place, day(1), mapping, source.bucket, observe=frames.append)
    digest = PointDigest(day(1).start_ns, day(1).end_ns)
    for frame in frames:
        digest.add_frame(frame, mapping)
    assert digest.record() == manifest.expected
