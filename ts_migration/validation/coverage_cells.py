"""The coverage histogram of a small window as its manifest keeps it: the few cells that hold something.

A cell is numbered `series bucket * 64 + time bin`. Histograms with more cells are objects: see `digest.coverage_bytes`.
"""

from collections.abc import Mapping

import numpy as np

from ts_migration.errors import Permanent
from ts_migration.validation.digest import Coverage
from ts_migration.validation.hashing import SERIES_BUCKETS, TIME_BINS

MOST_CELLS = 512
"""Some 8 KB of a manifest, and two requests less for each window that is converted and checked."""


def cells_of(coverage: Coverage, most: int = MOST_CELLS) -> dict[int, int] | None:
    """Cell -> values, ascending; None where more than `most` hold something."""
    flat = coverage.reshape(-1)
    filled = np.flatnonzero(flat)
    return dict(zip(filled.tolist(), flat[filled].tolist(), strict=True)) if len(filled) <= most else None


def coverage_of_cells(cells: Mapping[int, int]) -> Coverage:
    """The histogram of which these are the cells.

    Raises:
        Permanent: there is no such cell, or it holds no number of values.
    """
    flat = np.zeros(SERIES_BUCKETS * TIME_BINS, np.uint64)
    if any(not 0 <= cell < len(flat) or not 0 < count < 2**63 for cell, count in cells.items()):
        raise Permanent("the coverage histogram is damaged: a cell that cannot be")
    flat[list(cells)] = list(cells.values())
    return flat.reshape(SERIES_BUCKETS, TIME_BINS)
