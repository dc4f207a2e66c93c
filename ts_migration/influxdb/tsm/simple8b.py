"""Simple8b: small numbers packed into words of 60 bits and a selector, for all blocks at once.

Source: influxdb, pkg/encoding/simple8b/encoding.go.
"""

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.tsm.bits import bit_lengths
from ts_migration.influxdb.tsm.columns import Integers, Words

MOST = np.uint64((1 << 60) - 1)
COUNTS = np.array([240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1])
"""Numbers in a word, by selector. The first two are runs of ones and need no bits."""
WIDTHS = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60])
"""Bits of each number."""
_WIDER = {14: (15, 1), 13: (14, 1), 12: (14, 2), 11: (12, 1), 10: (12, 2), 9: (12, 3), 8: (12, 4), 7: (8, 2)}
_WIDER |= {6: (8, 4), 5: (8, 7), 4: (7, 10), 3: (5, 15), 2: (3, 30)}
"""How the greatest of each selector's stretch is found: from another one's, and the same so many places further on."""
_BEYOND = 255
_STEPS = 8


def packed(values: Words, starts: Integers) -> tuple[Words, Integers]:
    """Pack all values of each block but its first, which stands apart.

    Args:
        values: at most `MOST` each, but the first of a block, which may be anything.
        starts: where blocks begin.

    Returns:
        The words of all blocks, and how many each block has.
    """
    selectors = _selectors(values, starts)
    counts = COUNTS.astype(np.uint8)[selectors]
    begins, words_of = _word_begins(counts, starts)
    if not len(begins):
        return np.empty(0, np.uint64), words_of
    lengths = counts[begins].astype(np.int64)
    chosen = selectors[begins]
    rest = np.ones(len(values), np.bool_)
    rest[starts] = False
    numbers = values[rest]
    firsts = np.cumsum(lengths) - lengths
    shifts = (np.arange(len(numbers)) - np.repeat(firsts, lengths)) * np.repeat(WIDTHS[chosen], lengths)
    words = np.add.reduceat(numbers << shifts.view(np.uint64), firsts)
    return words | (chosen.astype(np.uint64) << np.uint64(60)), words_of


def _selectors(values: Words, starts: Integers) -> npt.NDArray[np.uint8]:
    """For each place the selector of a word that would begin there: the one with most numbers that fit."""
    room = np.full(len(values) + 60, _BEYOND, np.uint8)
    room[: len(values)] = bit_lengths(values)
    room[starts] = _BEYOND
    greatest = {15: room}
    chosen = np.full(len(values), 15, np.uint8)
    for selector, (narrower, further) in _WIDER.items():
        known = greatest[narrower]
        greatest[selector] = np.maximum(known[: len(known) - further], known[further:])
        np.putmask(chosen, greatest[selector][: len(values)] <= int(WIDTHS[selector]), np.uint8(selector))
    return chosen


def _word_begins(counts: npt.NDArray[np.uint8], starts: Integers) -> tuple[Integers, Integers]:
    """Where words begin, and how many each block has: a step goes one word on in all blocks.

    A block's end is the place of the next one's first value, which no word holds: from there a step leads nowhere. So
    steps need not ask which blocks go on; now and then those that do not are left out.
    """
    jumps = np.append(counts, np.uint8(0))
    jumps[starts] = 0
    begins = np.zeros(len(jumps), np.bool_)
    at = starts + 1
    while len(at := at[jumps[at] > 0]):
        for _ in range(_STEPS):
            begins[at] = True
            at = at + jumps[at]
    begins[starts] = begins[-1] = False
    return np.flatnonzero(begins), np.add.reduceat(begins[:-1], starts, dtype=np.int64)


def unpacked(words: Words) -> tuple[Words, Integers]:
    """All numbers of words one behind the other, and how many each word holds."""
    selectors = (words >> np.uint64(60)).astype(np.int64)
    lengths = COUNTS[selectors]
    chosen = np.repeat(selectors, lengths)
    places = np.arange(len(chosen)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shifts = (places * WIDTHS[chosen]).view(np.uint64)
    masks = (np.uint64(1) << WIDTHS[chosen].view(np.uint64)) - np.uint64(1)
    numbers = (np.repeat(words, lengths) >> np.where(chosen < 2, np.uint64(0), shifts)) & masks
    return np.where(chosen < 2, np.uint64(1), numbers), lengths
