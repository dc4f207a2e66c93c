"""What a table's queries are about, asked of Timestream: the end of its data, numeric fields with values, series.

The windows' manifests say where to look, so that no question scans the whole table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ts_migration.config import MigrationJob
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping
from ts_migration.stages.default_queries import Scope, as_double, feeds, looked_at, tag_value
from ts_migration.stages.proof import TableProof, WindowProof
from ts_migration.stages.query_texts import QueryPlace
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.quoting import in_window, table_name
from ts_migration.timestream.schema import ColumnType, TableSchema

MOST_FIELDS = 10
"""Numeric fields that the default queries ask for: each is a scan of the last day."""
MOST_SERIES = 1_000
"""Series and fields, multiplied, that are all asked for: a day by the hour has 24 times as many rows."""
FEW_SERIES = 20
"""Series that are asked for where there are more."""
_CANDIDATES = 40
"""Numeric fields that are looked at for values."""

_MOST_SUM = 2.0**63


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was looked for, or why there is none."""

    scope: Scope | None = None
    place: QueryPlace | None = None
    problem: str = ""


def find_place(job: MigrationJob, proof: TableProof, query: TimestreamQuery) -> Found:
    """What the placeholders of a table's queries stand for."""
    window = _last(window for window in proof.windows if window.loaded and window.rows)
    if window is None:
        if not any(window.loaded for window in proof.windows):
            return Found(problem="no window is loaded: `ts-migration execute` does that")
        return Found(problem="the table has no record in the job's range, so there is nothing to ask")
    newest = _newest_ns(job, query, window, "")
    if newest is None:
        return Found(problem=_gone(window, f"{window.rows:,} rows"))
    return Found(place=_place(job, newest + 1))


def find_scope(
    job: MigrationJob, proof: TableProof, schema: TableSchema, mapping: Mapping, query: TimestreamQuery
) -> Found:
    """What the default queries ask for, and their place: its anchor is behind the newest record with a number."""
    numeric = numeric_fields(schema, mapping)
    if not numeric:
        return Found(problem=f"the table has no numeric field, so the default queries cannot be asked; {_ADD}")
    keys = {source.field for source in numeric}
    window = _last(one for one in proof.windows if one.loaded and any(one.values.get(key) for key in keys))
    if window is None:
        return Found(problem=f"no numeric field has a value in the job's range; {_ADD}")
    fullest = sorted(keys, key=lambda key: (-window.values.get(key, 0), key))[:_CANDIDATES]
    candidates = [source for source in numeric if source.field in fullest and window.values.get(source.field)]
    newest = _newest_ns(job, query, window, " OR ".join(map(feeds, candidates)))
    if newest is None:
        values = sum(window.values.get(key, 0) for key in fullest)
        return Found(problem=_gone(window, f"{values:,} numeric values"))
    place = _place(job, newest + 1)
    return Found(_scope(place, mapping, candidates, len(keys), query), place)


_ADD = "add a pair of your own to `queries`"


def numeric_fields(schema: TableSchema, mapping: Mapping) -> list[FieldSource]:
    """Sources of the fields that hold numbers; a time kept as an integer is none."""
    kinds = {column.name: column.type for column in schema.columns}
    return [
        source
        for source in mapping.fields
        if source.type in (FieldType.FLOAT, FieldType.INTEGER)
        and kinds.get(source.column) in (ColumnType.DOUBLE, ColumnType.BIGINT)
    ]


def _scope(
    place: QueryPlace, mapping: Mapping, candidates: Sequence[FieldSource], numeric: int, query: TimestreamQuery
) -> Scope:
    asked = ", ".join(
        f'to_nanoseconds(max(CASE WHEN {feeds(source)} THEN "time" END)) AS newest_{at}, '
        f"sum(CASE WHEN {feeds(source)} THEN abs({as_double(source)}) END) AS size_{at}"
        for at, source in enumerate(candidates)
    )
    table, day = table_name(place.database, place.table), in_window(looked_at(place))
    row = next(iter(query.rows(f"SELECT {asked} FROM {table} WHERE {day}")))  # noqa: S608 - quoted
    there: dict[str, int] = {}
    too_large = set()
    for at, source in enumerate(candidates):
        newest, size = row[f"newest_{at}"], row[f"size_{at}"]
        if isinstance(newest, int):
            there[source.field] = max(newest, there.get(source.field, newest))
        if source.type is FieldType.INTEGER and isinstance(size, float) and size >= _MOST_SUM:
            too_large.add(source.field)
    series = _series(place, mapping, candidates, query)
    keys = list(there)[: max(1, min(MOST_FIELDS, MOST_SERIES // max(1, len(series))))]
    notes = [f"{len(keys)} of {numeric:,} numeric fields"] if len(keys) < numeric else []
    few = None
    if len(series) > MOST_SERIES:
        few = tuple(series[:FEW_SERIES])
        notes.append(f"the {FEW_SERIES} newest of more than {MOST_SERIES:,} series")
    fields = tuple(source for source in candidates if source.field in keys)
    return Scope(fields, there, few, ", ".join(notes), frozenset(too_large & set(keys)))


def _series(
    place: QueryPlace, mapping: Mapping, candidates: Sequence[FieldSource], query: TimestreamQuery
) -> list[tuple[str | None, ...]]:
    """Tag values of the series of the last day, the newest first; one more than are all asked for."""
    if not mapping.tags:
        return [()]
    tags = ", ".join(f"{tag_value(tag)} AS tag_{at}" for at, tag in enumerate(mapping.tags))
    own = ", ".join(f"tag_{at}" for at in range(len(mapping.tags)))
    sql = (
        f"SELECT {own}, max(at_time) AS newest FROM ("  # noqa: S608 - quoted
        f'SELECT "time" AS at_time, {tags} FROM {table_name(place.database, place.table)} '
        f"WHERE {in_window(looked_at(place))} AND ({' OR '.join(map(feeds, candidates))})"
        f") GROUP BY {own} ORDER BY max(at_time) DESC, {own} LIMIT {MOST_SERIES + 1}"
    )
    rows = query.rows(sql)
    return [tuple(None if value is None else str(value) for value in list(row.values())[:-1]) for row in rows]


def _newest_ns(job: MigrationJob, query: TimestreamQuery, window: WindowProof, condition: str) -> int | None:
    table = table_name(job.source_database, job.source_table)
    more = f" AND ({condition})" if condition else ""
    sql = f'SELECT to_nanoseconds(max("time")) FROM {table} WHERE {in_window(window.window)}{more}'  # noqa: S608
    value = query.scalar(sql)
    return value if isinstance(value, int) else None


def _place(job: MigrationJob, anchor_ns: int) -> QueryPlace:
    return QueryPlace(
        job.source_database,
        job.source_table,
        job.target_bucket,
        job.measurement,
        job.start_time,
        job.end_time,
        anchor_ns,
    )


def _gone(window: WindowProof, what: str) -> str:
    return f"Timestream has no record of window {window.key} any more, whose export has {what}: its retention, perhaps"


def _last(windows: Iterable[WindowProof]) -> WindowProof | None:
    return max(windows, key=lambda window: window.window.start_ns, default=None)
