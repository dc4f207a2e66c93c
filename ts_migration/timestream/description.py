"""What a table is made of, asked of Timestream: DESCRIBE and SHOW MEASURES as a `TableSchema`.

The values are in `schema`; how they become points is the conversion's affair.
"""

import difflib

from ts_migration.errors import Missing, Permanent
from ts_migration.timestream.query import TimestreamQuery, Value
from ts_migration.timestream.quoting import identifier, table_name
from ts_migration.timestream.schema import Column, ColumnRole, ColumnType, Measure, TableSchema


def describe(query: TimestreamQuery, database: str, table: str) -> TableSchema:
    """Columns and measures of a table.

    Raises:
        Missing: there is no such database or table; the message lists near names.
        Permanent: it has a column of a type or role that this product does not know.
    """
    name = table_name(database, table)
    try:
        columns = tuple(_column(row, f"{database}.{table}") for row in query.rows(f"DESCRIBE {name}"))
        measures = tuple(_measure(row) for row in query.rows(f"SHOW MEASURES FROM {name}"))
    except Missing as error:
        raise _with_near_names(query, database, table, error) from error
    return TableSchema(database, table, columns, measures)


def databases(query: TimestreamQuery) -> list[str]:
    """Names of all databases, sorted."""
    return sorted(_first_texts(query, "SHOW DATABASES"))


def tables(query: TimestreamQuery, database: str) -> list[str]:
    """Names of all tables of a database, sorted."""
    return sorted(_first_texts(query, f"SHOW TABLES FROM {identifier(database)}"))


def _first_texts(query: TimestreamQuery, sql: str) -> list[str]:
    return [str(next(iter(row.values()))) for row in query.rows(sql)]


def _column(row: dict[str, Value], where: str) -> Column:
    name, kind, role = str(row["Column"]), str(row["Type"]), str(row["Timestream attribute type"])
    try:
        return Column(name, ColumnType(kind.lower()), ColumnRole(role.upper()))
    except ValueError:
        raise Permanent(
            f"column {name!r} has type {kind!r} and role {role!r}",
            where=where,
            allowed=f"types {', '.join(ColumnType)}; roles {', '.join(ColumnRole)}",
        ) from None


def _measure(row: dict[str, Value]) -> Measure:
    dimensions = row["dimensions"]
    names = [str(entry["dimension_name"]) for entry in dimensions or () if isinstance(entry, dict)] if isinstance(
        dimensions, list
    ) else []  # fmt: skip
    return Measure(str(row["measure_name"]), str(row["data_type"]).lower(), tuple(names))


def _with_near_names(query: TimestreamQuery, database: str, table: str, error: Missing) -> Missing:
    known_databases = databases(query)
    if database not in known_databases:
        return Missing(
            f"there is no database {database!r} in Timestream",
            where=query.where,
            allowed=_near(database, known_databases) or "none: this account and Region hold no database",
            next_step="check source_database, the Region and the credentials",
        )
    known_tables = tables(query, database)
    if table not in known_tables:
        return Missing(
            f"there is no table {table!r} in the database {database!r}",
            where=query.where,
            allowed=_near(table, known_tables) or "none: the database holds no table",
            next_step="check source_table",
        )
    return error


def _near(name: str, known: list[str]) -> str:
    """Up to ten names, the most similar first."""
    near = difflib.get_close_matches(name, known, n=10, cutoff=0.3)
    return ", ".join([*near, *(other for other in known if other not in near)][:10])
