"""Integers of blocks, signed and unsigned: zigzag of differences, as run length, simple8b or raw.

Source: influxdb, tsdb/engine/tsm1/int.go and batch_integer.go.
"""

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm import simple8b
from ts_migration.influxdb.tsm.bits import read_uvarints, unzigzag, uvarints, zigzag
from ts_migration.influxdb.tsm.columns import Integers, Words
from ts_migration.influxdb.tsm.ragged import fixed, joined, merged, offsets_of, positions_in, word_parts
from ts_migration.influxdb.tsm.stretch import Stretch, expect

RAW, PACKED, RUN = 0, 1, 2
HEAD_AND_WORD = np.dtype([("head", np.uint8), ("word", ">u8")])


def headed(heads: Integers, words: Words) -> pa.LargeBinaryArray:
    """Parts of a byte and a word each."""
    records = np.empty(len(words), HEAD_AND_WORD)
    records["head"], records["word"] = heads, words
    return fixed(records)


def chosen_values(values: Words, starts: Integers, lengths: Integers, blocks: Integers) -> tuple[Words, Integers]:
    """Values of some blocks only, and where each of those begins."""
    if len(blocks) == len(starts):
        return values, starts
    own = lengths[blocks]
    begins = offsets_of(own)[:-1]
    return values[np.repeat(starts[blocks] - begins, own) + np.arange(int(own.sum()))], begins


def packed_parts(heads: Integers, firsts: Words, values: Words, starts: Integers) -> pa.LargeBinaryArray:
    """Parts of a byte, the first number as a word, and the rest by simple8b."""
    words, counts = simple8b.packed(values, starts)
    all_words = np.empty(len(words) + len(firsts), np.uint64)
    begins = offsets_of(counts + 1)[:-1]
    all_words[begins] = firsts
    all_words[np.repeat(begins + 1 - offsets_of(counts)[:-1], counts) + np.arange(len(words))] = words
    return word_parts(heads, all_words, counts + 1)


def encoded(values: Words, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    """A part for each block.

    Args:
        values: of all blocks, in two's complement where they are signed.
        starts: where each block begins.
        lengths: of the blocks, at least 1.
    """
    steps = values.copy()
    steps[1:] -= values[:-1]
    steps[starts] = values[starts]
    steps = zigzag(steps)
    firsts = steps[starts]
    second = np.minimum(starts + 1, len(values) - 1)
    steps[starts] = np.where(lengths > 1, steps[second], np.uint64(0))
    most, least = np.maximum.reduceat(steps, starts), np.minimum.reduceat(steps, starts)
    runs = (lengths > 2) & (most == least)
    raw = ~runs & (most > simple8b.MOST)
    steps[starts] = firsts
    run, plain, small = np.flatnonzero(runs), np.flatnonzero(raw), np.flatnonzero(~runs & ~raw)
    groups = []
    if len(run):
        repeated = uvarints((lengths[run] - 1).view(np.uint64))
        head = headed(np.full(len(run), RUN << 4), firsts[run])
        groups.append((run, joined(head, uvarints(most[run]), repeated)))
    if len(plain):
        own, _ = chosen_values(steps, starts, lengths, plain)
        groups.append((plain, word_parts(np.full(len(plain), RAW << 4), own, lengths[plain])))
    if len(small):
        own, begins = chosen_values(steps, starts, lengths, small)
        groups.append((small, packed_parts(np.full(len(small), PACKED << 4), firsts[small], own, begins)))
    return merged(groups, len(starts))


def decoded(parts: Stretch, counts: Integers) -> Words:
    """The values of all blocks, of which each must hold so many.

    Raises:
        BrokenPart: an encoding that is not known, or another number of values.
    """
    encodings, begins = parts.encodings, offsets_of(counts)
    expect(encodings <= RUN, parts.starts, "its integers have an encoding that is not known")
    expect(parts.sizes >= 9, parts.starts, "its integers end too early")
    steps = np.empty(int(begins[-1]), np.uint64)
    for encoding, reading in ((RAW, _raw), (PACKED, _packed), (RUN, _run)):
        blocks = np.flatnonzero(encodings == encoding)
        if len(blocks) == len(counts):
            steps = reading(parts, counts)
        elif len(blocks):
            own = counts[blocks]
            steps[np.repeat(begins[blocks], own) + positions_in(own)] = reading(parts.of(blocks), own)
    return restored(unzigzag(steps), begins)


def restored(steps: Words, begins: Integers) -> Words:
    """Sums of the steps of each block, which begin at these places."""
    sums = np.cumsum(steps)
    before = (sums - steps)[begins[:-1]] if len(steps) else steps
    return sums - np.repeat(before, np.diff(begins))


def _raw(parts: Stretch, counts: Integers) -> Words:
    expect(parts.sizes == 1 + 8 * counts, parts.starts, _MISCOUNTED)
    return parts.words(1, counts)


def _packed(parts: Stretch, counts: Integers) -> Words:
    numbers = np.empty(int(counts.sum()), np.uint64)
    begins = offsets_of(counts)[:-1]
    numbers[begins] = parts.words(1, np.ones(len(counts), np.int64))
    rest = np.ones(len(numbers), np.bool_)
    rest[begins] = False
    numbers[rest] = packed_words(parts, counts)
    return numbers


def packed_words(parts: Stretch, counts: Integers) -> Words:
    """The numbers behind the first one of parts packed by simple8b, which must be one less than `counts`.

    Raises:
        BrokenPart: they are not.
    """
    expect(parts.sizes % 8 == 1, parts.starts, "its numbers do not fill whole words")
    word_counts = parts.sizes // 8 - 1
    numbers, lengths = simple8b.unpacked(parts.words(9, word_counts))
    expect(held(lengths, word_counts) == counts - 1, parts.starts, _MISCOUNTED)
    return numbers


def held(lengths: Integers, word_counts: Integers) -> Integers:
    """Numbers that each part's words hold."""
    return np.diff(offsets_of(lengths)[offsets_of(word_counts)])


def _run(parts: Stretch, counts: Integers) -> Words:
    steps, after, good = read_uvarints(parts.content, parts.starts + 9, parts.ends)
    repeated, end, also = read_uvarints(parts.content, after, parts.ends)
    good &= also & (end == parts.ends) & (repeated == (counts - 1).view(np.uint64))
    expect(good, parts.starts, _MISCOUNTED)
    numbers = np.repeat(steps, counts)
    numbers[offsets_of(counts)[:-1]] = parts.words(1, np.ones(len(counts), np.int64))
    return numbers


_MISCOUNTED = "it holds another number of values than of times"
