"""Databases, tables and their columns as values: what exists, not how it is stored.

Here belong the frozen snapshots that requests read without locks, and the derived forms of the API (``Database`` and
``Table`` members). Reading and writing them in DuckDB, and the rules for changing them, do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ts_migration.local.timestream.catalog import AttributeKind, ScalarType, TableColumn, TableSchema
from ts_migration.local.timestream.naming import quoted

RECORDS_SCHEMA = "records"
"""DuckDB schema of the physical tables, with their hidden columns."""
TABLES_SCHEMA = "tables"
"""DuckDB schema of the views that show exactly the columns of Timestream."""
VERSION_COLUMN = "ts_version"
"""Hidden column of a record's version. Names beginning with ``ts_`` are reserved in Timestream: no clash."""

DEFAULT_MEMORY_HOURS = 6
DEFAULT_MAGNETIC_DAYS = 73_000

_DUCKDB_TYPES = {ScalarType.TIMESTAMP: "BIGINT"}
_MEASURE_NAME = TableColumn("measure_name", ScalarType.VARCHAR, AttributeKind.MEASURE_NAME)
_TIME = TableColumn("time", ScalarType.TIMESTAMP, AttributeKind.TIMESTAMP)


def duckdb_type(scalar: ScalarType) -> str:
    """The physical type of a column; times are BIGINT nanoseconds, for DuckDB's own are microseconds."""
    return _DUCKDB_TYPES.get(scalar, scalar.value)


def account_arn(region: str, *, database: str, table: str | None = None) -> str:
    """The ARN of a database or table. The account is the one that AWS uses in its own examples."""
    arn = f"arn:aws:timestream:{region}:123456789012:database/{database}"
    return f"{arn}/table/{table}" if table else arn


@dataclass(frozen=True, slots=True)
class Database:
    """A database; times are milliseconds since the epoch."""

    name: str
    kms_key_id: str
    created_ms: int
    updated_ms: int

    def member(self, region: str, table_count: int) -> dict[str, Any]:
        """The ``Database`` of the API."""
        return {
            "Arn": account_arn(region, database=self.name),
            "DatabaseName": self.name,
            "TableCount": table_count,
            "KmsKeyId": self.kms_key_id,
            "CreationTime": self.created_ms / 1000,
            "LastUpdatedTime": self.updated_ms / 1000,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns in order of first use; ``number`` names its physical form and is never used again."""

    number: int
    database: str
    name: str
    memory_hours: int
    magnetic_days: int
    magnetic_writes: Mapping[str, Any]
    partition_key: tuple[Mapping[str, str], ...]
    created_ms: int
    updated_ms: int
    columns: tuple[TableColumn, ...] = ()

    @property
    def dimensions(self) -> tuple[TableColumn, ...]:
        """The dimension columns, in order of first use."""
        return tuple(column for column in self.columns if column.kind is AttributeKind.DIMENSION)

    @property
    def measures(self) -> tuple[TableColumn, ...]:
        """The columns that hold values, in order of first use."""
        return tuple(column for column in self.columns if column.kind is not AttributeKind.DIMENSION)

    @property
    def schema(self) -> TableSchema:
        """The columns as DESCRIBE and ``SELECT *`` have them: dimensions, measure_name, time, measures."""
        return TableSchema(self.database, self.name, (*self.dimensions, _MEASURE_NAME, _TIME, *self.measures))

    @property
    def records(self) -> str:
        """The physical DuckDB table, quoted."""
        return f"{quoted(RECORDS_SCHEMA)}.{quoted(f't{self.number}')}"

    @property
    def view(self) -> str:
        """The DuckDB view without hidden columns, quoted."""
        return f"{quoted(TABLES_SCHEMA)}.{quoted(f't{self.number}')}"

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a record: every dimension, the measure name and the time."""
        return (*(column.name for column in self.dimensions), "measure_name", "time")

    @property
    def takes_late_records(self) -> bool:
        """Whether records older than the memory store are accepted into the magnetic store."""
        return bool(self.magnetic_writes.get("EnableMagneticStoreWrites"))

    def column(self, name: str) -> TableColumn | None:
        """The dimension or measure of this name, if the table has it."""
        return next((column for column in self.columns if column.name == name), None)

    def member(self, region: str) -> dict[str, Any]:
        """The ``Table`` of the API."""
        return {
            "Arn": account_arn(region, database=self.database, table=self.name),
            "TableName": self.name,
            "DatabaseName": self.database,
            "TableStatus": "ACTIVE",
            "RetentionProperties": {
                "MemoryStoreRetentionPeriodInHours": self.memory_hours,
                "MagneticStoreRetentionPeriodInDays": self.magnetic_days,
            },
            "CreationTime": self.created_ms / 1000,
            "LastUpdatedTime": self.updated_ms / 1000,
            "MagneticStoreWriteProperties": dict(self.magnetic_writes),
            "Schema": {"CompositePartitionKey": [dict(key) for key in self.partition_key]},
        }


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that exists at one moment. A change makes a new registry; readers keep the one they began with."""

    databases: Mapping[str, Database] = field(default_factory=lambda: MappingProxyType({}))
    tables: Mapping[tuple[str, str], Table] = field(default_factory=lambda: MappingProxyType({}))

    def with_database(self, database: Database) -> Registry:
        """With this database, new or changed."""
        return replace(self, databases=MappingProxyType({**self.databases, database.name: database}))

    def without_database(self, name: str) -> Registry:
        """Without this database."""
        kept = {key: database for key, database in self.databases.items() if key != name}
        return replace(self, databases=MappingProxyType(kept))

    def with_table(self, table: Table) -> Registry:
        """With this table, new or changed."""
        return replace(self, tables=MappingProxyType({**self.tables, (table.database, table.name): table}))

    def without_table(self, table: Table) -> Registry:
        """Without this table."""
        kept = {key: other for key, other in self.tables.items() if other.number != table.number}
        return replace(self, tables=MappingProxyType(kept))

    def tables_of(self, database: str) -> list[Table]:
        """The tables of a database, by name."""
        return sorted((t for t in self.tables.values() if t.database == database), key=lambda table: table.name)
