"""A SELECT with its names resolved against a bucket: which columns it has, of which types, from which series.

Rules: RewriteFields and ColumnNames of influxdata/influxql ast.go. Reading and computing are done elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.conditions import references, tag_filter
from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.schema import Schema, key_order, schema_of
from ts_migration.local.influxdb.influxql.selection import SELECTORS, Interval, Selection
from ts_migration.local.influxdb.influxql.syntax import Binary, Call, Expr, Fill, Paren, Regex, VarRef
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, FieldType, Points

_EVERY_TYPE = frozenset(FieldType)
_EXPANDED: dict[str, frozenset[FieldType]] = dict.fromkeys(("count", "first", "last", "distinct", "mode"), _EVERY_TYPE)
_EXPANDED |= dict.fromkeys(("min", "max"), _EVERY_TYPE - {FieldType.STRING})
_NUMBERS = frozenset((FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED))


@dataclass(frozen=True, slots=True)
class Plan:
    """A SELECT that can be read.

    `start` and `stop` are ns, both inclusive. `names` begin with the time's. In `fields` every VarRef has a type: that
    of the field, "tag", or None where nothing has that name. `dimensions` are tag keys in byte order.
    """

    sources: tuple[tuple[Points, str], ...]
    schema: Schema
    condition: Expr | None
    start: int
    stop: int
    fields: tuple[Expr, ...]
    names: tuple[str, ...]
    calls: tuple[Call, ...]
    selector: bool
    dimensions: tuple[str, ...]
    interval: Interval
    fill: Fill
    ascending: bool
    limit: int
    offset: int
    series_limit: int
    series_offset: int

    @property
    def references(self) -> tuple[VarRef, ...]:
        """The columns outside of calls, each once."""
        found: dict[VarRef, None] = {}
        for field in self.fields:
            _outside_calls(field, found)
        return tuple(found)

    @property
    def driving(self) -> dict[str, FieldType]:
        """Selected fields: a row is one in which any of them has a value."""
        return {
            part.name: FieldType(part.type)
            for field in self.fields
            for part in syntax.walk(field)
            if isinstance(part, VarRef) and part.type not in (None, "tag")
        }

    @property
    def wanted_fields(self) -> frozenset[str]:
        """Fields to be read: the selected ones and those of the condition."""
        return frozenset(self.driving) | (references(self.condition) & self.schema.fields.keys())


def _outside_calls(expr: Expr, found: dict[VarRef, None]) -> None:
    if isinstance(expr, VarRef):
        found[expr] = None
    elif not isinstance(expr, Call):
        for below in syntax.operands(expr):
            _outside_calls(below, found)


def plan(selection: Selection, sources: Iterable[tuple[Points, str]], now_ns: int) -> Plan:
    """Resolve a selection over measurements.

    Raises StatementError where names and types do not go together.
    """
    statement = selection.statement
    ordered = tuple(sorted(sources, key=lambda source: key_order(source[1])))
    times = selection.condition.times
    until = now_ns if selection.interval.size else MAX_TIME_NS
    start, stop = (MIN_TIME_NS if times.start is None else times.start), (until if times.stop is None else times.stop)
    schema = schema_of(ordered, start, stop)
    dimensions, every_tag = _group_keys(selection.dimensions, schema)
    listed = _listed(selection, schema, every_tag)
    fields = tuple(_typed(field.expr, schema) for field in listed)
    calls = {syntax.text_of(call): call for field in fields for call in _calls(field)}
    return Plan(
        sources=ordered,
        schema=schema,
        condition=selection.condition.rest,
        start=start,
        stop=stop,
        fields=fields,
        names=_names(selection.time_name, listed),
        calls=tuple(calls.values()),
        selector=len(calls) == 1 and all(call.name in SELECTORS for call in calls.values()),
        dimensions=dimensions,
        interval=selection.interval,
        fill=statement.fill,
        ascending=statement.ascending,
        limit=statement.limit,
        offset=statement.offset,
        series_limit=statement.series_limit,
        series_offset=statement.series_offset,
    )


def _calls(expr: Expr) -> Iterator[Call]:
    """Calls that are not arguments of others."""
    if isinstance(expr, Call):
        yield expr
    else:
        for below in syntax.operands(expr):
            yield from _calls(below)


def _group_keys(dimensions: tuple[Expr, ...], schema: Schema) -> tuple[tuple[str, ...], bool]:
    """The tag keys of GROUP BY, and whether a wildcard or a pattern was among them."""
    keys: set[str] = set()
    for dimension in dimensions:
        match dimension:
            case VarRef(name=name):
                keys.add(name)
            case Regex(pattern=pattern):
                keys.update(key for key in schema.tags if pattern.search(key))
            case _:
                keys.update(schema.tags)
    return tuple(sorted(keys, key=key_order)), any(not isinstance(dimension, VarRef) for dimension in dimensions)


def _listed(selection: Selection, schema: Schema, every_tag: bool) -> list[syntax.Field]:
    """The list of fields with its wildcards and patterns written out."""
    columns: list[tuple[str, str]] = [(name, type_.value) for name, type_ in schema.fields.items()]
    if columns and not every_tag:
        grouped = {dimension.name for dimension in selection.dimensions if isinstance(dimension, VarRef)}
        columns += [(key, "tag") for key in schema.tags - grouped]
    columns.sort(key=lambda column: (key_order(column[0]), column[1] == "tag"))
    listed: list[syntax.Field] = []
    for field in selection.fields:
        match field.expr:
            case syntax.Wildcard(kind=kind):
                listed += [
                    syntax.Field(VarRef(name, type_))
                    for name, type_ in columns
                    if kind is None or (kind == "tag") == (type_ == "tag")
                ]
            case Regex(pattern=pattern):
                listed += [syntax.Field(VarRef(name, type_)) for name, type_ in columns if pattern.search(name)]
            case Call() as call:
                listed += _written_out(field, call, columns)
            case _:
                listed.append(field)
    return listed


def _written_out(field: syntax.Field, call: Call, columns: list[tuple[str, str]]) -> list[syntax.Field]:
    inner = call.arguments[0]
    if not isinstance(inner, syntax.Wildcard | Regex):
        return [field]
    if isinstance(inner, syntax.Wildcard) and inner.kind == "tag":
        raise StatementError(f"unable to use tag as wildcard in {call.name}()")
    types = _EXPANDED.get(call.name, _NUMBERS)
    return [
        syntax.Field(
            replace(call, arguments=(VarRef(name, type_), *call.arguments[1:])), f"{field.alias or call.name}_{name}"
        )
        for name, type_ in columns
        if type_ != "tag" and FieldType(type_) in types and (not isinstance(inner, Regex) or inner.pattern.search(name))
    ]


def _typed(expr: Expr, schema: Schema) -> Expr:
    match expr:
        case VarRef(name=name, type=None | "field" as said):
            if name in schema.fields:
                return VarRef(name, schema.fields[name].value)
            return VarRef(name, "tag" if name in schema.tags and said is None else None)
        case VarRef(name=name, type=said) if said != "tag" and name not in schema.fields:
            return VarRef(name, None)
        case Call(name=name, arguments=arguments):
            return Call(name, tuple(_typed(argument, schema) for argument in arguments))
        case Binary(operator=operator, left=left, right=right):
            return Binary(operator, _typed(left, schema), _typed(right, schema))
        case Paren(inner=inner):
            return Paren(_typed(inner, schema))
    return expr


def _names(time_name: str, fields: list[syntax.Field]) -> tuple[str, ...]:
    """Column names: aliases first, then generated ones, which step aside with _1, _2…"""
    taken = {field.alias: 1 for field in fields if field.alias}
    names: list[str] = []
    for field in fields:
        if field.alias:
            names.append(field.alias)
            continue
        name = _generated(field.expr)
        if name in taken:
            number = taken[name]
            while f"{name}_{number}" in taken:
                number += 1
            taken[name] = number + 1
            name = f"{name}_{number}"
        taken[name] = taken.get(name, 0) + 1
        names.append(name)
    return (time_name, *names)


def _generated(expr: Expr) -> str:
    match expr:
        case VarRef(name=name) | Call(name=name):
            return name
        case Paren(inner=inner):
            return _generated(inner)
        case Binary():
            return "_".join(_mentioned(expr))
    return ""


def _mentioned(expr: Expr) -> list[str]:
    if isinstance(expr, VarRef | Call):
        return [expr.name]
    return [name for below in syntax.operands(expr) for name in _mentioned(below)]


def series_filter(found: Plan) -> Callable[..., bool] | None:
    """Which series have a chance, by their tags."""
    return tag_filter(found.condition, found.schema.fields)
