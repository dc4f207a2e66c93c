"""The arithmetic of the digest: canonical names, their hashes, and the vectorised finaliser.

Everything that a second implementation must agree on to the bit is here and in `docs/digest.md`. What is summed over
which points is in `digest`. Detects faults, not forgers: nothing here is keyed or cryptographic.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

from ts_migration.line_protocol.mapping import FieldType

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

MASK = 2**64 - 1

LANE_CONSTANTS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Added before the finaliser, one per lane: 2^64 divided by the golden ratio, and the second prime of xxHash64."""

FINALISER = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, None))
"""Stafford's variant 13, the finaliser of SplitMix64: xor-shift right then multiply, three times, the last without."""

TYPE_CONSTANTS = {
    FieldType.FLOAT: 0xA0761D6478BD642F,
    FieldType.INTEGER: 0xE7037ED1A0B428DB,
    FieldType.BOOLEAN: 0x8EBC6AF09C88C6E3,
    FieldType.STRING: 0x589965CC75374CC3,
}
"""Added to a value's bits modulo 2^64, so that 0, 0.0 and false differ. Odd numbers: the secrets of wyhash."""

BLOCK = 8192
"""Values mixed at a time: four buffers of 64 KiB stay in a core's second-level cache."""

SERIES_BUCKETS = 4096
TIME_BINS = 64


def _utf8(text: str) -> bytes:
    """UTF-8; bytes that were no UTF-8 when the server sent them come back as they were."""
    return text.encode("utf-8", "surrogateescape")


def _prefixed(text: str) -> bytes:
    raw = _utf8(text)
    return len(raw).to_bytes(4, "little") + raw


_prefixed_name = lru_cache(4096)(_prefixed)
"""Of measurements and keys, which every series repeats."""


@lru_cache(1024)
def _ordered(keys: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    """Tag keys by their bytes, each with what stands for it."""
    return tuple((key, _prefixed(key)) for key in sorted(keys, key=_utf8))


def canonical_series(measurement: str, tags: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """Measurement, then tag keys and values by the bytes of the keys, each with its length in four bytes before it.

    Tags with an empty value are left out: to InfluxDB they are no tags.
    """
    known = tags if isinstance(tags, Mapping) else dict(tags)
    pieces = [_prefixed_name(measurement)]
    for key, head in _ordered(tuple(known)):
        value = known[key]
        if value:
            raw = value.encode("utf-8", "surrogateescape")
            pieces += (head, len(raw).to_bytes(4, "little"), raw)
    return b"".join(pieces)


def canonical_field(field: str) -> bytes:
    """A field key with its length before it; series and field together are the input of `key_hash`."""
    return _prefixed(field)


def key_hash(series: bytes, field: bytes) -> int:
    """k: xxh3 (64 bits) of the canonical series followed by the canonical field."""
    return xxhash.xxh3_64_intdigest(series + field)


def series_hash(series: bytes) -> int:
    """xxh3 (64 bits) of the canonical series; its upper 12 bits choose the series bucket of the coverage."""
    return xxhash.xxh3_64_intdigest(series)


def series_bucket(hashed: int) -> int:
    """Which of the 4,096 series buckets a series hash falls into."""
    return hashed >> 52


class StringHashes(dict[str, int]):
    """xxh3 of strings, remembered: a column repeats its values. Long ones are not kept; at `limit` all are dropped."""

    def __init__(self, limit: int = 200_000, longest: int = 256) -> None:
        super().__init__()
        self.limit = limit
        self.longest = longest

    def __missing__(self, text: str) -> int:
        value = xxhash.xxh3_64_intdigest(_utf8(text))
        if len(text) <= self.longest:
            if len(self) >= self.limit:
                self.clear()
            self[text] = value
        return value

    def of(self, texts: Iterable[str], count: int) -> U64:
        """Hashes of `count` strings."""
        return np.fromiter(map(self.__getitem__, texts), np.uint64, count)


def series_buckets(hashes: U64) -> I64:
    """`series_bucket` of each hash."""
    return (hashes >> np.uint64(52)).astype(np.int64)


def mix_number(value: int, lane: int) -> int:
    """The finaliser of one lane on one number: what `mix_in_place` does to arrays."""
    value = (value + LANE_CONSTANTS[lane]) & MASK
    for shift, factor in FINALISER:
        value ^= value >> shift
        if factor is not None:
            value = value * factor & MASK
    return value


_ADDENDS = tuple(np.uint64(constant) for constant in LANE_CONSTANTS)
_STEPS = tuple((np.uint64(shift), None if factor is None else np.uint64(factor)) for shift, factor in FINALISER)


def mix_in_place(values: U64, scratch: U64, lane: int) -> None:
    """The finaliser of one lane on every element of `values`, with a scratch array of the same length."""
    values += _ADDENDS[lane]
    _finalise_in_place(values, scratch)


def _finalise_in_place(values: U64, scratch: U64) -> None:
    for shift, factor in _STEPS:
        np.right_shift(values, shift, out=scratch)
        np.bitwise_xor(values, scratch, out=values)
        if factor is not None:
            np.multiply(values, factor, out=values)


_LANE_ADDENDS = np.array(LANE_CONSTANTS, np.uint64)


def mix_lanes_in_place(values: U64, scratch: U64) -> None:
    """The finalisers of both lanes on an array whose first axis is the lane, with a scratch array of the same shape."""
    values += _LANE_ADDENDS.reshape(2, *[1] * (values.ndim - 1))
    _finalise_in_place(values, scratch)


def mixed(values: U64, lane: int) -> U64:
    """`mix_in_place` on a copy."""
    result = values.copy()
    mix_in_place(result, np.empty_like(result), lane)
    return result


def point_hashes(keys: U64 | np.uint64, times: U64, values: U64, lane: int) -> U64:
    """mix(mix(key ^ time) ^ value) of every point value.

    Args:
        keys: mix(k) of the lane, one per value, or one for all.
        times: ns since the epoch, as unsigned bits.
        values: value bits plus the constant of their type.
        lane: 0 or 1.
    """
    result = np.empty(len(times), np.uint64)
    scratch = np.empty(min(BLOCK, len(times)), np.uint64)
    for start in range(0, len(times), BLOCK):
        block = result[start : start + BLOCK]
        rest = scratch[: len(block)]
        own = keys[start : start + BLOCK] if isinstance(keys, np.ndarray) else keys
        np.bitwise_xor(own, times[start : start + BLOCK], out=block)
        mix_in_place(block, rest, lane)
        np.bitwise_xor(block, values[start : start + BLOCK], out=block)
        mix_in_place(block, rest, lane)
    return result


def value_bits(values: npt.NDArray[np.generic], kind: FieldType) -> U64:
    """Bits of float, integer or boolean values plus the constant of their type. Strings are hashed, then `typed`."""
    if kind is FieldType.FLOAT:
        bits = np.ascontiguousarray(values, np.float64).view(np.uint64)
    elif kind is FieldType.INTEGER:
        bits = np.ascontiguousarray(values, np.int64).view(np.uint64)
    elif kind is FieldType.BOOLEAN:
        bits = np.asarray(values).astype(np.uint64)
    else:
        raise ValueError("strings are hashed before they are typed")
    return typed(bits, kind)


def typed(bits: U64, kind: FieldType) -> U64:
    """Bits plus the constant of their type, modulo 2^64."""
    return bits + np.uint64(TYPE_CONSTANTS[kind])
