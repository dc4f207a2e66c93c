"""Floats of blocks, by Gorilla: each value's bits that differ from the one before, for all blocks at once.

Source: influxdb, tsdb/engine/tsm1/float.go and batch_float.go; Pelkonen et al., Gorilla, VLDB 2015, 4.1.2.
"""

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm.bits import bit_lengths, trailing_zeros
from ts_migration.influxdb.tsm.columns import Booleans, Bytes, Integers, Words
from ts_migration.influxdb.tsm.ragged import anywhere, offsets_of, parts, positions_in
from ts_migration.influxdb.tsm.stretch import Stretch, expect

GORILLA = 1
END = np.uint64(0x7FF8000000000001)
"""The NaN that ends a block: no value can be one."""
SEGMENT = 16
"""Values that may share a window."""
_NEW_WINDOW, _SAME_WINDOW = 0b11 << 11, 0b10


def encoded(bits: Words, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    """A part for each block.

    Args:
        bits: of the floats of all blocks, no NaN among them.
        starts: where each block begins.
        lengths: of the blocks, at least 1.
    """
    blocks = np.arange(len(starts))
    firsts, ends = starts + blocks, starts + lengths + blocks
    values = np.empty(len(bits) + len(starts), np.uint64)
    own = np.ones(len(values), np.bool_)
    own[ends] = False
    values[own] = bits
    values[ends] = END
    changes = values.copy()
    changes[1:] ^= values[:-1]
    changes[firsts] = values[firsts]
    apart = changes == 0
    leading = np.minimum(np.uint8(64) - bit_lengths(changes), np.uint8(31))
    trailing = trailing_zeros(changes | apart)
    control_widths = np.where(apart, np.uint8(1), np.uint8(13))
    apart[firsts] = apart[ends] = True
    kept = _windows(leading, trailing, apart, firsts, lengths + 1)
    widths = np.uint8(64) - leading - trailing
    widths[changes == 0] = 0
    controls = np.left_shift(leading, 6, dtype=np.uint64) | np.uint64(_NEW_WINDOW) | (widths & 63)
    controls[changes == 0] = 0
    controls[kept], control_widths[kept] = _SAME_WINDOW, 2
    controls[firsts], control_widths[firsts], widths[firsts], trailing[firsts] = GORILLA << 4, 8, 64, 0
    return _streams(controls, control_widths, changes >> trailing, widths, firsts)


def _windows(leading: Bytes, trailing: Bytes, apart: Booleans, firsts: Integers, spans: Integers) -> Integers:
    """Widen windows so that the values of a segment share one, where that takes fewer bits than one for each value.

    InfluxDB decides from value to value; by segment, whole columns can be decided at once.

    Args:
        leading, trailing: zeros of each change; of values that come to share a window, they are set to the window's.
        apart: values that need no window, or one of their own.
        firsts, spans: where blocks begin, and how long they are.

    Returns:
        Places of values that keep the window of the one before.
    """
    counts = (spans + SEGMENT - 1) // SEGMENT
    begins = np.repeat(firsts, counts) + SEGMENT * positions_in(counts)
    sizes = np.diff(np.append(begins, len(apart)))
    few_leading = np.minimum.reduceat(np.where(apart, np.uint8(64), leading), begins)
    few_trailing = np.minimum.reduceat(np.where(apart, np.uint8(64), trailing), begins)
    width = 64 - few_leading.astype(np.int64) - few_trailing
    windows = np.add.reduceat(~apart, begins, dtype=np.int64)
    alone = np.add.reduceat(np.where(apart, np.uint8(0), np.uint8(77) - leading - trailing), begins, dtype=np.int64)
    shared = np.repeat(11 + (2 + width) * windows < alone, sizes)
    sharing = np.flatnonzero(shared & ~apart)
    segments = np.repeat(np.arange(len(begins)), sizes)[sharing]
    leading[sharing], trailing[sharing] = few_leading[segments], few_trailing[segments]
    kept: Integers = sharing[1:][segments[1:] == segments[:-1]]
    return kept


def _streams(
    controls: Words, control_widths: Bytes, payloads: Words, widths: Bytes, firsts: Integers
) -> pa.LargeBinaryArray:
    """Bits of each control and its payload one behind the other; a block, which begins at `firsts`, begins a byte."""
    ends = np.cumsum(control_widths + widths, dtype=np.int64)
    before = ends[firsts] - control_widths[firsts] - widths[firsts]
    sizes = (np.append(before[1:], ends[-1]) - before + 7) // 8
    offsets = offsets_of(sizes)
    at = ends - widths + np.repeat(8 * offsets[:-1] - before, np.diff(np.append(firsts, len(controls))))
    words = np.zeros(int(offsets[-1]) // 8 + 2, np.uint64)
    _put(words, controls, control_widths, at - control_widths)
    _put(words, payloads, widths, at)
    return parts(words.astype(">u8").view(np.uint8), offsets)


def _put(words: Words, numbers: Words, widths: Bytes, at: Integers) -> None:
    """Set so many low bits of each number at a place in bits. A number reaches into the next word at most."""
    ends = (at & 63) + widths
    # A shift by 64 or more, and by less than 0, leaves nothing.
    whole = numbers << (64 - ends).view(np.uint64)
    over = np.flatnonzero(ends > 64)
    beyond = (ends[over] - 64).view(np.uint64)
    cut = numbers[over]
    whole[over] = cut >> beyond
    word = at >> 6
    begins = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[begins]] |= np.bitwise_or.reduceat(whole, begins)
    words[word[over] + 1] |= cut << (np.uint64(64) - beyond)


def decoded(stretch: Stretch, counts: Integers) -> Words:
    """The bits of the values of all blocks, of which each must hold so many: a step reads one value of each block.

    Raises:
        BrokenPart: an encoding that is not known, or another number of values.
    """
    expect(stretch.encodings == GORILLA, stretch.starts, "its floats have an encoding that is not known")
    expect(stretch.sizes >= 9, stretch.starts, _MISCOUNTED)
    order = np.argsort(-counts, kind="stable")
    left = counts[order]
    reader = _Reader(stretch.of(order))
    begins, found = offsets_of(counts)[:-1][order], np.empty(int(counts.sum()), np.uint64)
    expect(reader.values != END, reader.places, _MISCOUNTED)
    found[begins] = reader.values
    for step in range(1, int(counts.max(initial=0)) + 1):
        going = int(np.searchsorted(-left, -step, "left"))
        ending = int(np.searchsorted(-left, -step, "right"))
        reader.step(ending)
        values = reader.values[:ending]
        expect((values == END) == (left[:ending] == step), reader.places[:ending], _MISCOUNTED)
        found[begins[:going] + step] = values[:going]
    expect((reader.at + 7) >> 3 == reader.ends, reader.places, _MISCOUNTED)
    return found


_MISCOUNTED = "it holds another number of values than of times"


class _Reader:
    """Where each block is read, and what its window is."""

    def __init__(self, stretch: Stretch) -> None:
        self.places, self.ends = stretch.starts, stretch.ends
        self.eights = anywhere(stretch.content, ">u8")
        self.content = stretch.content
        self.values = self.eights[stretch.starts + 1].astype(np.uint64)
        self.at = 8 * (stretch.starts + 9)
        self.last = len(stretch.content) - 9
        self.trailing = np.zeros(len(self.at), np.uint64)
        self.widths = np.full(len(self.at), 64)

    def step(self, count: int) -> None:
        """Go one value on in the first so many blocks."""
        at = self.at[:count]
        word = self._bits(at)
        same, opened = word >> np.uint64(63) == 0, word >> np.uint64(62) == 3
        if opened.any():
            leading, width = (
                word[opened] >> np.uint64(57) & np.uint64(31),
                word[opened] >> np.uint64(51) & np.uint64(63),
            )
            width = np.where(width == 0, np.uint64(64), width)
            expect(leading + width <= 64, self.places[:count][opened], "a float has more than 64 bits")
            self.trailing[:count][opened] = np.uint64(64) - leading - width
            self.widths[:count][opened] = width
        at += np.where(same, 1, np.where(opened, 13, 2))
        widths = np.where(same, 0, self.widths[:count])
        payload = self._bits(at) >> (64 - self.widths[:count]).view(np.uint64) << self.trailing[:count]
        self.values[:count] ^= np.where(same, np.uint64(0), payload)
        at += widths
        expect(at <= 8 * self.ends[:count], self.places[:count], _MISCOUNTED)

    def _bits(self, at: Integers) -> Words:
        """64 bits from a place in bits."""
        byte = np.minimum(at >> 3, self.last)
        shift = (at & 7).astype(np.uint64)
        further = self.content[byte + 8].astype(np.uint64)
        found: Words = self.eights[byte].astype(np.uint64) << shift | further >> (np.uint64(8) - shift)
        return found
