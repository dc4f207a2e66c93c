"""Rows of an InfluxQL answer, from MessagePack to typed columns without a Python object a value.

A row is an array: a time, then a value for each field. Rows are found by their first bytes, all of them walked together
column by column, and believed only if each ends where the next begins. Whatever is unusual is left to `unpacking`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.blocks import Block, BlockColumn
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
_FIELD_TYPES = dict(
    zip(_KINDS, (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.FLOAT, FieldType.STRING), strict=True)
)
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


def blocks_of(raw: bytes, base: int, batch: Sequence[Rows]) -> list[Block]:
    """The blocks of series with the same columns; `raw` begins at offset `base` of the answer and holds their rows.

    Raises:
        Permanent: an unsigned integer beyond int64, which this tool never writes.
    """
    usual = batch[0].columns[:1] == ("time",) and all(rows.count for rows in batch)
    blocks = _together(raw, base, batch) if usual else None
    return [block_of(unpacked(raw, base, rows)) for rows in batch] if blocks is None else blocks


def _together(raw: bytes, base: int, batch: Sequence[Rows]) -> list[Block] | None:
    """All series at once; None where anything is not as it mostly is."""
    source = _Bytes(raw)
    names = batch[0].columns
    bounds = _cells(source, base, len(names), batch)
    if bounds is None:
        return None
    times = source.words(bounds[0] + 1).view(np.int64)
    columns: list[_Column] = []
    for name, at, end in zip(names[1:], bounds[1:-1], bounds[2:], strict=True):
        kinds = source.octets[at]
        held = set(_KIND_OF[np.flatnonzero(np.bincount(kinds, minlength=256))].tolist())
        if held == {_NOTHING}:
            continue
        kind = held - {_NOTHING}
        if len(kind) > 1 or _OTHER in kind:
            return None
        values = _values(source, kind.pop(), kinds, at, end)
        if values is None:
            return None
        columns.append(_Column(name, *values, kinds != _NIL if _NOTHING in held else None))
    return _cut(batch, times, columns)


def _cells(source: _Bytes, base: int, width: int, batch: Sequence[Rows]) -> list[Offsets] | None:
    """Where each row's values begin, an array a column, and where each row ends; None if any row is not as expected."""
    counts = np.array([rows.count for rows in batch])
    first_starts, last_ends = np.array([[rows.start, rows.end] for rows in batch]).T - base
    begin = bytes([0x90 | width] if width < 16 else [0xDC, *width.to_bytes(2, "big")]) if width < 2**16 else b""
    starts = _occurrences(source, begin + bytes([_TIME]))
    bounds = _walked(source, starts + len(begin), width)
    past = np.cumsum(counts)
    if len(starts) != past[-1]:
        # Two bytes within a value can look like a row's beginning. No row ends before it.
        reached = np.zeros(source.size + 1, np.bool_)
        reached[bounds[-1]] = reached[first_starts] = True
        true = reached[starts]
        starts, bounds = starts[true], [each[true] for each in bounds]
        if len(starts) != past[-1]:
            return None
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:]
    ends[past - 1] = last_ends
    # A width of 0 is a byte that begins no value of a field: the column's kind tells it.
    same = np.array_equal(starts[past - counts], first_starts) and np.array_equal(bounds[-1], ends)
    return bounds if same else None


def _occurrences(source: _Bytes, wanted: bytes) -> Offsets:
    """Where these bytes are."""
    octets = source.octets[: source.size]
    found = np.flatnonzero(octets == wanted[-1]) - (len(wanted) - 1)
    found = found[np.searchsorted(found, 0) :]
    for at, octet in enumerate(wanted[:-1]):
        found = found[octets[found + at] == octet]
    return found


def _walked(source: _Bytes, at: Offsets, width: int) -> list[Offsets]:
    """Offsets of `width` values one behind the other, and the end of the last. Meaningless where there are no rows."""
    bounds = [at]
    for _ in range(width):
        kinds = source.octets[at]
        following = at + _WIDTHS[kinds]
        texts = np.flatnonzero(kinds - np.uint8(_STR8) <= _STR32 - _STR8)
        if len(texts):
            following[texts] += (source.words(at[texts] + 1) >> _SHIFTS[kinds[texts]]).astype(np.int64)
        at = np.minimum(following, source.size)
        bounds.append(at)
    return bounds


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


class _Column:
    """One field of a batch, over all its series."""

    __slots__ = ("kind", "name", "valid", "values")

    def __init__(self, name: str, kind: FieldType, values: npt.NDArray[np.generic], valid: Mask | None) -> None:
        self.name = name
        self.kind = kind
        self.values = values
        self.valid = valid


def _cut(batch: Sequence[Rows], times: npt.NDArray[np.int64], columns: Sequence[_Column]) -> list[Block]:
    """A block a series; a field is left out where the series has no value of it."""
    past = np.cumsum([rows.count for rows in batch])
    firsts = past - [rows.count for rows in batch]
    held = [None if each.valid is None else np.add.reduceat(each.valid, firsts, dtype=np.int64) for each in columns]
    blocks = []
    for index, (rows, start, stop) in enumerate(zip(batch, firsts.tolist(), past.tolist(), strict=True)):
        cut = []
        for column, counts in zip(columns, held, strict=True):
            count = rows.count if counts is None else counts[index]
            if count:
                valid = None if count == rows.count or column.valid is None else column.valid[start:stop]
                cut.append(BlockColumn(column.name, column.kind, column.values[start:stop], valid))
        blocks.append(Block(rows.measurement, tags_of(rows.tags), times[start:stop], tuple(cut)))
    return blocks
