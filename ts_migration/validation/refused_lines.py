"""Lines that the server refused, read back into points: what the bucket would hold more, had it taken them.

So that `export = bucket + refused lines` can be shown by digest. Reads the lines of this project's own encoder by the
server's rules of escapes (influxdb 2.x models/points.go); it is no general parser, and says so where a line is not one
of ours.
"""

import re
from collections.abc import Iterable

import numpy as np

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.line_protocol.mapping import FieldType

_KEY_PART = re.compile(r"((?:[^\\,= ]|\\[,= ]|\\(?![,= ]))*)", re.S)
_MEASUREMENT_PART = re.compile(r"((?:[^\\, ]|\\[, ]|\\(?![, ]))*)", re.S)
_FIELD_KEY = re.compile(r'((?:[^\\,= ]|\\[,= "]|\\(?![,= "]))+)=', re.S)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_PLAIN = re.compile(r"[^, ]+")
_TIME = re.compile(r" (-?\d+)$")


def refused_blocks(lines: Iterable[str]) -> list[Block]:
    """One block per line, of one point.

    Raises:
        Permanent: a line is not one that the encoder writes.
    """
    return [_block(line) for line in lines]


def _block(line: str) -> Block:
    measurement, at = _take(_MEASUREMENT_PART, line, 0)
    tags: dict[str, str] = {}
    while line[at : at + 1] == ",":
        key, at = _take(_KEY_PART, line, at + 1)
        value, at = _take(_KEY_PART, line, _expect(line, at, "="))
        tags[_unescape(key, ",= ")] = _unescape(value, ",= ")
    columns: list[BlockColumn] = []
    at = _expect(line, at, " ")
    while True:
        match = _FIELD_KEY.match(line, at)
        if match is None:
            raise _not_ours(line, at)
        column, at = _value(line, _unescape(match[1], ',= "'), match.end())
        columns.append(column)
        if line[at : at + 1] != ",":
            break
        at += 1
    time = _TIME.match(line, at)
    if time is None:
        raise _not_ours(line, at)
    return Block(_unescape(measurement, ", "), tags, np.array([int(time[1])], np.int64), tuple(columns))


def _value(line: str, field: str, at: int) -> tuple[BlockColumn, int]:
    """One field's value, by its spelling: `"text"`, `12i`, `true`, or a float."""
    text = _STRING.match(line, at)
    if text is not None:
        array = np.empty(1, object)
        array[0] = re.sub(r'\\(["\\])', r"\1", text[1])
        return BlockColumn(field, FieldType.STRING, array), text.end()
    plain = _PLAIN.match(line, at)
    if plain is None:
        raise _not_ours(line, at)
    spelled, end = plain[0], plain.end()
    try:
        if spelled.endswith("i"):
            return BlockColumn(field, FieldType.INTEGER, np.array([int(spelled[:-1])], np.int64)), end
        if spelled.lower() in ("t", "true", "f", "false"):
            return BlockColumn(field, FieldType.BOOLEAN, np.array([spelled.lower()[0] == "t"])), end
        return BlockColumn(field, FieldType.FLOAT, np.array([float(spelled)], np.float64)), end
    except (ValueError, OverflowError):
        raise _not_ours(line, at) from None


def _take(part: re.Pattern[str], line: str, at: int) -> tuple[str, int]:
    match = part.match(line, at)
    assert match is not None  # noqa: S101 - the patterns match nothing, too
    return match[1], match.end()


def _expect(line: str, at: int, character: str) -> int:
    if line[at : at + 1] != character:
        raise _not_ours(line, at)
    return at + 1


def _unescape(text: str, special: str) -> str:
    return re.sub(rf"\\([{re.escape(special)}])", r"\1", text)


def _not_ours(line: str, at: int) -> Permanent:
    return Permanent(f"a refused line cannot be read at character {at + 1}: {line[:200]!r}")
