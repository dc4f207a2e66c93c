"""One line of line protocol at a time, exactly as influxd 2.7.11 reads it: what it accepts, and its words when not.

The steps are those of its models/points.go, quirks included; the verdicts of a real server on 6,615 inputs pin them.
Speed does not belong here: `vectorised` reads ordinary lines and hands the rest to this module.
"""

import itertools
import re
from dataclasses import dataclass

from ts_migration.local.influxdb.line_protocol.go_text import (
    NumberError,
    parse_float,
    parse_int,
    parse_uint,
    quote,
    to_text,
)
from ts_migration.local.influxdb.line_protocol.stored import UNESCAPED_EQUALS, field_value_end
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS

MAX_KEY_LENGTH = 65535
"""Largest series key (escaped measurement and tags), and largest series key + 4 + field key, in bytes."""

_RESERVED_TAGS = frozenset((b"time", b"_measurement", b"_field", b"\x00", b"\xff"))
_BLANK = b" \t\x00"
_LINE_SPECIALS = re.compile(rb'[\\ =,"\n]')
_FIELD_SPECIALS = re.compile(rb'[\\"=, ]')
_KEY_STOP = re.compile(rb"(?<!\\)[ ,]")
_TAG_STOP = re.compile(rb"(?<!\\)[ ,=]")
_TAG_END = re.compile(rb"[, ]")
_NUMBER_FIRST = frozenset(b"0123456789.-Nn")
_BOOLEANS = frozenset((b"t", b"T", b"true", b"TRUE", b"True", b"f", b"F", b"false", b"FALSE", b"False"))


class LineError(ValueError):
    """A line that the parser refuses; the text is the reason alone, without the line."""


@dataclass(frozen=True, slots=True)
class RawPoint:
    """A line that parsed: series key with sorted tags (escaped bytes), field section (bytes), time in ns."""

    key: bytes
    fields: bytes
    time_ns: int


def scan_line(buf: bytes, i: int) -> int:
    """The position of the LF that ends the line starting at `i`, or at least len(buf).

    An LF inside a quoted field value or after a backslash does not end a line; quotes count only behind the first
    space and while more `=` than `,` were seen there.
    """
    quoted = fields = False
    equals = commas = 0
    end = len(buf)
    while True:
        match = _LINE_SPECIALS.search(buf, i)
        if match is None:
            return end
        i = match.start()
        byte = buf[i]
        if byte == 0x5C:
            i += 2
            if i >= end:
                return i
            continue
        if byte == 0x20:
            fields = True
        elif byte == 0x0A:
            if not quoted:
                return i
        elif fields:
            if byte == 0x22:
                quoted ^= equals > commas
            elif not quoted and byte == 0x3D:
                equals += 1
            elif not quoted and byte == 0x2C:
                commas += 1
        i += 1


def skip_blank(buf: bytes, i: int) -> int:
    """The first position from `i` that is not a space, tab or NUL."""
    end = len(buf)
    while i < end and buf[i] in _BLANK:
        i += 1
    return i


def _scan_tags(buf: bytes, i: int) -> tuple[int, list[tuple[int, int]]]:
    """Tags from the position behind a comma: where the field section's space is, and (start, end) of each tag."""
    end = len(buf)
    spans: list[tuple[int, int]] = []
    while True:
        start = i
        if i >= end or buf[i] in b" ,=":
            raise LineError("missing tag key")
        match = _TAG_STOP.search(buf, i + 1)
        if match is None or buf[match.start()] != 0x3D:
            raise LineError("missing tag value")
        i = match.end()
        if i >= end or buf[i] in b", ":
            raise LineError("missing tag value")
        match = _TAG_STOP.search(buf, i + 1)
        if match is None:
            raise LineError("missing fields")
        i = match.start()
        if buf[i] == 0x3D:
            raise LineError("invalid tag format")
        spans.append((start, i))
        if buf[i] == 0x20:
            return i, spans
        i += 1


def _tag_key(buf: bytes, start: int, end: int) -> bytes:
    """`scanTo('=')`: a first byte that is `=` stops even behind a backslash, which is outside the slice."""
    match = UNESCAPED_EQUALS.search(buf, start, end)
    return buf[start : match.start()] if match else buf[start:end]


def scan_key(buf: bytes) -> tuple[int, bytes]:
    """Measurement and tags: where the field section's space is, and the series key with its tags sorted.

    Raises LineError with the server's reason.
    """
    start = skip_blank(buf, 0)
    if start >= len(buf) or buf[start] == 0x2C:
        raise LineError("missing measurement")
    match = _KEY_STOP.search(buf, start + 1)
    if match is None:
        raise LineError("missing fields")
    i = match.start()
    if buf[i] == 0x20:
        return i, buf[start:i]
    measurement = buf[start:i]
    i, spans = _scan_tags(buf, i + 1)
    keys = [_tag_key(buf, a, b) for a, b in spans]
    for key in keys:
        if key in _RESERVED_TAGS:
            raise LineError(f"cannot use reserved tag key {quote(key)}")
    for left, right in itertools.pairwise(keys):
        if left > right:
            break
        if left == right:
            raise LineError("duplicate tags")
    else:
        return i, buf[start:i]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if any(keys[a] == keys[b] for a, b in itertools.pairwise(order)):
        raise LineError("duplicate tags")
    return i, b",".join([measurement, *(buf[spans[n][0] : spans[n][1]] for n in order)])


def _scan_number(buf: bytes, start: int) -> int:
    match = _TAG_END.search(buf, start)
    end = match.start() if match else len(buf)
    token = buf[start:end]
    body = token[1:] if token[:1] == b"-" else token
    suffix = 0
    decimal = scientific = False
    first = end - start - len(body)
    for n, byte in enumerate(body, first):
        if n > 0 and byte in b"iu" and not suffix:
            suffix = byte
        elif byte == 0x2E:
            if decimal:
                raise LineError("invalid number")
            decimal = True
        elif n > 0 and byte in b"eE":
            scientific = True
        elif byte in b"+-" and (n > 0 and token[n - 1] in b"eE"):
            continue
        elif not 0x30 <= byte <= 0x39:
            raise LineError("invalid number")
    if not body or (suffix and (decimal or scientific)):
        raise LineError("invalid number")
    digits = len(token) - (suffix == 0x69) - decimal - (token[0] == 0x2D)
    if digits == 0 or (suffix and token[-1] != suffix):
        raise LineError("invalid number")
    _check_range(token, suffix, scientific)
    return end


def _check_range(token: bytes, suffix: int, scientific: bool) -> None:
    digits = token[:-1]
    if suffix == 0x69:
        if len(digits) >= 19:
            try:
                parse_int(digits)
            except NumberError as error:
                raise LineError(f"unable to parse integer {to_text(digits)}: {error}") from error
    elif suffix == 0x75:
        if token[0] == 0x2D:
            raise LineError("invalid number")
        if len(digits) >= 20:
            try:
                parse_uint(digits)
            except NumberError as error:
                raise LineError(f"unable to parse unsigned {to_text(digits)}: {error}") from error
    elif scientific or len(token) >= 25:
        try:
            parse_float(token)
        except NumberError as error:
            raise LineError("invalid float") from error


def _scan_boolean(buf: bytes, start: int) -> int:
    if buf[start] not in b"tfTF":
        raise LineError("invalid boolean")
    match = _TAG_END.search(buf, start + 1)
    end = match.start() if match else len(buf)
    if buf[start:end] not in _BOOLEANS:
        raise LineError("invalid boolean")
    return end


def _scan_equals(buf: bytes, i: int) -> int:
    """Behind an `=` of the field section: the end of a number or boolean, or `i + 1` where a string begins."""
    if buf[i - 1] in b" ," and buf[i - 2] != 0x5C:
        raise LineError("missing field key")
    if i + 1 >= len(buf) or buf[i + 1] in b", ":
        raise LineError("missing field value")
    if buf[i + 1] in _NUMBER_FIRST:
        return _scan_number(buf, i + 1)
    if buf[i + 1] != 0x22:
        return _scan_boolean(buf, i + 1)
    return i + 1


def _scan_fields(buf: bytes, i: int) -> tuple[int, bytes]:
    start = i = skip_blank(buf, i)
    end = len(buf)
    quoted = False
    equals = commas = 0
    while True:
        match = _FIELD_SPECIALS.search(buf, i)
        if match is None:
            i = end
            break
        i = match.start()
        byte = buf[i]
        if byte == 0x5C:
            i += 2 if i + 1 < end else 1
            if i >= end:
                break
        elif byte == 0x22:
            quoted ^= equals > commas
            i += 1
        elif quoted:
            i += 1
        elif byte == 0x3D:
            equals += 1
            i = _scan_equals(buf, i)
        elif byte == 0x2C:
            commas += 1
            i += 1
        else:
            break
    if quoted:
        raise LineError("unbalanced quotes")
    if equals == 0 or commas != equals - 1:
        raise LineError("invalid field format")
    return i, buf[start:i]


def _check_field_keys(key: bytes, fields: bytes) -> None:
    rest = fields
    while rest:
        match = UNESCAPED_EQUALS.search(rest) if rest[0] != 0x3D else None
        at = 0 if rest[0] == 0x3D else (match.start() if match else len(rest))
        if at > len(rest) - 2:
            raise LineError(f"invalid value: field-key={to_text(rest[:at])}")
        size = len(key) + 4 + at
        if size > MAX_KEY_LENGTH:
            raise LineError(f"max key length exceeded: {size} > {MAX_KEY_LENGTH}")
        rest = rest[at + 1 :]
        rest = rest[field_value_end(rest, 0) :][1:]


def _scan_time(buf: bytes, i: int) -> tuple[int, bytes]:
    start = i = skip_blank(buf, i)
    while i < len(buf) and buf[i] not in b"\n ":
        if not (0x30 <= buf[i] <= 0x39) and not (i == start and buf[i] == 0x2D):
            raise LineError("bad timestamp")
        i += 1
    return i, buf[start:i]


def parse_point(buf: bytes, multiplier_ns: int, now_ns: int) -> RawPoint:
    """One line without its LF; timestamps count `multiplier_ns`, a line without one gets `now_ns` cut to that unit.

    Raises LineError with the server's reason.
    """
    i, key = scan_key(buf)
    if len(key) > MAX_KEY_LENGTH:
        raise LineError(f"max key length exceeded: {len(key)} > {MAX_KEY_LENGTH}")
    i, fields = _scan_fields(buf, i)
    _check_field_keys(key, fields)
    i, stamp = _scan_time(buf, i)
    if not stamp:
        return RawPoint(key, fields, now_ns - now_ns % multiplier_ns)
    try:
        time_ns = parse_int(stamp) * multiplier_ns
    except NumberError as error:
        raise LineError(str(error)) from error
    if not MIN_TIME_NS <= time_ns <= MAX_TIME_NS:
        raise LineError(f"time outside range {MIN_TIME_NS} - {MAX_TIME_NS}")
    if buf[i:].strip(b" "):
        raise LineError("point is invalid")
    return RawPoint(key, fields, time_ns)
