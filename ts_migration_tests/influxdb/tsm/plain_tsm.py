"""TSM value by value in plain Python: a walk over a file that judges what the product writes, and encoders for what it
must read though it never writes it.

Written from the format's description, apart from the product: no code is shared, so that no fault can hide in both.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

FLOAT, INTEGER, BOOLEAN, STRING, UNSIGNED = range(5)
WIDTHS = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60]
COUNTS = [240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1]
END_OF_FLOATS = 0x7FF8000000000001
MASK = 2**64 - 1


@dataclass
class Block:
    """One block: bits of floats, ints, bools or bytes by type."""

    times: list[int]
    values: list
    time_encoding: int
    value_encoding: int
    size: int


@dataclass
class Key:
    """One key with its blocks."""

    type: int
    blocks: list[Block]

    @property
    def points(self) -> list[tuple]:
        return [point for block in self.blocks for point in zip(block.times, block.values, strict=True)]


def signed(value: int) -> int:
    value &= MASK
    return value - 2**64 if value >= 2**63 else value


def uvarint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 128:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


def words(data: bytes) -> list[int]:
    assert len(data) % 8 == 0
    return list(struct.unpack(f">{len(data) // 8}Q", data))


def simple8b(data: bytes) -> list[int]:
    numbers = []
    for word in words(data):
        selector = word >> 60
        for place in range(COUNTS[selector]):
            width = WIDTHS[selector]
            numbers.append((word >> place * width) & (1 << width) - 1 if width else 1)
    return numbers


def times_of(part: bytes) -> list[int]:
    encoding, divisor = part[0] >> 4, 10 ** (part[0] & 15)
    (first,) = struct.unpack(">q", part[1:9])
    if encoding == 0:
        steps = words(part[9:])
    elif encoding == 1:
        steps = [step * divisor for step in simple8b(part[9:])]
    else:
        step, at = uvarint(part, 9)
        count, at = uvarint(part, at)
        assert at == len(part) and encoding == 2
        steps = [step * divisor] * (count - 1)
    times = [first]
    for step in steps:
        times.append(signed(times[-1] + step))
    return times


def integers_of(part: bytes) -> list[int]:
    encoding = part[0] >> 4
    if encoding == 0:
        steps = words(part[1:])
    elif encoding == 1:
        steps = words(part[1:9]) + simple8b(part[9:])
    else:
        step, at = uvarint(part, 9)
        repeated, at = uvarint(part, at)
        assert at == len(part) and encoding == 2
        steps = words(part[1:9]) + [step] * repeated
    values, value = [], 0
    for step in steps:
        value = signed(value + (step >> 1 ^ -(step & 1)))
        values.append(value)
    return values


def floats_of(part: bytes) -> list[int]:
    assert part[0] == 0x10
    bits = "".join(f"{byte:08b}" for byte in part[1:])
    at, value, values, leading, width = 64, int(bits[:64], 2), [], 0, 64
    while value != END_OF_FLOATS:
        values.append(value)
        if bits[at] == "0":
            at += 1
            continue
        if bits[at + 1] == "1":
            leading, width = int(bits[at + 2 : at + 7], 2), int(bits[at + 7 : at + 13], 2) or 64
            at += 13
        else:
            at += 2
        value ^= int(bits[at : at + width], 2) << 64 - leading - width
        at += width
    assert len(bits) - at < 8 and "1" not in bits[at:]
    return values


def booleans_of(part: bytes) -> list[bool]:
    assert part[0] == 0x10
    count, at = uvarint(part, 1)
    assert len(part) == at + (count + 7) // 8
    return [bool(part[at + place // 8] >> 7 - place % 8 & 1) for place in range(count)]


def strings_of(part: bytes) -> list[bytes]:
    assert part[0] == 0x10
    size, _ = uvarint(part, 1)
    text, at, values = pa.decompress(part[1:], size, "snappy", asbytes=True), 0, []
    while at < len(text):
        length, at = uvarint(text, at)
        values.append(text[at : at + length])
        at += length
    return values


VALUES_OF = {FLOAT: floats_of, INTEGER: integers_of, BOOLEAN: booleans_of, STRING: strings_of, UNSIGNED: integers_of}


def walk(file: bytes) -> dict[bytes, Key]:
    """Everything in a file; asserts all that a file must be: order, CRCs, sizes, ranges, no byte unaccounted for."""
    assert file[:5] == b"\x16\xd1\x16\xd1\x01"
    (start,) = struct.unpack(">Q", file[-8:])
    at, offset, keys, last_key = start, 5, {}, b""
    while at < len(file) - 8:
        (length,) = struct.unpack(">H", file[at : at + 2])
        key = file[at + 2 : at + 2 + length]
        kind, count = struct.unpack(">BH", file[at + 2 + length : at + 5 + length])
        at += 5 + length
        assert key > last_key and count
        last_key, blocks, last_time = key, [], None
        for _ in range(count):
            first, last, begins, size = struct.unpack(">qqQI", file[at : at + 28])
            at += 28
            assert begins == offset, "blocks lie in the order of the index, without a gap"
            offset += size
            crc, body = struct.unpack(">I", file[begins : begins + 4])[0], file[begins + 4 : begins + size]
            assert zlib.crc32(body) == crc and body[0] == kind
            time_size, split = uvarint(body, 1)
            times, part = times_of(body[split : split + time_size]), body[split + time_size :]
            values = VALUES_OF[kind](part)
            if kind == UNSIGNED:
                values = [value & MASK for value in values]
            assert len(times) == len(values) <= 1000
            assert all(one < other for one, other in pairwise(times))
            assert (times[0], times[-1]) == (first, last) and (last_time is None or first > last_time)
            last_time = last
            blocks.append(Block(times, values, body[split] >> 4, part[0] >> 4, size))
        keys[key] = Key(kind, blocks)
    assert at == len(file) - 8 and offset == start
    return keys


def varint(value: int) -> bytes:
    made = bytearray()
    while value >= 128:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def raw_times(times: list[int]) -> bytes:
    steps = [second - first for first, second in pairwise(times)]
    return b"\x00" + struct.pack(">q", times[0]) + b"".join(struct.pack(">Q", step) for step in steps)


def run_of_times(first: int, step: int, count: int, exponent: int) -> bytes:
    return bytes([0x20 | exponent]) + struct.pack(">q", first) + varint(step // 10**exponent) + varint(count)


def packed_word(selector: int, numbers: list[int]) -> bytes:
    """One word of simple8b."""
    assert len(numbers) == COUNTS[selector]
    word = selector << 60
    for place, number in enumerate(numbers):
        word |= number << place * WIDTHS[selector] if WIDTHS[selector] else 0
    return struct.pack(">Q", word)


def gorilla(values: list[int]) -> bytes:
    """Floats as InfluxDB writes them: a window is kept as long as values fit into it."""
    bits, leading, width = f"{values[0]:064b}", None, 0
    for before, value in zip(values, [*values[1:], END_OF_FLOATS], strict=True):
        change = before ^ value
        if not change:
            bits += "0"
            continue
        text = f"{change:064b}"
        own, trailing = min(len(text) - len(text.lstrip("0")), 31), len(text) - len(text.rstrip("0"))
        if leading is not None and own >= leading and trailing >= 64 - leading - width:
            bits += "10" + text[leading : leading + width]
        else:
            leading, width = own, 64 - own - trailing
            bits += f"11{leading:05b}{width & 63:06b}" + text[leading : leading + width]
    bits += "0" * (-len(bits) % 8)
    return b"\x10" + bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def block(kind: int, times: bytes, values: bytes) -> bytes:
    body = bytes([kind]) + varint(len(times)) + times + values
    return struct.pack(">I", zlib.crc32(body)) + body


def file_of(keys: dict[bytes, tuple[int, list[tuple[int, int, bytes]]]]) -> bytes:
    """A file of keys in the order given: type and blocks, each with its first and last time."""
    content, index = b"\x16\xd1\x16\xd1\x01", b""
    for key, (kind, blocks) in keys.items():
        index += struct.pack(">H", len(key)) + key + struct.pack(">BH", kind, len(blocks))
        for first, last, made in blocks:
            index += struct.pack(">qqQI", first, last, len(content), len(made))
            content += made
    return content + index + struct.pack(">Q", len(content))
