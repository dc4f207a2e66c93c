"""Which names Timestream allows for databases, tables, dimensions and measures, and the limits of a table and a record.

Here belong the rules and their numbers, as pure functions. What is done with a name that breaks one does not.
Source: facts of the quotas page (ts-limits): name lengths in bytes, reserved names and prefixes, no colon.
"""

from __future__ import annotations

import re

MAX_RESOURCE_NAME_BYTES = 256
MAX_DIMENSION_NAME_BYTES = 60
MAX_MEASURE_NAME_BYTES = 256
MAX_VALUE_BYTES = 2048
MAX_SERIES_BYTES = 2048
MAX_DIMENSIONS_PER_TABLE = 128
MAX_MEASURES_PER_RECORD = 256
MAX_MULTI_MEASURE_COLUMNS_PER_TABLE = 1024
MAX_DATABASES = 500
MAX_TABLES = 50_000

_RESOURCE = re.compile(r"[a-zA-Z0-9_.-]+")
_RESERVED = frozenset({"measure_value", "ts_non_existent_col", "time"})
_RESERVED_PREFIXES = ("ts_", "measure_name")


def resource_name_problem(name: str) -> str | None:
    """Why a database or table may not have this name, or None."""
    if not 1 <= len(name.encode()) <= MAX_RESOURCE_NAME_BYTES:
        return f"Names of databases and tables are 1 to {MAX_RESOURCE_NAME_BYTES} bytes long: {name!r}."
    if not _RESOURCE.fullmatch(name):
        return f"Names of databases and tables consist of [a-zA-Z0-9_.-]: {name!r}."
    return None


def column_name_problem(name: str, limit: int) -> str | None:
    """Why a dimension or a measure of a multi-measure record may not have this name, or None.

    Args:
        limit: the longest name allowed, in bytes of UTF-8.
    """
    if not name:
        return "The name is empty."
    if len(name.encode()) > limit:
        return f"The name {name!r} is longer than {limit} bytes."
    if ":" in name:
        return f"The name {name!r} contains a colon, which is not allowed."
    if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
        return f"The name {name!r} is reserved."
    return None


def measure_name_problem(name: str) -> str | None:
    """Why a record may not have this measure name, or None. It is a value of a column, so more is allowed."""
    if not name:
        return "The measure name is empty."
    if len(name.encode()) > MAX_MEASURE_NAME_BYTES:
        return f"The measure name is longer than {MAX_MEASURE_NAME_BYTES} bytes."
    if ":" in name:
        return f"The measure name {name!r} contains a colon, which is not allowed."
    return None


def quoted(identifier: str) -> str:
    """An identifier of DuckDB, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"
