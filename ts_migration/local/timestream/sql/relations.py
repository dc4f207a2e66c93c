"""FROM: tables, WITH queries, sub-queries, aliases, joins and UNNEST, each with the fields it offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ts_migration.local.timestream.catalog import ArrayType, DataType, RowType, ScalarType, TimeSeriesType
from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.coercion import coerce, common_type
from ts_migration.local.timestream.sql.expressions import ExpressionTranslator
from ts_migration.local.timestream.sql.operators import NotApplicable, compare
from ts_migration.local.timestream.sql.scope import Field, Scope, fields_of, struct_name
from ts_migration.local.timestream.sql.typed import Typed, quote

if TYPE_CHECKING:
    from ts_migration.local.timestream.sql.queries import QueryTranslator


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in DuckDB's FROM, and its fields in the order of ``SELECT *``."""

    sql: str
    fields: tuple[Field, ...]


def relation(queries: QueryTranslator, node: s.Relation, outer: Scope | None) -> Source:
    """Translate a relation; ``outer`` is the scope around the query it stands in."""
    match node:
        case s.TableName():
            return _table(queries, node)
        case s.Derived():
            query = queries.query(node.query, outer)
            alias = queries.fresh("r")
            return Source(f"({query.sql}) AS {alias}", fields_of(query.outputs, alias, ()))
        case s.Unnest():
            return _unnest(queries, node, Scope((), outer))
        case s.Aliased():
            return _aliased(queries, node, outer, None)
        case s.Join():
            return _join(queries, node, outer)


def _table(queries: QueryTranslator, node: s.TableName) -> Source:
    alias = queries.fresh("r")
    if len(node.parts) == 1:
        named = queries.named.get(node.parts[0])
        if named is None:
            raise queries.source.refuse(node.at, f"Table '{node.parts[0]}' must be qualified with its database")
        return Source(f"{named.name} AS {alias}", fields_of(named.outputs, alias, (node.parts[0],)))
    if len(node.parts) != 2:
        raise queries.source.refuse(node.at, f"Too many dots in table name: {'.'.join(node.parts)}")
    database, table = node.parts
    schema = queries.catalog.schema(database, table)
    if schema is None:
        raise missing_table(queries, node.at, database, table)
    fields = tuple(
        Field(
            column.name,
            (database, table),
            Typed(f"{alias}.{quote(column.name)}", column.type, finite=True, simple=True),
        )
        for column in schema.columns
    )
    return Source(f"{queries.catalog.relation(database, table)} AS {alias}", fields)


def missing_table(queries: QueryTranslator, at: int, database: str, table: str) -> Exception:
    """The refusal for a table that does not exist, or whose database does not."""
    if queries.catalog.tables(database) is None:
        return queries.source.refuse(at, f"Database '{database}' does not exist")
    return queries.source.refuse(at, f"Table '{database}.{table}' does not exist")


def _aliased(queries: QueryTranslator, node: s.Aliased, outer: Scope | None, lateral: Scope | None) -> Source:
    if isinstance(node.relation, s.Unnest) and lateral is not None:
        inner = _unnest(queries, node.relation, lateral)
    else:
        inner = relation(queries, node.relation, outer)
    if node.columns and len(node.columns) != len(inner.fields):
        given, there = len(node.columns), len(inner.fields)
        message = f"Column alias list has {given} entries but '{node.alias}' has {there} columns available"
        raise queries.source.refuse(node.at, message)
    names = node.columns or [field.name for field in inner.fields]
    fields = (replace(f, name=n, qualifier=(node.alias,)) for f, n in zip(inner.fields, names, strict=True))
    return Source(inner.sql, tuple(fields))


def _join(queries: QueryTranslator, node: s.Join, outer: Scope | None) -> Source:
    left = relation(queries, node.left, outer)
    right = _right(queries, node, left, outer)
    fields = left.fields + right.fields
    if node.kind == "CROSS":
        return Source(f"({left.sql} CROSS JOIN {right.sql})", fields)
    if node.using:
        condition, fields = _using(queries, node, left, right)
    else:
        translator = ExpressionTranslator(queries, Scope(fields, outer), "JOIN")
        if node.condition is None:
            raise queries.source.refuse(node.at, "a join needs ON or USING")
        condition = translator.boolean(node.condition, "JOIN ON clause").sql
    return Source(f"({left.sql} {node.kind} JOIN {right.sql} ON {condition})", fields)


def _right(queries: QueryTranslator, node: s.Join, left: Source, outer: Scope | None) -> Source:
    """The right side; UNNEST there sees the left side's columns."""
    lateral = Scope(left.fields, outer)
    if isinstance(node.right, s.Unnest):
        found = _unnest(queries, node.right, lateral)
    elif isinstance(node.right, s.Aliased) and isinstance(node.right.relation, s.Unnest):
        found = _aliased(queries, node.right, outer, lateral)
    else:
        return relation(queries, node.right, outer)
    if node.kind != "CROSS":
        raise queries.source.refuse(node.at, "UNNEST is only supported in a CROSS JOIN")
    return found


def _using(queries: QueryTranslator, node: s.Join, left: Source, right: Source) -> tuple[str, tuple[Field, ...]]:
    """The condition, and the fields: the joined columns once and first, without a qualifier, then the others."""
    conditions, joined, taken = [], [], []
    for name in node.using:
        sides = []
        for side in (left, right):
            found = [field for field in side.fields if field.name == name]
            if len(found) != 1:
                problem = "is ambiguous" if found else "is missing"
                raise queries.source.refuse(node.at, f"Column '{name}' of USING {problem} on one side of the join")
            sides.append(found[0].value)
            taken.append(found[0])
        try:
            conditions.append(compare("=", sides[0], sides[1]).sql)
        except NotApplicable as error:
            raise queries.source.refuse(node.at, str(error)) from None
        joined.append(Field(name, (), _either(node.kind, sides[0], sides[1])))
    rest = [field for field in left.fields + right.fields if not any(field is one for one in taken)]
    return " AND ".join(conditions), (*joined, *rest)


def _either(kind: str, left: Typed, right: Typed) -> Typed:
    target: DataType = common_type(left.type, right.type) or left.type
    left, right = coerce(left, target), coerce(right, target)
    if kind == "FULL":
        return Typed(f"COALESCE({left.sql}, {right.sql})", target, finite=left.finite and right.finite)
    return right if kind == "RIGHT" else left


def _unnest(queries: QueryTranslator, node: s.Unnest, scope: Scope) -> Source:
    """One row per element: rows and time series give a column per field. ORDINALITY counts from 1."""
    operand = ExpressionTranslator(queries, scope, "UNNEST").typed(node.operand)
    inner, alias = queries.fresh("u"), queries.fresh("r")
    element = f"{inner}.e"
    columns: list[tuple[str | None, str, DataType]]
    if isinstance(operand.type, TimeSeriesType):
        columns = [
            ("time", f"struct_extract({element}, 'time')", ScalarType.TIMESTAMP),
            ("value", f"struct_extract({element}, 'value')", operand.type.value),
        ]
    elif isinstance(operand.type, ArrayType) and isinstance(operand.type.element, RowType):
        columns = [
            (field.name, f"struct_extract({element}, '{struct_name(i)}')", field.type)
            for i, field in enumerate(operand.type.element.fields)
        ]
    elif isinstance(operand.type, ArrayType):
        columns = [(None, element, operand.type.element)]
    else:
        raise queries.source.refuse(node.at, "Cannot unnest a value that is no array or timeseries")
    if node.ordinality:
        columns.append((None, f"CAST({inner}.i AS BIGINT)", ScalarType.BIGINT))
    picked = ", ".join(f"{sql} AS _{i}" for i, (_, sql, _) in enumerate(columns))
    rows = f"SELECT unnest({operand.sql}) AS e, generate_subscripts({operand.sql}, 1) AS i"
    fields = tuple(
        Field(name, (), Typed(f"{alias}._{i}", data_type, simple=True))
        for i, (name, _, data_type) in enumerate(columns)
    )
    return Source(f"LATERAL (SELECT {picked} FROM ({rows}) AS {inner}) AS {alias}", fields)
