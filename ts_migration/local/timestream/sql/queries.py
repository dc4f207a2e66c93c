"""Queries around SELECT: WITH, VALUES, UNION, INTERSECT, EXCEPT, and ORDER BY and LIMIT of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from ts_migration.local.timestream.catalog import Catalog, DataType, ScalarType
from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.aggregates import AGGREGATES
from ts_migration.local.timestream.sql.coercion import coerce, common_type
from ts_migration.local.timestream.sql.expressions import ExpressionTranslator
from ts_migration.local.timestream.sql.scope import Output, Scope, column_name, fields_of
from ts_migration.local.timestream.sql.selects import TranslatedQuery, select
from ts_migration.local.timestream.sql.tokens import Source
from ts_migration.local.timestream.sql.typed import Typed, spoken
from ts_migration.local.timestream.sql.windows import order_key


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A WITH query that can be read by its DuckDB name."""

    name: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class QueryTranslator:
    """Translates the queries of one text. ``named`` are the WITH queries in sight."""

    source: Source
    catalog: Catalog
    now_ns: int
    named: Mapping[str, NamedQuery] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)

    def fresh(self, letter: str) -> str:
        """A DuckDB name that nothing else of this text has."""
        return f"{letter}{next(self.numbers)}"

    def is_aggregate(self, call: s.Call) -> bool:
        """Whether a call is a plain aggregate (not over a window)."""
        return call.window is None and call.function in AGGREGATES

    def query(self, node: s.Query, outer: Scope | None) -> TranslatedQuery:
        """Translate a query; ``outer`` is the scope it stands in, whose columns it may use."""
        inner, definitions = self, []
        for name, columns, definition in node.named:
            named, sql = inner._define(name, columns, definition, node.at)
            definitions.append(sql)
            inner = replace(inner, named={**inner.named, name: named})
        translated = inner._ordered(node, outer)
        sql = translated.sql
        if definitions:
            sql = f"WITH {', '.join(definitions)} {sql}"
        if node.limit is not None:
            sql += f" LIMIT {node.limit}"
        return TranslatedQuery(sql, translated.outputs)

    def _define(self, name: str, columns: tuple[str, ...], node: s.Query, at: int) -> tuple[NamedQuery, str]:
        query = self.query(node, None)
        outputs = query.outputs
        if columns:
            if len(columns) != len(outputs):
                message = (
                    f"Column alias list has {len(columns)} entries but '{name}' has {len(outputs)} columns available"
                )
                raise self.source.refuse(at, message)
            outputs = tuple(replace(o, name=column) for o, column in zip(outputs, columns, strict=True))
        alias = self.fresh("w")
        return NamedQuery(alias, outputs), f"{alias} AS ({query.sql})"

    def _ordered(self, node: s.Query, outer: Scope | None) -> TranslatedQuery:
        if isinstance(node.body, s.Select):
            return select(self, node.body, node.order_by, outer)
        body = self._body(node.body, outer)
        if not node.order_by and node.limit is None and not node.named:
            return body
        alias = self.fresh("r")
        sql = f"SELECT * FROM ({body.sql}) AS {alias}"
        if node.order_by:
            translator = ExpressionTranslator(self, Scope(fields_of(body.outputs, alias, ()), outer), "ORDER BY")
            sql += " ORDER BY " + ", ".join(self._key(translator, item, body) for item in node.order_by)
        return TranslatedQuery(sql, body.outputs)

    def _key(self, translator: ExpressionTranslator, item: s.OrderItem, body: TranslatedQuery) -> str:
        expression = item.expression
        if isinstance(expression, s.Literal) and expression.type is ScalarType.INTEGER:
            if not isinstance(expression.value, int) or not 1 <= expression.value <= len(body.outputs):
                raise self.source.refuse(item.at, f"ORDER BY position {expression.value} is not in select list")
            return order_key(expression.value, item)
        return order_key(translator.typed(expression), item)

    def _body(self, node: s.Body, outer: Scope | None) -> TranslatedQuery:
        match node:
            case s.Select():
                return select(self, node, (), outer)
            case s.Values():
                return self._values(node, outer)
            case s.SetOperation():
                return self._set_operation(node, outer)
            case s.Query():
                return self.query(node, outer)

    def _values(self, node: s.Values, outer: Scope | None) -> TranslatedQuery:
        translator = ExpressionTranslator(self, Scope((), outer), "VALUES")
        rows = []
        for row in node.rows:
            items = row.items if isinstance(row, s.Row) else (row,)
            rows.append([translator.typed(item) for item in items])
            if len(rows[-1]) != len(rows[0]):
                raise self.source.refuse(
                    row.at, f"Values rows have mismatched types: {len(rows[0])} and {len(rows[-1])} columns"
                )
        types: list[DataType] = [ScalarType.UNKNOWN] * len(rows[0])
        for row_values in rows:
            types = [self._meet(node.at, a, b.type, "Values rows") for a, b in zip(types, row_values, strict=True)]
        coerced = [[coerce(value, target) for value, target in zip(row, types, strict=True)] for row in rows]
        text = ", ".join(f"({', '.join(value.sql for value in row)})" for row in coerced)
        names = ", ".join(column_name(i) for i in range(len(types)))
        finite = [all(row[i].finite for row in coerced) for i in range(len(types))]
        outputs = tuple(Output(None, data_type, finite[i]) for i, data_type in enumerate(types))
        return TranslatedQuery(f"SELECT * FROM (VALUES {text}) AS {self.fresh('t')}({names})", outputs)

    def _meet(self, at: int, left: DataType, right: DataType, what: str) -> DataType:
        met = common_type(left, right)
        if met is None:
            raise self.source.refuse(at, f"{what} have mismatched types: {spoken(left)}, {spoken(right)}")
        return met

    def _set_operation(self, node: s.SetOperation, outer: Scope | None) -> TranslatedQuery:
        left, right = self._body(node.left, outer), self._body(node.right, outer)
        if len(left.outputs) != len(right.outputs):
            message = f"{node.operator} query has different number of fields: {len(left.outputs)}, {len(right.outputs)}"
            raise self.source.refuse(node.at, message)
        pairs = list(zip(left.outputs, right.outputs, strict=True))
        types = [self._meet(node.at, a.type, b.type, f"columns of {node.operator}") for a, b in pairs]
        outputs = tuple(
            Output(a.name, data_type, a.finite and b.finite) for data_type, (a, b) in zip(types, pairs, strict=True)
        )
        operator = node.operator if node.distinct else f"{node.operator} ALL"
        sql = f"SELECT * FROM ({self._as(left, types)} {operator} {self._as(right, types)}) AS {self.fresh('r')}"
        return TranslatedQuery(sql, outputs)

    def _as(self, query: TranslatedQuery, types: list[DataType]) -> str:
        """A query in parentheses, its columns brought to these types."""
        if all(output.type == data_type for output, data_type in zip(query.outputs, types, strict=True)):
            return f"({query.sql})"
        alias = self.fresh("r")
        columns = ", ".join(
            f"{coerce(Typed(f'{alias}.{column_name(i)}', output.type), data_type).sql} AS {column_name(i)}"
            for i, (output, data_type) in enumerate(zip(query.outputs, types, strict=True))
        )
        return f"(SELECT {columns} FROM ({query.sql}) AS {alias})"
