"""Answers of Timestream to questions of users as frames: small, typed, times in ns. The wire is in `query`."""

from typing import Any

import polars as pl

from ts_migration.columns import named
from ts_migration.errors import Permanent
from ts_migration.timestream.query import ResultColumn, TimestreamQuery

TIME = pl.Datetime("ns")
_TYPES: dict[str, Any] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "INTEGER": pl.Int64,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "TIMESTAMP": pl.Int64,
    "UNKNOWN": pl.Null,
}


def timestream_answer(query: TimestreamQuery, sql: str, most_rows: int) -> pl.DataFrame:
    """The answer of a query. A query left before its end is cancelled.

    Args:
        query: Timestream.
        sql: whose columns have names that differ, and scalar types.
        most_rows: rows above which it is refused.

    Raises:
        Permanent: refused by Timestream, too many rows, or columns that no frame can hold.
        Transient: see `query`.
    """
    columns: tuple[ResultColumn, ...] = ()
    rows: list[tuple[Any, ...]] = []
    pages = query.pages(sql)
    try:
        for page in pages:
            columns = columns or page.columns
            rows.extend(page.rows)
            if len(rows) > most_rows:
                raise Permanent(f"the answer has more than {most_rows:,} rows", where=query.where)
    finally:
        pages.close()  # type: ignore[attr-defined]
    names = [column.name for column in columns]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise Permanent(
            f"the answer has several columns {', '.join(map(repr, doubled))}",
            where=query.where,
            next_step="give each a name of its own with AS",
        )
    frame = pl.DataFrame(rows, schema={column.name: _type(column, query.where) for column in columns}, orient="row")
    return frame.with_columns(
        named(column.name).cast(TIME) for column in columns if column.type.get("ScalarType") == "TIMESTAMP"
    )


def _type(column: ResultColumn, where: str) -> Any:
    kind = column.type.get("ScalarType")
    if kind is None:
        raise Permanent(
            f"the column {column.name!r} holds {dict(column.type)!r}",
            where=where,
            allowed="scalar types",
            next_step="take arrays, rows and time series apart with UNNEST",
        )
    return _TYPES.get(kind, pl.String)
