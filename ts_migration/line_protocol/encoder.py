"""The encoder: a frame of Timestream rows to lines of InfluxDB 2 line protocol, vectorised and exact to the bit.

Pure: a frame and a mapping in, lines, counts and rejects out. Which rows can be said is told by `accepted_rows`; text
of tags is in `series`, files are in `members`. Rules: facts of InfluxDB, section 1. polars prints the shortest text
that reads back as the same float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ts_migration.columns import named
from ts_migration.line_protocol.accepted_rows import TIME, Sayable, accept, present, told_value
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.line_protocol.series import HEAD, RANK, Lane, lane_key

_LINE = ":line"


@dataclass(frozen=True)
class Encoded(Sayable):
    """A batch of rows as lines.

    Attributes:
        text: all lines, each with its line feed, in UTF-8. A string field may hold line feeds: cut at `offsets` only.
        offsets: bytes; line i is text[offsets[i]:offsets[i + 1]].
        times: ns, of each line.
    """

    text: memoryview
    offsets: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    @property
    def points(self) -> int:
        """Lines."""
        return len(self.times)

    def lines(self) -> list[bytes]:
        """Every line as bytes, without its line feed. For tests and samples: it makes one object per line."""
        text = bytes(self.text)
        return [text[start : end - 1] for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def encode(frame: pl.DataFrame, mapping: Mapping) -> Encoded:
    """Encode rows, sorted by series and then time.

    Args:
        frame: rows with the mapping's columns: tags String, DOUBLE Float64, BIGINT and TIMESTAMP Int64 (ns), BOOLEAN
            Boolean, VARCHAR String, and `time_ns` Int64 without NULL.
        mapping: which columns become what.

    Raises:
        Permanent: a row holds a measure that the mapping does not know.
    """
    found = accept(frame, mapping)
    ordered = _by_series_and_time(found.rows, found.lanes)
    text, offsets, times = _text(ordered.select(TIME, _line(ordered, found.lanes).alias(_LINE)))
    return Encoded(found.counts, found.accepted, found.rejects, found.empty, text, offsets, times)


def _line(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> pl.Expr:
    """The text of each row's line, with its line feed.

    NULL pieces leave no trace. A field that every row has stands first, so that all others begin with a comma; where
    there is none, the first comma of each row is cut off, which copies the fields once more.
    """
    spoken = [lane for lane in all_lanes if rows[lane.column].null_count() < len(rows)]
    first = next((lane for lane in spoken if _everywhere(rows, lane)), None)
    pieces = _Pieces()
    for lane in sorted(spoken, key=lambda lane: lane is not first):
        _add_field(pieces, rows, lane, "" if lane is first else ",")
    ending = [pl.lit(" "), pl.col(TIME).cast(pl.String), pl.lit("\n")]
    if first is not None or not spoken:
        return pl.concat_str([pl.col(HEAD), *pieces.expressions(), *ending], ignore_nulls=True)
    fields = pl.concat_str(pieces.expressions(), ignore_nulls=True).str.slice(1)
    return pl.concat_str([pl.col(HEAD), fields, *ending])


class _Pieces:
    """Pieces of text, left to right; constants side by side become one, which is what concatenation costs by."""

    def __init__(self) -> None:
        self._pieces: list[pl.Expr] = []
        self._constant = ""

    def constant(self, text: str) -> None:
        """Text of every row."""
        self._constant += text

    def add(self, piece: pl.Expr) -> None:
        """Text that differs by row, or NULL."""
        if self._constant:
            self._pieces.append(pl.lit(self._constant))
            self._constant = ""
        self._pieces.append(piece)

    def expressions(self) -> list[pl.Expr]:
        """All pieces added so far."""
        return [*self._pieces, *([pl.lit(self._constant)] if self._constant else [])]


def _everywhere(rows: pl.DataFrame, lane: Lane) -> bool:
    return not lane.gated and rows[lane.column].null_count() == 0


def _add_field(pieces: _Pieces, rows: pl.DataFrame, lane: Lane, comma: str) -> None:
    """Key, value and what closes the value."""
    closing = {FieldType.INTEGER: "i", FieldType.STRING: '"'}.get(lane.type, "")
    key = f"{comma}{lane_key(lane.sources[0])}"
    value = _value(rows, lane)
    if _everywhere(rows, lane):
        pieces.constant(key)
        pieces.add(value)
        pieces.constant(closing)
        return
    when = pl.when(present(lane))
    pieces.add(when.then(pl.col(lane.key) if lane.gated else pl.lit(key)))
    pieces.add(when.then(value) if lane.gated else value)
    if closing:
        pieces.add(when.then(pl.lit(closing)))


def _value(rows: pl.DataFrame, lane: Lane) -> pl.Expr:
    """A column's values as text, NULL where NULL, without quotes and suffix."""
    value = told_value(lane)
    if lane.rfc3339:
        return value
    if lane.type is FieldType.STRING:
        if rows.select(value.str.contains(r'["\\]').any()).item():
            value = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        return value
    return value.cast(pl.String)


def _by_series_and_time(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> pl.DataFrame:
    """What lines are made of, in their order; equal ones as they came, so that the last to be written stays the last.

    Sorted before there is text: 20 ns a row instead of the 100 ns that sorting lines takes, which then also lie in
    memory in the order in which they are copied out.
    """
    times, ranks = rows[TIME].to_numpy(), rows[RANK].to_numpy()
    order = None if bool(np.all(times[1:] >= times[:-1])) else np.argsort(times, kind="stable")
    # Up to 16 bits numpy's stable sort is a radix sort.
    small = ranks.astype(np.uint16) if len(ranks) and int(ranks.max()) < 2**16 else ranks
    by_series = np.argsort(small if order is None else small[order], kind="stable")
    gated = [name for lane in all_lanes if lane.gated for name in (lane.key, lane.field)]
    names = dict.fromkeys([HEAD, TIME, *(lane.column for lane in all_lanes), *gated])
    return rows.select(named(name) for name in names)[by_series if order is None else order[by_series]]


def _text(lines: pl.DataFrame) -> tuple[memoryview, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All lines in one buffer, without a copy where Arrow has laid them end to end."""
    chunk = lines[_LINE].rechunk().to_arrow()
    array = chunk if pa.types.is_large_string(chunk.type) else chunk.cast(pa.large_string())
    _, offset_buffer, data = array.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64, count=len(array) + 1, offset=array.offset * 8)
    text = memoryview(data)[int(offsets[0]) : int(offsets[-1])] if data is not None else memoryview(b"")
    return text, offsets - offsets[0], lines[TIME].to_numpy()
