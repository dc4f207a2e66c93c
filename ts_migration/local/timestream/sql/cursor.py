"""Walking over tokens: what both halves of the grammar share. No construct of the language is known here."""

from __future__ import annotations

from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.tokens import Kind, Source, Token, tokenise

RESERVED = frozenset(
    """
    ALTER AND AS BETWEEN BY CASE CAST CONSTRAINT CREATE CROSS CUBE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP
    CURRENT_USER DEALLOCATE DELETE DESCRIBE DISTINCT DROP ELSE END ESCAPE EXCEPT EXECUTE EXISTS EXTRACT FALSE FOR
    FROM FULL GROUP GROUPING HAVING IN INNER INSERT INTERSECT INTO IS JOIN LEFT LIKE LOCALTIME LOCALTIMESTAMP
    NATURAL NORMALIZE NOT NULL ON OR ORDER OUTER PREPARE RECURSIVE RIGHT ROLLUP SELECT TABLE THEN TRUE UESCAPE UNION
    UNNEST USING VALUES WHEN WHERE WITH
    """.split()  # noqa: SIM905 - a list of words reads better than sixty strings
)
"""Words that are never an unquoted name (developer guide, limits, reserved keywords)."""

NOT_AN_ALIAS = frozenset(["LIMIT", "OFFSET", "FETCH", "WINDOW", "TABLESAMPLE", "MATCH_RECOGNIZE", "QUALIFY"])
"""Words that begin a clause after a relation and so are not its alias unless AS stands before them."""

MAX_DEPTH = 60
"""How deep expressions and queries may nest. Python's own stack ends far later, so the answer is always an error."""


class Cursor:
    """A position in a list of tokens, with the usual tests."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = tokenise(source)
        self.position = 0
        self.depth = 0

    @property
    def current(self) -> Token:
        """The token that was not read yet."""
        return self.tokens[self.position]

    def peek(self, ahead: int = 1) -> Token:
        """A token further on; the END token past the end."""
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Read a token."""
        token = self.tokens[self.position]
        if token.kind is not Kind.END:
            self.position += 1
        return token

    def at_word(self, *words: str) -> bool:
        """Whether these keywords come next, in this order."""
        return all(self.peek(i).upper == word for i, word in enumerate(words))

    def take_word(self, *words: str) -> bool:
        """Read these keywords if they come next."""
        if not self.at_word(*words):
            return False
        for _ in words:
            self.advance()
        return True

    def expect_word(self, *words: str) -> None:
        """Read these keywords or refuse the text."""
        for word in words:
            if not self.take_word(word):
                raise self.unexpected(word)

    def at_symbol(self, symbol: str) -> bool:
        """Whether this symbol comes next."""
        return self.current.kind is Kind.SYMBOL and self.current.text == symbol

    def take_symbol(self, symbol: str) -> bool:
        """Read this symbol if it comes next."""
        if not self.at_symbol(symbol):
            return False
        self.advance()
        return True

    def expect_symbol(self, symbol: str) -> None:
        """Read this symbol or refuse the text."""
        if not self.take_symbol(symbol):
            raise self.unexpected(f"'{symbol}'")

    def at_name(self) -> bool:
        """Whether a name comes next: quoted, or a word that is not reserved."""
        token = self.current
        return token.kind is Kind.QUOTED or (token.kind is Kind.WORD and token.upper not in RESERVED)

    def name(self) -> str:
        """Read a name."""
        if not self.at_name():
            raise self.unexpected("an identifier")
        return self.advance().text

    def names(self) -> tuple[str, ...]:
        """Read names in parentheses."""
        self.expect_symbol("(")
        names = [self.name()]
        while self.take_symbol(","):
            names.append(self.name())
        self.expect_symbol(")")
        return tuple(names)

    def string(self) -> str:
        """Read a string literal."""
        if self.current.kind is not Kind.STRING:
            raise self.unexpected("a string literal")
        return self.advance().text

    def unexpected(self, expected: str | None = None) -> SqlRefused:
        """The refusal of the token that comes next."""
        wanted = f". Expecting: {expected}" if expected else ""
        return self.source.refuse(self.current.at, f"mismatched input '{self.current.text}'{wanted}")

    def deeper(self) -> None:
        """Enter a nested construct."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.source.refuse(self.current.at, f"the query nests deeper than {MAX_DEPTH} levels")

    def shallower(self) -> None:
        """Leave a nested construct."""
        self.depth -= 1
