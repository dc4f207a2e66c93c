"""The SQL translation's view of the storage: ``Catalog`` over the registry and the records.

Here belongs what SHOW and DESCRIBE can see. How SHOW and DESCRIBE are answered does not.
"""

# ruff: noqa: S608 - identifiers cannot be parameters of SQL; every one is quoted by naming.quoted

from __future__ import annotations

from ts_migration.local.timestream.catalog import AttributeKind, TableSchema
from ts_migration.local.timestream.naming import quoted
from ts_migration.local.timestream.registry import Registry, Table
from ts_migration.local.timestream.storage import Storage


class StoredCatalog:
    """The catalog at the moment it was made: one statement sees one consistent set of tables."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._registry: Registry = storage.registry

    def databases(self) -> list[str]:
        """Names of all databases, sorted."""
        return sorted(self._registry.databases)

    def tables(self, database: str) -> list[str] | None:
        """Names of the tables of a database, sorted; None if there is no such database."""
        if database not in self._registry.databases:
            return None
        return [table.name for table in self._registry.tables_of(database)]

    def schema(self, database: str, table: str) -> TableSchema | None:
        """The table's columns; None if there is no such table."""
        found = self._registry.tables.get((database, table))
        return found.schema if found else None

    def relation(self, database: str, table: str) -> str:
        """The quoted view of an existing table."""
        return self._registry.tables[(database, table)].view

    def measures(self, database: str, table: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Measure name, type, and the dimensions that records of that measure and type really have.

        Dimensions are sparse: a measure lists only those that one of its records carries. One scan of the table.
        """
        found = self._registry.tables[(database, table)]
        single = [c for c in found.measures if c.kind is AttributeKind.MEASURE_VALUE]
        multi = [c for c in found.measures if c.kind is AttributeKind.MULTI]
        kinds = [(column.type.value.lower(), f"{quoted(column.name)} IS NOT NULL") for column in single]
        if multi:
            kinds.append(("multi", " OR ".join(f"{quoted(column.name)} IS NOT NULL" for column in multi)))
        rows: list[tuple[str, str, list[tuple[str, str]]]] = []
        connection = self._storage.reading()
        try:
            for data_type, has_value in kinds:
                for name, *present in connection.execute(_measures_query(found, has_value)).fetchall():
                    used = [(c.name, "varchar") for c, there in zip(found.dimensions, present, strict=True) if there]
                    rows.append((name, data_type, used))
        finally:
            connection.close()
        return sorted(rows, key=lambda row: row[:2])


def _measures_query(table: Table, has_value: str) -> str:
    present = "".join(f", bool_or({quoted(column.name)} IS NOT NULL)" for column in table.dimensions)
    return f"SELECT measure_name{present} FROM {table.records} WHERE {has_value} GROUP BY measure_name"
