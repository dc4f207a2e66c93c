"""What a table should become, told row by row from its options in plain Python, and why a name or a row cannot.

Nothing of the encoder or of the resolution is asked: options and rows go in, points come out. Whether a name or value
can be said is asked of the reference parser, by writing it in the only spelling that it has.
"""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ts_migration.line_protocol.rejects import Reason
from ts_migration.timestream.schema import ColumnType
from ts_migration_tests.line_protocol.points import Point, bits, parsed
from ts_migration_tests.line_protocol.reference_storage import write
from ts_migration_tests.line_protocol.tables import Row, Table, value_column

_FIELD_TYPES = {
    ColumnType.DOUBLE: "float",
    ColumnType.BIGINT: "integer",
    ColumnType.TIMESTAMP: "integer",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.VARCHAR: "string",
}
KEPT_BY_FLUX = {"tag": {"_time", "_value", "_start", "_stop"}, "field": {"_field", "_measurement", "_time", "_value"}}
"""The server takes these names; queries in Flux give their columns a meaning of its own (documentation: naming)."""


@dataclass(frozen=True)
class Cell:
    """A field of a row: where it comes from, its key and type, and the value of its column."""

    column: str
    key: str
    type: str
    rfc3339: bool
    value: Any


def tags_of(table: Table, row: Row) -> dict[str, str]:
    """Tags of a row: an absent or empty dimension makes none."""
    dimensions = [name for name in table.dimensions if name not in table.options.dimensions_as_fields]
    tags = {_renamed(table, name): row.values[name] for name in dimensions if row.values[name]}
    if has_measure_tag(table, row.name):
        tags[_renamed(table, "measure_name")] = row.name
    return tags


def has_measure_tag(table: Table, name: str) -> bool:
    """Whether rows of a measure_name keep it as a tag. One that is both kinds of measure keeps it for both."""
    single = name in table.single and table.options.single_measure == "value_columns"
    return single or (name in table.multi_names and table.options.keep_measure_name)


def cells_of(table: Table, row: Row) -> Iterator[Cell]:
    """Fields of a row that have a value."""
    for name in table.options.dimensions_as_fields:
        if row.values[name] is not None:
            yield Cell(name, _renamed(table, name), "string", False, row.values[name])
    columns = table.multi if row.multi else {value_column(kind): kind for kind in table.value_types}
    for column, kind in columns.items():
        if row.values.get(column) is not None:
            key, field_type, rfc3339 = field_of(table, row.name, column, kind, row.multi)
            yield Cell(column, key, field_type, rfc3339, row.values[column])


def field_of(table: Table, name: str, column: str, kind: ColumnType, multi: bool) -> tuple[str, str, bool]:
    """Key and type of the field that a column becomes in rows of a measure_name, and whether a time is text there."""
    if multi or table.options.single_measure == "value_columns":
        key = _renamed(table, column)
    else:
        key = _renamed(table, name)
        kinds = set(table.single[name])
        widened = key in table.options.types and kinds <= {ColumnType.BIGINT, ColumnType.DOUBLE}
        if len(kinds) > 1 and not widened:
            key = f"{key}_{kind}"
    if kind is ColumnType.TIMESTAMP and table.options.timestamp_measures == "rfc3339":
        return key, "string", True
    field_type = _FIELD_TYPES[kind]
    return key, "float" if field_type == "integer" and key in table.options.types else field_type, False


def point_of(table: Table, row: Row) -> Point | None:
    """The point that a row should become, None where it has no field."""
    fields = []
    for cell in cells_of(table, row):
        value = rfc3339(cell.value) if cell.rfc3339 else cell.value
        fields.append((cell.key, cell.type, bits(float(value)) if cell.type == "float" else value))
    if not fields:
        return None
    tags = tuple(sorted(tags_of(table, row).items()))
    return table.measurement, tags, row.values["time_ns"], tuple(sorted(fields))


def rewritten_row(table: Table, row: Row, rules: dict[str, str]) -> Row:
    """A row that cannot be said as rules rewrite it: tags by the rules for tags, each field by those for its value."""
    values = dict(row.values)
    for name in set(table.dimensions) - set(table.options.dimensions_as_fields):
        text = values[name]
        if text is not None and "newline_in_tag" in rules:
            text = text.replace("\n", {"space": " ", "escape": "\\n"}[rules["newline_in_tag"]])
        if text is not None and "trailing_backslash" in rules:
            text = text.rstrip("\\")
        values[name] = text
    for cell in cells_of(table, row):
        if cell.type == "float" and isinstance(cell.value, int):
            if "integer_not_exact" in rules:
                values[cell.column] = int(float(min(cell.value, 2**63 - 1024)))
        elif cell.type == "float":
            if "float_not_finite" in rules and not math.isfinite(cell.value):
                values[cell.column] = None
        elif cell.type == "string" and not cell.rfc3339 and "string_too_long" in rules:
            values[cell.column] = cell.value.encode()[:1_048_576].decode("utf-8", "ignore")
    return replace(row, values=values)


def rfc3339(time_ns: int) -> str:
    """A time as text, with as many digits as it needs."""
    second = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)
    fraction = f".{time_ns % 10**9:09d}".rstrip("0").rstrip(".")
    return f"{second:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def float_of(pattern: int) -> float:
    """The float of some `bits`."""
    return float(struct.unpack("<d", struct.pack("<Q", pattern))[0])


def _renamed(table: Table, name: str) -> str:
    return table.options.rename.get(name, name)


def spelled(name: str, special: str) -> str:
    """A text in its only spelling: a backslash before each special character."""
    return "".join(f"\\{character}" if character in special else character for character in name)


def head_of(measurement: str, tags: dict[str, str]) -> str:
    """Measurement and tags as they stand in a line."""
    parts = [f"{spelled(key, ',= ')}={spelled(value, ',= ')}" for key, value in sorted(tags.items())]
    return ",".join([spelled(measurement, ", "), *parts])


def field_text(key: str, field_type: str, value: Any) -> str:
    """A field as it stands in a line; NaN and infinities as Python prints them, for want of a spelling."""
    if field_type == "string":
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif field_type == "float":
        text = repr(float(value))
    else:
        text = f"{value}i" if field_type == "integer" else str(value).lower()
    return f"{spelled(key, ',= ')}={text}"


PROBE = ' ,="=\n,'


def reads_back(measurement: str, tags: dict[str, str], fields: list[tuple[str, str, Any]], time_ns: int = 1) -> bool:
    """Whether a line, before another one, reads back as what it should say, and is found again by a query."""
    texts = ",".join(field_text(*each) for each in fields)
    other = "other" if measurement == "next" else "next"  # types are of a measurement's fields: one that shares none
    body = f"{head_of(measurement, tags)} {texts} {time_ns}\n{other},a=1 f=1i 2\n".encode()
    following = (other, (("a", "1"),), 2, (("f", "integer", 1),))
    told = [(key, kind, bits(float(value)) if kind == "float" else value) for key, kind, value in fields]
    point = (measurement, tuple(sorted(tags.items())), time_ns, tuple(sorted(told)))
    outcome = write(body)
    return outcome.status == 204 and len(outcome.rows) == 2 and parsed(body) == [point, following]


@cache
def sayable(place: str, name: str) -> bool:
    """Whether a measurement, tag key or field key is read as it is, wherever it may stand and whatever stands beside it.

    A name is settled before any row is seen: so it is tried beside values that real servers keep, quotes and line feeds
    in strings and backslashes before a special character in tags among them.
    """
    probe = ("f", "string", PROBE)
    if "\0" in name or "\n" in name or "#!~#" in name or name in KEPT_BY_FLUX.get(place, ()):
        return False
    if place == "field":
        values = [("float", 1.5), ("integer", 1), ("boolean", True), ("string", ""), ("string", PROBE)]
        return all(reads_back("m", {}, [(name, *value), ("zz", *value)]) for value in values)
    values = [{"a": "x"}, {"a": '"'}, {"a": '"', "zz": '"'}, {"zz": "x\\,y"}, {"zz": "x\\=y"}]
    if place == "tag":
        return all(reads_back("m", {name: value} | each, [probe]) for each in values for value in ("x", '"', "\\,"))
    return reads_back(name, {}, [probe]) and all(reads_back(name, each, [probe]) for each in values)


def rightly_refused(table: Table, row: Row, reason: Reason, column: str) -> bool:
    """Whether a row cannot be said for the reason that is given, in the column that is given.

    A line feed behind a backslash would be read back, for the backslash takes it along. It is kept apart all the same:
    no other reader of line protocol, the loader's fast path among them, cuts lines so.
    """
    values, tags = row.values, tags_of(table, row)
    cell = next((each for each in cells_of(table, row) if each.column == column), None)
    match reason:
        case Reason.TIME_OUT_OF_RANGE:
            return not reads_back("m", {}, [("f", "integer", 1)], values["time_ns"])
        case Reason.FLOAT_NOT_FINITE | Reason.STRING_TOO_LONG:
            return cell is not None and not reads_back("m", {}, [("f", cell.type, cell.value)])
        case Reason.INTEGER_NOT_EXACT:
            return cell is not None and cell.type == "float" and int(float(cell.value)) != cell.value
        case Reason.TAG_ENDS_IN_BACKSLASH:
            return values[column].endswith("\\") and not reads_back("m", {"t": values[column]}, [("f", "integer", 1)])
        case Reason.TAG_HOLDS_LINE_FEED:
            bare = re.sub(r"\\+\n", "\n", values[column])
            return not reads_back("m", {"t": bare}, [("f", "integer", 1)])
        case Reason.TAG_HOLDS_SEPARATOR:
            return not reads_back("m", {"t": values[column]}, [("f", "integer", 1)])
        case Reason.TAGS_MISREAD:
            return not all(reads_back(table.measurement, tags, [(key, "string", PROBE)]) for key in ("f", 'f"'))
        case Reason.KEY_TOO_LONG:
            return not reads_back(table.measurement, tags, [(e.key, e.type, e.value) for e in cells_of(table, row)])
    return False


def names_of(table: Table) -> set[tuple[str, str]]:
    """(place, name) of everything that rows of a table would name, whatever rows there are."""
    return {
        ("measurement", table.measurement),
        *(("tag", key) for key in tag_columns(table)),
        *(("field", key) for key in field_columns(table)),
    }


def tag_columns(table: Table) -> dict[str, list[str]]:
    """Tag key -> the columns that would become it."""
    columns = [name for name in table.dimensions if name not in table.options.dimensions_as_fields]
    if any(has_measure_tag(table, name) for name in (*table.single, *table.multi_names)):
        columns.append("measure_name")
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(_renamed(table, column), []).append(column)
    return found


def field_columns(table: Table) -> dict[str, set[tuple[str, str]]]:
    """Field key -> sources that would become it, each with its type."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, kind, multi in kinds_of(table):
        for key, source, field_type in spoken_by(table, name, kind, multi):
            found.setdefault(key, set()).add((source, field_type))
    for name in table.options.dimensions_as_fields:
        found.setdefault(_renamed(table, name), set()).add((name, "string"))
    return found


def kinds_of(table: Table) -> list[tuple[str, ColumnType | None, bool]]:
    """Every kind of row: measure_name, type of a single measure, and whether it is a multi-measure record."""
    single = [(name, kind, False) for name, kinds in table.single.items() for kind in kinds]
    return [*((name, None, True) for name in table.multi_names), *single]


def spoken_by(table: Table, name: str, kind: ColumnType | None, multi: bool) -> list[tuple[str, str, str]]:
    """(key, source, type) of every field that a row of a kind could have; a source is a column, or one of a measure."""
    columns = table.multi if kind is None else {value_column(kind): kind}
    measure = f" of {name}" if not multi and table.options.single_measure == "field_per_measure_name" else ""
    fields = [(column, *field_of(table, name, column, each, multi)[:2]) for column, each in columns.items()]
    spoken = [(key, column + measure, field_type) for column, key, field_type in fields]
    return spoken + [(_renamed(table, name), name, "string") for name in table.options.dimensions_as_fields]


def must_be_refused(table: Table) -> bool:
    """Whether rows of a table could lose or change a value for want of keys or types of their own."""
    fields = field_columns(table)
    return (
        not fields
        or any(len(columns) > 1 for columns in tag_columns(table).values())
        or any(len({field_type for _, field_type in columns}) > 1 for columns in fields.values())
        or not fields.keys().isdisjoint(tag_columns(table))
        or _fields_meet(table)
        or bool(
            table.options.dimensions_as_fields
            and table.options.single_measure == "field_per_measure_name"
            and len(table.single) > 1
        )
        or _options_miss(table)
        or "time_ns" in (*table.dimensions, *table.multi)
    )


def may_be_refused(table: Table) -> bool:
    """Whether there is a reason besides names: what must be refused, and two columns that share a field key."""
    return must_be_refused(table) or any(len(columns) > 1 for columns in field_columns(table).values())


def _fields_meet(table: Table) -> bool:
    """Whether two columns of one field key could speak in one row, or in two rows that become one point.

    Rows of one measure_name, dimensions and time are one record in Timestream: there are no two of them.
    """
    kinds = kinds_of(table)
    for one in kinds:
        keys = [key for key, _, _ in spoken_by(table, *one)]
        if len(set(keys)) < len(keys):
            return True
        for other in kinds:
            apart = [each[0] if has_measure_tag(table, each[0]) else None for each in (one, other)]
            if one[0] == other[0] or apart[0] != apart[1]:
                continue
            columns = {key: column for key, column, _ in spoken_by(table, *one)}
            shared = [column for key, column, _ in spoken_by(table, *other) if columns.get(key, column) != column]
            if shared:
                return True
    return False


def _options_miss(table: Table) -> bool:
    """Whether an option names what is not there, or widens what is no integer."""
    columns = {*table.dimensions, *table.multi, "measure_name", *map(value_column, table.value_types), *table.single}
    return not set(table.options.rename) <= columns or not set(table.options.types) <= _integer_keys(table)


def _integer_keys(table: Table) -> set[str]:
    """Field keys that an integer becomes, whatever else becomes them, too."""
    found = set()
    for name, kind, multi in kinds_of(table):
        columns = table.multi if kind is None else {value_column(kind): kind}
        for column, each in columns.items():
            key, _, text = field_of(table, name, column, each, multi)
            if each in {ColumnType.BIGINT, ColumnType.TIMESTAMP} and not text:
                found.add(key)
    return found
