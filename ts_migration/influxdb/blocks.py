"""What is read back from a bucket: blocks of points of one series, and batches of several series.

Values only: how they are asked for is in `reader`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.line_protocol.mapping import FieldType


@dataclass(frozen=True, slots=True)
class BlockColumn:
    """One field of a block, aligned with its times.

    `values` has dtype float64, int64, bool or object (str; bytes that are no UTF-8 by surrogateescape) by `kind`.
    `valid` is None where every point has a value, else a bool mask; values under a False are arbitrary.
    """

    field: str
    kind: FieldType
    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None = None

    @property
    def count(self) -> int:
        """Values that are there."""
        return len(self.values) if self.valid is None else int(np.count_nonzero(self.valid))

    def of(self, rows: slice) -> "BlockColumn":
        """The same of some of the points."""
        valid = None if self.valid is None or self.valid[rows].all() else self.valid[rows]
        return BlockColumn(self.field, self.kind, self.values[rows], valid)


@dataclass(frozen=True, slots=True)
class Block:
    """Points of one series: its tags (none of them empty), int64 ns times ascending, and a column per field.

    A long series comes in several blocks. A field whose type differs between shard groups can appear as two columns.
    """

    measurement: str
    tags: dict[str, str]
    times: npt.NDArray[np.int64]
    columns: tuple[BlockColumn, ...]


@dataclass(frozen=True, slots=True)
class SeriesId:
    """What tells a series from the others: measurement and tags, none of them empty."""

    measurement: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Points of several series, one series behind the other: a short series alone would be all overhead.

    `lengths` are the points of each series, at least one; `times` and `columns` are those of all points together.
    """

    series: tuple[SeriesId, ...]
    lengths: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    columns: tuple[BlockColumn, ...]

    @classmethod
    def of(cls, block: Block) -> "SeriesBatch":
        """The batch of one series."""
        length = np.array([len(block.times)], np.int64)
        return cls((SeriesId(block.measurement, block.tags),), length, block.times, block.columns)

    def blocks(self) -> Iterator[Block]:
        """Series by series; a field is left out where the series has no value of it."""
        start = 0
        for series, length in zip(self.series, self.lengths.tolist(), strict=True):
            rows = slice(start, start + length)
            columns = (column.of(rows) for column in self.columns)
            yield Block(
                series.measurement, series.tags, self.times[rows], tuple(column for column in columns if column.count)
            )
            start += length
