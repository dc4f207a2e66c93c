"""Aggregates and selectors over runs of rows, vectorised over the runs.

Numbers only: columns in, columns or row positions out. Sums of floats are made one after the other, as the server makes
them, because another order gives other bits. Which types a function takes is told by `accepts`.
"""

import math
from collections.abc import Callable, Sequence
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
    """One value for each run: `count` counts nulls too, the others leave them out and give null for nothing."""
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


def spread(column: Column, runs: Runs) -> Column:
    """Greatest less smallest value."""
    rows, run, firsts = _numbers(column, runs, NUMBERS)
    values = column.values[rows]
    spreads = np.zeros(len(runs.low), column.values.dtype)
    if len(rows):
        spreads[run[firsts]] = np.fmax.reduceat(values, firsts) - np.fmin.reduceat(values, firsts)
    return Column(column.label, column.type, spreads, _valid(np.bincount(run, minlength=len(runs.low)) > 0))


def standard_deviation(column: Column, runs: Runs, mode: str = "sample") -> Column:
    """Welford's recurrence, row by row: its rounding is the server's, which no vectorised form has."""
    if mode not in ("sample", "population"):
        raise ValueProblem(f'unknown mode "{mode}", expected "population" or "sample"')
    rows, run, firsts = _numbers(column, runs, NUMBERS)
    deviations = np.zeros(len(runs.low))
    parts = np.split(column.values[rows].astype(np.float64), firsts[1:]) if len(rows) else []
    for number, values in zip(run[firsts].tolist(), parts, strict=True):
        count = mean = squares = 0.0
        for value in values.tolist():
            count += 1
            delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
        divisor = count - 1 if mode == "sample" else count
        deviations[number] = math.sqrt(squares / divisor) if divisor >= 1 else math.nan
    return Column(column.label, ColumnType.FLOAT, deviations, _valid(np.bincount(run, minlength=len(runs.low)) > 0))


def quantile(column: Column, runs: Runs, q: float = 0.5, method: str = "estimate_tdigest") -> Column:
    """A quantile of floats: `exact_mean` interpolates between ranks, `estimate_tdigest` as a digest would.

    The real server's digest begins to merge values at some 600 of them; here it never does."""
    rows, run, _ = _numbers(column, runs, (ColumnType.FLOAT,))
    number = len(runs.low)
    counts = np.bincount(run, minlength=number)
    values = column.values[rows]
    values = values[np.lexsort((values, run))]
    base = np.cumsum(counts) - counts
    last = np.maximum(counts - 1, 0)
    if method == "exact_mean":
        position = q * last
        low, high = np.floor(position).astype(np.int64), np.ceil(position).astype(np.int64)
        before, after = high - position, position - low
    else:
        index = q * counts
        high = np.clip(np.ceil(index - 0.5).astype(np.int64), 0, last)
        low = np.maximum(high - 1, 0)
        low = np.where(index - 0.5 > last, last, low)
        after, before = index - (high - 0.5), (high + 0.5) - index
    if not len(values):
        return Column(column.label, ColumnType.FLOAT, np.zeros(number), np.zeros(number, np.bool_))
    first, second = values[np.minimum(base + low, len(values) - 1)], values[np.minimum(base + high, len(values) - 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        mixed = (first * before + second * after) / np.where(method == "exact_mean", 1.0, before + after)
        mixed = np.maximum(np.minimum(first, second), np.minimum(mixed, np.maximum(first, second)))
    found = np.where((low == high) | (first == second), second, mixed)
    return Column(column.label, ColumnType.FLOAT, found, _valid(counts > 0))


REDUCERS: Final[dict[str, Callable[[Column, Runs], Column]]] = {
    "median": quantile,
    "spread": spread,
    "stddev": standard_deviation,
}
"""Aggregates that storage does not do, with their defaults."""


def quantile_row(column: Column, q: float) -> int:
    """The row of `exact_selector`; -1 where there is no value."""
    if column.type not in NUMBERS:
        raise _unsupported(column)
    rows = np.flatnonzero(column.mask())
    if not len(rows):
        return -1
    order = rows[np.argsort(column.values[rows], kind="stable")]
    return int(order[max(math.ceil(q * len(order)) - 1, 0)])


def _numbers(column: Column, runs: Runs, kinds: Sequence[ColumnType]) -> tuple[Array, Array, Array]:
    """Rows with a value, their runs, and where each run begins among them. Raises ValueProblem for another type."""
    if column.type not in kinds:
        raise _unsupported(column)
    rows, run = _present(column, runs)
    return rows, run, np.flatnonzero(np.r_[True, run[1:] != run[:-1]][: len(run)])


def _unsupported(column: Column) -> ValueProblem:
    return ValueProblem(f"unsupported aggregate column type {column.type}")
