"""Writing and reading of line protocol parts in the export bucket, in bounded memory.

What a member is, is in `members`; this is only how members come into objects and out of them again.
"""

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Self

from botocore.exceptions import BotoCoreError
from isal import isal_zlib
from urllib3.exceptions import HTTPError

from ts_migration.errors import Spoiled, Transient
from ts_migration.line_protocol.encoder import Encoded
from ts_migration.line_protocol.members import (
    Member,
    check,
    compressor,
    decompressed,
    index_bytes,
    read_index,
    runs,
)
from ts_migration.manifests import LineProtocolManifest, Part
from ts_migration.objects import ExportBucket

PART_BYTES = 32 * 1024 * 1024
"""A part is ended when it is this large, compressed. The last member may go beyond it. One part is sent while the next
is filled, so the last is what a conversion waits for at its end."""
INDEX_NAME = "members.json"


@dataclass
class PartsWriter:
    """Writes lines as parts under a prefix: `part-00000.lp.gz`, …

    The index of their members is the caller's to put, where there is more than one: see `members_of`.

    Args:
        bucket: the export bucket.
        prefix: folder of the window's parts, ending in a slash.
        batch_size: lines of a member, at most.
        level: gzip level, 0 to 9.
        part_bytes: compressed bytes after which a new part is begun.

    Attributes:
        parts, members: those written so far.
        text_bytes: bytes of text in those members.
    """

    bucket: ExportBucket
    prefix: str
    batch_size: int
    level: int = 1
    part_bytes: int = PART_BYTES
    parts: list[Part] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    text_bytes: int = 0

    def __post_init__(self) -> None:
        self._compress = compressor(self.level)
        # One thread each: a batch is compressed while the next is encoded, a part sent while the next is filled.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gzip")
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="upload")
        self._waiting: deque[tuple[Future[bytes], int, int, int, int]] = deque()
        self._sent: Future[None] | None = None
        self._file: IO[bytes] | None = None
        self._size = 0
        self._crc = 0
        self._first = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._sender.shutdown(wait=True, cancel_futures=True)
        if self._file is not None:
            self._file.close()

    def add(self, encoded: Encoded) -> None:
        """Cut a batch into members, on line ends. A batch's last member may be shorter.

        They are compressed in the background; memory holds this batch and the one before.
        """
        self._write_waiting()
        for start in range(0, encoded.points, self.batch_size):
            end = min(start + self.batch_size, encoded.points)
            text = encoded.text[int(encoded.offsets[start]) : int(encoded.offsets[end])]
            times = encoded.times[start:end]
            future = self._pool.submit(self._compress, text)
            self._waiting.append((future, end - start, len(text), int(times.min()), int(times.max())))

    def finish(self) -> bytes | None:
        """Write what is waiting and end the last part; the bytes of members.json, None where it would say nothing new.

        The last part may still be on its way: `await_sent`.
        """
        self._write_waiting()
        self._end_part()
        return index_bytes(self.members) if len(self.members) > 1 else None

    def await_sent(self) -> None:
        """Return when every part is in the bucket.

        Raises:
            MigrationError: the last one could not be sent.
        """
        if self._sent is not None:
            self._sent.result()

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write_member()

    def _write_member(self) -> None:
        future, lines, text_bytes, first_ns, last_ns = self._waiting.popleft()
        body = future.result()
        if self._file is None:
            # Not a context manager: the part outlives this call; __exit__ and _end_part close it.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            self._size, self._crc, self._first = 0, 0, len(self.members)
        self._file.write(body)
        member = Member(self._key, self._size, len(body), lines, text_bytes, first_ns, last_ns, isal_zlib.crc32(body))
        self.members.append(member)
        self.text_bytes += text_bytes
        self._size += len(body)
        self._crc = isal_zlib.crc32(body, self._crc)
        if self._size >= self.part_bytes:
            self._end_part()

    @property
    def _key(self) -> str:
        return f"{self.prefix}part-{len(self.parts):05d}.lp.gz"

    def _end_part(self) -> None:
        if self._file is None:
            return
        if self._sent is not None:
            self._sent.result()
        key, members = self._key, self.members[self._first :]
        self._sent = self._sender.submit(_send, self.bucket, key, self._file)
        self._file = None
        self.parts.append(
            Part(
                key=key,
                bytes=self._size,
                members=len(members),
                lines=sum(member.lines for member in members),
                crc32=self._crc,
                first_ns=min(member.first_ns for member in members),
                last_ns=max(member.last_ns for member in members),
            )
        )


def _send(bucket: ExportBucket, key: str, file: IO[bytes]) -> None:
    with file:
        file.seek(0)
        bucket.upload(key, file)


def members_of(bucket: ExportBucket, converted: LineProtocolManifest) -> tuple[Member, ...]:
    """All members of a converted window, in order.

    A window of one member has no index: its part is the member.

    Raises:
        Missing: there is no members.json.
        Spoiled: it is damaged.
    """
    if key := converted.members_key:
        return read_index(bucket.get(key), bucket.uri(key))
    if sum(part.members for part in converted.parts) > 1:
        raise Spoiled(f"the manifest of the window {converted.window.key} names no index of its members")
    return tuple(
        Member(
            part.key, 0, part.bytes, part.lines, converted.text_bytes, part.first_ns or 0, part.last_ns or 0, part.crc32
        )
        for part in converted.parts
    )


def read_members(bucket: ExportBucket, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
    """Members with their compressed bytes, part by part in order of offset, streamed and checked.

    Args:
        bucket: the export bucket.
        members: those wanted; members side by side are read by one stream.

    Raises:
        Missing: a part is not there.
        Spoiled: a member's bytes are not what was written.
        Transient: the stream broke; the caller asks again for the members it has not had.
    """
    by_part: dict[str, list[Member]] = {}
    for member in members:
        by_part.setdefault(member.part, []).append(member)
    for part, wanted in by_part.items():
        for run in runs(wanted):
            yield from _read_run(bucket, part, run)


def check_part(bucket: ExportBucket, part: Part, members: Sequence[Member]) -> None:
    """Compare one part, as it lies there now, with its record and the index; one member is in memory at a time.

    Args:
        bucket: the export bucket.
        part: its record in the manifest.
        members: of the whole window, or at least of this part.

    Raises:
        Missing: it is not there.
        Spoiled: its bytes, members, lines or texts are not those that were written; the first difference is named.
        Transient: the stream broke.
    """
    own = sorted((member for member in members if member.part == part.key), key=lambda member: member.offset)
    told = (len(own), sum(member.lines for member in own), sum(member.length for member in own))
    if told != (part.members, part.lines, part.bytes) or sum(1 for _ in runs(own)) > 1:
        raise Spoiled(
            f"members.json tells {told[0]:,} members, {told[1]:,} lines, {told[2]:,} bytes; the manifest "
            f"{part.members:,}, {part.lines:,} and {part.bytes:,}",
            where=bucket.uri(part.key),
        )
    size = bucket.size(part.key)
    if size != part.bytes:
        raise Spoiled(f"the part has {size:,} bytes instead of {part.bytes:,}", where=bucket.uri(part.key))
    crc = 0
    for member, body in read_members(bucket, own):
        crc = isal_zlib.crc32(body, crc)
        text = decompressed(body, member)
        if not text.endswith(b"\n") or text.count(b"\n") < member.lines:
            raise Spoiled(f"the member at {member.offset:,} holds fewer than {member.lines:,} lines", where=part.key)
    if crc != part.crc32:
        raise Spoiled(f"the part has the CRC-32 {crc:08x} instead of {part.crc32:08x}", where=bucket.uri(part.key))


def _read_run(bucket: ExportBucket, part: str, run: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
    stream = bucket.open(part, run[0].offset, run[-1].offset + run[-1].length - run[0].offset)
    with contextlib.closing(stream):
        for member in run:
            try:
                body = stream.read(member.length)
            except (HTTPError, BotoCoreError, OSError) as error:
                raise Transient(f"the stream broke: {error!r}", where=bucket.uri(part)) from error
            if len(body) < member.length and bucket.size(part) >= member.offset + member.length:
                raise Transient(f"the stream ended {member.length - len(body):,} bytes early", where=bucket.uri(part))
            check(body, member)
            yield member, body
