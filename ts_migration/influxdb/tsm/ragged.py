"""Parts of different lengths, one behind the other, as large binary arrays: made, joined and put in order in columns.

What the parts mean is elsewhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.influxdb.tsm.columns import Bytes, Integers, Words


def offsets_of(lengths: npt.NDArray[Any]) -> Integers:
    """Where each of so many lengths begins, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def positions_in(lengths: Integers) -> Integers:
    """0, 1, 2 … within each run of so many."""
    total = int(lengths.sum())
    return np.arange(total) - np.repeat(offsets_of(lengths)[:-1], lengths)


def parts(content: npt.NDArray[Any], offsets: Integers) -> pa.LargeBinaryArray:
    """A large binary array over bytes that are there."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(content)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def fixed(records: npt.NDArray[Any]) -> pa.LargeBinaryArray:
    """A part for each element, in the bytes of its dtype."""
    records = np.ascontiguousarray(records)
    return parts(records.view(np.uint8), np.arange(len(records) + 1) * records.dtype.itemsize)


def joined(*columns: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """The first parts behind each other, then the second ones, and so on."""
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.large_binary()))


def offsets_in(array: pa.LargeBinaryArray) -> Integers:
    """Offsets of an array's parts in `content_of` it, beginning with 0 or more."""
    found = np.frombuffer(array.buffers()[1], np.int64, len(array) + 1 + array.offset)
    return found[array.offset :]


def content_of(array: pa.LargeBinaryArray) -> Bytes:
    """All bytes of an array's buffer; `offsets_in` says which of them are its own."""
    buffer = array.buffers()[2]
    return np.empty(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def merged(groups: Sequence[tuple[Integers, pa.LargeBinaryArray]], count: int) -> pa.LargeBinaryArray:
    """Parts that were made in groups, back in order: each group brings the numbers that its parts have."""
    filled = [(numbers, made) for numbers, made in groups if len(numbers)]
    if len(filled) == 1:
        return filled[0][1]
    order = np.empty(count, np.int64)
    if filled:
        order[np.concatenate([numbers for numbers, _ in filled])] = np.arange(count)
    made = pa.concat_arrays([made for _, made in filled] or [pa.array([], pa.large_binary())])
    return made.take(pa.array(order))


def anywhere(content: Bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A view with an element at every byte: numbers of this dtype, such as `>u8`, wherever they begin."""
    count = len(content) - np.dtype(dtype).itemsize + 1
    return np.ndarray((count,), dtype, content, 0, (1,)) if count > 0 else np.empty(0, dtype)


def word_parts(heads: npt.NDArray[Any], words: Words, counts: Integers) -> pa.LargeBinaryArray:
    """Parts of a byte and so many big-endian words each."""
    offsets = offsets_of(1 + 8 * counts)
    content = np.empty(int(offsets[-1]), np.uint8)
    content[offsets[:-1]] = heads
    at = np.repeat(offsets[:-1] + 1 - 8 * offsets_of(counts)[:-1], counts) + 8 * np.arange(len(words))
    anywhere(content, ">u8")[at] = words
    return parts(content, offsets)
