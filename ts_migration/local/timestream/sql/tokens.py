"""From query text to tokens, with the peculiarities of Timestream: interval literals and ``measure_value::type`` names.

Words are not told apart here: whether ``time`` is a column or a type is a matter of the grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from ts_migration.local.timestream.sql.refusal import SqlRefused, invalid

NANOSECONDS: dict[str, int] = {
    "ns": 1,
    "nanosecond": 1,
    "us": 1_000,
    "microsecond": 1_000,
    "ms": 1_000_000,
    "millisecond": 1_000_000,
    "s": 1_000_000_000,
    "second": 1_000_000_000,
    "m": 60_000_000_000,
    "minute": 60_000_000_000,
    "h": 3_600_000_000_000,
    "hour": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "day": 86_400_000_000_000,
}
"""Units of interval literals and durations, in nanoseconds (developer guide: supported data types)."""

MONTHS: dict[str, int] = {"month": 1, "year": 12}
"""Calendar units of interval literals, in months."""


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    QUOTED = auto()
    STRING = auto()
    INTEGER = auto()
    DOUBLE = auto()
    INTERVAL = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token. ``text`` is a name without quotes, a string's value, the digits, the symbol, or a word as written.

    ``upper`` is the upper-case text of a WORD and empty otherwise, so that a quoted name is never taken for a keyword.
    """

    kind: Kind
    text: str
    at: int
    upper: str = ""
    unit: str = ""


_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)
    | (?P<measure>(?i:measure_value)\s*::\s*(?P<mtype>[A-Za-z]+))
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<double>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z_0-9])|[0-9]+[eE][+-]?[0-9]+(?![A-Za-z_0-9]))
    | (?P<number>[0-9]+)(?P<unit>[A-Za-z_][A-Za-z_0-9]*)?
    | (?P<word>[A-Za-z_][A-Za-z_0-9@$]*)
    | (?P<symbol><>|!=|<=|>=|\|\||->|=>|::|[-+*/%=<>(),.;\[\]?])
    """,
    re.VERBOSE | re.DOTALL,
)


class Source:
    """A query text that can say where an offset is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(self, at: int, message: str) -> SqlRefused:
        """A ValidationException that points at an offset of the text."""
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        return invalid(line, column, message)


def tokenise(source: Source) -> list[Token]:
    """All tokens of a text, the last of kind END.

    Raises SqlRefused for a character that begins no token, an open quote, and a unit that is not an interval's.
    """
    tokens: list[Token] = []
    text, at = source.text, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise source.refuse(at, f"mismatched input {text[at]!r}")
        token = _token(source, match)
        if token is not None:
            tokens.append(token)
        at = match.end()
    tokens.append(Token(Kind.END, "<EOF>", len(text)))
    return tokens


def _token(source: Source, match: re.Match[str]) -> Token | None:
    at, kind, text = match.start(), match.lastgroup, match.group()
    if kind == "space":
        return None
    if kind == "word":
        return Token(Kind.WORD, text, at, text.upper())
    if kind == "quoted":
        if len(text) == 2:
            raise source.refuse(at, "Zero-length delimited identifier not allowed")
        return Token(Kind.QUOTED, text[1:-1].replace('""', '"'), at)
    if kind == "string":
        return Token(Kind.STRING, text[1:-1].replace("''", "'"), at)
    if match.group("measure"):
        name, _, measure_type = text.partition("::")
        return Token(Kind.QUOTED, f"{name.strip()}::{measure_type.strip()}".lower(), at)
    if kind == "double":
        return Token(Kind.DOUBLE, text, at)
    if match.group("number"):
        return _number(source, at, match.group("number"), match.group("unit"))
    return Token(Kind.SYMBOL, text, at)


def _number(source: Source, at: int, digits: str, unit: str | None) -> Token:
    """An integer, or an interval literal if a unit follows its digits directly: ``15m`` is never ``15 AS m``."""
    if unit is None:
        return Token(Kind.INTEGER, digits, at)
    if unit.lower() not in NANOSECONDS and unit.lower() not in MONTHS:
        allowed = ", ".join([*NANOSECONDS, *MONTHS])
        raise source.refuse(at, f"'{digits}{unit}' is not an interval literal: its unit must be one of {allowed}")
    return Token(Kind.INTERVAL, digits, at, unit=unit.lower())
