"""What a query text turns out to be: the statements the embedded Timestream executes. How to get there is not here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ts_migration.local.timestream.catalog import ColumnInfo


@dataclass(frozen=True, slots=True)
class Select:
    """A query, ready for DuckDB.

    The result's columns correspond to ``columns`` by position; their DuckDB names are ``_0``, ``_1``, … and mean
    nothing (a query may give two columns one name). Their DuckDB types are those of the table in ``catalog``.
    If the query has an ORDER BY, the result is in that order.
    """

    duckdb_sql: str
    columns: tuple[ColumnInfo, ...]


@dataclass(frozen=True, slots=True)
class ShowDatabases:
    """``SHOW DATABASES [LIKE pattern]``; ``like`` is the pattern as written (``%`` and ``_``), see ``like_matches``."""

    like: str | None


@dataclass(frozen=True, slots=True)
class ShowTables:
    """``SHOW TABLES [FROM database] [LIKE pattern]``. The database exists; None means the tables of all databases."""

    database: str | None
    like: str | None


@dataclass(frozen=True, slots=True)
class ShowMeasures:
    """``SHOW MEASURES FROM database.table [LIKE pattern]``. The table exists."""

    database: str
    table: str
    like: str | None


@dataclass(frozen=True, slots=True)
class Describe:
    """``DESCRIBE database.table``. The table exists."""

    database: str
    table: str


class UnloadFormat(StrEnum):
    """File format of an UNLOAD."""

    CSV = "CSV"
    PARQUET = "PARQUET"


class UnloadCompression(StrEnum):
    """Compression of an UNLOAD's files."""

    GZIP = "GZIP"
    NONE = "NONE"


class UnloadEncryption(StrEnum):
    """Server-side encryption of an UNLOAD's objects."""

    SSE_S3 = "SSE_S3"
    SSE_KMS = "SSE_KMS"


@dataclass(frozen=True, slots=True)
class UnloadOptions:
    """The validated WITH options of an UNLOAD, defaults filled in (facts: timestream 1.1, 1.2).

    ``max_file_size`` is in bytes; ``partitioned_by`` names the last columns of the select list, in their order.
    """

    format: UnloadFormat = UnloadFormat.CSV
    compression: UnloadCompression = UnloadCompression.GZIP
    encryption: UnloadEncryption = UnloadEncryption.SSE_S3
    kms_key: str | None = None
    field_delimiter: str = ","
    escaped_by: str = "\\"
    include_header: bool = False
    max_file_size: int = 78 * 1024**3
    partitioned_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unload:
    """``UNLOAD (select) TO 's3://…' WITH (…)``. Column names are unique and every column has a writable type."""

    select: Select
    destination: str
    options: UnloadOptions


Statement: TypeAlias = Select | ShowDatabases | ShowTables | ShowMeasures | Describe | Unload
