"""Rows of an InfluxQL answer, from MessagePack to typed columns without a Python object a value.

A row is an array: a time, then a value for each field. Rows are found by their first bytes, all of them walked together
column by column, and believed only if each ends where the next begins. Whatever is unusual is left to `unpacking`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.blocks import BlockColumn, SeriesBatch, SeriesId
from ts_migration.influxdb.documents import Rows
from ts_migration.influxdb.unpacking import array_of, block_of, tags_of, unpacked
from ts_migration.line_protocol.mapping import FieldType

Octets = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_WORD = 8
_TIME = 0xD3
"""The int64 that a time is, unless it lies within two seconds of 1970: MessagePack says a number as short as it can."""
_NIL, _FALSE, _TRUE, _FLOAT = 0xC0, 0xC2, 0xC3, 0xCB
_UINT8, _UINT64, _INT8, _INT64 = 0xCC, 0xCF, 0xD0, 0xD3
_STR8, _STR16, _STR32 = 0xD9, 0xDA, 0xDB
_FIXSTR = range(0xA0, 0xC0)
_SMALL = (range(0x80), range(0xE0, 0x100))

_OTHER, _NOTHING, *_KINDS = range(6)
_FIELD_TYPES = dict(zip(_KINDS, (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.FLOAT, FieldType.STRING), strict=True))
_BOOLEAN, _INTEGER, _REAL, _TEXT = _KINDS


def _tables() -> tuple[Offsets, Octets, Octets]:
    """By the first byte of a value: its width as far as the byte tells it, its kind, bits right of it in its word."""
    widths, kinds, shifts = np.zeros(256, np.int64), np.full(256, _OTHER, np.uint8), np.zeros(256, np.uint8)
    widths[[_NIL, _FALSE, _TRUE]] = 1
    kinds[_NIL], kinds[[_FALSE, _TRUE]] = _NOTHING, _BOOLEAN
    widths[_FLOAT], kinds[_FLOAT] = 9, _REAL
    for small in _SMALL:
        widths[small], kinds[small] = 1, _INTEGER
    for first in (_UINT8, _INT8):
        for power in range(4):
            widths[first + power], kinds[first + power] = 1 + 2**power, _INTEGER
            shifts[first + power] = 64 - 8 * 2**power
    widths[_FIXSTR], kinds[_FIXSTR] = np.arange(1, 33), _TEXT
    for power, first in enumerate((_STR8, _STR16, _STR32)):
        widths[first], kinds[first], shifts[first] = 1 + 2**power, _TEXT, 64 - 8 * 2**power
    return widths, kinds, shifts


_WIDTHS, _KIND_OF, _SHIFTS = _tables()


class _Bytes:
    """Bytes to gather from: single ones, and words of eight that begin anywhere, most significant byte first."""

    def __init__(self, raw: bytes) -> None:
        self.size = len(raw)
        # Padded, so that the word behind the last byte is there to be read.
        self.padded = raw + bytes(2 * _WORD)
        self.octets: Octets = np.frombuffer(self.padded, np.uint8)
        self._words: npt.NDArray[np.uint64] = np.ndarray(
            (self.size + _WORD,), np.dtype("<u8"), self.padded, strides=(1,)
        )

    def words(self, offsets: Offsets) -> npt.NDArray[np.uint64]:
        return self._words[offsets].byteswap(inplace=True)


def batches_of(raw: bytes, base: int, batch: Sequence[Rows]) -> list[SeriesBatch]:
    """The points of series with the same columns, in one batch if it can be.

    Args:
        raw: the bytes of their rows, and what lies between.
        base: offset in the answer at which `raw` begins.
        batch: where the rows lie; none of them is empty.

    Raises:
        Permanent: an unsigned integer beyond int64, which this tool never writes.
    """
    together = _together(raw, base, batch) if batch[0].columns[:1] == ("time",) else None
    if together is None:
        return [SeriesBatch.of(block_of(unpacked(raw, base, rows))) for rows in batch]
    return [together]


def _together(raw: bytes, base: int, batch: Sequence[Rows]) -> SeriesBatch | None:
    """All series at once; None where anything is not as it mostly is."""
    source = _Bytes(raw)
    names = batch[0].columns
    lengths = np.array([rows.count for rows in batch])
    cells = _found(source, base, len(names), batch, lengths)
    if cells is None:
        return None
    columns: list[BlockColumn] = []
    for name, at, end, kinds in zip(names[1:], cells.bounds[1:-1], cells.bounds[2:], cells.kinds[1:], strict=True):
        held = _kinds_held(kinds)
        if held == {_NOTHING}:
            continue
        kind = held - {_NOTHING}
        if len(kind) > 1 or _OTHER in kind:
            return None
        values = _values(source, kind.pop(), kinds, at, end)
        if values is None:
            return None
        columns.append(BlockColumn(name, *values, kinds != _NIL if _NOTHING in held else None))
    series = tuple(SeriesId(rows.measurement, tags_of(rows.tags)) for rows in batch)
    return SeriesBatch(series, lengths, source.words(cells.bounds[0] + 1).view(np.int64), tuple(columns))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where values lie, an array a column: `bounds` are their beginnings and at last the rows' ends.

    `kinds` are their first bytes.
    """

    bounds: list[Offsets]
    kinds: list[Octets]

    def of(self, rows: Mask) -> "_Cells":
        """The same of some of the rows."""
        return _Cells([each[rows] for each in self.bounds], [each[rows] for each in self.kinds])


def _found(source: _Bytes, base: int, width: int, batch: Sequence[Rows], lengths: Offsets) -> _Cells | None:
    """The cells of all rows; None if any row is not where it is expected."""
    first_starts, last_ends = np.array([[rows.start, rows.end] for rows in batch]).T - base
    head = bytes([0x90 | width]) if width < 16 else bytes([0xDC, width >> 8 & 0xFF, width & 0xFF])
    starts = _occurrences(source, head + bytes([_TIME]))
    if not len(starts):
        return None
    cells = _walked(source, starts + len(head), width)
    past = np.cumsum(lengths)
    if len(starts) != past[-1]:
        # A few bytes within a value can look like a row's beginning; but no row ends before them.
        reached = np.zeros(source.size + 1, np.bool_)
        reached[cells.bounds[-1]] = reached[first_starts] = True
        true = reached[starts]
        starts, cells = starts[true], cells.of(true)
        if len(starts) != past[-1]:
            return None
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:]
    ends[past - 1] = last_ends
    chained = np.array_equal(starts[past - lengths], first_starts) and np.array_equal(cells.bounds[-1], ends)
    return cells if chained else None


def _kinds_held(kinds: Octets) -> set[int]:
    """Which kinds of values begin with these bytes."""
    if (kinds == kinds[0]).all():
        return {int(_KIND_OF[kinds[0]])}
    return set(_KIND_OF[np.flatnonzero(np.bincount(kinds, minlength=256))].tolist())


def _occurrences(source: _Bytes, wanted: bytes) -> Offsets:
    """Where these bytes are."""
    octets = source.octets[: source.size]
    found = np.flatnonzero(octets == wanted[-1]) - (len(wanted) - 1)
    found = found[np.searchsorted(found, 0) :]
    for at, octet in enumerate(wanted[:-1]):
        found = found[octets[found + at] == octet]
    return found


def _walked(source: _Bytes, at: Offsets, width: int) -> _Cells:
    """The cells of rows whose first values begin at `at`. Meaningless where there are no rows."""
    cells = _Cells([at], [])
    for _ in range(width):
        kinds = source.octets[at]
        usual = kinds[0]
        others = np.flatnonzero(kinds != usual)
        # A width of 0 is that of a byte that begins no value of a field; the column's kinds tell it.
        if len(others) * 4 < len(kinds):
            at = at + _WIDTHS[usual]
            at[others] += _WIDTHS[kinds[others]] - _WIDTHS[usual]
        else:
            at = at + _WIDTHS[kinds]
        texts = np.flatnonzero(kinds - np.uint8(_STR8) <= _STR32 - _STR8)
        if len(texts):
            lengths_at = cells.bounds[-1][texts] + 1
            at[texts] += (source.words(lengths_at) >> _SHIFTS[kinds[texts]]).astype(np.int64)
        np.minimum(at, source.size, out=at)
        cells.kinds.append(kinds)
        cells.bounds.append(at)
    return cells


def _values(
    source: _Bytes, kind: int, kinds: Octets, at: Offsets, end: Offsets
) -> tuple[FieldType, npt.NDArray[np.generic]] | None:
    """The values of a column of one kind, anything where there is none; None for integers beyond int64."""
    type_ = _FIELD_TYPES[kind]
    if kind == _BOOLEAN:
        return type_, kinds == _TRUE
    if kind == _TEXT:
        return type_, _texts(source, at, end)
    words = source.words(at + 1)
    if kind == _REAL:
        return type_, words.view(np.float64)
    shifts = _SHIFTS[kinds]
    unsigned = kinds - np.uint8(_UINT8) <= _UINT64 - _UINT8
    values = words.view(np.int64) >> shifts
    if unsigned.any():
        values = np.where(unsigned, (words >> shifts).view(np.int64), values)
        if (unsigned & (values < 0)).any():
            return None
    return type_, np.where(_WIDTHS[kinds] > 1, values, kinds.view(np.int8))


def _texts(source: _Bytes, at: Offsets, end: Offsets) -> npt.NDArray[np.object_]:
    """Strings, by MessagePack itself: the values of the column, one behind the other, are an array without its head."""
    padded = source.padded
    cells = [padded[start:stop] for start, stop in zip(at.tolist(), end.tolist(), strict=True)]
    result = np.empty(len(cells), object)
    result[:] = array_of(len(cells), b"".join(cells))
    return result
