"""What is read back from a bucket: blocks of points of one series.

Values only: how they are asked for is in `reader`.
"""

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


@dataclass(frozen=True, slots=True)
class Block:
    """Points of one series: its tags (none of them empty), int64 ns times ascending, and a column per field.

    A long series comes in several blocks. A field whose type differs between shard groups can appear as two columns.
    """

    measurement: str
    tags: dict[str, str]
    times: npt.NDArray[np.int64]
    columns: tuple[BlockColumn, ...]
