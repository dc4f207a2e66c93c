"""Why a query is refused, in the service's own error codes and style of words. What is refused is decided elsewhere."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal["ValidationException", "QueryExecutionException"]


class SqlRefused(Exception):
    """A query that cannot be answered.

    ``ValidationException``: the text is wrong, or outside the part of the language that the embedded server speaks.
    ``QueryExecutionException``: the text is right and its evaluation failed (overflow, division by zero, a bad cast).
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


def invalid(line: int, column: int, message: str) -> SqlRefused:
    """A ValidationException that points at a line and column of the query, both counted from 1."""
    return SqlRefused("ValidationException", f"line {line}:{column}: {message}")
