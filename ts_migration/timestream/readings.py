"""What checks ask the source about a window: counts, edges and samples. Small answers to wide scans.

Rows of many windows at once are counted in `window_counts`. Nothing here reads an export: that is the point of it.
"""

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from ts_migration.line_protocol.mapping import FieldSource, Mapping
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery, Value
from ts_migration.timestream.quoting import identifier, in_window, moment, table_name
from ts_migration.timestream.schema import ColumnRole, ColumnType, TableSchema
from ts_migration.timestream.strata import Series, draws_of, rows_conditions, series_query, times_queries
from ts_migration.timestream.unload import TIME_NS, select_list
from ts_migration.windows import Window

_COLUMNS_A_QUERY = 150
"""Counted columns of one query: with long names, the text stays far below the service's limit."""
_TIMES_A_QUERY = 100
_SAMPLE_SPOTS = 10
"""Random times of a sample without strata of series: each is a query, and the smallest query is billed as 10 MB."""

_QUERIES_AT_A_TIME = 4

_FRAME_TYPES: dict[ColumnType, type[pl.DataType]] = {
    ColumnType.VARCHAR: pl.String,
    ColumnType.BIGINT: pl.Int64,
    ColumnType.DOUBLE: pl.Float64,
    ColumnType.BOOLEAN: pl.Boolean,
    ColumnType.TIMESTAMP: pl.Int64,
}


@dataclass(frozen=True)
class SourceCounts:
    """What Timestream counts in a window.

    Attributes:
        rows: measure_name -> rows.
        values: (measure_name, column) -> values that are not NULL.
        first_ns, last_ns: edges of the rows' times, None where there is none.
        unmapped: what the mapping does not know, such as `column 'q'` -> values that are not NULL (rows of a measure);
            only what has any.
    """

    rows: dict[str, int]
    values: dict[tuple[str, str], int]
    first_ns: int | None
    last_ns: int | None
    unmapped: dict[str, int] = field(default_factory=dict)

    @property
    def total_rows(self) -> int:
        """Rows of all measure names."""
        return sum(self.rows.values())

    def field_values(self, mapping: Mapping) -> dict[str, int]:
        """Field key -> values that the mapping makes of them, fields without any left out."""
        result: dict[str, int] = {}
        for source in mapping.fields:
            for (name, column), count in self.values.items():
                if count and _feeds(source, name, column):
                    result[source.field] = result.get(source.field, 0) + count
        return result


def source_counts(query: TimestreamQuery, schema: TableSchema, mapping: Mapping, window: Window) -> SourceCounts:
    """Rows and values per measure_name and column of a window, asked now; new columns of the source are counted too."""
    columns = list(dict.fromkeys([*(source.column for source in mapping.fields), *_new_columns(schema, mapping)]))
    rows: dict[str, int] = {}
    values: dict[tuple[str, str], int] = {}
    edges: list[int] = []
    for start in range(0, max(1, len(columns)), _COLUMNS_A_QUERY):
        portion = columns[start : start + _COLUMNS_A_QUERY]
        counted = "".join(f", count({identifier(column)}) AS c{at}" for at, column in enumerate(portion))
        sql = (
            'SELECT "measure_name", count(*) AS row_count, to_nanoseconds(min("time")) AS first_ns, '
            f'to_nanoseconds(max("time")) AS last_ns{counted} '
            f'FROM {_table(schema)} WHERE {in_window(window)} GROUP BY "measure_name"'
        )
        for row in query.rows(sql):
            name = str(row["measure_name"])
            rows[name] = _integer(row["row_count"])
            edges += [_integer(row["first_ns"]), _integer(row["last_ns"])]
            values.update({(name, column): _integer(row[f"c{at}"]) for at, column in enumerate(portion)})
    unmapped = _unmapped(rows, values, mapping)
    return SourceCounts(rows, values, min(edges, default=None), max(edges, default=None), unmapped)


def new_column_values(query: TimestreamQuery, schema: TableSchema, mapping: Mapping, window: Window) -> int:
    """Values of a window in columns that came to the table after the mapping was made; asks nothing where none did."""
    columns, found = _new_columns(schema, mapping), 0
    for start in range(0, len(columns), _COLUMNS_A_QUERY):
        portion = columns[start : start + _COLUMNS_A_QUERY]
        counted = ", ".join(f"count({identifier(column)}) AS c{at}" for at, column in enumerate(portion))
        for row in query.rows(f"SELECT {counted} FROM {_table(schema)} WHERE {in_window(window)}"):
            found += sum(_integer(value) for value in row.values())
    return found


def _new_columns(schema: TableSchema, mapping: Mapping) -> list[str]:
    """Columns with values of rows that came to the table after the mapping was made."""
    roles = (ColumnRole.DIMENSION, ColumnRole.MULTI, ColumnRole.MEASURE_VALUE)
    known = {*mapping.dimensions, *(source.column for source in mapping.fields)}
    return [column.name for column in schema.columns if column.role in roles and column.name not in known]


def _unmapped(rows: dict[str, int], values: dict[tuple[str, str], int], mapping: Mapping) -> dict[str, int]:
    """What no field or tag is made of. Of a measure that is new as a whole, the rows; else values, by column."""
    result = {f"measure {name!r}": count for name, count in rows.items() if name not in mapping.measure_names and count}
    known = {source.column for source in mapping.fields}
    for (name, column), count in values.items():
        if not count or column in mapping.dimensions:
            continue
        if column not in known:
            result[f"column {column!r}"] = result.get(f"column {column!r}", 0) + count
        elif name in mapping.measure_names and not any(_feeds(source, name, column) for source in mapping.fields):
            result[f"column {column!r} of measure {name!r}"] = count
    return result


def _feeds(source: FieldSource, measure_name: str, column: str) -> bool:
    """Whether a field is made of a column's values in rows of a measure_name."""
    return column == source.column and (source.measure_names is None or measure_name in source.measure_names)


def rows_at(query: TimestreamQuery, schema: TableSchema, window: Window, times: Iterable[int]) -> pl.DataFrame:
    """All rows of a window at given times (ns), as frames of an export are."""
    wanted = sorted({time_ns for time_ns in times if window.contains(time_ns)})
    frames = [no_rows(schema)]
    for start in range(0, len(wanted), _TIMES_A_QUERY):
        moments = ", ".join(moment(time_ns) for time_ns in wanted[start : start + _TIMES_A_QUERY])
        frames.append(rows_where(query, schema, f'{in_window(window)} AND "time" IN ({moments})'))
    return pl.concat(frames)


def sample_rows(
    query: TimestreamQuery, schema: TableSchema, window: Window, count: int, seed: int, rows: int | None = None
) -> pl.DataFrame:
    """About `count` rows of a window, stratified over series and time, as frames of an export are.

    Never chosen from the export: Timestream numbers its own series, every n-th is taken, and of each the first rows at
    or after random times of different stretches of the window (`strata`). That takes three queries, more only where
    names are long. The same seed asks the same queries.

    Args:
        query: Timestream.
        schema: of the table.
        window: that the rows are of.
        count: rows that are wanted.
        seed: of the draws.
        rows: how many the window is expected to have. Where that is no more than `count`, all of them are asked for by
            one query, which leaves nothing out; if there are more after all, they are sampled as any others.
    """
    if rows is not None and rows <= count:
        whole = rows_where(query, schema, in_window(window), limit=count + 1)
        if len(whole) <= count:
            return pl.concat([no_rows(schema), whole])
    if not count:
        return no_rows(schema)
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    try:
        found = _rows_of_strata(query, schema, window, count, draw)
    except QueryTooLarge:
        # More series than Timestream can number: strata of time alone.
        found = _rows_at_spots(query, schema, window, count, draw)
    # Two draws may meet the same rows.
    return pl.concat([no_rows(schema), *found]).unique(subset=[*_identity(schema), TIME_NS], maintain_order=True)


def _rows_of_strata(
    query: TimestreamQuery, schema: TableSchema, window: Window, count: int, draw: random.Random
) -> list[pl.DataFrame]:
    columns, table = _identity(schema), _table(schema)
    series = [
        Series(
            tuple(None if row[f"s{at}"] is None else str(row[f"s{at}"]) for at in range(len(columns))),
            _integer(row["row_count"]),
            _integer(row["first_ns"]),
            _integer(row["last_ns"]),
        )
        for row in query.rows(series_query(table, columns, window, count, draw))
    ]
    # Rows of an answer come in any order; the same seed is to draw the same.
    series.sort(key=lambda one: str(one.identity))
    draws = draws_of(series, count, draw)
    with ThreadPoolExecutor(_QUERIES_AT_A_TIME) as pool:
        told = pool.map(lambda sql: list(query.rows(sql)), times_queries(table, columns, window, draws))
        times = {_integer(row["draw"]): _integer(row["time_ns"]) for rows in told for row in rows}
        return list(pool.map(lambda where: rows_where(query, schema, where), rows_conditions(columns, draws, times)))


@dataclass(frozen=True)
class _Spot:
    """A random time of a sample, the rows wanted there, and the order of rows of one time."""

    offset: int
    size: int
    order: str


def _rows_at_spots(
    query: TimestreamQuery, schema: TableSchema, window: Window, count: int, draw: random.Random
) -> list[pl.DataFrame]:
    """The next rows at each of a few random times (the rows before, where none follow), whatever their series.

    Rows of one time are ordered by dimensions in a random order and direction.
    """
    number = min(_SAMPLE_SPOTS, count)
    stretch = (window.end_ns - window.start_ns) // number
    spots = [
        _Spot(
            window.start_ns + spot * stretch + draw.randrange(max(1, stretch)),
            count // number + (spot < count % number),
            _random_order(schema, draw),
        )
        for spot in range(number)
    ]
    with ThreadPoolExecutor(_QUERIES_AT_A_TIME) as pool:
        return list(pool.map(lambda spot: _rows_at_spot(query, schema, window, spot), spots))


def _rows_at_spot(query: TimestreamQuery, schema: TableSchema, window: Window, spot: _Spot) -> pl.DataFrame:
    after = Window(spot.offset, window.end_ns)
    found = rows_where(query, schema, in_window(after), f'"time" ASC, {spot.order}', spot.size)
    if len(found) < spot.size and spot.offset > window.start_ns:
        before = Window(window.start_ns, spot.offset)
        rest = rows_where(query, schema, in_window(before), f'"time" DESC, {spot.order}', spot.size - len(found))
        found = pl.concat([found, rest])
    return found


def rows_where(
    query: TimestreamQuery, schema: TableSchema, where: str, order: str = "", limit: int = 0
) -> pl.DataFrame:
    """Rows for which a condition holds, as frames of an export are."""
    columns = [column for column in schema.columns if column.role is not ColumnRole.TIMESTAMP]
    sql = f"SELECT {select_list(columns)} FROM {_table(schema)} WHERE {where}"
    if order:
        sql += f" ORDER BY {order}"
    return query.frame(f"{sql} LIMIT {limit}" if limit else sql)


def no_rows(schema: TableSchema) -> pl.DataFrame:
    """A frame of the table's columns without a row."""
    columns = [column for column in schema.columns if column.role is not ColumnRole.TIMESTAMP]
    return pl.DataFrame(schema={**{column.name: _FRAME_TYPES[column.type] for column in columns}, TIME_NS: pl.Int64})


def _random_order(schema: TableSchema, draw: random.Random) -> str:
    columns = _identity(schema)
    draw.shuffle(columns)
    return ", ".join(f"{identifier(column)} {draw.choice(('ASC', 'DESC'))}" for column in columns)


def _identity(schema: TableSchema) -> list[str]:
    """Columns that together with the time name a row."""
    roles = (ColumnRole.DIMENSION, ColumnRole.MEASURE_NAME)
    return [column.name for column in schema.columns if column.role in roles]


def _table(schema: TableSchema) -> str:
    return table_name(schema.database, schema.table)


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a count or time of Timestream is a whole number, not {value!r}")
    return value
