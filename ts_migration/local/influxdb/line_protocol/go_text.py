"""How Go prints and parses what ends up in influxd's messages: `%q`, `strconv` errors, invalid UTF-8.

Only spellings; what is parsed and why belongs to `scalar`.
"""

import codecs
import re

_FLOAT = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_INTEGER = re.compile(rb"[+-]?[0-9]+\Z")
_UNSIGNED = re.compile(rb"[0-9]+\Z")
_TRUE = frozenset((b"1", b"t", b"T", b"true", b"TRUE", b"True"))
_FALSE = frozenset((b"0", b"f", b"F", b"false", b"FALSE", b"False"))
_SHORT = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 34: '\\"'}


class NumberError(ValueError):
    """A `strconv.NumError`: its text is Go's, word for word."""


def _one_byte(error: UnicodeError) -> tuple[str, int]:
    """Replace one invalid byte at a time: Go's encoding/json does, Python's `replace` takes the longest part."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd", error.start + 1


codecs.register_error("influxd-json", _one_byte)


def to_text(raw: bytes) -> str:
    """Bytes as the text type of this package: UTF-8, other bytes carried by surrogateescape."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The bytes that `to_text` came from."""
    return text.encode("utf-8", "surrogateescape")


def json_text(text: str) -> str:
    """Text as encoding/json lets it through: every byte that is not UTF-8 becomes U+FFFD."""
    return to_bytes(text).decode("utf-8", "influxd-json")


def quote(raw: bytes) -> str:
    """`strconv.Quote`: printable characters as they are, the rest escaped."""
    parts: list[str] = []
    for char in raw.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif code in _SHORT:
            parts.append(_SHORT[code])
        elif char.isprintable():
            parts.append(char)
        elif code < 0x80:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(parts) + '"'


def parse_int(raw: bytes) -> int:
    """`strconv.ParseInt(raw, 10, 64)`."""
    if not _INTEGER.match(raw):
        raise NumberError(f"strconv.ParseInt: parsing {quote(raw)}: invalid syntax")
    value = int(raw)
    if not -(2**63) <= value < 2**63:
        raise NumberError(f"strconv.ParseInt: parsing {quote(raw)}: value out of range")
    return value


def parse_uint(raw: bytes) -> int:
    """`strconv.ParseUint(raw, 10, 64)`."""
    if not _UNSIGNED.match(raw):
        raise NumberError(f"strconv.ParseUint: parsing {quote(raw)}: invalid syntax")
    value = int(raw)
    if value >= 2**64:
        raise NumberError(f"strconv.ParseUint: parsing {quote(raw)}: value out of range")
    return value


def parse_float(raw: bytes) -> float:
    """`strconv.ParseFloat(raw, 64)` of decimal spellings; NaN, infinities and hexadecimal count as syntax errors.

    Go would take those, but no ordinary value reaches this function with them, and no bucket could use them.
    """
    if not _FLOAT.match(raw):
        raise NumberError(f"strconv.ParseFloat: parsing {quote(raw)}: invalid syntax")
    value = float(raw)
    if value in (float("inf"), float("-inf")):
        raise NumberError(f"strconv.ParseFloat: parsing {quote(raw)}: value out of range")
    return value


def parse_bool(raw: bytes) -> bool:
    """`strconv.ParseBool(raw)`."""
    if raw in _TRUE:
        return True
    if raw in _FALSE:
        return False
    raise NumberError(f"strconv.ParseBool: parsing {quote(raw)}: invalid syntax")
