"""Answers as MessagePack, with the encodings that tinylib/msgp chooses: signed forms for integers, floats in 8 bytes.

A column is encoded as a matrix of bytes and the rows are put together from the matrices; no row is visited alone.
"""

from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.frames import Column, Frame
from ts_migration.local.influxdb.influxql.writing.numerals import epoch_times
from ts_migration.local.influxdb.influxql.writing.pieces import Outcome, Piece, cut_up
from ts_migration.local.influxdb.influxql.writing.ragged import (
    Bytes,
    Lengths,
    Ragged,
    fixed,
    interleave,
    of_bytes,
    of_series,
    trimmed,
    utf8,
)
from ts_migration.local.influxdb.points import FieldType

_NIL = 0xC0
_SIGNED = ((0xD0, 1, -(2**7)), (0xD1, 2, -(2**15)), (0xD2, 4, -(2**31)), (0xD3, 8, -(2**63)))
_UNSIGNED = ((0xCC, 1, 2**8), (0xCD, 2, 2**16), (0xCE, 4, 2**32), (0xCF, 8, 2**64))


class MsgpackFormat:
    """Writes one document after the other, with nothing between them."""

    content_type = "application/x-msgpack"

    def __init__(self, epoch: str | None) -> None:
        self._epoch = epoch
        self._pack = msgpack.Packer(unicode_errors="surrogateescape").pack
        self._columns: tuple[tuple[str, ...], bytes] = ((), b"")

    def pieces(self, frame: Frame) -> list[Piece]:
        """The frame's segments, encoded."""
        count = len(frame.columns[0]) if frame.times is None else len(frame.times)
        parts: list[Ragged | bytes] = [_array(len(frame.names))]
        if frame.times is not None:
            parts.append(self._times(frame.times))
        for column in frame.columns:
            parts += _cells(column)
        return cut_up(frame, *interleave(parts, count))

    def _times(self, times: npt.NDArray[np.int64]) -> Ragged:
        if self._epoch is not None:
            return _signed(epoch_times(times, self._epoch), None)
        cells = np.empty((len(times), 15), np.uint8)
        cells[:, :3] = (0xC7, 12, 5)
        cells[:, 3:11] = _big_endian(times // 10**9)
        cells[:, 11:15] = _big_endian((times % 10**9).astype(np.int32))
        return fixed(cells)

    def document(self, outcomes: list[Outcome]) -> bytes:
        """A document of outcomes."""
        return _RESULTS + _array(len(outcomes)) + b"".join(map(self._outcome, outcomes))

    def _outcome(self, outcome: Outcome) -> bytes:
        if outcome.error is not None:
            return b"\x81" + _text("error") + _text(outcome.error)
        parts = [b"\x83" if outcome.partial else b"\x82", _STATEMENT, self._pack(outcome.statement), _SERIES]
        parts += [_array(len(outcome.pieces)), *map(self._piece, outcome.pieces)]
        if outcome.partial:
            parts.append(_PARTIAL)
        return b"".join(parts)

    def _piece(self, piece: Piece) -> bytes:
        if piece.columns is not self._columns[0]:
            names = b"".join(map(_text, piece.columns))
            self._columns = (piece.columns, _text("columns") + _array(len(piece.columns)) + names + _text("values"))
        size = 2 + bool(piece.name) + bool(piece.tags) + piece.partial
        parts = [bytes([0x80 | size])]
        if piece.name:
            parts += [_NAME, self._pack(piece.name)]
        if piece.tags:
            parts += [_TAGS, self._pack(dict(piece.tags))]
        parts += [self._columns[1], _array(piece.count), *piece.rows]
        if piece.partial:
            parts.append(_PARTIAL)
        return b"".join(parts)


def _text(text: str) -> bytes:
    return bytes(msgpack.packb(text, unicode_errors="surrogateescape"))


def _array(length: int) -> bytes:
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big") if length < 2**16 else b"\xdd" + length.to_bytes(4, "big")


_RESULTS = b"\x81" + _text("results")
_STATEMENT = _text("statement_id")
_SERIES = _text("series")
_PARTIAL = _text("partial") + b"\xc3"
_NAME = _text("name")
_TAGS = _text("tags")


def _big_endian(values: npt.NDArray[Any]) -> Bytes:
    """The bytes of each value, most significant first."""
    return values.astype(values.dtype.newbyteorder(">")).view(np.uint8).reshape(len(values), values.dtype.itemsize)


def _cells(column: Column) -> list[Ragged]:
    match column.type:
        case FieldType.FLOAT:
            cells = np.empty((len(column), 9), np.uint8)
            cells[:, 0] = 0xCB
            cells[:, 1:] = _big_endian(np.ascontiguousarray(column.values, np.float64))
            return [_with_nils(cells, np.full(len(column), 9, np.int64), column)]
        case FieldType.BOOLEAN:
            cells = np.where(column.values, 0xC3, 0xC2).astype(np.uint8)[:, None]
            return [_with_nils(cells, np.ones(len(column), np.int64), column)]
        case FieldType.INTEGER:
            return [_signed(column.values, column)]
        case FieldType.UNSIGNED:
            return [_unsigned(column)]
    return _texts(column)


def _with_nils(cells: Bytes, lengths: Lengths, column: Column | None) -> Ragged:
    if column is not None and column.valid is not None:
        cells[~column.valid, 0] = _NIL
        lengths = np.where(column.valid, lengths, 1)
    return trimmed(cells, lengths)


def _signed(values: npt.NDArray[np.int64], column: Column | None) -> Ragged:
    cells = np.empty((len(values), 9), np.uint8)
    wide = _big_endian(np.ascontiguousarray(values, np.int64))
    cells[:, 0] = 0xD3
    cells[:, 1:] = wide
    lengths = np.full(len(values), 9, np.int64)
    # From the widest form to the narrowest: each overwrites those that fit it too.
    for code, size, least in reversed(_SIGNED[:-1]):
        rows = (values >= least) & (values < -least)
        if size == 1:
            rows &= values < 0
        _narrow(cells, lengths, wide, rows, code, size)
    small = (values >= -32) & (values < 128)
    cells[small, 0] = wide[small, 7]
    lengths[small] = 1
    return _with_nils(cells, lengths, column)


def _unsigned(column: Column) -> Ragged:
    values = column.values
    cells = np.empty((len(values), 9), np.uint8)
    wide = _big_endian(np.ascontiguousarray(values, np.uint64))
    cells[:, 0] = 0xCF
    cells[:, 1:] = wide
    lengths = np.full(len(values), 9, np.int64)
    for code, size, bound in reversed(_UNSIGNED[:-1]):
        _narrow(cells, lengths, wide, values < np.uint64(bound), code, size)
    small = values < 128
    cells[small, 0] = wide[small, 7]
    lengths[small] = 1
    return _with_nils(cells, lengths, column)


def _narrow(cells: Bytes, lengths: Lengths, wide: Bytes, rows: npt.NDArray[np.bool_], code: int, size: int) -> None:
    if rows.any():
        cells[rows, 0] = code
        cells[rows, 1 : 1 + size] = wide[rows, 8 - size :]
        lengths[rows] = 1 + size


def _texts(column: Column) -> list[Ragged]:
    values = column.values if column.valid is None else np.where(column.valid, column.values, "")
    found = utf8(values)
    if found is None:
        payload = of_bytes([text.encode("utf-8", "surrogateescape") for text in values.tolist()])
    else:
        payload = of_series(found)
    size = payload.lengths
    heads = np.empty((len(size), 5), np.uint8)
    heads[:, 0] = np.where(size < 32, 0xA0 | size, 0xD9)
    lengths = np.where(size < 32, 1, 2)
    heads[:, 1] = size & 0xFF
    for code, width, least in ((0xDA, 2, 2**8), (0xDB, 4, 2**16)):
        rows = size >= least
        if rows.any():
            heads[rows, 0] = code
            heads[rows, 1 : 1 + width] = _big_endian(size[rows])[:, 8 - width :]
            lengths[rows] = 1 + width
    return [_with_nils(heads, lengths, column), payload]
