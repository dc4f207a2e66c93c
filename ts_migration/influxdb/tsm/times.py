"""Times of blocks: differences, as run length, simple8b or raw, the first two divided by a power of ten.

Source: influxdb, tsdb/engine/tsm1/timestamp.go and batch_timestamp.go.
"""

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm import simple8b
from ts_migration.influxdb.tsm.bits import read_uvarints, trailing_zeros, uvarints
from ts_migration.influxdb.tsm.columns import Booleans, Integers, Words
from ts_migration.influxdb.tsm.integers import (
    PACKED,
    RAW,
    RUN,
    chosen_values,
    headed,
    held,
    packed_parts,
    packed_words,
    restored,
)  # fmt: skip
from ts_migration.influxdb.tsm.ragged import joined, merged, offsets_of, positions_in, word_parts
from ts_migration.influxdb.tsm.stretch import Stretch, expect

POWERS = np.array([10**exponent for exponent in range(13)], np.uint64)
MOST_POINTS = 1_000_000
"""Of a block that is read: writers make at most 1,000, InfluxDB's full compactions 10,000."""
MOST_TOGETHER = 1 << 25
"""Of all blocks that are decoded at once; as many of 10,000 have less. A run takes 20 bytes, however many it holds."""


def encoded(times: Integers, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    """A part for each block.

    Args:
        times: ns of all blocks, ascending in each.
        starts: where each block begins.
        lengths: of the blocks, at least 1.
    """
    firsts = times[starts].view(np.uint64)
    steps = np.empty(len(times), np.uint64)
    steps[1:] = times.view(np.uint64)[1:] - times.view(np.uint64)[:-1]
    second = np.minimum(starts + 1, len(times) - 1)
    steps[starts] = np.where(lengths > 1, steps[second], np.uint64(0))
    most, least = np.maximum.reduceat(steps, starts), np.minimum.reduceat(steps, starts)
    runs = (lengths > 1) & (most == least)
    raw = ~runs & (most > simple8b.MOST)
    run, plain, small = np.flatnonzero(runs), np.flatnonzero(raw), np.flatnonzero(~runs & ~raw)
    groups = []
    if len(run):
        exponents = _exponents(most[run])
        head = headed((RUN << 4) | exponents, firsts[run])
        counts = uvarints(lengths[run].view(np.uint64))
        groups.append((run, joined(head, uvarints(most[run] // POWERS[exponents]), counts)))
    if len(plain):
        own, begins = chosen_values(steps, starts, lengths, plain)
        own = own.copy()
        own[begins] = firsts[plain]
        groups.append((plain, word_parts(np.full(len(plain), RAW << 4), own, lengths[plain])))
    if len(small):
        own, begins = chosen_values(steps, starts, lengths, small)
        exponents = _common_exponents(own, begins, lengths[small])
        if exponents.any():
            own = own // np.repeat(POWERS[exponents], lengths[small])
        groups.append((small, packed_parts((PACKED << 4) | exponents, firsts[small], own, begins)))
    return merged(groups, len(starts))


def _exponents(steps: Words) -> Integers:
    """The greatest power of ten, up to 12, that divides each number; 0 is divided by all."""
    found = np.zeros(len(steps), np.int64)
    for exponent in range(1, 13):
        found += (found == exponent - 1) & (steps % POWERS[exponent] == 0)
    return found


def _common_exponents(steps: Words, starts: Integers, lengths: Integers) -> Integers:
    """The greatest power of ten, up to 12, that divides all of each block's steps.

    What divides them divides their sum, and no more twos divide all of them than divide their union of bits: mostly
    this is the answer already, and all steps are divided only once, to see it.
    """
    union = np.bitwise_or.reduceat(steps, starts)
    twos = np.where(union == 0, 12, np.minimum(trailing_zeros(union), 12))
    found = np.minimum(twos, _exponents(np.add.reduceat(steps, starts)))
    while (open_ := np.flatnonzero(found > 0)).size:
        own, begins = chosen_values(steps, starts, lengths, open_)
        left = own % np.repeat(POWERS[found[open_]], lengths[open_])
        failed = np.maximum.reduceat(left, begins) > 0
        if not failed.any():
            break
        found[open_[failed]] -= 1
    return found


def decoded(parts: Stretch) -> tuple[Integers, Integers]:
    """The times of all blocks, and how many each block has.

    Raises:
        BrokenPart: an encoding that is not known, or bytes that are no times.
    """
    encodings = parts.encodings
    expect(encodings <= RUN, parts.starts, "its times have an encoding that is not known")
    expect(parts.sizes >= 9, parts.starts, "its times end too early")
    powers = parts.content[parts.starts] & 15
    expect((powers <= 12) | (encodings == RAW), parts.starts, "its times have a divisor that is not known")
    counts = np.zeros(len(encodings), np.int64)
    repeated = np.zeros(len(encodings), np.uint64)
    raw, packed, run = (np.flatnonzero(encodings == encoding) for encoding in (RAW, PACKED, RUN))
    counts[raw] = parts.of(raw).sizes // 8
    expect(parts.of(raw).sizes % 8 == 1, parts.starts[raw], "its times do not fill whole words")
    counts[packed] = _packed_counts(parts.of(packed))
    repeated[run], counts[run] = _runs(parts.of(run))
    expect((counts > 0) & (counts <= MOST_POINTS), parts.starts, f"its times are none, or more than {MOST_POINTS:,}")
    expect(np.cumsum(counts) <= MOST_TOGETHER, parts.starts, f"its times and those before are over {MOST_TOGETHER:,}")
    begins = offsets_of(counts)
    steps = np.empty(int(begins[-1]), np.uint64)
    if len(run):
        _put(steps, begins, run, np.repeat(repeated[run], counts[run]), counts[run])
    if len(raw):
        _put(steps, begins, raw, parts.of(raw).words(1, counts[raw]), counts[raw])
    if len(packed):
        rest = _after_firsts(begins, packed, counts)
        steps[rest] = packed_words(parts.of(packed), counts[packed])
    divisors = np.where(encodings == RAW, np.uint64(1), POWERS[np.minimum(powers, 12)])
    if (divisors > 1).any():
        steps *= np.repeat(divisors, counts)
    steps[begins[:-1]] = parts.words(1, np.ones(len(counts), np.int64))
    return restored(steps, begins).view(np.int64), counts


def _packed_counts(parts: Stretch) -> Integers:
    expect(parts.sizes % 8 == 1, parts.starts, "its times do not fill whole words")
    word_counts = parts.sizes // 8 - 1
    selectors = (parts.words(9, word_counts) >> np.uint64(60)).astype(np.int64)
    return held(simple8b.COUNTS[selectors], word_counts) + 1


def _runs(parts: Stretch) -> tuple[Words, Integers]:
    steps, after, good = read_uvarints(parts.content, parts.starts + 9, parts.ends)
    counts, end, also = read_uvarints(parts.content, after, parts.ends)
    expect(good & also & (end == parts.ends), parts.starts, "its times end too early or too late")
    return steps, np.minimum(counts, np.uint64(MOST_POINTS + 1)).astype(np.int64)


def _put(steps: Words, begins: Integers, blocks: Integers, own: Words, lengths: Integers) -> None:
    if len(own) == len(steps):
        steps[:] = own
    else:
        steps[np.repeat(begins[blocks], lengths) + positions_in(lengths)] = own


def _after_firsts(begins: Integers, blocks: Integers, counts: Integers) -> Booleans | Integers:
    """The places of all values of these blocks but the first ones."""
    if len(blocks) == len(counts):
        places = np.ones(int(begins[-1]), np.bool_)
        places[begins[:-1]] = False
        return places
    lengths = counts[blocks] - 1
    return np.repeat(begins[blocks] + 1, lengths) + positions_in(lengths)
