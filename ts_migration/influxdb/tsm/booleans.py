"""Booleans of blocks: a count and a bit each, the most significant first.

Source: influxdb, tsdb/engine/tsm1/bool.go.
"""

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm.bits import read_uvarints, uvarints
from ts_migration.influxdb.tsm.columns import Booleans, Integers
from ts_migration.influxdb.tsm.ragged import fixed, joined, offsets_of, parts
from ts_migration.influxdb.tsm.stretch import Stretch, expect

PACKED = 1


def encoded(values: Booleans, lengths: Integers) -> pa.LargeBinaryArray:
    """A part for each block; the blocks have so many values."""
    sizes = (lengths + 7) // 8
    begins = offsets_of(sizes)
    bits = np.zeros(int(begins[-1]) * 8, np.bool_)
    bits[np.repeat(8 * begins[:-1] - offsets_of(lengths)[:-1], lengths) + np.arange(len(values))] = values
    heads = fixed(np.full(len(lengths), PACKED << 4, np.uint8))
    return joined(heads, uvarints(lengths.view(np.uint64)), parts(np.packbits(bits), begins))


def decoded(stretch: Stretch, counts: Integers) -> Booleans:
    """The values of all blocks, of which each must hold so many.

    Raises:
        BrokenPart: an encoding that is not known, or another number of values.
    """
    expect(stretch.encodings == PACKED, stretch.starts, "its booleans have an encoding that is not known")
    found, after, good = read_uvarints(stretch.content, stretch.starts + 1, stretch.ends)
    good &= (found == counts.view(np.uint64)) & (after + (counts + 7) // 8 == stretch.ends)
    expect(good, stretch.starts, "it holds another number of values than of times")
    places = np.arange(int(counts.sum())) - np.repeat(offsets_of(counts)[:-1], counts)
    bytes_ = stretch.content[np.repeat(after, counts) + (places >> 3)]
    return ((bytes_ >> (7 - (places & 7)).astype(np.uint8)) & 1).view(np.bool_)
