"""InfluxQL's tokens with their places, counted as InfluxDB counts them, its way of counting the end of text included.

Rules: influxdata/influxql scanner.go. What tokens mean together is the parser's.
"""

from typing import NamedTuple

from ts_migration.local.influxdb.influxql.errors import ParseError

_WORDS = """
ALL ALTER ANALYZE ANY AS ASC BEGIN BY CARDINALITY CREATE CONTINUOUS DATABASE DATABASES DEFAULT DELETE DESC
DESTINATIONS DIAGNOSTICS DISTINCT DROP DURATION END EVERY EXACT EXPLAIN FIELD FOR FROM GRANT GRANTS GROUP
GROUPS IN INF INSERT INTO KEY KEYS KILL LIMIT MEASUREMENT MEASUREMENTS NAME OFFSET ON ORDER PASSWORD POLICY
POLICIES PRIVILEGES QUERIES QUERY READ REPLICATION RESAMPLE RETENTION REVOKE SELECT SERIES SET SHOW SHARD
SHARDS SLIMIT SOFFSET STATS SUBSCRIPTION SUBSCRIPTIONS TAG TO USER USERS VALUES VERBOSE WHERE WITH WRITE AND
OR TRUE FALSE
"""
KEYWORDS = frozenset(_WORDS.split())
_TWO = {"=~": "=~", "!=": "!=", "!~": "!~", ">=": ">=", "<=": "<=", "<>": "!=", "::": "::"}
_ONE = "+-*/%&|^=><(),;:"
_END = "\0"


class Token(NamedTuple):
    """A token: a keyword or symbol is its own kind; IDENT, STRING, NUMBER, INTEGER, DURATION, WS… have a `text`."""

    kind: str
    line: int
    char: int
    text: str = ""

    @property
    def shown(self) -> str:
        """The token in an error."""
        return self.text or self.kind

    def unexpected(self, *expected: str) -> ParseError:
        """The error for finding this token where others are wanted."""
        return ParseError(f"found {self.shown}, expected {', '.join(expected)} at line {self.line}, char {self.char}")

    def wrong(self, message: str) -> ParseError:
        """An error at this token."""
        return ParseError(f"{message} at line {self.line}, char {self.char}")


def _letter(char: str) -> bool:
    return "a" <= char <= "z" or "A" <= char <= "Z"


def _digit(char: str) -> bool:
    return "0" <= char <= "9"


def _word(char: str) -> bool:
    return _letter(char) or _digit(char) or char == "_"


class Lexer:
    """Reads tokens on demand: whether a slash divides or opens a pattern is known to the parser alone."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._at = 0
        self._history: list[Token] = []
        self._unread = 0

    def scan(self) -> Token:
        """The next token, white space included."""
        return self._next(regex=False)

    def scan_regex(self) -> Token:
        """The next token, which must be a pattern."""
        return self._next(regex=True)

    def skip(self) -> Token:
        """The next token that is neither white space nor a comment."""
        while (token := self.scan()).kind in ("WS", "COMMENT"):
            pass
        return token

    def unscan(self) -> None:
        """Put the last token back."""
        self._unread += 1

    def peek(self) -> str:
        """The next character behind the tokens read so far."""
        return self._char(self._at)

    def consume_space(self) -> None:
        """Skip white space, if there is some."""
        if self.scan().kind != "WS":
            self.unscan()

    def _next(self, *, regex: bool) -> Token:
        if self._unread:
            self._unread -= 1
        else:
            self._history.append(self._regex() if regex else self._token())
            del self._history[:-8]
        return self._history[-1 - self._unread]

    def _char(self, at: int) -> str:
        return self._text[at] if at < len(self._text) else _END

    def _read(self) -> str:
        char = self._char(self._at)
        self._at += 1
        return char

    def _made(self, kind: str, at: int, text: str = "") -> Token:
        # The end of the text is counted once: a second look at it stands one further, a third at the same place.
        place = min(at, len(self._text) + 1)
        before = self._text[:place]
        line_start = before.rfind("\n") + 1
        return Token(kind, before.count("\n") + 1, place - line_start + 1, text)

    def _token(self) -> Token:
        start = self._at
        char = self._read()
        if char in " \t\n":
            while self._char(self._at) in (" ", "\t", "\n"):
                self._at += 1
            text = self._text[start : self._at]
            if self._at >= len(self._text):
                self._at += 1
            return self._made("WS", start, text)
        if _letter(char) or char in '_"':
            self._at = start
            return self._identifier()
        if _digit(char) or (char == "." and _digit(self._char(self._at))):
            self._at = start
            return self._number()
        if char == _END and start >= len(self._text):
            return self._made("EOF", start)
        if char == "'":
            return self._string(start, "'")
        if char == "$":
            return self._made("BOUNDPARAM", start, "$" + self._identifier().shown)
        return self._symbol(char, start)

    def _symbol(self, char: str, start: int) -> Token:
        pair = char + self._char(self._at)
        if pair in ("--", "/*"):
            end = self._text.find("\n" if pair == "--" else "*/", self._at + 1)
            if pair == "--":
                self._at = end + 1 if end >= 0 else len(self._text) + 1
                return self._made("COMMENT", start)
            self._at = end + 2 if end >= 0 else len(self._text) + 1
            return self._made("COMMENT" if end >= 0 else "ILLEGAL", start)
        if pair in _TWO:
            self._at += 1
            return self._made(_TWO[pair], start)
        if char in _ONE or char == ".":
            return self._made(char, start)
        return self._made("ILLEGAL", start, char)

    def _identifier(self) -> Token:
        start = self._at
        if self._char(start) == '"':
            self._at += 1
            return self._string(start, '"')
        while _word(self._char(self._at)):
            self._at += 1
        text = self._text[start : self._at]
        if self._at >= len(self._text):
            self._at += 1
        elif self._char(self._at) == '"':
            # A quote right behind a bare word takes the word's place.
            self._at += 1
            return self._string(start, '"')
        upper = text.upper()
        return self._made(upper, start) if upper in KEYWORDS else self._made("IDENT", start, text)

    def _string(self, start: int, quote: str) -> Token:
        out: list[str] = []
        while True:
            at = self._at
            char = self._read()
            if char == quote:
                return self._made("STRING" if quote == "'" else "IDENT", start, "".join(out))
            if char == "\n" or (char == _END and at >= len(self._text)):
                return self._made("BADSTRING", start, "".join(out))
            if char != "\\":
                out.append(char)
                continue
            follower = self._read()
            if follower not in ("n", "\\", '"', "'"):
                return self._made("BADESCAPE", self._at - 1, char + follower)
            out.append("\n" if follower == "n" else follower)

    def _number(self) -> Token:
        start = self._at
        while _digit(self._char(self._at)):
            self._at += 1
        if self._char(self._at) == ".":
            text = self._text[start : self._at]
            self._at += 1
            digits = self._at
            while _digit(self._char(self._at)):
                self._at += 1
            return self._made("NUMBER", start, text + ("." + self._text[digits : self._at]) * (self._at > digits))
        if _letter(self._char(self._at)) or self._char(self._at) == "µ":
            while _letter(self._char(self._at)) or _digit(self._char(self._at)) or self._char(self._at) == "µ":
                self._at += 1
            return self._made("DURATION_VALUE", start, self._text[start : self._at])
        return self._made("INTEGER", start, self._text[start : self._at])

    def _regex(self) -> Token:
        start = self._at
        self._at += 1
        out: list[str] = []
        while True:
            at = self._at
            char = self._read()
            if char == "/":
                return self._made("REGEX", start, "".join(out))
            if char == "\n" or (char == _END and at >= len(self._text)):
                return self._made("BADREGEX", start)
            if char == "\\" and self._char(self._at) == "/":
                char = self._read()
            out.append(char)


def duration_ns(text: str) -> int:
    """A duration such as `1h30m` in ns.

    Raises ValueError, worded as InfluxQL words it.
    """
    sizes = {"u": 1_000, "µ": 1_000, "s": 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9, "w": 604_800 * 10**9}
    total, at = 0, 0
    if len(text) < 2:
        raise ValueError("invalid duration")
    while at < len(text):
        start = at
        while at < len(text) and _digit(text[at]):
            at += 1
        if at >= len(text) or at == start:
            raise ValueError("invalid duration")
        number, unit = int(text[start:at]), text[at]
        if text[at : at + 2] in ("ns", "ms"):
            total += number * (1 if unit == "n" else 1_000_000)
            at += 2
            continue
        if unit != "m" and unit not in sizes:
            raise ValueError("invalid duration")
        total += number * (60 * 10**9 if unit == "m" else sizes[unit])
        at += 1
    if total > 2**63 - 1:
        raise ValueError(f"overflowed duration {number}{unit}: choose a smaller duration or INF")
    return total
