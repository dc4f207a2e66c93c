"""The way in: one query text to one statement."""

from __future__ import annotations

from ts_migration.local.timestream.catalog import Catalog
from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.statements import Statement


def parse(text: str, catalog: Catalog, *, now_ns: int) -> Statement:
    """Translate one statement.

    ``now_ns`` (nanoseconds since the epoch) is what ``now()`` and ``ago()`` count from.
    Raises ``SqlRefused`` for text that is wrong, names that do not exist, and what is not supported.
    """
    raise SqlRefused("ValidationException", "not supported yet")


def execution_refusal(error: Exception) -> SqlRefused:
    """The service's QueryExecutionException for a DuckDB error that a translated query raised while it ran."""
    return SqlRefused("QueryExecutionException", str(error))


def like_matches(pattern: str | None, name: str) -> bool:
    """Whether a name matches the LIKE pattern of a SHOW statement; no pattern matches every name."""
    return pattern is None
