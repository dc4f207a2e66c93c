"""Blocks: type, times and values of at most 1,000 points of a key, behind their CRC; many of one type at once.

Source: influxdb, tsdb/engine/tsm1/encoding.go (packBlock) and writer.go.
"""

import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.influxdb.tsm import booleans, floats, integers, strings, times
from ts_migration.influxdb.tsm.bits import read_uvarints, uvarints
from ts_migration.influxdb.tsm.columns import Booleans, FieldKind, Integers
from ts_migration.influxdb.tsm.ragged import fixed, joined, offsets_in, offsets_of
from ts_migration.influxdb.tsm.stretch import Stretch, expect

MOST_POINTS = 1_000
CRC_BYTES = 4
Values: TypeAlias = npt.NDArray[Any] | pa.LargeBinaryArray


def encoded(kind: FieldKind, at: Integers, values: Values, lengths: Integers) -> pa.LargeBinaryArray:
    """Whole blocks of one kind: their points one behind the other, and how many each has."""
    starts = offsets_of(lengths)[:-1]
    own_times = times.encoded(at, starts, lengths)
    sizes = np.diff(offsets_in(own_times)).view(np.uint64)
    types = fixed(np.full(len(lengths), kind.value, np.uint8))
    made = joined(types, uvarints(sizes), own_times, _values(kind, values, starts, lengths))
    return joined(fixed(_crcs(made).astype(">u4")), made)


def _values(kind: FieldKind, values: Any, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    match kind:
        case FieldKind.FLOAT:
            return floats.encoded(values.view(np.uint64), starts, lengths)
        case FieldKind.INTEGER | FieldKind.UNSIGNED:
            return integers.encoded(values.view(np.uint64), starts, lengths)
        case FieldKind.BOOLEAN:
            return booleans.encoded(values, lengths)
        case FieldKind.STRING:
            return strings.encoded(values, starts, lengths)


def _crcs(blocks: pa.LargeBinaryArray) -> npt.NDArray[np.uint32]:
    """The CRC of each block. zlib takes one at a time: nothing else is done by block."""
    bounds = offsets_in(blocks).tolist()
    return crcs_of(memoryview(blocks.buffers()[2]), bounds, bounds[1:])


def crcs_of(content: memoryview, starts: list[int], ends: list[int]) -> npt.NDArray[np.uint32]:
    """The CRC of each stretch of bytes."""
    crc32 = zlib.crc32
    return np.array([crc32(content[start:end]) for start, end in zip(starts, ends, strict=False)], np.uint32)


def decoded(kind: FieldKind, blocks: Stretch) -> tuple[Integers, Values, Integers]:
    """Times and values of whole blocks one behind the other, and how many points each has.

    Raises:
        BrokenPart: a CRC that is another, another type, times that do not ascend, or what encodings refuse.
    """
    bodies = Stretch(blocks.content, blocks.starts + CRC_BYTES, blocks.ends)
    told = blocks.numbers(blocks.starts, ">u4")
    found = crcs_of(blocks.content.data, bodies.starts.tolist(), bodies.ends.tolist())
    expect(found == told, blocks.starts, "the block's CRC is not that of its bytes")
    expect(blocks.content[bodies.starts] == kind.value, bodies.starts, "the block has another type than its key")
    sizes, begins, good = read_uvarints(blocks.content, bodies.starts + 1, bodies.ends)
    good &= sizes < (bodies.ends - begins).view(np.uint64)
    expect(good, bodies.starts, "the block's times are longer than the block")
    split = begins + sizes.view(np.int64)
    at, counts = times.decoded(Stretch(blocks.content, begins, split))
    expect(_ascend(at, counts), begins, "its times do not ascend")
    return at, _decoded_values(kind, Stretch(blocks.content, split, bodies.ends), counts), counts


def _ascend(at: Integers, counts: Integers) -> Booleans:
    """Whether each block's times do."""
    ascending = np.ones(len(at), np.bool_)
    ascending[1:] = at[1:] > at[:-1]
    begins = offsets_of(counts)[:-1]
    ascending[begins] = True
    if ascending.all():
        return np.ones(len(counts), np.bool_)
    return np.logical_and.reduceat(ascending, begins)


def _decoded_values(kind: FieldKind, parts: Stretch, counts: Integers) -> Values:
    match kind:
        case FieldKind.FLOAT:
            return floats.decoded(parts, counts).view(np.float64)
        case FieldKind.INTEGER:
            return integers.decoded(parts, counts).view(np.int64)
        case FieldKind.UNSIGNED:
            return integers.decoded(parts, counts)
        case FieldKind.BOOLEAN:
            return booleans.decoded(parts, counts)
        case FieldKind.STRING:
            return strings.decoded(parts, counts)
