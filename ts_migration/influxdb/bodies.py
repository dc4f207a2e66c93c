"""Bodies of write requests as values: a gzip member, what came of it, and its text cut between lines. No requests here.

Which answers lead to a cut is in `delivery`; how lines are told apart where strings hold line feeds is in `lines`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from isal import igzip

from ts_migration.influxdb.lines import split_lines


@dataclass(frozen=True, slots=True)
class Body:
    """One write request: its number, the gzip member as it lies in the part, and how many lines it holds.

    `text_bytes` is the size of the text inside, bytes; 0 where the caller does not know it.
    """

    number: int
    gzipped: bytes
    lines: int
    text_bytes: int = 0

    def text(self) -> bytes:
        """The lines, each with its line feed."""
        return bytes(igzip.decompress(self.gzipped))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that the server will not take, with the server's words. `body` is the number of the body it was in."""

    body: int
    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A body whose lines are all durable in the bucket, but for those refused."""

    number: int
    lines: int
    refused: tuple[RefusedLine, ...]


def lines_of(text: bytes, count: int) -> list[bytes]:
    """Lines of a body that is known to hold `count` of them, without their line feeds.

    Where there are as many line feeds as lines, none is inside a string, and the text falls apart at once.
    """
    if text.count(b"\n") == count and text.endswith(b"\n"):
        return text[:-1].split(b"\n")
    return split_lines(text)


def cuts(lines: list[bytes], most: int) -> Iterator[list[bytes]]:
    """Lines in portions of at most `most`, about equally long: no request is left with a handful."""
    portions = -(-len(lines) // most)
    for index in range(portions):
        yield lines[index * len(lines) // portions : (index + 1) * len(lines) // portions]


def joined(lines: list[bytes]) -> bytes:
    """Lines as the text of a body."""
    return b"\n".join(lines) + b"\n"


def gzipped(text: bytes) -> bytes:
    """A gzip member of a text, at the fastest level: what is cut again is sent once."""
    return bytes(igzip.compress(text, 1, mtime=0))
