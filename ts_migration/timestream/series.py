"""What of a table's rows becomes of points: rows that would become one, and how many series there will be.

Every function is a wide scan with a small answer, asked of Timestream under a mapping. Nothing here reads an export.
"""

from collections import defaultdict
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass

from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.rules import NEWLINE, NEWLINE_IN_TAG, TRAILING_BACKSLASH
from ts_migration.timestream.query import TimestreamQuery, Value
from ts_migration.timestream.quoting import identifier, in_window, literal, table_name
from ts_migration.timestream.schema import TableSchema
from ts_migration.windows import Window, iso

_TRAILING_BACKSLASHES = r"\\+\z"


@dataclass(frozen=True)
class Collisions:
    """Points that several rows would write a value to, the rows they would be made of, and up to three to be read."""

    points: int
    rows: int
    examples: tuple[str, ...]


def collisions(
    query: TimestreamQuery,
    schema: TableSchema,
    mapping: Mapping,
    window: Window,
    rules: Dictionary[str, str] | None = None,
) -> Collisions:
    """Rows of a window that would overwrite each other under a mapping. Costs a scan: ask where it is not injective.

    Rows collide that have equal tags (NULL and empty alike, and as rewrite rules change them) and time and both a value
    of one field.
    """
    tags = [_tag_expression(tag.column, tag.measure_names, rules or {}) for tag in mapping.tags]
    names = [f"tag_{at}" for at in range(len(tags))]
    fields = {
        True: {field.column for field in mapping.fields if field.measure_names is not None},
        False: {field.column for field in mapping.fields if field.measure_names is None},
    }
    points = row_count = 0
    examples: list[str] = []
    shared = _written_to_one_field(mapping)
    for by_measure_name, columns in fields.items():
        if not columns:
            continue
        selected = [f"{tag} AS {name}" for tag, name in zip(tags, names, strict=True)]
        # Fields that are limited to measure names have a key each: rows of different names do not meet there.
        keys = [*names, *(["measure_name"] if by_measure_name else []), '"time"']
        together = shared if by_measure_name else {}
        ordered = sorted(columns.union(*together))
        counted = [f"{identifier(column)} AS value_{at}" for at, column in enumerate(ordered)]
        inner = f'SELECT "measure_name" AS measure_name, "time", {", ".join([*selected, *counted])}'
        tests = [f"count(value_{at}) > 1" for at, column in enumerate(ordered) if column in columns]
        for group, measures in together.items():
            written = " + ".join(f"count(value_{ordered.index(column)})" for column in group)
            tests.append(f"({written} > 1 AND measure_name IN ({', '.join(map(literal, measures))}))")
        several = " OR ".join(tests)
        grouped = (
            f"SELECT {', '.join(keys)}, count(*) AS row_count FROM ({inner} FROM {_table(schema)} "
            f"WHERE {in_window(window)}) GROUP BY {', '.join(keys)} HAVING {several}"
        )
        counted_all = next(iter(query.rows(f"SELECT count(*) AS points, sum(row_count) AS row_count FROM ({grouped})")))
        found = _integer(counted_all["points"])
        points += found
        row_count += _integer(counted_all["row_count"] or 0)
        if found and len(examples) < 3:
            rows = query.rows(f'{grouped} ORDER BY "time" LIMIT {3 - len(examples)}')
            examples += [_example(row, mapping, by_measure_name) for row in rows]
    return Collisions(points, row_count, tuple(examples))


@dataclass(frozen=True, slots=True)
class SeriesCounts:
    """Series of a range, and series with their field keys, which is what InfluxDB's index grows by."""

    series: int
    with_fields: int


def series_counts(
    query: TimestreamQuery,
    schema: TableSchema,
    mapping: Mapping,
    window: Window,
    rules: Dictionary[str, str] | None = None,
) -> SeriesCounts:
    """How many series the rows of a window make, with tags as rewrite rules change them. Costs a scan.

    Raises:
        QueryTooLarge: Timestream cannot tell in one query.
    """
    tags = [
        f"{_tag_expression(tag.column, tag.measure_names, rules or {})} AS tag_{at}"
        for at, tag in enumerate(mapping.tags)
    ]
    names = [f"tag_{at}" for at in range(len(tags))]
    columns = sorted({field.column for field in mapping.fields})
    position = {column: at for at, column in enumerate(columns)}
    values = [f"{identifier(column)} AS value_{at}" for at, column in enumerate(columns)]
    inner = ", ".join(['"measure_name" AS measure_name', *tags, *values])
    rows = f"SELECT {inner} FROM {_table(schema)} WHERE {in_window(window)}"
    # A field of one measure_name is a key of its own; other fields are shared by all names of a series.
    shared = _written_to_one_field(mapping)
    limited = {position[field.column] for field in mapping.fields if field.measure_names is not None}
    keys = [*names, *(["measure_name"] if limited else [])]
    filled = [f"CASE WHEN count(value_{at}) > 0 THEN 1 ELSE 0 END AS filled_{at}" for at in range(len(columns))]
    grouped = f"SELECT {', '.join([*keys, *filled])} FROM ({rows}){_group_by(keys)}"
    counted = [f"max(filled_{at})" for at in range(len(columns)) if at not in limited]
    if limited:
        twice = [_counted_twice([position[column] for column in group], measures) for group, measures in shared.items()]
        counted.append(f"sum({' - '.join([' + '.join(f'filled_{at}' for at in sorted(limited)), *twice])})")
    summed = ", ".join([*names, f"{' + '.join(counted)} AS fields"])
    by_series = f"SELECT {summed} FROM ({grouped}){_group_by(names)}"
    totals = f"SELECT count(*) AS series, sum(fields) AS fields FROM ({by_series}) WHERE fields > 0"
    row = next(iter(query.rows(totals)))
    return SeriesCounts(_integer(row["series"]), _integer(row["fields"] or 0))


def _written_to_one_field(mapping: Mapping) -> dict[tuple[str, ...], list[str]]:
    """Columns that write to one field in rows of the same measure_name -> the measure names.

    One measure_name has two types, and `types` makes one field of them; or it is that of multi-measure rows, too, which
    have a column of the field's name. Rows of both kinds then carry it as a tag, so that a series has no other.
    """
    names: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in mapping.measure_names:
        by_field: dict[str, set[str]] = defaultdict(set)
        for field in mapping.fields:
            if field.measure_names is None or name in field.measure_names:
                by_field[field.field].add(field.column)
        for together in by_field.values():
            if len(together) > 1:
                names[tuple(sorted(together))].append(name)
    return dict(sorted(names.items()))


def _counted_twice(positions: Sequence[int], measures: Sequence[str]) -> str:
    """By how much the columns of one field are counted too often in a series of one of the measure names."""
    filled = " + ".join(f"filled_{at}" for at in positions)
    named = ", ".join(map(literal, measures))
    return f"CASE WHEN measure_name IN ({named}) AND {filled} > 1 THEN {filled} - 1 ELSE 0 END"


def distinct_records(query: TimestreamQuery, schema: TableSchema, mapping: Mapping, window: Window) -> int:
    """Distinct tags and times of a window's rows: the points that they make at most. Costs a scan."""
    tags = [f"{_tag_expression(tag.column, tag.measure_names, {})} AS tag_{at}" for at, tag in enumerate(mapping.tags)]
    keys = [*(f"tag_{at}" for at in range(len(tags))), '"time"']
    selected = ", ".join([*tags, '"time"'])
    rows = f"SELECT {selected} FROM {_table(schema)} WHERE {in_window(window)}"
    grouped = f"SELECT {', '.join(keys)} FROM ({rows}){_group_by(keys)}"
    return query.integer(f"SELECT count(*) FROM ({grouped})")


def _group_by(keys: Sequence[str]) -> str:
    return f" GROUP BY {', '.join(keys)}" if keys else ""


def _example(row: dict[str, Value], mapping: Mapping, by_measure_name: bool) -> str:
    tags = [f"{tag.tag}={row[f'tag_{at}']!r}" for at, tag in enumerate(mapping.tags) if row[f"tag_{at}"] is not None]
    measure = [f"measure_name {row['measure_name']!r}"] if by_measure_name else []
    return f"{iso(_integer(row['time']))} {' '.join([*tags, *measure])}: {row['row_count']} rows"


def _tag_expression(column: str, measure_names: tuple[str, ...] | None, rules: Dictionary[str, str]) -> str:
    name = identifier(column)
    if column == "measure_name":
        rules = {}  # never rewritten: rows are looked up by it
    if NEWLINE_IN_TAG in rules:
        name = f"replace({name}, {literal(chr(10))}, {literal(NEWLINE[rules[NEWLINE_IN_TAG]])})"
    if TRAILING_BACKSLASH in rules:
        name = f"regexp_replace({name}, {literal(_TRAILING_BACKSLASHES)}, '')"
    limited = ""
    if measure_names is not None:
        limited = f' AND "measure_name" IN ({", ".join(literal(measure) for measure in measure_names)})'
    return f"CASE WHEN {name} <> ''{limited} THEN {name} END"


def _table(schema: TableSchema) -> str:
    return table_name(schema.database, schema.table)


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a count or time of Timestream is a whole number, not {value!r}")
    return value
