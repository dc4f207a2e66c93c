"""Strategies for columns: keys of any lengths, times and values of every nature that an encoding is there for."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ts_migration.influxdb.tsm.columns import DTYPES, FieldKind, TsmColumn
from ts_migration_tests.influxdb.tsm.columns import column_of

SMALLEST, GREATEST = -(2**63), 2**63 - 1
LENGTHS = st.one_of(st.integers(1, 40), st.sampled_from([119, 240, 999, 1000, 1001, 2001, 2500]))
Rng = np.random.Generator


def regular(rng: Rng, count: int) -> np.ndarray:
    step = int(rng.choice([1, 7, 10**3, 10**9, 600 * 10**9, 10**12, 3 * 10**12]))
    return int(rng.integers(-(2**60), 2**60)) + step * np.arange(count)


def with_gaps(rng: Rng, count: int) -> np.ndarray:
    steps = rng.choice([1, 1, 1, 1, 2, 50], count) * 10 ** int(rng.integers(0, 12))
    return int(rng.integers(-(2**60), 2**60)) + np.cumsum(steps)


def irregular(rng: Rng, count: int) -> np.ndarray:
    return int(rng.integers(-(2**60), 2**60)) + np.cumsum(rng.integers(1, 1 << int(rng.integers(1, 49)), count))


def far_apart(rng: Rng, count: int) -> np.ndarray:
    """From end to end of int64: a step can be longer than half of it."""
    drawn = np.unique(rng.integers(SMALLEST, GREATEST, 2 * count, endpoint=True))
    chosen = np.sort(rng.choice(drawn, count, replace=False))
    chosen[0] = SMALLEST
    if count > 1:
        chosen[-1] = GREATEST
    return chosen


TIMES: list[Callable[[Rng, int], np.ndarray]] = [regular, with_gaps, irregular, far_apart]

FLOATS = np.array(
    [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 1.0, -1.0,
     np.pi, 0.1, np.inf, -np.inf, float.fromhex("0x1.fffffffffffffp0")]
)  # fmt: skip


def floats(rng: Rng, count: int) -> np.ndarray:
    values = [
        np.full(count, rng.choice(FLOATS)),
        rng.choice(FLOATS, count),
        np.round(rng.normal(400, 50, count), int(rng.integers(0, 6))),
        np.cumsum(rng.integers(-3, 4, count)).astype(np.float64),
        rng.integers(0, 2**64, count, np.uint64).view(np.float64),
        np.repeat(rng.normal(size=count), 7)[:count],
    ][int(rng.integers(0, 6))]
    return np.where(np.isnan(values), 0.5, values).view(np.uint64)


def integers(rng: Rng, count: int) -> np.ndarray:
    extremes = np.array([SMALLEST, GREATEST, 0, -1, 1, SMALLEST + 1, 2**59, -(2**59), 2**60])
    return [
        np.full(count, rng.choice(extremes)),
        rng.choice(extremes, count),
        int(rng.integers(-1000, 1000)) * np.arange(count),
        rng.integers(-(1 << int(rng.integers(0, 60))), 1 << int(rng.integers(0, 60)), count),
        np.where(rng.random(count) < 0.02, rng.integers(-(2**40), 2**40, count), rng.integers(0, 2, count)),
        rng.integers(SMALLEST, GREATEST, count, endpoint=True),
    ][int(rng.integers(0, 6))]


def values_of(kind: FieldKind, rng: Rng, count: int) -> list:
    match kind:
        case FieldKind.FLOAT:
            return floats(rng, count).tolist()
        case FieldKind.BOOLEAN:
            return (rng.random(count) < rng.choice([0.0, 0.5, 1.0])).tolist()
        case FieldKind.STRING:
            longest = int(rng.choice([1, 20, 130, 300]))
            return [rng.bytes(int(length)) for length in rng.integers(0, longest, count)]
        case _:
            return integers(rng, count).astype(DTYPES[kind]).tolist()


@st.composite
def columns(draw: st.DrawFn, kind: FieldKind) -> TsmColumn:
    """A column of up to four keys, in byte order or not."""
    names = draw(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4, unique=True))
    points = {}
    for name in names:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        count = draw(LENGTHS)
        times = draw(st.sampled_from(TIMES))(rng, count).tolist()
        points[name + b"#!~#" + kind.name.encode()] = list(zip(times, values_of(kind, rng, count), strict=True))
    return column_of(kind, points)
