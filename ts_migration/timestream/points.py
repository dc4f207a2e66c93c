"""What is asked of the source to find single rows: rows of named points, rows of a short stretch, counts by stretches.

For windows that failed; what checks ask of every window is in `readings`.
"""

from collections.abc import Mapping as Dictionary
from collections.abc import Sequence

import polars as pl

from ts_migration.line_protocol.mapping import Mapping
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.quoting import identifier, in_any, in_window, literal, moment, table_name
from ts_migration.timestream.readings import no_rows, rows_where
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window

_POINTS_A_QUERY = 20
_COLUMNS_A_QUERY = 150
_QUERY_BYTES = 100_000
"""Text of one query: the service's limit is 256 KiB."""

Point = tuple[int, Dictionary[str, str]]
"""Time in ns and tags of a point."""


def rows_of_points(
    query: TimestreamQuery, schema: TableSchema, mapping: Mapping, window: Window, points: Sequence[Point]
) -> pl.DataFrame:
    """Rows of a window that may have become these points, as frames of an export are; some others may be among them."""
    frames = [no_rows(schema)]
    conditions = list(dict.fromkeys(_condition(mapping, time_ns, tags) for time_ns, tags in points))
    while conditions:
        taken = _fitting(conditions[:_POINTS_A_QUERY])
        portion, conditions = conditions[:taken], conditions[taken:]
        frames.append(rows_where(query, schema, f"{in_window(window)} AND ({' OR '.join(portion)})"))
    return pl.concat(frames)


def rows_within(query: TimestreamQuery, schema: TableSchema, window: Window) -> pl.DataFrame:
    """All rows of a short stretch."""
    return pl.concat([no_rows(schema), rows_where(query, schema, in_window(window))])


def counts_by_part(
    query: TimestreamQuery, schema: TableSchema, columns: Sequence[str], parts: Sequence[Window]
) -> dict[str, int]:
    """Key of a part -> its rows and its values (not NULL) of these columns, together; 0 where it has none."""
    result = {part.key: 0 for part in parts}
    branches = " ".join(f"WHEN {in_window(part)} THEN {literal(part.key)}" for part in parts)
    for start in range(0, max(1, len(columns)), _COLUMNS_A_QUERY):
        portion = columns[start : start + _COLUMNS_A_QUERY]
        names = [identifier(column) for column in portion]
        inner = ", ".join([f"CASE {branches} END AS part_key", *(f"{name} AS v{at}" for at, name in enumerate(names))])
        counted = ", ".join(["count(*) AS row_count", *(f"count(v{at}) AS c{at}" for at in range(len(names)))])
        sql = (
            f"SELECT part_key, {counted} FROM (SELECT {inner} "
            f"FROM {table_name(schema.database, schema.table)} WHERE {in_any(parts)}) GROUP BY part_key"
        )
        for row in query.rows(sql):
            values = [value for name, value in row.items() if name not in ("part_key", "row_count")]
            rows = [] if start else [row["row_count"]]
            result[str(row["part_key"])] += sum(value for value in [*rows, *values] if isinstance(value, int))
    return result


def _fitting(conditions: Sequence[str]) -> int:
    """How many conditions one query takes; at least one."""
    size = 0
    for number, condition in enumerate(conditions):
        size += len(condition.encode())
        if size > _QUERY_BYTES:
            return max(1, number)
    return len(conditions)


def _condition(mapping: Mapping, time_ns: int, tags: Dictionary[str, str]) -> str:
    """The time, and a value for every tag that the point has; a tag that it lacks is NULL or empty in the source."""
    terms = [f'"time" = {moment(time_ns)}']
    for source in mapping.tags:
        name = identifier(source.column)
        if source.tag in tags:
            terms.append(f"{name} = {literal(tags[source.tag])}")
        elif source.measure_names is None:
            terms.append(f"({name} IS NULL OR {name} = '')")
    return f"({' AND '.join(terms)})"
