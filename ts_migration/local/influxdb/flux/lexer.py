"""Cuts the text of a query into tokens with their places.

Knows words and signs only; a slash is a regular expression where no operand stands before it.
"""

import bisect
import re
from dataclasses import dataclass
from typing import Final

from ts_migration.local.influxdb.flux.errors import Location, refusal

KEYWORDS: Final = frozenset(
    "and or not in import package return option builtin test testcase if then else exists with".split()  # noqa: SIM905
)
_SKIPPED = re.compile(r"(?:[ \t\r\n\f\v]+|//[^\n]*)*")
_TOKEN = re.compile(
    r"""
    (?P<time>\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2}))?)
  | (?P<duration>(?:\d+(?:ns|us|µs|μs|ms|mo|s|m|h|d|w|y))+)
  | (?P<float>\d+\.\d*|\.\d+)
  | (?P<int>\d+)
  | (?P<name>[^\W\d]\w*)
  | (?P<sign>\|>|=>|<-|==|!=|=~|!~|<=|>=|[-+*/%^<>=()\[\]{},:.?])
    """,
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is time, duration, float, int, name, keyword, sign, string, regex or end.

    A string's parts are texts and, where `${` stood, tuples of tokens of the expression inside."""

    kind: str
    text: str
    place: Location
    parts: tuple["str | tuple[Token, ...]", ...] = ()


class Lexer:
    """One pass over the text. `tokens()` gives all tokens with one of kind `end` last."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0] + [found.end() for found in re.finditer("\n", text)]

    def tokens(self) -> list[Token]:
        """Raises ProgramError for a character that begins no token, or a string or regex that does not end."""
        found, _ = self._scan(0, inside=False)
        return found

    def _scan(self, position: int, inside: bool) -> tuple[list[Token], int]:
        tokens: list[Token] = []
        depth = 0
        while True:
            skipped = _SKIPPED.match(self._text, position)
            position = skipped.end() if skipped else position
            if position == len(self._text):
                tokens.append(Token("end", "EOF", self._place(position, position)))
                return tokens, position
            char = self._text[position]
            if inside and not depth and char == "}":
                tokens.append(Token("end", "}", self._place(position, position + 1)))
                return tokens, position + 1
            if char == '"':
                token, position = self._string(position)
            elif char == "/" and not (tokens and _is_operand(tokens[-1])):
                token, position = self._regex(position)
            else:
                token, position = self._simple(position)
                depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "sign" else 0
            tokens.append(token)

    def _simple(self, position: int) -> tuple[Token, int]:
        found = _TOKEN.match(self._text, position)
        if found is None:
            raise refusal(
                self._place(position, position + 1),
                f"invalid statement: invalid character {self._text[position]!r}",
            )
        kind, text = str(found.lastgroup), found[0]
        if kind == "name" and text in KEYWORDS:
            kind = "keyword"
        return Token(kind, text, self._place(position, found.end())), found.end()

    def _regex(self, start: int) -> tuple[Token, int]:
        position = start + 1
        while position < len(self._text) and self._text[position] not in "/\n":
            position += 2 if self._text[position] == "\\" else 1
        if position >= len(self._text) or self._text[position] != "/":
            raise refusal(self._place(start, start + 1), "the regular expression does not end")
        return Token("regex", self._text[start + 1 : position], self._place(start, position + 1)), position + 1

    def _string(self, start: int) -> tuple[Token, int]:
        parts: list[str | tuple[Token, ...]] = []
        text: list[str] = []
        raw = bytearray()
        position = start + 1
        while position < len(self._text) and self._text[position] != '"':
            if self._text.startswith("${", position):
                parts.append("".join(text))
                text = []
                inner, position = self._scan(position + 2, inside=True)
                parts.append(tuple(inner))
                continue
            if self._text[position] == "\\":
                follower = self._text[position + 1 : position + 2]
                hexadecimal = self._text[position + 2 : position + 4]
                if follower == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", hexadecimal):
                    raw.append(int(hexadecimal, 16))
                    position += 4
                    if not self._text.startswith("\\x", position):
                        text.append(raw.decode("utf-8", "surrogateescape"))
                        raw.clear()
                    continue
                if follower not in _ESCAPES:
                    raise refusal(self._place(position, position + 2), f"invalid escape sequence \\{follower}")
                text.append(_ESCAPES[follower])
                position += 2
                continue
            text.append(self._text[position])
            position += 1
        if position >= len(self._text):
            raise refusal(self._place(start, position), "the string does not end")
        parts.append("".join(text))
        place = self._place(start, position + 1)
        return Token("string", self._text[start : position + 1], place, tuple(parts)), position + 1

    def _place(self, start: int, end: int) -> Location:
        return Location(*self._position(start), *self._position(end))

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._lines, offset)
        before = self._text[self._lines[line - 1] : offset]
        return line, len(before.encode("utf-8", "surrogatepass")) + 1


def _is_operand(token: Token) -> bool:
    return token.kind not in ("sign", "keyword") or token.text in (")", "]", "}")
