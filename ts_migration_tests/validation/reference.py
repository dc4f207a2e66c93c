"""The digest once more, a value at a time in plain Python: what the vectorised one is held against. Written from docs/digest.md."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import xxhash

MASK = 2**64 - 1
LANES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
TYPES = {
    "float": 0xA0761D6478BD642F,
    "integer": 0xE7037ED1A0B428DB,
    "boolean": 0x8EBC6AF09C88C6E3,
    "string": 0x589965CC75374CC3,
}


@dataclass(frozen=True)
class Value:
    """One value of one point."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    field: str
    time_ns: int
    kind: str
    value: float | int | bool | str


def mix(x: int, lane: int) -> int:
    x = (x + LANES[lane]) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def prefixed(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    return len(raw).to_bytes(4, "little") + raw


def series_bytes(measurement: str, tags: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    result = prefixed(measurement)
    for key, value in sorted(dict(tags).items(), key=lambda tag: tag[0].encode("utf-8", "surrogateescape")):
        if value != "":
            result += prefixed(key) + prefixed(value)
    return result


def bits(kind: str, value: float | int | bool | str) -> int:
    if kind == "float":
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    if kind == "integer":
        return int(value) & MASK
    if kind == "boolean":
        return 1 if value else 0
    return xxhash.xxh3_64_intdigest(str(value).encode("utf-8", "surrogateescape"))


def value_lane(value: Value, lane: int) -> int:
    k = xxhash.xxh3_64_intdigest(series_bytes(value.measurement, value.tags) + prefixed(value.field))
    v = (bits(value.kind, value.value) + TYPES[value.kind]) & MASK
    return mix(mix(mix(k, lane) ^ (value.time_ns & MASK), lane) ^ v, lane)


def lanes(values: Iterable[Value]) -> tuple[int, int]:
    first = second = 0
    for value in values:
        first = (first + value_lane(value, 0)) & MASK
        second = (second + value_lane(value, 1)) & MASK
    return first, second


def series_bucket(value: Value) -> int:
    return xxhash.xxh3_64_intdigest(series_bytes(value.measurement, value.tags)) >> 52


def time_bin(value: Value, start_ns: int, end_ns: int) -> int:
    return (value.time_ns - start_ns) // -(-(end_ns - start_ns) // 64)
