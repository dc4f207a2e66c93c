"""The DuckDB file: one writer at a time, any number of readers, and a registry that is durable with the records.

Here belong connections, transactions, and the tables that keep databases, tables, columns and tags. What a record is,
and which requests are allowed, do not.

A change is in DuckDB's log and synced before it is visible, so what was answered survives ``kill -9``.
"""

# ruff: noqa: S608 - identifiers cannot be parameters of SQL; every one is quoted by naming.quoted

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import duckdb

from ts_migration.local.timestream.catalog import AttributeKind, ScalarType, TableColumn
from ts_migration.local.timestream.naming import quoted
from ts_migration.local.timestream.registry import (
    RECORDS_SCHEMA,
    TABLES_SCHEMA,
    VERSION_COLUMN,
    Database,
    Registry,
    Table,
    duckdb_type,
)

_REGISTRY_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {RECORDS_SCHEMA};
CREATE SCHEMA IF NOT EXISTS {TABLES_SCHEMA};
CREATE SCHEMA IF NOT EXISTS registry;
CREATE TABLE IF NOT EXISTS registry.databases (
    name VARCHAR PRIMARY KEY, kms_key_id VARCHAR, created_ms BIGINT, updated_ms BIGINT);
CREATE SEQUENCE IF NOT EXISTS registry.table_numbers;
CREATE TABLE IF NOT EXISTS registry.tables (
    number BIGINT PRIMARY KEY, database_name VARCHAR, name VARCHAR, memory_hours BIGINT, magnetic_days BIGINT,
    magnetic_writes VARCHAR, partition_key VARCHAR, created_ms BIGINT, updated_ms BIGINT);
CREATE TABLE IF NOT EXISTS registry.columns (
    table_number BIGINT, position BIGINT, name VARCHAR, type VARCHAR, kind VARCHAR);
CREATE TABLE IF NOT EXISTS registry.tags (arn VARCHAR, key VARCHAR, value VARCHAR);
"""


class Transaction:
    """One change of records and registry, all or nothing; only inside ``Storage.writing``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, registry: Registry) -> None:
        self.connection = connection
        self.registry = registry

    def put_database(self, database: Database) -> None:
        """Create or change a database."""
        self.connection.execute(
            "INSERT OR REPLACE INTO registry.databases VALUES (?, ?, ?, ?)",
            [database.name, database.kms_key_id, database.created_ms, database.updated_ms],
        )
        self.registry = self.registry.with_database(database)

    def drop_database(self, name: str) -> None:
        """Remove a database that has no tables."""
        self.connection.execute("DELETE FROM registry.databases WHERE name = ?", [name])
        self.registry = self.registry.without_database(name)

    def next_table_number(self) -> int:
        """A number that no table has had."""
        ((number,),) = self.connection.execute("SELECT nextval('registry.table_numbers')").fetchall()
        return int(number)

    def put_table(self, table: Table) -> None:
        """Create a table, or change its properties; columns are added by ``add_columns``."""
        known = (table.database, table.name) in self.registry.tables
        self.connection.execute(
            "INSERT OR REPLACE INTO registry.tables VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                table.number,
                table.database,
                table.name,
                table.memory_hours,
                table.magnetic_days,
                json.dumps(dict(table.magnetic_writes)),
                json.dumps([dict(key) for key in table.partition_key]),
                table.created_ms,
                table.updated_ms,
            ],
        )
        self.registry = self.registry.with_table(table)
        if not known:
            self.connection.execute(
                f"CREATE TABLE {table.records} (measure_name VARCHAR, time BIGINT, {VERSION_COLUMN} BIGINT)"
            )
            self._show(table)

    def add_columns(self, table: Table, columns: tuple[TableColumn, ...]) -> Table:
        """Give a table columns that it has not had; existing records have NULL there."""
        if not columns:
            return table
        for position, column in enumerate(columns, start=len(table.columns)):
            self.connection.execute(
                f"ALTER TABLE {table.records} ADD COLUMN {quoted(column.name)} {duckdb_type(column.type)}"
            )
            self.connection.execute(
                "INSERT INTO registry.columns VALUES (?, ?, ?, ?, ?)",
                [table.number, position, column.name, column.type.value, column.kind.value],
            )
        wider = replace(table, columns=(*table.columns, *columns))
        self.registry = self.registry.with_table(wider)
        self._show(wider)
        return wider

    def drop_table(self, table: Table) -> None:
        """Remove a table and its records."""
        self.connection.execute(f"DROP VIEW {table.view}")
        self.connection.execute(f"DROP TABLE {table.records}")
        self.connection.execute("DELETE FROM registry.columns WHERE table_number = ?", [table.number])
        self.connection.execute("DELETE FROM registry.tables WHERE number = ?", [table.number])
        self.registry = self.registry.without_table(table)

    def _show(self, table: Table) -> None:
        names = ", ".join(quoted(column.name) for column in table.schema.columns)
        self.connection.execute(f"CREATE OR REPLACE VIEW {table.view} AS SELECT {names} FROM {table.records}")


class Storage:
    """The file and its connections.

    Args:
        folder: holds ``timestream.duckdb``, DuckDB's spill files and the ``spool`` of files under way; made if missing.
        memory_limit: what DuckDB may use, in its own notation; larger queries spill to the folder.
    """

    def __init__(self, folder: Path, *, memory_limit: str = "1GB") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.spool = folder / "spool"
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": False,
        }
        self._connection = duckdb.connect(str(folder / "timestream.duckdb"), config=config)
        # Only now is this process the folder's owner: what a killed one left of its UNLOADs may go.
        shutil.rmtree(self.spool, ignore_errors=True)
        self.spool.mkdir()
        self._connection.execute(_REGISTRY_TABLES)
        self._lock = threading.RLock()
        self._registry = _load(self._connection)

    @property
    def registry(self) -> Registry:
        """What exists now, as one consistent snapshot."""
        return self._registry

    def reading(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own: DuckDB's are not for two threads at once. Close it after use."""
        return self._connection.cursor()

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """The one write transaction; committed, synced and visible at the end, or rolled back by an exception."""
        with self._lock:
            connection = self._connection.cursor()
            try:
                connection.begin()
                transaction = Transaction(connection, self._registry)
                try:
                    yield transaction
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
                self._registry = transaction.registry
            finally:
                connection.close()

    def close(self) -> None:
        """Write the log into the file and close it."""
        with self._lock:
            self._connection.close()


def _load(connection: duckdb.DuckDBPyConnection) -> Registry:
    """The registry as the file has it."""
    databases = {row[0]: Database(*row) for row in connection.execute("SELECT * FROM registry.databases").fetchall()}
    columns: dict[int, list[TableColumn]] = {}
    for number, _, name, scalar, kind in connection.execute(
        "SELECT * FROM registry.columns ORDER BY table_number, position"
    ).fetchall():
        columns.setdefault(number, []).append(TableColumn(name, ScalarType(scalar), AttributeKind(kind)))
    tables: dict[tuple[str, str], Table] = {}
    for row in connection.execute("SELECT * FROM registry.tables").fetchall():
        number, database, name, memory, magnetic, writes, key, created, updated = row
        tables[(database, name)] = Table(
            number=number,
            database=database,
            name=name,
            memory_hours=memory,
            magnetic_days=magnetic,
            magnetic_writes=json.loads(writes),
            partition_key=tuple(json.loads(key)),
            created_ms=created,
            updated_ms=updated,
            columns=tuple(columns.get(number, ())),
        )
    return Registry(MappingProxyType(databases), MappingProxyType(tables))
