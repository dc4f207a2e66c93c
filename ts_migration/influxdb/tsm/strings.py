"""Strings of blocks: a length and bytes each, compressed by snappy as one.

Source: influxdb, tsdb/engine/tsm1/string.go and batch_string.go.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.influxdb.tsm.bits import read_uvarints, uvarints
from ts_migration.influxdb.tsm.columns import Bytes, Integers
from ts_migration.influxdb.tsm.ragged import fixed, joined, offsets_in, offsets_of, parts
from ts_migration.influxdb.tsm.stretch import BrokenPart, Stretch, expect

PACKED = 1
_SNAPPY = pa.Codec("snappy")
_MOST_BYTES = 1 << 32
"""Of a block before it is compressed: snappy writes its length in 32 bits."""


def encoded(values: pa.LargeBinaryArray, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    """A part for each block: values of all blocks, where each begins, and how many it has."""
    sizes = pc.binary_length(values).to_numpy()
    told = joined(uvarints(sizes.astype(np.uint64)), values)
    ends = offsets_in(told)[np.append(starts, len(values))]
    text = memoryview(told.buffers()[2])
    compress = _SNAPPY.compress
    bounds = ends.tolist()
    blocks = [compress(text[start:end], asbytes=True) for start, end in pairwise(bounds)]
    return joined(fixed(np.full(len(lengths), PACKED << 4, np.uint8)), pa.array(blocks, pa.large_binary()))


def decoded(stretch: Stretch, counts: Integers) -> pa.LargeBinaryArray:
    """The values of all blocks, of which each must hold so many.

    Raises:
        BrokenPart: an encoding that is not known, bytes that snappy does not know, or another number of values.
    """
    expect(stretch.encodings == PACKED, stretch.starts, "its strings have an encoding that is not known")
    sizes, _, good = read_uvarints(stretch.content, stretch.starts + 1, stretch.ends)
    # Snappy makes at most 64 bytes of three, or of two for a copy: more is a length that nothing can have.
    good &= sizes <= (stretch.sizes * 64).view(np.uint64)
    expect(good, stretch.starts, "its strings have no length that snappy can have")
    text = np.frombuffer(b"".join(_decompressed(stretch, sizes.tolist())), np.uint8)
    ends = offsets_of(sizes.astype(np.int64))
    return _values(text, ends, counts, stretch.starts)


def _decompressed(stretch: Stretch, sizes: list[int]) -> list[bytes]:
    content, decompress = stretch.content.data, _SNAPPY.decompress
    bounds = zip(stretch.starts.tolist(), stretch.ends.tolist(), sizes, strict=True)
    blocks: list[bytes] = []
    try:
        for start, end, size in bounds:
            blocks.append(decompress(content[start + 1 : end], size, asbytes=True))
    except (OSError, pa.ArrowException):
        at = int(stretch.starts[len(blocks)])
        raise BrokenPart("its strings cannot be decompressed", at) from None
    return blocks


def _values(text: Bytes, bounds: Integers, counts: Integers, places: Integers) -> pa.LargeBinaryArray:
    """Strings cut at their lengths: a step reads one of each block that has one more."""
    order = np.argsort(-counts, kind="stable")
    at, ends, begins, left = bounds[:-1][order], bounds[1:][order], offsets_of(counts)[:-1][order], counts[order]
    lengths = np.empty(int(counts.sum()), np.int64)
    own = np.ones(len(text), np.bool_)
    for step in range(int(counts.max(initial=0))):
        open_ = int(np.searchsorted(-left, -step, "left"))
        found, after, good = read_uvarints(text, at[:open_], ends[:open_])
        sizes = np.minimum(found, np.uint64(len(text) + 1)).astype(np.int64)
        expect(good & (after + sizes <= ends[:open_]), places[order][:open_], "its strings end too early")
        lengths[begins[:open_] + step] = sizes
        prefixes = after - at[:open_]
        for place in range(int(prefixes.max(initial=0))):
            own[(at[:open_] + place)[prefixes > place]] = False
        at[:open_] = after + sizes
    expect(at == ends, places[order], "it holds another number of values than of times")
    return parts(np.frombuffer(text[own].tobytes(), np.uint8), offsets_of(lengths))
