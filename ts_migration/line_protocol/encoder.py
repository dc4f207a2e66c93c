"""The encoder: a frame of Timestream rows to lines of InfluxDB 2 line protocol, vectorised and exact to the bit.

Pure: a frame and a mapping in, lines, counts and rejects out. Text of tags is in `series`, files are in `members`.
Rules: facts of InfluxDB, section 1. polars prints the shortest text that reads back as the same float64.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ts_migration.line_protocol.columns import named
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.line_protocol.rejects import (
    MAX_POINT_TIME_NS,
    MAX_STRING_BYTES,
    MIN_POINT_TIME_NS,
    Reason,
    Rejects,
)
from ts_migration.line_protocol.series import (
    HEAD,
    RANK,
    REASON,
    REASON_COLUMN,
    Lane,
    distinct_series,
    drift,
    identity,
    lane_key,
    lanes,
    long_keys,
)

TIME = "time_ns"
"""Column of a frame that holds the time, Int64 ns. Frames of `parquet` and of `timestream.readings` name it so."""

_LINE = ":line"


@dataclass(frozen=True)
class Encoded:
    """A batch of rows as lines.

    Attributes:
        text: all lines, each with its line feed, in UTF-8. A string field may hold line feeds: cut at `offsets` only.
        offsets: bytes; line i is text[offsets[i]:offsets[i + 1]].
        times: ns, of each line.
        counts: field key -> values written.
        accepted: the source rows without the rejects, in their own order; empty rows are among them, so that whoever
            counts values apart from this encoder sees for itself that they have none.
        rejects: the source rows that cannot be said, with their reasons.
        empty: rows without a single field.
    """

    text: memoryview
    offsets: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    counts: dict[str, int]
    accepted: pl.DataFrame
    rejects: Rejects
    empty: int

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
    all_lanes = lanes(mapping)
    series = distinct_series(frame, mapping, all_lanes)
    keys = [named(name) for name in identity(mapping)]
    rows = frame.join(series, on=keys, how="left", nulls_equal=True, maintain_order="left", coalesce=True)
    _check_drift(rows, all_lanes)
    accepted, rejects = _without_rejects(frame, rows, series, all_lanes)
    if rejects is not None:
        rows = rows.filter(accepted)
        frame = frame.filter(accepted)
    filled = _any_field(rows, all_lanes)
    empty = len(rows) - int(filled.sum())
    if empty:
        rows = rows.filter(filled)
    ordered = _by_series_and_time(rows, all_lanes)
    text, offsets, times = _text(ordered.select(TIME, _line(ordered, all_lanes).alias(_LINE)))
    return Encoded(text, offsets, times, _counts(rows, all_lanes), frame, rejects or _no_rejects(frame), empty)


def _check_drift(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> None:
    """A value in a row of a measure_name that had no value of this type when the mapping was made would be dropped."""
    columns: dict[str, list[Lane]] = {}
    for lane in all_lanes:
        columns.setdefault(lane.column, []).append(lane)
    tests = {
        column: named(column).is_not_null() & pl.all_horizontal(pl.col(lane.key).is_null() for lane in group)
        for column, group in columns.items()
        if all(lane.gated for lane in group)
    }
    if not tests:
        return
    found = rows.select(test.any().alias(column) for column, test in tests.items()).row(0, named=True)
    for column, unknown in found.items():
        if unknown:
            name = rows.filter(tests[column])["measure_name"][0]
            raise drift(f"the export holds a value of the measure_name {name!r} in the column {column!r}")


def _present(lane: Lane) -> pl.Expr:
    present = named(lane.column).is_not_null()
    return present & pl.col(lane.key).is_not_null() if lane.gated else present


def _any_field(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> pl.Series:
    if any(not lane.gated and rows[lane.column].null_count() == 0 for lane in all_lanes):
        return pl.repeat(True, len(rows), dtype=pl.Boolean, eager=True)
    return rows.select(pl.any_horizontal(_present(lane) for lane in all_lanes)).to_series()


def _faults(all_lanes: Sequence[Lane]) -> Iterable[tuple[Reason, str, pl.Expr]]:
    """Tests of rows' values: reason, column, condition (NULL is no fault)."""
    yield Reason.TIME_OUT_OF_RANGE, TIME, ~pl.col(TIME).is_between(MIN_POINT_TIME_NS, MAX_POINT_TIME_NS)
    for lane in all_lanes:
        value = named(lane.column)
        speaks = pl.col(lane.key).is_not_null() if lane.gated else pl.lit(True)
        if lane.type is FieldType.STRING and not lane.rfc3339:
            yield Reason.STRING_TOO_LONG, lane.column, speaks & (value.str.len_bytes() > MAX_STRING_BYTES)
        elif lane.type is FieldType.FLOAT:
            yield Reason.FLOAT_NOT_FINITE, lane.column, speaks & ~value.cast(pl.Float64).is_finite()


def _inexact(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> Iterable[tuple[Reason, str, pl.Expr]]:
    """Tests of integers that become floats."""
    for lane in all_lanes:
        if lane.type is FieldType.FLOAT and rows.schema[lane.column] == pl.Int64:
            value = named(lane.column)
            # 2^63 - 1 becomes 2^63, which is no int64: NULL, and so not the value it was.
            back = value.cast(pl.Float64).cast(pl.Int64, strict=False)
            speaks = pl.col(lane.key).is_not_null() if lane.gated else pl.lit(True)
            yield Reason.INTEGER_NOT_EXACT, lane.column, speaks & back.ne_missing(value)


def _without_rejects(
    source: pl.DataFrame, rows: pl.DataFrame, series: pl.DataFrame, all_lanes: Sequence[Lane]
) -> tuple[pl.Series, Rejects | None]:
    """Mask of the rows that can be said, and the others. The common batch has none and pays for one pass of tests."""
    tests = [*_faults(all_lanes), *_inexact(rows, all_lanes)]
    if (long := long_keys(series, all_lanes)) is not None:
        tests.insert(0, (Reason.KEY_TOO_LONG, "", long))
    found = rows.select(test.any().alias(str(position)) for position, (_, _, test) in enumerate(tests)).row(0)
    failed = [test for test, any_row in zip(tests, found, strict=True) if any_row]
    if not failed and series[REASON].null_count() == len(series):
        return pl.Series([], dtype=pl.Boolean), None
    whens = [(reason, column, pl.when(test.fill_null(False))) for reason, column, test in failed]
    marked = rows.select(
        pl.coalesce(pl.col(REASON), *(when.then(pl.lit(reason.value)) for reason, _, when in whens)).alias(REASON),
        pl.coalesce(pl.col(REASON_COLUMN), *(when.then(pl.lit(column)) for _, column, when in whens)).alias(
            REASON_COLUMN
        ),
    )
    accepted = marked[REASON].is_null()
    refused = marked.filter(~accepted)
    return accepted, Rejects(source.filter(~accepted), refused[REASON], refused[REASON_COLUMN])


def _no_rejects(frame: pl.DataFrame) -> Rejects:
    none = pl.Series([], dtype=pl.String)
    return Rejects(frame.clear(), none, none)


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
    when = pl.when(_present(lane))
    pieces.add(when.then(pl.col(lane.key) if lane.gated else pl.lit(key)))
    pieces.add(when.then(value) if lane.gated else value)
    if closing:
        pieces.add(when.then(pl.lit(closing)))


def _value(rows: pl.DataFrame, lane: Lane) -> pl.Expr:
    """A column's values as text, NULL where NULL, without quotes and suffix."""
    value = named(lane.column)
    if lane.rfc3339:
        text = value.cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9f")
        return text.str.strip_chars_end("0").str.strip_chars_end(".") + "Z"
    if lane.type is FieldType.STRING:
        if rows.select(value.str.contains(r'["\\]').any()).item():
            value = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        return value
    return (value.cast(pl.Float64) if lane.type is FieldType.FLOAT else value).cast(pl.String)


def _counts(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> dict[str, int]:
    """Values written per field key."""
    counts: dict[str, int] = {}
    for lane in all_lanes:
        if lane.gated:
            by_source = rows.group_by(lane.field).agg(named(lane.column).count().alias("count"))
            found = [(lane.sources[int(at)], count) for at, count in by_source.iter_rows() if at is not None]
        else:
            found = [(lane.sources[0], len(rows) - rows[lane.column].null_count())]
        for source, count in found:
            if count:
                counts[source.field] = counts.get(source.field, 0) + count
    return counts


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
