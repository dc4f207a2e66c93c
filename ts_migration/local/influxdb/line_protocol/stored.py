"""What storage reads out of a line that parsed: fields with their types, and measurement and tags of a series key.

Values are typed by their first and last byte, as the server's field iterator does; it does not look at them again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ts_migration.local.influxdb.line_protocol.go_text import (
    NumberError,
    parse_bool,
    parse_float,
    parse_int,
    parse_uint,
    quote,
)
from ts_migration.local.influxdb.points import FieldType

UNESCAPED_EQUALS = re.compile(rb"(?<!\\)=")
"""Where a key ends: an `=` that no backslash precedes."""
_UNESCAPED_COMMA = re.compile(rb"(?<!\\),")
_ESCAPED = re.compile(rb'\\([," =])')
_ESCAPED_TAG = re.compile(rb"\\([, =])")
_ESCAPED_STRING = re.compile(rb'\\(["\\])')
_TYPED_AS_NUMBER = frozenset(b"0123456789-.nNiIu")


@dataclass(frozen=True, slots=True)
class Poison:
    """A value that the parser lets pass and the storage engine chokes on: its shard answers 500 with these words."""

    message: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a line: unescaped key, type by its first and last byte, value (bytes for strings)."""

    key: bytes
    type: FieldType | None
    value: float | int | bool | bytes | Poison


def field_value_end(buf: bytes, i: int) -> int:
    """`scanFieldValue`: up to a comma outside quotes; a backslash escapes a quote or a backslash."""
    end = len(buf)
    quoted = False
    while i < end:
        byte = buf[i]
        if byte == 0x5C and i + 1 < end and buf[i + 1] in b'"\\':
            i += 2
            continue
        if byte == 0x22:
            quoted = not quoted
        elif byte == 0x2C and not quoted:
            break
        i += 1
    return i


def _typed(raw: bytes) -> tuple[FieldType | None, float | int | bool | bytes | Poison]:
    if not raw:
        return None, Poison("unknown field type")
    if raw[0] == 0x22:
        if len(raw) < 2:
            # A real server dies here (slice bounds out of range), for every client.
            return FieldType.STRING, Poison("runtime error: slice bounds out of range [1:0]")
        return FieldType.STRING, _ESCAPED_STRING.sub(rb"\1", raw[1:-1])
    if raw[0] in _TYPED_AS_NUMBER:
        if raw[-1] == 0x69:
            return FieldType.INTEGER, _or_poison("integer", parse_int, raw[:-1])
        if raw[-1] == 0x75:
            return FieldType.UNSIGNED, _or_poison("unsigned", parse_uint, raw[:-1])
        return FieldType.FLOAT, _or_poison("floating point", parse_float, raw)
    return FieldType.BOOLEAN, _or_poison("bool", parse_bool, raw)


def _or_poison(kind: str, parse: Callable[[bytes], float], raw: bytes) -> float | Poison:
    try:
        return parse(raw)
    except NumberError as error:
        return Poison(f"unable to parse {kind} value {quote(raw)}: {error}")


def fields_of(section: bytes) -> list[Field]:
    """The fields of a field section as the storage engine walks them, in their order, duplicates included."""
    found: list[Field] = []
    i = 0
    while i < len(section):
        match = UNESCAPED_EQUALS.search(section, i)
        at = match.start() if match else len(section)
        end = field_value_end(section, at + 1)
        type_, value = _typed(section[at + 1 : end])
        found.append(Field(_ESCAPED.sub(rb"\1", section[i:at]), type_, value))
        i = end + 1
    return found


def measurement_of(key: bytes) -> bytes:
    """The unescaped measurement of a series key."""
    if b"\\" not in key:
        return key.partition(b",")[0]
    match = _UNESCAPED_COMMA.search(key, 1)
    return _ESCAPED.sub(rb"\1", key[: match.start()] if match else key)


def tags_of(key: bytes) -> list[tuple[bytes, bytes]]:
    """The unescaped tags of a series key, in the order of the key."""
    if b"\\" not in key:
        pairs = (pair.partition(b"=") for pair in key.split(b",")[1:])
        return [(name, value) for name, _, value in pairs]
    match = _UNESCAPED_COMMA.search(key, 1)
    tags: list[tuple[bytes, bytes]] = []
    i = match.end() if match else len(key)
    while i < len(key):
        equals = UNESCAPED_EQUALS.search(key, i)
        at = equals.start() if equals else len(key)
        comma = _UNESCAPED_COMMA.search(key, at + 1)
        end = comma.start() if comma else len(key)
        tags.append((_ESCAPED_TAG.sub(rb"\1", key[i:at]), _ESCAPED_TAG.sub(rb"\1", key[at + 1 : end])))
        i = end + 1
    return tags
