"""A DuckDB with two small tables, and the way to ask it in Timestream's words."""

from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from ts_migration.local.timestream.catalog import (
    ArrayType,
    AttributeKind,
    ColumnInfo,
    DataType,
    RowType,
    ScalarType,
    TableColumn,
    TableSchema,
    TimeSeriesType,
)
from ts_migration.local.timestream.sql import Select, SqlRefused, execution_refusal, parse, render_rows

NOW = 1_655_487_883_771_000_678  # 2022-06-17 17:44:43.771000678
T0 = 1_655_449_200_000_000_001  # 2022-06-17 07:00:00.000000001
MINUTE = 60_000_000_000

S, K = ScalarType, AttributeKind

METRICS = TableSchema(
    "grid",
    "metrics",
    (
        TableColumn("region", S.VARCHAR, K.DIMENSION),
        TableColumn("Region name", S.VARCHAR, K.DIMENSION),
        TableColumn("measure_name", S.VARCHAR, K.MEASURE_NAME),
        TableColumn("time", S.TIMESTAMP, K.TIMESTAMP),
        TableColumn("measure_value::double", S.DOUBLE, K.MEASURE_VALUE),
        TableColumn("measure_value::bigint", S.BIGINT, K.MEASURE_VALUE),
        TableColumn("measure_value::boolean", S.BOOLEAN, K.MEASURE_VALUE),
        TableColumn("seen", S.TIMESTAMP, K.MULTI),
    ),
)
ROWS = [
    # region, Region name, measure_name, time, double, bigint, boolean, seen
    ("n", "North é", "load", T0, 1.5, None, True, None),
    ("n", "North é", "load", T0 + 30 * MINUTE, 2.5, None, False, T0 - 1),
    ("n", "North é", "load", T0 + 60 * MINUTE, -4.0, None, None, T0),
    ("s", "South 'x'", "load", T0, 10.25, None, True, None),
    ("s", "South 'x'", "count", T0 + 1, None, 9_007_199_254_740_993, None, None),
    ("s", "South 'x'", "count", T0 + 90 * MINUTE, None, 7, None, None),
    (None, None, "count", T0 + 120 * MINUTE, None, -7, None, None),
]
SITES = TableSchema(
    "grid",
    "sites.v2",
    (
        TableColumn("region", S.VARCHAR, K.DIMENSION),
        TableColumn("measure_name", S.VARCHAR, K.MEASURE_NAME),
        TableColumn("time", S.TIMESTAMP, K.TIMESTAMP),
        TableColumn("megawatts", S.BIGINT, K.MULTI),
    ),
)
SITE_ROWS = [("n", "site", T0, 100), ("w", "site", T0, 50)]

_ARROW = {
    S.VARCHAR: pa.string(),
    S.BOOLEAN: pa.bool_(),
    S.BIGINT: pa.int64(),
    S.DOUBLE: pa.float64(),
    S.TIMESTAMP: pa.int64(),
    S.DATE: pa.date32(),
    S.TIME: pa.int64(),
    S.INTERVAL_DAY_TO_SECOND: pa.int64(),
    S.INTERVAL_YEAR_TO_MONTH: pa.int64(),
    S.UNKNOWN: pa.int32(),
    S.INTEGER: pa.int32(),
}


class TwoTables:
    """A catalog of one database with two tables, and one without any."""

    def databases(self) -> list[str]:
        return ["grid", "empty"]

    def tables(self, database: str) -> list[str] | None:
        return {"grid": ["metrics", "sites.v2"], "empty": []}.get(database)

    def schema(self, database: str, table: str) -> TableSchema | None:
        return {("grid", "metrics"): METRICS, ("grid", "sites.v2"): SITES}.get((database, table))

    def relation(self, database: str, table: str) -> str:
        return f'"{database}.{table}"'

    def measures(self, database: str, table: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
        return []


def arrow_type(data_type: DataType) -> pa.DataType:
    """The Arrow type a column of a translated query must have."""
    match data_type:
        case ArrayType(element):
            return pa.list_(arrow_type(element))
        case TimeSeriesType(value):
            return pa.list_(pa.struct([("time", pa.int64()), ("value", arrow_type(value))]))
        case RowType(fields):
            return pa.struct([(f"f{i}", arrow_type(f.type)) for i, f in enumerate(fields)])
        case _:
            return _ARROW[data_type]


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Equal but for the name of a list's element and of a struct's fields."""
    if pa.types.is_list(expected):
        return pa.types.is_list(found) and _same_type(found.value_type, expected.value_type)
    if pa.types.is_struct(expected):
        fields = range(expected.num_fields)
        return found.num_fields == expected.num_fields and all(
            _same_type(found.field(i).type, expected.field(i).type) for i in fields
        )
    return found == expected


@dataclass
class Engine:
    """Translates a query, runs it, and holds the answer's types against the promised ones."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        for schema, rows in ((METRICS, ROWS), (SITES, SITE_ROWS)):
            physical = {S.TIMESTAMP: "BIGINT"}
            columns = ", ".join(f'"{c.name}" {physical.get(c.type, c.type.value)}' for c in schema.columns)
            self.connection.execute(f'CREATE TABLE "{schema.database}.{schema.table}" ({columns})')
            marks = ", ".join("?" * len(schema.columns))
            self.connection.executemany(f'INSERT INTO "{schema.database}.{schema.table}" VALUES ({marks})', rows)

    def translate(self, query: str) -> Select:
        statement = parse(query, TwoTables(), now_ns=NOW)
        assert isinstance(statement, Select)
        return statement

    def arrow(self, query: str) -> tuple[pa.Table, tuple[ColumnInfo, ...]]:
        """The result as DuckDB gives it; its errors become the service's."""
        statement = self.translate(query)
        try:
            table = self.connection.sql(statement.duckdb_sql).to_arrow_table()
        except duckdb.ParserException:
            raise
        except duckdb.BinderException:
            raise
        except duckdb.Error as error:
            raise execution_refusal(error) from error
        assert table.column_names == [f"_{i}" for i in range(len(statement.columns))]
        for name, column in zip(table.schema, statement.columns, strict=True):
            assert _same_type(name.type, arrow_type(column.type)), (query, name.type, column.type)
        return table, statement.columns

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of physical values."""
        table, _ = self.arrow(query)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []

    def value(self, expression: str) -> Any:
        """The physical value of an expression without a table."""
        ((value,),) = self.rows(f"SELECT {expression}")
        return value

    def typed(self, expression: str) -> tuple[DataType, Any]:
        """Type and wire form of an expression without a table: text, None for NULL, or the Datum if it is no scalar."""
        table, columns = self.arrow(f"SELECT {expression}")
        ((datum,),) = (row["Data"] for row in render_rows(table, columns))
        if "NullValue" in datum:
            return columns[0].type, None
        return columns[0].type, datum.get("ScalarValue", datum)

    def names(self, query: str) -> list[str]:
        """Names of the result's columns."""
        return [column.name for column in self.translate(query).columns]

    def refusal(self, query: str) -> SqlRefused:
        """The error of a query that must fail."""
        try:
            rows = self.rows(query)
        except SqlRefused as refused:
            return refused
        raise AssertionError(f"{query} was answered: {rows}")
