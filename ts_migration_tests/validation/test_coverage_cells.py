"""The histogram of a small window in its manifest: the same histogram, and no cell that cannot be."""

import numpy as np
import pytest

from ts_migration.errors import Permanent
from ts_migration.validation.coverage_cells import MOST_CELLS, cells_of, coverage_of_cells


def histogram(cells: int) -> np.ndarray:
    chance = np.random.default_rng(7)
    flat = np.zeros(4096 * 64, np.uint64)
    flat[chance.choice(len(flat), cells, replace=False)] = chance.integers(1, 2**40, cells, dtype=np.uint64)
    return flat.reshape(4096, 64)


@pytest.mark.parametrize("cells", [0, 1, MOST_CELLS])
def test_a_histogram_of_few_cells_comes_back_as_it_was(cells: int) -> None:
    told = cells_of(histogram(cells))
    assert told is not None
    assert len(told) == cells
    assert np.array_equal(coverage_of_cells(told), histogram(cells))


def test_a_histogram_of_more_cells_is_left_to_an_object() -> None:
    assert cells_of(histogram(MOST_CELLS + 1)) is None


@pytest.mark.parametrize("cells", [{-1: 3}, {4096 * 64: 3}, {5: 0}, {5: -2}, {5: 2**64}])
def test_a_cell_that_cannot_be_is_refused(cells: dict[int, int]) -> None:
    with pytest.raises(Permanent, match="damaged"):
        coverage_of_cells(cells)
