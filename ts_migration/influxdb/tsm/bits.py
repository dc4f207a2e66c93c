"""Arithmetic on the bits of whole columns: lengths in bits, trailing zeros, zigzag, variable-length integers."""

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm.columns import Booleans, Bytes, Integers, Words
from ts_migration.influxdb.tsm.ragged import offsets_of, parts

ONE = np.uint64(1)


def bit_lengths(values: Words) -> Bytes:
    """Bits that each value needs, 0 for 0.

    The bit below the highest is cleared first: no rounding to float64 can then reach the next power of two.
    """
    exponents = (values & ~(values >> ONE)).astype(np.float64).view(np.int64) >> 52
    lengths: Bytes = np.maximum(exponents - 1022, 0).astype(np.uint8)
    return lengths


def trailing_zeros(values: Words) -> Bytes:
    """Zero bits at the low end of values that are not 0."""
    lowest = values & (~values + ONE)
    return ((lowest.astype(np.float64).view(np.int64) >> 52) - 1023).astype(np.uint8)


def zigzag(values: Words) -> Words:
    """Signed numbers in two's complement, so that small ones of both signs become small."""
    return (values << ONE) ^ (values.view(np.int64) >> 63).view(np.uint64)


def unzigzag(values: Words) -> Words:
    """The reverse."""
    return (values >> ONE) ^ (~(values & ONE) + ONE)


def uvarints(values: Words) -> pa.LargeBinaryArray:
    """Seven bits a byte, the lowest first, the high bit set but in the last byte."""
    sizes = np.maximum((bit_lengths(values) + 6) // 7, 1).astype(np.int64)
    offsets = offsets_of(sizes)
    content = np.empty(int(offsets[-1]), np.uint8)
    for place in range(int(sizes.max(initial=0))):
        longer = sizes > place
        low = (values[longer] >> np.uint64(7 * place)) & np.uint64(127)
        content[offsets[:-1][longer] + place] = low.astype(np.uint8) | np.where(sizes[longer] > place + 1, 128, 0)
    return parts(content, offsets)


def read_uvarints(content: Bytes, at: Integers, ends: Integers) -> tuple[Words, Integers, Booleans]:
    """Numbers that begin at these offsets, where each ends, and whether it does so before `ends` and within 64 bits."""
    values, good = np.zeros(len(at), np.uint64), np.zeros(len(at), np.bool_)
    after, open_ = at.copy(), np.arange(len(at))
    for place in range(10):
        open_ = open_[after[open_] < ends[open_]]
        if not len(open_):
            break
        bytes_ = content[after[open_]]
        values[open_] |= (bytes_ & np.uint8(127)).astype(np.uint64) << np.uint64(7 * place)
        after[open_] += 1
        closed = bytes_ < (128 if place < 9 else 2)
        good[open_[closed]] = True
        open_ = open_[bytes_ >= 128]
    return values, after, good
