"""Aggregates and selectors over runs of rows, vectorised over the runs.

Numbers only: columns in, columns or row positions out. Sums of floats are made one after the other, as the server makes
them, because another order gives other bits. Which types a function takes is told by `accepts`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.tables import DTYPES, Array, Column, ColumnType

NUMBERS: Final = (ColumnType.FLOAT, ColumnType.INT, ColumnType.UINT)
SELECTORS: Final = ("first", "last", "min", "max")
KERNELS: Final = ("count", "sum", "mean", *SELECTORS)
"""Functions that storage does itself."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Half-open ranges of rows, ascending by their first row; they may be empty and may overlap."""

    low: Array
    high: Array

    @classmethod
    def whole(cls, count: int) -> "Runs":
        return cls(np.array([0]), np.array([count]))

    def counts(self) -> Array:
        return np.asarray(self.high - self.low, np.int64)

    def rows(self) -> tuple[Array, Array]:
        """All rows of all runs one after the other, and the run of each."""
        counts = self.counts()
        run = np.repeat(np.arange(len(counts)), counts)
        before = np.cumsum(counts) - counts
        return np.arange(int(counts.sum())) - before[run] + self.low[run], run


def accepts(function: str, kind: ColumnType) -> bool:
    """Whether a kernel has an implementation for a type."""
    if function in ("sum", "mean"):
        return kind in NUMBERS
    return function not in ("min", "max") or kind in (*NUMBERS, ColumnType.TIME)


def reduce_runs(function: str, column: Column, runs: Runs) -> Column:
    """One value for each run: `count` counts nulls too, the others leave them out and are null where nothing is left."""
    if function == "count":
        return Column(column.label, ColumnType.INT, runs.counts())
    if function in SELECTORS:
        picked = pick(function, column, runs)
        values = column.values[np.maximum(picked, 0)] if len(column) else np.zeros(len(picked), DTYPES[column.type])
        return Column(column.label, column.type, values, _valid(picked >= 0))
    rows, run = _present(column, runs)
    number = len(runs.low)
    counts = np.bincount(run, minlength=number)
    sums = _sums(column.values[rows], run, number, counts)
    valid = _valid(counts > 0)
    if function == "sum":
        return Column(column.label, column.type, sums, valid)
    means = sums.astype(np.float64) / np.maximum(counts, 1)
    return Column(column.label, ColumnType.FLOAT, means, valid)


def _valid(present: Array) -> Array | None:
    return None if present.all() else present


def _present(column: Column, runs: Runs) -> tuple[Array, Array]:
    """The rows of the runs that hold a value, and the run of each."""
    rows, run = runs.rows()
    if column.valid is None:
        return rows, run
    keep = column.valid[rows]
    return rows[keep], run[keep]


def _sums(values: Array, run: Array, number: int, counts: Array) -> Array:
    if values.dtype == np.float64:
        return np.bincount(run, weights=values, minlength=number)
    sums = np.zeros(number, values.dtype)
    full = np.flatnonzero(counts)
    if len(full):
        sums[full] = np.add.reduceat(values, (np.cumsum(counts) - counts)[full])
    return sums


def pick(function: str, column: Column, runs: Runs) -> Array:
    """The row that a selector takes from each run, -1 where it holds no value. Ties go to the first row."""
    rows, run = _present(column, runs)
    picked = np.full(len(runs.low), -1, np.int64)
    if not len(rows):
        return picked
    firsts = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])
    if function == "first":
        picked[run[firsts]] = rows[firsts]
    elif function == "last":
        lasts = np.r_[firsts[1:], len(rows)] - 1
        picked[run[lasts]] = rows[lasts]
    else:
        values = column.values[rows]
        extreme = np.fmin if function == "min" else np.fmax
        best = extreme.reduceat(values, firsts)
        spread = np.repeat(best, np.diff(np.r_[firsts, len(rows)]))
        picked[run[firsts]] = rows[firsts]  # what a run of NaN alone gives
        hits = np.flatnonzero(values == spread)
        # written backwards, so that the first of equal rows stays
        picked[run[hits[::-1]]] = rows[hits[::-1]]
    return picked


def spread(column: Column) -> tuple[ColumnType, object]:
    """Greatest less smallest value."""
    values = _numbers(column, NUMBERS)
    if not len(values):
        return column.type, None
    return column.type, (values.max() - values.min()).item()


def standard_deviation(column: Column, mode: str) -> tuple[ColumnType, object]:
    """Welford's recurrence, row by row: its rounding is the server's, which no vectorised form has."""
    if mode not in ("sample", "population"):
        raise ValueProblem(f'unknown mode "{mode}", expected "population" or "sample"')
    values = _numbers(column, NUMBERS)
    if not len(values):
        return ColumnType.FLOAT, None
    count = mean = squares = 0.0
    for value in values.astype(np.float64).tolist():
        count += 1
        delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
    divisor = count - 1 if mode == "sample" else count
    return ColumnType.FLOAT, math.sqrt(squares / divisor) if divisor >= 1 else math.nan


def quantile(column: Column, q: float, method: str) -> tuple[ColumnType, object]:
    """A quantile of floats: `exact_mean` interpolates between ranks, `estimate_tdigest` as a digest of all values would.

    The real server's digest begins to merge values at some 600 of them; here it never does."""
    values = np.sort(_numbers(column, (ColumnType.FLOAT,)))
    count = len(values)
    if not count:
        return ColumnType.FLOAT, None
    if method == "exact_mean":
        position = q * (count - 1)
        low, high = math.floor(position), math.ceil(position)
        if low == high:
            return ColumnType.FLOAT, float(values[low])
        return ColumnType.FLOAT, float(values[low] * (high - position) + values[high] * (position - low))
    index = q * count
    if index <= 0.5:
        return ColumnType.FLOAT, float(values[0])
    upper = math.ceil(index - 0.5)
    if upper >= count:
        return ColumnType.FLOAT, float(values[-1])
    after, before = index - (upper - 0.5), (upper + 0.5) - index
    return ColumnType.FLOAT, _weighted(float(values[upper - 1]), before, float(values[upper]), after)


def _weighted(first: float, weight: float, second: float, other: float) -> float:
    mean = (first * weight + second * other) / (weight + other)
    return max(min(first, second), min(mean, max(first, second)))


def quantile_row(column: Column, q: float) -> int:
    """The row of `exact_selector`; -1 where there is no value."""
    if column.type not in NUMBERS:
        raise _unsupported(column)
    rows = np.flatnonzero(column.mask())
    if not len(rows):
        return -1
    order = rows[np.argsort(column.values[rows], kind="stable")]
    return int(order[max(math.ceil(q * len(order)) - 1, 0)])


def _numbers(column: Column, kinds: Sequence[ColumnType]) -> Array:
    if column.type not in kinds:
        raise _unsupported(column)
    return column.values if column.valid is None else column.values[column.valid]


def _unsupported(column: Column) -> ValueProblem:
    return ValueProblem(f"unsupported aggregate column type {column.type}")
