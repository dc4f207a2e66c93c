"""What a writer writes: encoded rows of one series, and how an answer is made of them.

A piece is at most one chunk of one series. Formats are in `json_format`, `csv_format` and `msgpack_format`.
"""

from dataclasses import dataclass, field
from typing import Protocol

from ts_migration.local.influxdb.influxql.frames import Frame, Tags
from ts_migration.local.influxdb.influxql.writing.ragged import Bytes, Lengths


@dataclass(slots=True)
class Piece:
    """Encoded rows of one series. `partial`: the series goes on in the next piece."""

    name: str
    tags: Tags
    columns: tuple[str, ...]
    count: int
    rows: list[bytes]
    partial: bool = False


@dataclass(slots=True)
class Outcome:
    """One statement's part of an answer. `partial`: the next document goes on with the same statement."""

    statement: int
    pieces: list[Piece] = field(default_factory=list)
    error: str | None = None
    partial: bool = False


class Format(Protocol):
    """One of the formats of an answer; holds what it remembers from document to document."""

    content_type: str

    def pieces(self, frame: Frame) -> list[Piece]:
        """The frame's segments, encoded."""

    def document(self, outcomes: list[Outcome]) -> bytes:
        """A document of outcomes: the whole answer, or one chunk of it."""


def cut_up(frame: Frame, data: Bytes, ends: Lengths, *, separator: int = 0) -> list[Piece]:
    """The pieces of a frame's encoded rows; `separator` bytes behind the last row of each are left out."""
    whole = data.tobytes()
    bounds = [0, *ends.tolist()]
    return [
        Piece(
            segment.name,
            segment.tags,
            frame.names,
            segment.stop - segment.start,
            [whole[bounds[segment.start] : bounds[segment.stop] - separator]] if segment.stop > segment.start else [],
            segment.partial,
        )
        for segment in frame.segments
    ]
