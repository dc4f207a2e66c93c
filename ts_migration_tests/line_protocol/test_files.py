"""Parts and members: every line once, cut on line ends, readable by any gzip reader, and every changed byte noticed."""

import gzip
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ts_migration.errors import Missing, Permanent
from ts_migration.line_protocol.encoder import Encoded, encode
from ts_migration.line_protocol.files import PartsWriter, check_part, members_of, read_members
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.members import Member, check, compressor, decompressed, read_index, runs
from ts_migration.manifests import LineProtocolManifest
from ts_migration.objects import ExportBucket
from ts_migration.windows import Window
from ts_migration_tests.stages.manifests import window_manifests

PREFIX = "timestream-export/d/t/w/line-protocol/"
MAPPING = Mapping(
    "m",
    (TagSource("d", "d"),),
    (FieldSource("v", "v", FieldType.INTEGER), FieldSource("s", "s", FieldType.STRING)),
    ("x",),
    ("d",),
    True,
)


def encoded(rows: int, first: int = 0) -> Encoded:
    numbers = np.arange(first, first + rows)
    frame = pl.DataFrame({"d": numbers % 7, "v": numbers, "time_ns": numbers * 10}).with_columns(
        pl.col("d").cast(pl.String),
        measure_name=pl.lit("x"),
        s=pl.lit('line\nfeed, "quote" ') + pl.col("v").cast(pl.String),
    )
    return encode(frame, MAPPING)


def written(
    bucket: ExportBucket, *batches: Encoded, batch_size: int, level: int = 1, part_bytes: int = 10**9
) -> PartsWriter:
    with PartsWriter(bucket, PREFIX, batch_size, level, part_bytes) as writer:
        for batch in batches:
            writer.add(batch)
        if (index := writer.finish()) is not None:
            bucket.put(PREFIX + "members.json", index)
        writer.await_sent()
    return writer


def manifest_of(writer: PartsWriter, members_key: str) -> LineProtocolManifest:
    """What `members_of` reads of a manifest."""
    made = window_manifests(Window(0, 10**9, "w")).converted
    assert made
    told = {"parts": tuple(writer.parts), "text_bytes": writer.text_bytes, "members_key": members_key}
    return made.model_copy(update=told)


@pytest.mark.parametrize("level", range(10))
def test_parts_hold_every_line_once_and_any_gzip_reader_reads_them(bucket: ExportBucket, level: int) -> None:
    batches = encoded(250), encoded(101, 250)
    writer = written(bucket, *batches, batch_size=50, level=level)
    text = b"".join(gzip.decompress(bucket.get(part.key)) for part in writer.parts)
    assert text == b"".join(bytes(batch.text) for batch in batches)


def test_a_member_is_one_request_of_at_most_batch_size_lines_cut_on_line_ends(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(250), encoded(101, 250), batch_size=100)
    assert [member.lines for member in writer.members] == [100, 100, 50, 100, 1]
    for member, body in read_members(bucket, writer.members):
        text = decompressed(body, member)
        assert text.startswith(b"m,d=") and text.endswith(b"\n")
        assert text.count(b"m,d=") == member.lines
        times = [int(line.rsplit(b" ", 1)[1]) for line in text.split(b"\n")[:-1] if line.rsplit(b" ", 1)[-1].isdigit()]
        assert (min(times), max(times)) == (member.first_ns, member.last_ns)


def test_the_index_says_where_every_member_lies(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(1000), batch_size=10, part_bytes=2_000)
    members = members_of(bucket, manifest_of(writer, PREFIX + "members.json"))
    assert len(writer.parts) > 3
    assert list(members) == writer.members
    for part in writer.parts:
        body = bucket.get(part.key)
        own = [member for member in members if member.part == part.key]
        assert (part.bytes, part.members, part.lines) == (len(body), len(own), sum(member.lines for member in own))
        assert part.crc32 == zlib.crc32(body)
        for member in own:
            assert zlib.crc32(body[member.offset : member.offset + member.length]) == member.crc32
    assert sum(part.lines for part in writer.parts) == 1000


def test_only_the_members_asked_for_are_read(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(1000), batch_size=10, part_bytes=2_000)
    wanted = writer.members[3:5] + writer.members[40:41]
    assert [member for member, _ in read_members(bucket, wanted)] == wanted


def test_the_same_lines_give_the_same_bytes(bucket: ExportBucket) -> None:
    first = written(bucket, encoded(100), batch_size=30).parts
    assert written(bucket, encoded(100), batch_size=30).parts == first


def test_a_part_of_several_transfer_chunks_arrives_whole(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(200_000), batch_size=100_000, level=0)
    assert writer.parts[0].bytes > 9_000_000
    assert zlib.crc32(bucket.get(writer.parts[0].key)) == writer.parts[0].crc32


@pytest.mark.parametrize("rows", [0, 10])
def test_at_most_one_member_needs_no_index(bucket: ExportBucket, rows: int) -> None:
    writer = written(bucket, encoded(rows), batch_size=10)
    assert [found.key for found in bucket.list(PREFIX)] == [part.key for part in writer.parts]
    members = members_of(bucket, manifest_of(writer, ""))
    assert list(members) == writer.members
    assert sum(member.lines for member, _ in read_members(bucket, members)) == rows


def test_several_members_without_an_index_are_refused(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(20), batch_size=10)
    with pytest.raises(Permanent, match="no index"):
        members_of(bucket, manifest_of(writer, ""))


def test_a_changed_byte_of_a_part_is_noticed_and_named(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(100), batch_size=50)
    body = bytearray(bucket.get(writer.parts[0].key))
    body[writer.members[1].offset + 30] ^= 1
    bucket.put(writer.parts[0].key, bytes(body))
    members = read_members(bucket, writer.members)
    next(members)
    with pytest.raises(Permanent, match="not what was written"):
        next(members)


def test_a_missing_part_is_missing_and_a_missing_index_too(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(10), batch_size=50)
    bucket.delete(writer.parts[0].key)
    with pytest.raises(Missing):
        list(read_members(bucket, writer.members))
    with pytest.raises(Missing):
        members_of(bucket, manifest_of(writer, PREFIX + "nowhere.json"))


def test_a_text_of_another_length_than_the_index_says_is_refused() -> None:
    body = compressor(1)(memoryview(b"m f=1 1\n"))
    member = Member("part", 0, len(body), 1, 8, 1, 1, zlib.crc32(body))
    assert decompressed(body, member) == b"m f=1 1\n"
    check(body, member)
    with pytest.raises(Permanent, match="8 bytes of text instead of 9"):
        decompressed(body, replace(member, text_bytes=9))


def test_a_damaged_or_newer_index_is_refused() -> None:
    with pytest.raises(Permanent, match="damaged"):
        read_index(b'{"schema_version":1,"members":[{"part":"x"}]}', "s3://b/k")
    with pytest.raises(Permanent, match="schema version 2"):
        read_index(b'{"schema_version":2,"members":[]}', "s3://b/k")


def test_members_side_by_side_are_read_by_one_stream() -> None:
    members = [Member("p", offset, 10, 1, 10, 0, 0, 0) for offset in (0, 10, 30, 40, 60)]
    assert [[member.offset for member in run] for run in runs(members)] == [[0, 10], [30, 40], [60]]


def test_a_part_can_be_checked_alone(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(1000), batch_size=10, part_bytes=2_000)
    assert len(writer.parts) > 3
    for part in writer.parts:
        check_part(bucket, part, writer.members)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda body: body[:-5], "bytes instead of"),
        (lambda body: body + b"x", "bytes instead of"),
        (lambda body: body[:40] + bytes([body[40] ^ 1]) + body[41:], "not what was written"),
    ],
)
def test_a_part_that_is_not_what_was_written_is_named_with_the_first_difference(
    bucket: ExportBucket, spoil: Any, words: str
) -> None:
    writer = written(bucket, encoded(100), batch_size=50)
    (part,) = writer.parts
    bucket.put(part.key, spoil(bucket.get(part.key)))
    with pytest.raises(Permanent, match=words):
        check_part(bucket, part, writer.members)


def test_a_part_whose_index_tells_other_counts_is_refused(bucket: ExportBucket) -> None:
    writer = written(bucket, encoded(100), batch_size=50)
    (part,) = writer.parts
    with pytest.raises(Permanent, match="1 members, 50 lines"):
        check_part(bucket, part, writer.members[:1])
    with pytest.raises(Permanent, match="CRC-32"):
        check_part(bucket, part.model_copy(update={"crc32": 1}), writer.members)
