"""Line protocol objects: parts made of gzip members, one member = one write request, and the index of them.

Any gzip reader reads a part; the loader posts slices of it as they are. What the lines say is the encoder's affair;
which window they belong to is that of `stages.convert`.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from isal import igzip, isal_zlib

from ts_migration.errors import Permanent, Spoiled

MAX_LEVEL_OF_ISAL = 3
SCHEMA_VERSION = 1
"""Version of members.json."""


@dataclass(frozen=True, slots=True)
class Member:
    """One gzip member of a part: one write request.

    Attributes:
        part: key of the object it lies in.
        offset, length: bytes of the object.
        lines: lines of line protocol inside.
        text_bytes: bytes of text inside.
        first_ns, last_ns: earliest and latest time inside.
        crc32: CRC-32 of the compressed bytes.
    """

    part: str
    offset: int
    length: int
    lines: int
    text_bytes: int
    first_ns: int
    last_ns: int
    crc32: int


def compressor(level: int) -> Callable[[memoryview], bytes]:
    """A function that makes one gzip member of a text.

    Levels 1 to 3 are ISA-L's, several times as fast as zlib's; 0 stores, 4 to 9 are zlib's. The header carries no time,
    so that the same lines give the same bytes.
    """
    if not 0 <= level <= 9:
        raise ValueError(f"a gzip level is 0 to 9, not {level}")
    if 1 <= level <= MAX_LEVEL_OF_ISAL:
        return lambda text: bytes(igzip.compress(text, level, mtime=0))
    return lambda text: gzip.compress(text, level, mtime=0)


def decompressed(body: bytes, member: Member) -> bytes:
    """The text of a member.

    Raises:
        Spoiled: the bytes are not the ones that were written.
    """
    check(body, member)
    try:
        text = gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise Spoiled(f"the member at {member.offset:,} is not gzip: {error}", where=member.part) from error
    if len(text) != member.text_bytes:
        raise Spoiled(
            f"the member at {member.offset:,} holds {len(text):,} bytes of text instead of {member.text_bytes:,}",
            where=member.part,
        )
    return text


def check(body: bytes, member: Member) -> None:
    """Compare a member's bytes with the index.

    Raises:
        Spoiled: length or CRC-32 differ: the object was changed or cut after it was written.
    """
    if len(body) != member.length or isal_zlib.crc32(body) != member.crc32:
        raise Spoiled(
            f"the member at {member.offset:,} is not what was written: {len(body):,} bytes of {member.length:,}, "
            f"CRC-32 {isal_zlib.crc32(body):08x} instead of {member.crc32:08x}",
            where=member.part,
            next_step="delete the window's line-protocol folder and run the conversion again",
        )


def index_bytes(members: Sequence[Member]) -> bytes:
    """members.json: a line per member, so that it can be read by people and compared by diff."""
    rows = ",\n".join(json.dumps(asdict(member), separators=(",", ":")) for member in members)
    return f'{{"schema_version":{SCHEMA_VERSION},"members":[\n{rows}\n]}}\n'.encode()


def read_index(body: bytes, where: str) -> tuple[Member, ...]:
    """Members of a members.json, in order.

    Raises:
        Spoiled: it is damaged.
        Permanent: it was written by a newer version.
    """
    try:
        content: dict[str, Any] = json.loads(body)
        if content["schema_version"] != SCHEMA_VERSION:
            raise Permanent(
                f"members.json has schema version {content['schema_version']!r}",
                where=where,
                allowed=f"version {SCHEMA_VERSION}",
            )
        return tuple(Member(**member) for member in content["members"])
    except (ValueError, KeyError, TypeError) as error:
        raise Spoiled(f"members.json is damaged: {error!r}", where=where) from error


def runs(members: Sequence[Member]) -> Iterator[list[Member]]:
    """Members of one part in runs without a gap, so that each run can be read by one stream."""
    run: list[Member] = []
    for member in sorted(members, key=lambda member: member.offset):
        if run and run[-1].offset + run[-1].length != member.offset:
            yield run
            run = []
        run.append(member)
    if run:
        yield run
