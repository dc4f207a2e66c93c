"""Spans of bytes out of a buffer: gathered side by side, counted, and parsed to numbers by Arrow.

What a span means (field key, value, timestamp) belongs to `vectorised`; odd spellings are refused here, not guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.local.influxdb.line_protocol.batch import Values
from ts_migration.local.influxdb.points import FieldType

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_IS_DIGIT = np.zeros(256, dtype=np.bool_)
_IS_DIGIT[0x30:0x3A] = True
_IS_FLOAT = _IS_DIGIT.copy()
_IS_FLOAT[list(b".eE+-")] = True
_BOOLEANS = {b"t": True, b"T": True, b"true": True, b"TRUE": True, b"True": True} | {
    b"f": False, b"F": False, b"false": False, b"FALSE": False, b"False": False
}  # fmt: skip

_NONE, _FLOAT, _INTEGER, _UNSIGNED, _BOOLEAN, _STRING = range(6)
_TYPES = {
    _FLOAT: FieldType.FLOAT,
    _INTEGER: FieldType.INTEGER,
    _UNSIGNED: FieldType.UNSIGNED,
    _BOOLEAN: FieldType.BOOLEAN,
    _STRING: FieldType.STRING,
}
_KIND_BY_FIRST = np.full(256, _NONE, dtype=np.uint8)
_KIND_BY_FIRST[list(b"0123456789.-")] = _FLOAT
_KIND_BY_FIRST[list(b"tTfF")] = _BOOLEAN
_KIND_BY_FIRST[0x22] = _STRING


@dataclass(frozen=True, slots=True)
class Tokens:
    """Spans copied side by side: bytes and offsets, as Arrow lays out a binary array."""

    bytes: Bytes
    offsets: Ints

    @classmethod
    def gather(cls, buf: Bytes, starts: Ints, ends: Ints) -> "Tokens":
        """Copy the spans [start, end) of the buffer."""
        lengths = ends - starts
        offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        index = np.repeat(starts - offsets[:-1], lengths)
        index += np.arange(offsets[-1])
        return cls(buf[index], offsets)

    def arrow(self, type_: pa.DataType) -> pa.Array:
        """The spans as an Arrow array with 64-bit offsets."""
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.bytes)]
        return pa.Array.from_buffers(type_, len(self.offsets) - 1, buffers)

    def encode(self) -> pa.DictionaryArray:
        """The distinct spans and the index of each."""
        return self.arrow(pa.large_binary()).dictionary_encode()

    def integers(self, type_: pa.DataType | None = None) -> tuple[Any, Bools]:
        """Decimal integers and which are sound: digits with at most one leading `-`, in range."""
        allowed = _IS_DIGIT[self.bytes]
        firsts = self.offsets[:-1]
        if type_ is None:
            negative = self.bytes[firsts] == 0x2D
            allowed[firsts[negative]] = True
        return self._numbers(allowed, type_ or pa.int64())

    def floats(self) -> tuple[Any, Bools]:
        """Floats and which are sound: finite, and spelled so that Go and Arrow agree."""
        values, sound = self._numbers(_IS_FLOAT[self.bytes], pa.float64())
        sound &= np.isfinite(values)
        return values, sound

    def _numbers(self, allowed: Bools, type_: pa.DataType) -> tuple[Any, Bools]:
        count = len(self.offsets) - 1
        sound = np.ones(count, dtype=np.bool_)
        if not allowed.all():
            bad = np.searchsorted(self.offsets, np.flatnonzero(~allowed), side="right") - 1
            sound[bad] = False
        text = self.arrow(pa.large_string()) if sound.all() else None
        if text is not None:
            try:
                return pc.cast(text, type_).to_numpy(), sound
            except pa.ArrowInvalid:
                pass
        return self._doubtful(sound, type_)

    def _doubtful(self, sound: Bools, type_: pa.DataType) -> tuple[Any, Bools]:
        """One by one inside polars, so that a span that does not parse spoils itself alone."""
        raw = pl.Series(self.arrow(pa.large_binary()).to_pylist(), dtype=pl.Binary)
        dtype = {pa.float64(): pl.Float64, pa.int64(): pl.Int64, pa.uint64(): pl.UInt64}[type_]
        parsed = raw.set(pl.Series(~sound), b"").cast(pl.String).cast(dtype, strict=False)
        sound &= parsed.is_not_null().to_numpy()
        return parsed.fill_null(0).to_numpy(), sound

    def booleans(self) -> tuple[Any, Bools]:
        """Booleans in the spellings that line protocol knows."""
        encoded = self.encode()
        spelled = [_BOOLEANS.get(spelling) for spelling in encoded.dictionary.to_pylist()]
        index = np.asarray(encoded.indices)
        values = np.array([bool(value) for value in spelled], dtype=np.bool_)[index]
        return values, np.array([value is not None for value in spelled], dtype=np.bool_)[index]


def _kinds(buf: Bytes, starts: Ints, ends: Ints) -> npt.NDArray[np.uint8]:
    last = buf[ends - 1]
    kinds = _KIND_BY_FIRST[buf[starts]]
    number = kinds == _FLOAT
    kinds[number & (last == 0x69)] = _INTEGER
    kinds[number & (last == 0x75)] = _UNSIGNED
    kinds[(kinds == _FLOAT) & ~_IS_DIGIT[last] & (last != 0x2E)] = _NONE
    kinds[(kinds == _STRING) & ((last != 0x22) | (ends - starts < 2))] = _NONE
    return kinds


def _strings(buf: Bytes, starts: Ints, ends: Ints) -> tuple[Any, Bools]:
    tokens = Tokens.gather(buf, starts + 1, ends - 1)
    text = tokens.arrow(pa.large_binary())
    if bool((tokens.bytes == 0x5C).any()):
        text = pc.replace_substring_regex(text, pattern=r'\\(["\\])', replacement=r"\1")
    return text, np.ones(len(starts), dtype=np.bool_)


_READERS: dict[int, Callable[[Bytes, Ints, Ints], tuple[Any, Bools]]] = {
    _FLOAT: lambda buf, starts, ends: Tokens.gather(buf, starts, ends).floats(),
    _INTEGER: lambda buf, starts, ends: Tokens.gather(buf, starts, ends - 1).integers(),
    _UNSIGNED: lambda buf, starts, ends: Tokens.gather(buf, starts, ends - 1).integers(pa.uint64()),
    _BOOLEAN: lambda buf, starts, ends: Tokens.gather(buf, starts, ends).booleans(),
    _STRING: _strings,
}


def read_values(
    buf: Bytes, starts: Ints, ends: Ints, names: pa.DictionaryArray
) -> tuple[list[tuple[bytes, FieldType, Ints, Values]], Ints]:
    """Values by name and type, with the index of the span each came from; and the spans that are refused."""
    kinds = _kinds(buf, starts, ends)
    refused = [np.flatnonzero(kinds == _NONE)]
    spelled: list[bytes] = names.dictionary.to_pylist()
    code = np.asarray(names.indices)
    columns: list[tuple[bytes, FieldType, Ints, Values]] = []
    for kind, type_ in _TYPES.items():
        at = np.flatnonzero(kinds == kind)
        if kind in (_INTEGER, _UNSIGNED):
            short = ends[at] - starts[at] < 2
            refused.append(at[short])
            at = at[~short]
        if not len(at):
            continue
        values, sound = _READERS[kind](buf, starts[at], ends[at])
        refused.append(at[~sound])
        order = np.argsort(code[at].astype(np.uint16 if len(spelled) < 65536 else np.int64), kind="stable")
        at = at[order]
        cuts = np.flatnonzero(np.diff(code[at])) + 1
        for first, last in zip(np.append(0, cuts), np.append(cuts, len(at)), strict=True):
            part = order[first:last]
            column = values[part] if isinstance(values, np.ndarray) else values.take(pa.array(part))
            columns.append((spelled[code[at[first]]], type_, at[first:last], column))
    return columns, np.concatenate(refused)
