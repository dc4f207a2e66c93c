"""A TSM file to columns: every byte of it accounted for and checked, blocks of one kind decoded together.

What the encodings are is in `blocks` and the modules beside it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.influxdb.tsm import blocks
from ts_migration.influxdb.tsm.columns import DTYPES, FieldKind, Integers, TsmColumn
from ts_migration.influxdb.tsm.index import Index, damaged, read_index
from ts_migration.influxdb.tsm.ragged import offsets_of
from ts_migration.influxdb.tsm.stretch import BrokenPart, Stretch

STRETCH_BLOCKS = 2048
"""Decoded at once: up to 2 M points."""


def read_tsm(data: bytes | memoryview) -> tuple[TsmColumn, ...]:
    """All that a file holds: at most one column of each kind, keys in byte order.

    Raises:
        TsmDamaged: the file is not whole, a CRC is another, or anything is not as the format wants it. The format has
            no checksum over keys: bits that differ in one make another key, which only the caller can tell.
    """
    content = np.frombuffer(data, np.uint8)
    index = read_index(content)
    return tuple(_joined(kind, list(_pieces(content, index, kind))) for kind in FieldKind if kind.value in index.kinds)


def read_stretches(data: bytes | memoryview) -> Iterator[TsmColumn]:
    """The same in pieces of up to 2 M points, kind after kind. A long key goes on in the piece behind.

    Raises:
        TsmDamaged: as `read_tsm`, where it is met.
    """
    content = np.frombuffer(data, np.uint8)
    index = read_index(content)
    for kind in FieldKind:
        yield from _pieces(content, index, kind)


def _pieces(content: Any, index: Index, kind: FieldKind) -> Iterator[TsmColumn]:
    of_blocks = index.block_keys
    numbers = np.flatnonzero(index.kinds[of_blocks] == kind.value)
    for start in range(0, len(numbers), STRETCH_BLOCKS):
        own = numbers[start : start + STRETCH_BLOCKS]
        entries = index.entries[own]
        offsets = entries["offset"].astype(np.int64)
        stretch = Stretch(content, offsets, offsets + entries["size"].astype(np.int64))
        try:
            at, values, counts = blocks.decoded(kind, stretch)
        except BrokenPart as broken:
            block = int(np.flatnonzero((stretch.starts <= broken.at) & (broken.at < stretch.ends))[0])
            raise damaged(broken.what, broken.at, index.keys[int(of_blocks[own[block]])].as_py()) from None
        begins = offsets_of(counts)
        ranges = (at[begins[:-1]] == entries["first"]) & (at[begins[1:] - 1] == entries["last"])
        if not ranges.all():
            block = int(np.argmin(ranges))
            key = index.keys[int(of_blocks[own[block]])].as_py()
            raise damaged("the block's times are not those of the index", int(offsets[block]), key)
        yield _column(kind, index.keys, of_blocks[own], begins, at, values)


def _column(kind: FieldKind, keys: Any, of_blocks: Integers, begins: Integers, at: Integers, values: Any) -> TsmColumn:
    new = np.flatnonzero(np.diff(of_blocks, prepend=-1))
    return TsmColumn(kind, keys.take(pa.array(of_blocks[new])), np.append(begins[new], begins[-1]), at, values)


def _joined(kind: FieldKind, pieces: list[TsmColumn]) -> TsmColumn:
    if len(pieces) == 1:
        return pieces[0]
    keys = pa.concat_arrays([piece.keys for piece in pieces])
    lengths = np.concatenate([np.diff(piece.offsets) for piece in pieces])
    goes_on = np.append(False, pc.equal(keys[:-1], keys[1:]).to_numpy(zero_copy_only=False))
    begins = np.append(offsets_of(lengths)[:-1][~goes_on], lengths.sum())
    times = np.concatenate([piece.times for piece in pieces])
    values: Any = [piece.values for piece in pieces]
    values = np.concatenate(values) if kind in DTYPES else pa.concat_arrays(values)
    return TsmColumn(kind, keys.filter(pa.array(~goes_on)), begins, times, values)
