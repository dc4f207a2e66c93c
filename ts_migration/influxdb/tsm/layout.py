"""Where each block of a file comes from: keys of all columns in byte order, cut into blocks, blocks into stretches.

What no file can hold is refused here, before anything is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ts_migration.influxdb.tsm.blocks import MOST_POINTS
from ts_migration.influxdb.tsm.columns import DTYPES, KEY_SEPARATOR, Booleans, FieldKind, Integers, TsmColumn
from ts_migration.influxdb.tsm.columns import TsmUnwritable as Unwritable
from ts_migration.influxdb.tsm.index import MOST_BLOCKS, MOST_KEY_BYTES
from ts_migration.influxdb.tsm.ragged import offsets_in, positions_in

STRETCH_BYTES = 8 << 20
"""Of times and values, before they are encoded: what is in memory several times over while a stretch is made."""
_CHECKED = 1 << 19
MOST_STRING_BYTES = (1 << 31) - 1
"""Of one block's strings together."""


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """Keys in byte order and all blocks in that order.

    Attributes:
        keys, kinds, counts: as in an index.
        columns: for each block, which column it is of.
        starts, lengths: its points there.
        firsts, lasts: its first and last time, ns.
        bytes: of its times and values.
    """

    keys: pa.LargeBinaryArray
    kinds: npt.NDArray[np.uint8]
    counts: Integers
    columns: Integers
    starts: Integers
    lengths: Integers
    firsts: Integers
    lasts: Integers
    bytes: Integers

    def stretches(self) -> Iterator[slice]:
        """Blocks side by side, so many that they have `STRETCH_BYTES` or little more."""
        numbers = (np.cumsum(self.bytes) - self.bytes) // STRETCH_BYTES
        bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, end in pairwise(bounds):
            yield slice(start, end)


def laid_out(columns: Sequence[TsmColumn]) -> Layout:
    """The blocks of a file of these columns.

    Raises:
        TsmUnwritable: see `writer.tsm_file`.
    """
    for column in columns:
        _check_shape(column)
    keys = pa.concat_arrays([column.keys for column in columns] or [pa.array([], pa.large_binary())])
    if not len(keys):
        raise Unwritable("a TSM file needs at least one key", next_step="build no file where there is no point")
    of = np.repeat(np.arange(len(columns)), [len(column.keys) for column in columns])
    starts = np.concatenate([column.offsets[:-1] for column in columns])
    lengths = np.concatenate([np.diff(column.offsets) for column in columns])
    order = _order(keys)
    if order is not None:
        keys, of, starts, lengths = keys.take(pa.array(order)), of[order], starts[order], lengths[order]
    _check_keys(keys, lengths)
    for column in columns:
        _check_points(column)
    counts = (lengths + MOST_POINTS - 1) // MOST_POINTS
    before = positions_in(counts) * MOST_POINTS
    block_columns, block_starts = np.repeat(of, counts), np.repeat(starts, counts) + before
    block_lengths = np.minimum(np.repeat(lengths, counts) - before, MOST_POINTS)
    kinds = np.array([column.kind.value for column in columns], np.uint8)[of]
    firsts, lasts, sizes = np.empty_like(block_starts), np.empty_like(block_starts), 16 * block_lengths
    for number, column in enumerate(columns):
        own = np.flatnonzero(block_columns == number)
        begins, ends = block_starts[own], block_starts[own] + block_lengths[own]
        firsts[own], lasts[own] = column.times[begins], column.times[ends - 1]
        if column.kind is FieldKind.STRING and len(own):
            offsets = offsets_in(column.values)
            sizes[own] += offsets[ends] - offsets[begins]
    if (sizes > MOST_STRING_BYTES).any():
        key = np.repeat(np.arange(len(keys)), counts)[int(np.argmax(sizes))]
        raise _of_key("1,000 strings of it are too long for a block", keys, int(key), f"{MOST_STRING_BYTES:,} bytes")
    return Layout(keys, kinds, counts, block_columns, block_starts, block_lengths, firsts, lasts, sizes)


def _check_shape(column: TsmColumn) -> None:
    """Whether arrays are of the types and lengths that belong together."""
    wanted = DTYPES.get(column.kind)
    values: Any = column.values
    found = values.type if isinstance(values, pa.Array) else values.dtype
    right = found == pa.large_binary() if wanted is None else found == np.dtype(wanted)
    offsets, keys = column.offsets, column.keys
    for good, what in (
        (right, f"values of {column.kind.name} cannot be of {found}"),
        (wanted is not None or not values.null_count, "a string is null"),
        (keys.type == pa.large_binary() and not keys.null_count, f"keys cannot be of {keys.type}, or null"),
        (column.times.dtype == np.int64 and offsets.dtype == np.int64, "times and offsets must be int64"),
        (len(offsets) == len(keys) + 1, f"{len(offsets)} offsets of {len(keys)} keys"),
        (len(values) == len(column.times), f"{len(values)} values at {len(column.times)} times"),
        (len(offsets) and offsets[0] == 0 and offsets[-1] == len(column.times), "offsets do not end where times do"),
        (bool((np.diff(offsets) > 0).all()), "a key has no points, or fewer"),
    ):
        if not good:
            raise Unwritable(what, where=f"TSM column of {column.kind.name}")


def _order(keys: pa.LargeBinaryArray) -> Integers | None:
    """What brings keys into byte order; None where they are."""
    if pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py() is not False:
        return None
    order: Integers = pc.sort_indices(keys).to_numpy().astype(np.int64)
    return order


def _check_keys(keys: pa.LargeBinaryArray, lengths: Integers) -> None:
    """Of keys in byte order: lengths, number of points, none twice, all with a field."""
    sizes = pc.binary_length(keys).to_numpy()
    for good, what, allowed in (
        (np.append(True, _masks(pc.not_equal(keys[:-1], keys[1:]))), "the key is there twice", "each key once"),
        (sizes <= MOST_KEY_BYTES, "the key is too long", f"{MOST_KEY_BYTES:,} bytes"),
        (_masks(pc.match_substring(keys, KEY_SEPARATOR)), "the key names no field", "series key, #!~#, field key"),
        (lengths <= MOST_BLOCKS * MOST_POINTS, "the key has too many points for one file",
         f"{MOST_BLOCKS * MOST_POINTS:,} points of a key"),
    ):  # fmt: skip
        if not good.all():
            raise _of_key(what, keys, int(np.argmin(good)), allowed)


def _check_points(column: TsmColumn) -> None:
    """Times ascend within each key, and no float is NaN, which ends a block. By slices: masks take memory too."""
    for start in range(0, column.points, _CHECKED):
        at = column.times[start : start + _CHECKED + 1]
        back = np.flatnonzero(at[1:] <= at[:-1]) + (start + 1)
        _refuse(column, back[~_begin_keys(column, back)], "its times do not ascend, or one is there twice")
        if column.kind is FieldKind.FLOAT:
            _refuse(column, np.flatnonzero(np.isnan(column.values[start : start + _CHECKED])) + start, "it holds NaN")


def _begin_keys(column: TsmColumn, places: Integers) -> Booleans:
    """Whether these points are the first ones of keys."""
    found: Booleans = column.offsets[np.searchsorted(column.offsets, places)] == places
    return found


def _refuse(column: TsmColumn, places: Integers, what: str) -> None:
    if len(places):
        key = int(np.searchsorted(column.offsets, places[0], "right")) - 1
        raise _of_key(what, column.keys, key, "each time once and in order, and any float but NaN")


def _masks(found: pa.BooleanArray) -> Booleans:
    mask: Booleans = found.to_numpy(zero_copy_only=False)
    return mask


def _of_key(what: str, keys: pa.LargeBinaryArray, number: int, allowed: str) -> Unwritable:
    key = keys[number].as_py()[:200].decode(errors="backslashreplace")
    return Unwritable(what, where=f"TSM key {key!r}", allowed=allowed)
