"""Which of very many values can differ: sums of their hashes by cell; series, field and time choose a value's cell.

Some 25 MB, whatever the number of values: those of a cell whose sums agree agree themselves, and need not be kept. Used
for a time bin that holds too many values to be compared at once.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from ts_migration.influxdb.blocks import Block
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.validation.hashing import U64, mixed
from ts_migration.validation.point_values import BlockPoints, FramePoints, Keep

CELLS = 1 << 20


class Sieve:
    """Takes in both sides once; then tells which values to keep, in portions."""

    def __init__(self) -> None:
        self._sums = np.zeros(CELLS, np.uint64)
        self._values = np.zeros((2, CELLS), np.int64)

    def expect(self, mapping: Mapping, frame: pl.DataFrame) -> None:
        """Add rows of the export."""
        points = FramePoints(mapping)
        points.add(frame)
        self._add(points.table(), 0)

    def find(self, block: Block) -> None:
        """Add points of the bucket."""
        points = BlockPoints()
        points.add([block])
        self._add(points.table(), 1)

    def portions(self, values: int) -> Iterator[Keep]:
        """Conditions that together keep every value of a cell that differs, about `values` of a side at a time."""
        differing = np.flatnonzero((self._sums != 0) | (self._values[0] != self._values[1]))
        weights = self._values[:, differing].max(axis=0)
        portion = np.cumsum(weights) // max(values, 1)
        for number in np.unique(portion).tolist():
            chosen = np.zeros(CELLS, np.bool_)
            chosen[differing[portion == number]] = True
            yield _keeps(chosen)

    def _add(self, table: pl.DataFrame, side: int) -> None:
        cells = _cells(table)
        hashes = mixed(table["key"].to_numpy() ^ table["time"].to_numpy().view(np.uint64), 1)
        hashes = mixed(hashes ^ table["bits"].to_numpy(), 1)
        if side:
            np.subtract.at(self._sums, cells, hashes)
        else:
            np.add.at(self._sums, cells, hashes)
        self._values[side] += np.bincount(cells, minlength=CELLS)


def _cells(table: pl.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    keys: U64 = table["key"].to_numpy() ^ table["time"].to_numpy().view(np.uint64)
    return (mixed(keys, 0) & np.uint64(CELLS - 1)).astype(np.int64)


def _keeps(chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Keep:
    return lambda table: pl.Series(chosen[_cells(table)], dtype=pl.Boolean)
