"""The embedded Timestream's types, tables and columns, and the contract between its storage and its SQL.

Here belong the types of the query language, what a table looks like from SQL (``TableSchema``) and what the
SQL translation asks of the storage (``Catalog``). How rows are stored, and how SQL text becomes DuckDB's, do not.

Physical representation in DuckDB, for table columns and for the columns of a translated SELECT alike:

=========================== =======================================================================
Timestream                  DuckDB
=========================== =======================================================================
VARCHAR, DOUBLE, BOOLEAN    the same
BIGINT, INTEGER             the same
TIMESTAMP                   BIGINT, nanoseconds since 1970-01-01T00:00:00Z (DuckDB's own type is µs)
INTERVAL_DAY_TO_SECOND      BIGINT, nanoseconds
INTERVAL_YEAR_TO_MONTH      BIGINT, months
TIME                        BIGINT, nanoseconds since midnight
DATE                        DATE
UNKNOWN (a bare NULL)       INTEGER, always NULL
ARRAY(t)                    LIST of t
ROW(...)                    STRUCT, fields in order (their DuckDB names mean nothing)
TIMESERIES(t)               LIST of STRUCT(time BIGINT, value t)
=========================== =======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias


class ScalarType(StrEnum):
    """The ``ScalarType`` of a result column, spelt as the Query API spells it."""

    VARCHAR = "VARCHAR"
    BOOLEAN = "BOOLEAN"
    BIGINT = "BIGINT"
    DOUBLE = "DOUBLE"
    TIMESTAMP = "TIMESTAMP"
    DATE = "DATE"
    TIME = "TIME"
    INTERVAL_DAY_TO_SECOND = "INTERVAL_DAY_TO_SECOND"
    INTERVAL_YEAR_TO_MONTH = "INTERVAL_YEAR_TO_MONTH"
    UNKNOWN = "UNKNOWN"
    INTEGER = "INTEGER"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An array of one element type."""

    element: DataType


@dataclass(frozen=True, slots=True)
class RowType:
    """A row; a field's name is None where the query gave it none."""

    fields: tuple[RowField, ...]


@dataclass(frozen=True, slots=True)
class RowField:
    """One field of a row."""

    name: str | None
    type: DataType


@dataclass(frozen=True, slots=True)
class TimeSeriesType:
    """A time series: pairs of a time and a value of this type."""

    value: DataType


DataType: TypeAlias = ScalarType | ArrayType | RowType | TimeSeriesType


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """Name and type of a result column."""

    name: str
    type: DataType


class AttributeKind(StrEnum):
    """What DESCRIBE calls ``Timestream attribute type``."""

    DIMENSION = "DIMENSION"
    MEASURE_NAME = "MEASURE_NAME"
    TIMESTAMP = "TIMESTAMP"
    MULTI = "MULTI"
    MEASURE_VALUE = "MEASURE_VALUE"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table, as DESCRIBE lists it."""

    name: str
    type: ScalarType
    kind: AttributeKind


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table and its columns, in the order of DESCRIBE and of ``SELECT *``."""

    database: str
    table: str
    columns: tuple[TableColumn, ...]


class Catalog(Protocol):
    """What the SQL translation asks of the storage. Names are case-sensitive, as in the service."""

    def databases(self) -> list[str]:
        """Names of all databases."""

    def tables(self, database: str) -> list[str] | None:
        """Names of the tables of a database; None if there is no such database."""

    def schema(self, database: str, table: str) -> TableSchema | None:
        """The table's columns now; None if there is no such table."""

    def relation(self, database: str, table: str) -> str:
        """The quoted DuckDB table or view of an existing table, with exactly the columns of its schema by name."""

    def measures(self, database: str, table: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Rows of SHOW MEASURES: measure name, data type, and (name, data type) of each of its dimensions."""
