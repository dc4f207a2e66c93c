"""The rows a statement answers with, as JSON texts in pieces of bounded size.

Here belong SELECT, SHOW and DESCRIBE as streams of rows. Cutting them into pages, and UNLOAD, do not. The names of
the columns of SHOW and DESCRIBE are those of recorded answers of the service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from ts_migration.local.timestream.catalog import ArrayType, Catalog, ColumnInfo, RowField, RowType, ScalarType
from ts_migration.local.timestream.refusals import QueryExecutionError, ServiceError, ValidationError
from ts_migration.local.timestream.sql import (
    Describe,
    Select,
    ShowDatabases,
    ShowMeasures,
    ShowTables,
    SqlRefused,
    execution_refusal,
    like_matches,
    render_rows,
)

_BATCH_ROWS = 2048
_VARCHAR = ScalarType.VARCHAR
_DIMENSIONS = ArrayType(RowType((RowField("dimension_name", _VARCHAR), RowField("data_type", _VARCHAR))))

SHOW_DATABASES_COLUMNS = (ColumnInfo("Database", _VARCHAR),)
SHOW_TABLES_COLUMNS = (ColumnInfo("Table", _VARCHAR),)
SHOW_MEASURES_COLUMNS = (
    ColumnInfo("measure_name", _VARCHAR),
    ColumnInfo("data_type", _VARCHAR),
    ColumnInfo("dimensions", _DIMENSIONS),
)
DESCRIBE_COLUMNS = (
    ColumnInfo("Column", _VARCHAR),
    ColumnInfo("Type", _VARCHAR),
    ColumnInfo("Timestream attribute type", _VARCHAR),
)

Lookup = ShowDatabases | ShowTables | ShowMeasures | Describe


class Answer(Protocol):
    """The rows of one running statement."""

    @property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """The columns of every row."""

    @property
    def bytes_scanned(self) -> int | None:
        """What the statement reads from tables, in bytes; None: it is not metered at all."""

    def rows(self) -> Iterator[bytes]:
        """The rows, each as the JSON of the API's ``Row``. Consumed once."""

    def interrupt(self) -> None:
        """Make ``rows`` end with an error soon; from any thread."""

    def close(self) -> None:
        """Release what the statement holds."""


def service_error(refused: SqlRefused) -> ServiceError:
    """A refusal of the SQL translation as the API's error."""
    kind = ValidationError if refused.code == "ValidationException" else QueryExecutionError
    return kind(refused.message)


def row_json(row: dict[str, Any]) -> bytes:
    """A row as it goes over the wire."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


class SelectAnswer:
    """A SELECT, executed as its rows are asked for: DuckDB streams, and nothing but a batch is in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, select: Select, bytes_scanned: int) -> None:
        self._connection = connection
        self._select = select
        self.bytes_scanned = bytes_scanned

    @property
    def columns(self) -> tuple[ColumnInfo, ...]:
        return self._select.columns

    def rows(self) -> Iterator[bytes]:
        try:
            for batch in self._connection.sql(self._select.duckdb_sql).to_arrow_reader(_BATCH_ROWS):
                for row in render_rows(pa.Table.from_batches([batch]), self._select.columns):
                    yield row_json(row)
        except SqlRefused as refused:
            raise service_error(refused) from refused
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            # Errors inside a stream come through Arrow, wrapped once more.
            raise service_error(execution_refusal(error)) from error

    def interrupt(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


class LookupAnswer:
    """SHOW and DESCRIBE: answered from the catalog, nothing is scanned or metered."""

    bytes_scanned = None

    def __init__(self, statement: Lookup, catalog: Catalog) -> None:
        self.columns, self._rows = _lookup(statement, catalog)

    def rows(self) -> Iterator[bytes]:
        return (row_json({"Data": data}) for data in self._rows)

    def interrupt(self) -> None:
        return

    def close(self) -> None:
        return


def lookup_columns(statement: Lookup) -> tuple[ColumnInfo, ...]:
    """The columns of a SHOW or DESCRIBE."""
    match statement:
        case ShowDatabases():
            return SHOW_DATABASES_COLUMNS
        case ShowTables():
            return SHOW_TABLES_COLUMNS
        case ShowMeasures():
            return SHOW_MEASURES_COLUMNS
        case Describe():
            return DESCRIBE_COLUMNS


def _lookup(statement: Lookup, catalog: Catalog) -> tuple[tuple[ColumnInfo, ...], list[list[dict[str, Any]]]]:
    rows: list[list[dict[str, Any]]]
    match statement:
        case ShowDatabases(like):
            rows = [[_scalar(name)] for name in catalog.databases() if like_matches(like, name)]
        case ShowTables(database, like):
            databases = catalog.databases() if database is None else [database]
            names = [name for each in databases for name in catalog.tables(each) or ()]
            rows = [[_scalar(name)] for name in names if like_matches(like, name)]
        case ShowMeasures(database, table, like):
            measures = catalog.measures(database, table)
            rows = [_measure(*measure) for measure in measures if like_matches(like, measure[0])]
        case Describe(database, table):
            schema = catalog.schema(database, table)
            columns = schema.columns if schema else ()
            rows = [[_scalar(c.name), _scalar(c.type.value.lower()), _scalar(c.kind.value)] for c in columns]
    return lookup_columns(statement), rows


def _measure(name: str, data_type: str, dimensions: list[tuple[str, str]]) -> list[dict[str, Any]]:
    listed = [{"RowValue": {"Data": [_scalar(text) for text in dimension]}} for dimension in dimensions]
    return [_scalar(name), _scalar(data_type), {"ArrayValue": listed}]


def _scalar(text: str) -> dict[str, Any]:
    return {"ScalarValue": text}
