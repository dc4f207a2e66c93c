"""Line protocol as InfluxDB 2 reads it, byte by byte in plain Python: the judge of what the encoder writes.

Written from what real servers answered and from their source's rules, apart from the product: neither the encoder nor
the embedded server's parsers may share code with it, so that no fault of theirs can hide here. Slow on purpose: every
rule is a branch to be read, and only bytes that no rule knows are passed by together. What becomes of points behind the parser is in `reference_storage`.
"""

import re
from dataclasses import dataclass

QUOTE, BACKSLASH, SPACE, EQUALS, COMMA, LINE_FEED, MINUS, DOT, HASH = b'"\\ =,\n-.#'
_SKIPPED = frozenset(b" \t\0")
"""What may stand before a measurement, fields and time. Only the space may also stand after a block."""
MAX_KEY_BYTES = 65_535
_MIN_TIME_NS, _MAX_TIME_NS = -(2**63) + 2, 2**63 - 2
_FLOAT = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_BOOLEANS = {b"t": True, b"T": True, b"true": True, b"True": True, b"TRUE": True}
_BOOLEANS |= {b"f": False, b"F": False, b"false": False, b"False": False, b"FALSE": False}


_PLAIN = re.compile(rb'[^\\" ,=\n]*')


class LineRefused(Exception):
    """A line that the server answers with 400; the text is the server's own reason."""


class ValueUnreadable(Exception):
    """A value that got past the parser and that the storage cannot read: 500, on every try."""


class ServerDies(Exception):
    """A value at which the process of the server ends."""


@dataclass(frozen=True)
class RawField:
    """A field as it stands in a line: key without its escapes, value with its quotes and suffix."""

    key: bytes
    text: bytes

    @property
    def type(self) -> str:
        """What the first and last byte of the value say."""
        if self.text[:1] == b'"':
            return "string"
        if self.text[:1] in [bytes([byte]) for byte in b"0123456789-.nNiIu"]:
            return {b"i": "integer", b"u": "unsigned"}.get(self.text[-1:], "float")
        return "boolean"

    @property
    def value(self) -> float | int | bool | bytes:
        """The value as the storage reads it.

        Raises:
            ServerDies: a string of a single quote.
            ValueUnreadable: no value of its type.
        """
        if self.type == "string":
            if len(self.text) < 2:
                raise ServerDies(f"the value of {self.key!r} is a single quote")
            return _unescaped_string(self.text[1:-1])
        if self.type == "boolean":
            if self.text not in _BOOLEANS:
                raise ValueUnreadable(f"unable to parse bool value {self.text!r}")
            return _BOOLEANS[self.text]
        if self.type == "float":
            number = float(self.text) if _FLOAT.match(self.text) else float("inf")
            if number in (float("inf"), float("-inf")):
                raise ValueUnreadable(f"unable to parse floating point value {self.text!r}")
            return number
        if not re.fullmatch(rb"-?[0-9]+[iu]", self.text):
            raise ValueUnreadable(f"unable to parse {self.type} value {self.text!r}")
        return int(self.text[:-1])


@dataclass(frozen=True)
class RawPoint:
    """A line that the parser takes. `key` is measurement and sorted tags with their escapes; time None is now."""

    key: bytes
    fields: tuple[RawField, ...]
    time_ns: int | None

    @property
    def measurement(self) -> bytes:
        """Its name without escapes."""
        return unescaped_name(self.key[: _unescaped(self.key, 0, COMMA)])

    @property
    def tags(self) -> dict[bytes, bytes]:
        """Without escapes."""
        at, found = _unescaped(self.key, 0, COMMA) + 1, {}
        while at < len(self.key):
            middle = _unescaped(self.key, at, EQUALS)
            end = _unescaped(self.key, middle + 1, COMMA)
            found[_unescaped_tag(self.key[at:middle])] = _unescaped_tag(self.key[middle + 1 : end])
            at = end + 1
        return found


def cut(body: bytes) -> list[bytes]:
    """Lines of a body as the server cuts them, blank ones and comments among them.

    The cutter knows neither keys nor values: it skips what stands behind a backslash, takes the first space left for
    the start of the fields, and lets a quote open a string where it has seen more equals signs than commas since.
    """
    lines, start, at = [], 0, 0
    in_fields = quoted = False
    equals = commas = 0
    while at < len(body):
        byte = body[at]
        if byte == BACKSLASH and at + 2 < len(body):
            at += 2
            continue
        if byte == LINE_FEED and not quoted:
            lines.append(body[start:at])
            start = at + 1
            in_fields, equals, commas = False, 0, 0
        elif byte == SPACE:
            in_fields = True
        elif in_fields and byte == QUOTE and equals > commas:
            quoted = not quoted
        elif in_fields and not quoted:
            equals += byte == EQUALS
            commas += byte == COMMA
        at = _plain_end(body, at + 1)
    return [*lines, body[start:]]


def read(body: bytes) -> tuple[list[RawPoint], list[tuple[bytes, str]]]:
    """Points of a body, and the lines that are refused with the server's reasons; one such line refuses the body."""
    points, refused = [], []
    for line in cut(body):
        line = line[_skipped(line, 0) :]
        if not line or line[0] == HASH:
            continue
        line = line.removesuffix(b"\n")  # taken in behind a backslash, or by a string that is never closed
        try:
            points.append(read_line(line))
        except LineRefused as error:
            refused.append((line, str(error)))
    return points, refused


def read_line(line: bytes) -> RawPoint:
    """One line that is neither blank nor a comment.

    Raises:
        LineRefused: with the server's reason.
    """
    key, at = _read_key(line)
    if len(key) > MAX_KEY_BYTES:
        raise LineRefused(f"max key length exceeded: {len(key)} > {MAX_KEY_BYTES}")
    start = _skipped(line, at)
    end = _check_fields(line, start)
    if start == end:
        raise LineRefused("missing fields")
    fields = _split_fields(line[start:end], key)
    return RawPoint(key, fields, _read_time(line, end))


def _skipped(line: bytes, at: int) -> int:
    while at < len(line) and line[at] in _SKIPPED:
        at += 1
    return at


def _plain_end(text: bytes, at: int) -> int:
    found = _PLAIN.match(text, at)
    return found.end() if found else at


def _unescaped(text: bytes, at: int, stop: int) -> int:
    """Where `stop` stands next without a backslash right before it: one alone counts, pairs of them are no pairs."""
    while at < len(text) and not (text[at] == stop and (at == 0 or text[at - 1] != BACKSLASH)):
        at += 1
    return at


def _read_key(line: bytes) -> tuple[bytes, int]:
    """Measurement and tags, the tags sorted, and where they end."""
    if line[:1] in (b"", b","):
        raise LineRefused("missing measurement")
    at = 1
    while at < len(line) and not (line[at] in b", " and line[at - 1] != BACKSLASH):
        at += 1
    if at >= len(line):
        raise LineRefused("missing fields")
    measurement, tags = line[:at], []
    while line[at] == COMMA:
        start = at + 1
        middle = _tag_key_end(line, start)
        at = _tag_value_end(line, middle + 1)
        tags.append((line[start:middle], line[middle + 1 : at]))
    for name, _ in tags:
        if name in (b"time", b"_field", b"_measurement", b"\0", b"\xff"):
            shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in name)
            raise LineRefused(f'cannot use reserved tag key "{shown}"')
    if len({name for name, _ in tags}) < len(tags):
        raise LineRefused("duplicate tags")
    return b"".join([measurement, *(b",%b=%b" % tag for tag in sorted(tags, key=lambda tag: tag[0]))]), at


def _tag_key_end(line: bytes, start: int) -> int:
    if start >= len(line) or line[start] in b" ,=":
        raise LineRefused("missing tag key")
    for at in range(start + 1, len(line)):
        if line[at - 1] == BACKSLASH:
            continue
        if line[at] == EQUALS:
            return at
        if line[at] in b" ,":
            break
    raise LineRefused("missing tag value")


def _tag_value_end(line: bytes, start: int) -> int:
    if start >= len(line) or line[start] in b" ,":
        raise LineRefused("missing tag value")
    for at in range(start + 1, len(line)):
        if line[at - 1] == BACKSLASH:
            continue
        if line[at] == EQUALS:
            raise LineRefused("invalid tag format")
        if line[at] in b" ,":
            return at
    raise LineRefused("missing fields")


def _check_fields(line: bytes, start: int) -> int:
    """Where the fields end; numbers and booleans are looked at, keys and strings only passed by.

    Here a backslash takes the byte behind it along, so that pairs are pairs: other than in `_unescaped`, by which the
    fields are cut afterwards. Where the two disagree, a value is read that nobody wrote.
    """
    at, quoted, equals, commas = start, False, 0, 0
    while at < len(line):
        byte = line[at]
        if byte == BACKSLASH and at + 1 < len(line):
            at += 2
            continue
        if byte == QUOTE and equals > commas:
            quoted = not quoted
        elif quoted:
            pass
        elif byte == EQUALS:
            equals += 1
            if line[at - 1] in b" ," and line[at - 2] != BACKSLASH:
                raise LineRefused("missing field key")
            if at + 1 == len(line) or line[at + 1] in b", ":
                raise LineRefused("missing field value")
            if line[at + 1] != QUOTE:
                at = _check_plain_value(line, at + 1)
                continue
        elif byte == COMMA:
            commas += 1
        elif byte == SPACE:
            break
        at = _plain_end(line, at + 1)
    if quoted:
        raise LineRefused("unbalanced quotes")
    if equals == 0 or commas != equals - 1:
        raise LineRefused("invalid field format")
    return at


def _check_plain_value(line: bytes, start: int) -> int:
    """Where a number or boolean ends."""
    at = start
    while at < len(line) and line[at] not in b", ":
        at += 1
    value = line[start:at]
    if value[0] not in b"0123456789.-Nn":
        if value not in _BOOLEANS:
            raise LineRefused("invalid boolean")
    elif value[-1:] in (b"i", b"u") and re.fullmatch(rb"-?[0-9]+", value[:-1]):
        _check_integer(value)
    elif problem := _float_problem(value):
        raise LineRefused(problem)
    return at


def _check_integer(value: bytes) -> None:
    digits, number = value[:-1].decode(), int(value[:-1])
    if value[-1:] == b"i" and not -(2**63) <= number < 2**63:
        reason = f'strconv.ParseInt: parsing "{digits}": value out of range'
        raise LineRefused(f"unable to parse integer {digits}: {reason}")
    if value[-1:] == b"u" and digits.startswith("-"):
        raise LineRefused("invalid number")
    if value[-1:] == b"u" and number >= 2**64:
        reason = f'strconv.ParseUint: parsing "{digits}": value out of range'
        raise LineRefused(f"unable to parse unsigned {digits}: {reason}")


def _float_problem(value: bytes) -> str | None:
    """What is wrong with a float: its bytes, seen by the scanner, or its sense, asked only where an e or many digits are.

    So a number of 309 or 310 digits beyond the largest float passes here and fails in the storage.
    """
    if not re.fullmatch(rb"-?(?:[0-9.]|(?<!^)[eE](?:[+-](?=.|$))?|(?<=[eE])[+-])*", value) or value.count(b".") > 1:
        return "invalid number"
    scientific = b"e" in value.lower()
    if not scientific and not re.search(rb"[0-9]", value):
        return "invalid number"
    if scientific or len(value) >= 311:
        good = _FLOAT.match(value) and float(value) not in (float("inf"), float("-inf"))
        return None if good else "invalid float"
    return None


def _split_fields(text: bytes, key: bytes) -> tuple[RawField, ...]:
    fields: list[RawField] = []
    at = 0
    while at < len(text):
        middle = _unescaped(text, at, EQUALS)
        if middle > len(text) - 2:
            raise LineRefused(f"invalid value: field-key={text[at:middle].decode('utf-8', 'surrogateescape')}")
        size = len(key) + 4 + middle - at
        if size > MAX_KEY_BYTES:
            raise LineRefused(f"max key length exceeded: {size} > {MAX_KEY_BYTES}")
        end = _field_value_end(text, middle + 1)
        fields.append(RawField(unescaped_name(text[at:middle]), text[middle + 1 : end]))
        at = end + 1
    return tuple(fields)


def _field_value_end(text: bytes, at: int) -> int:
    """A third way with backslashes: only those before a quote or a backslash escape."""
    quoted = False
    while at < len(text):
        if text[at] == BACKSLASH and text[at + 1 : at + 2] in (b'"', b"\\"):
            at += 2
            continue
        if text[at] == QUOTE:
            quoted = not quoted
        elif text[at] == COMMA and not quoted:
            break
        at = _plain_end(text, at + 1)
    return at


def _read_time(line: bytes, at: int) -> int | None:
    start = at = _skipped(line, at)
    while at < len(line) and line[at] != SPACE:
        if not (0x30 <= line[at] <= 0x39 or (line[at] == MINUS and at == start)):
            raise LineRefused("bad timestamp")
        at += 1
    if start == at:
        return None
    digits = line[start:at].decode()
    if digits == "-":
        raise LineRefused('strconv.ParseInt: parsing "-": invalid syntax')
    if not -(2**63) <= int(digits) < 2**63:
        raise LineRefused(f'strconv.ParseInt: parsing "{digits}": value out of range')
    if not _MIN_TIME_NS <= int(digits) <= _MAX_TIME_NS:
        raise LineRefused(f"time outside range {_MIN_TIME_NS} - {_MAX_TIME_NS}")
    if line[at:].strip(b" "):
        raise LineRefused("point is invalid")
    return int(digits)


def unescaped_name(name: bytes) -> bytes:
    """A measurement or field key: comma, quote, space and equals sign lose the backslash before them."""
    return re.sub(rb'\\([," =])', rb"\1", name)


def _unescaped_tag(text: bytes) -> bytes:
    return re.sub(rb"\\([, =])", rb"\1", text)


def _unescaped_string(text: bytes) -> bytes:
    return re.sub(rb'\\(["\\])', rb"\1", text)
