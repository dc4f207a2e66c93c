"""The index of a file: keys in byte order with their type, and time range, offset and size of each of their blocks.

Source: influxdb, tsdb/engine/tsm1/writer.go and reader.go.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.influxdb.tsm.columns import KEY_SEPARATOR, Bytes, FieldKind, Integers, TsmDamaged
from ts_migration.influxdb.tsm.ragged import anywhere, fixed, joined, offsets_of, parts, positions_in

HEADER = bytes.fromhex("16d116d101")
"""Magic and version."""
FOOTER_BYTES = 8
MOST_KEY_BYTES = MOST_BLOCKS = 65_535
ENTRY = np.dtype([("first", ">i8"), ("last", ">i8"), ("offset", ">i8"), ("size", ">u4")])
_SMALLEST_BLOCK = 16
"""CRC, type, length, times of nine bytes, values of one."""
_AGAIN = "build the file again, or fetch it again from the server"


@dataclass(frozen=True, eq=False, slots=True)
class Index:
    """Attributes:
    keys: large binary, ascending.
    kinds: the type byte of each.
    counts: blocks of each.
    entries: all blocks, key after key, each key's by time.
    """

    keys: pa.LargeBinaryArray
    kinds: npt.NDArray[np.uint8]
    counts: Integers
    entries: npt.NDArray[np.void]

    @property
    def block_keys(self) -> Integers:
        """The number of each block's key."""
        return np.repeat(np.arange(len(self.keys)), self.counts)


def index_bytes(index: Index) -> bytes:
    """The index as it lies in a file."""
    heads = fixed(pc.binary_length(index.keys).to_numpy().astype(">u2"))
    before = offsets_of(3 + ENTRY.itemsize * index.counts)
    content = np.empty(int(before[-1]), np.uint8)
    content[before[:-1]] = index.kinds
    content[before[:-1] + 1], content[before[:-1] + 2] = index.counts >> 8, index.counts & 255
    at = np.repeat(before[:-1] + 3, index.counts) + ENTRY.itemsize * positions_in(index.counts)
    anywhere(content, ENTRY)[at] = index.entries
    whole = joined(heads, index.keys, parts(content, before))
    return bytes(whole.buffers()[2])


def read_index(content: Bytes) -> Index:
    """The index of a file, checked: order, types, and blocks that fill the file from header to index without a gap.

    Raises:
        TsmDamaged: the file is no whole TSM file.
    """
    size = len(content)
    if size < len(HEADER) + FOOTER_BYTES or content[: len(HEADER)].tobytes() != HEADER:
        raise damaged("it does not begin as a TSM file of version 1 does", 0)
    start, end = int.from_bytes(content[size - FOOTER_BYTES :].tobytes(), "big"), size - FOOTER_BYTES
    if not len(HEADER) <= start < end:
        raise damaged(f"it ends without the place of an index: {start:,} of {size:,} bytes", end)
    heads = _heads(content.data, start, end)
    lengths = content[heads].astype(np.int64) << 8 | content[heads + 1]
    after = heads + 2 + lengths
    counts = content[after + 1].astype(np.int64) << 8 | content[after + 2]
    index = Index(_keys(content, heads + 2, after), content[after], counts, _entries(content, after + 3, counts))
    _check_keys(index, heads)
    _check_blocks(index, start)
    return index


def _heads(content: memoryview, start: int, end: int) -> Integers:
    """Where each key's part of the index begins. Only what leads to the next one is done by key."""
    heads, at = [], start
    try:
        while at < end:
            heads.append(at)
            at += 2 + (content[at] << 8 | content[at + 1])
            at += 3 + ENTRY.itemsize * (content[at + 1] << 8 | content[at + 2])
    except IndexError:
        at = -1
    if at != end:
        raise damaged("its index does not end where the file does", heads[-1])
    return np.array(heads, np.int64)


def _keys(content: Bytes, starts: Integers, ends: Integers) -> pa.LargeBinaryArray:
    """Keys and what is between them are parts in turn; the keys are taken."""
    bounds = np.column_stack([starts, ends]).ravel()
    return parts(content, bounds).take(pa.array(np.arange(0, len(bounds), 2)))


def _entries(content: Bytes, starts: Integers, counts: Integers) -> npt.NDArray[np.void]:
    at = np.repeat(starts, counts) + ENTRY.itemsize * positions_in(counts)
    found: npt.NDArray[np.void] = anywhere(content, ENTRY)[at]
    return found


def _check_keys(index: Index, heads: Integers) -> None:
    known = {kind.value for kind in FieldKind}
    checks = (
        (np.isin(index.kinds, list(known)), "the key has a type that is not known"),
        (index.counts > 0, "the key has no block"),
        (pc.match_substring(index.keys, KEY_SEPARATOR).to_numpy(zero_copy_only=False), "the key names no field"),
        (np.append(True, pc.less(index.keys[:-1], index.keys[1:]).to_numpy(zero_copy_only=False)),
         "the key is not behind the one before it"),
    )  # fmt: skip
    for good, what in checks:
        if not good.all():
            number = int(np.argmin(good))
            raise damaged(what, int(heads[number]), index.keys[number].as_py())


def _check_blocks(index: Index, end: int) -> None:
    entries = index.entries
    offsets, sizes = entries["offset"].astype(np.int64), entries["size"].astype(np.int64)
    order = np.argsort(offsets, kind="stable")
    ends = np.append(len(HEADER), offsets[order] + sizes[order])
    fills = np.empty(len(entries), np.bool_)
    fills[order] = (offsets[order] == ends[:-1]) & (sizes[order] >= _SMALLEST_BLOCK)
    fills[order[-1]] &= ends[-1] == end
    first, last = entries["first"].astype(np.int64), entries["last"].astype(np.int64)
    later = np.append(True, first[1:] > last[:-1])
    later[offsets_of(index.counts)[:-1]] = True
    for good, what in (
        (fills, "the block does not lie between the one before it and the one behind it"),
        ((first <= last) & later, "the block's time range is not behind that of the one before it"),
    ):
        if not good.all():
            number = int(np.argmin(good))
            raise damaged(what, int(offsets[number]), index.keys[int(index.block_keys[number])].as_py())


def damaged(what: str, at: int, key: bytes | None = None) -> TsmDamaged:
    """The error of a file that cannot be trusted."""
    where = f"TSM file, offset {at:,}" + ("" if key is None else f", key {key.decode(errors='backslashreplace')!r}")
    return TsmDamaged(what, where=where, next_step=_AGAIN)
