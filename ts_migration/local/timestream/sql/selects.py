"""One SELECT: select list, WHERE, GROUP BY, HAVING, DISTINCT and the ORDER BY that belongs to it.

Aggregation is written in two levels: below, the group keys and the aggregates; above, whatever is computed from them.
So "must appear in GROUP BY" is decided here by Trino's rule and never left to DuckDB's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ts_migration.local.timestream.catalog import ScalarType
from ts_migration.local.timestream.sql import aggregates
from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.coercion import CannotCast
from ts_migration.local.timestream.sql.expressions import ExpressionTranslator
from ts_migration.local.timestream.sql.relations import Source, relation
from ts_migration.local.timestream.sql.scope import Output, Scope, column_name
from ts_migration.local.timestream.sql.signatures import BadArguments
from ts_migration.local.timestream.sql.typed import Typed
from ts_migration.local.timestream.sql.windows import order_key

if TYPE_CHECKING:
    from ts_migration.local.timestream.sql.queries import QueryTranslator


@dataclass(frozen=True, slots=True)
class Item:
    """A column of the select list after ``*`` was expanded."""

    name: str | None
    expression: s.Expression


@dataclass(frozen=True, slots=True)
class TranslatedQuery:
    """A query as DuckDB text, its columns named ``_0``, ``_1``, …"""

    sql: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """Where the select list is computed: FROM's text, the condition on it, and a translator that sees it."""

    sql: str
    condition: str
    translator: ExpressionTranslator


def select(
    queries: QueryTranslator, node: s.Select, order_by: tuple[s.OrderItem, ...], outer: Scope | None
) -> TranslatedQuery:
    """Translate a SELECT with its ORDER BY."""
    source = Source("", ()) if node.source is None else relation(queries, node.source, outer)
    scope = Scope(source.fields, outer)
    stars: dict[s.Expression, Typed] = {}
    items = list(_expand(queries, node, scope, stars))
    level = _level(queries, node, source, scope, items, order_by, stars)
    values = [level.translator.typed(item.expression) for item in items]
    columns = ", ".join(f"{value.sql} AS {column_name(i)}" for i, value in enumerate(values))
    keys = _order(node, level.translator, items, values, order_by)
    sql = f"SELECT {'DISTINCT ' if node.distinct else ''}{columns}{level.sql}{level.condition}"
    if keys:
        sql += f" ORDER BY {', '.join(keys)}"
    outputs = (Output(item.name, value.type, value.finite) for item, value in zip(items, values, strict=True))
    return TranslatedQuery(sql, tuple(outputs))


def _expand(queries: QueryTranslator, node: s.Select, scope: Scope, stars: dict[s.Expression, Typed]) -> Iterator[Item]:
    """The select list with ``*`` replaced. A column of ``*`` is a name no query can write, looked up in ``stars``."""
    for item in node.items:
        if isinstance(item, s.SelectItem):
            name = item.alias
            if name is None and isinstance(item.expression, s.Name):
                name = item.expression.parts[-1]
            yield Item(name, item.expression)
            continue
        fields = [field for field in scope.fields if field.is_of(item.qualifier)]
        if not fields:
            qualifier = ".".join(item.qualifier)
            message = (
                f"Table '{qualifier}' not found" if qualifier else "SELECT * not allowed in queries without FROM clause"
            )
            raise queries.source.refuse(item.at, message)
        for field in fields:
            reference = s.Name(item.at, ("", field.value.sql))
            stars[reference] = field.value
            yield Item(field.name, reference)


def _level(
    queries: QueryTranslator,
    node: s.Select,
    source: Source,
    scope: Scope,
    items: list[Item],
    order_by: tuple[s.OrderItem, ...],
    stars: Mapping[s.Expression, Typed],
) -> _Level:
    where = ""
    if node.where is not None:
        where = f" WHERE {ExpressionTranslator(queries, scope, 'WHERE').boolean(node.where, 'WHERE clause').sql}"
    from_ = f" FROM {source.sql}" if source.sql else ""
    looked_at = [item.expression for item in items] + [key.expression for key in order_by]
    looked_at += [node.having] if node.having is not None else []
    calls = list(dict.fromkeys(call for expression in looked_at for call in _aggregate_calls(queries, expression)))
    if not calls and not node.group_by and node.having is None:
        return _Level(from_ + where, "", ExpressionTranslator(queries, scope, replaced=stars))
    keys = [_key(queries, node, expression, items) for expression in node.group_by]
    below = ExpressionTranslator(queries, scope, "GROUP BY", stars)
    typed_keys = [below.typed(key) for key in keys]
    inside = ExpressionTranslator(queries, dataclasses.replace(scope, closed=True), "Aggregate", stars)
    typed_calls = [_aggregate(queries, inside, call) for call in calls]
    alias, computed = queries.fresh("g"), [*typed_keys, *typed_calls]
    columns = ", ".join(f"{value.sql} AS {column_name(i)}" for i, value in enumerate(computed)) or "count(*) AS _0"
    grouping = f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""
    sql = f" FROM (SELECT {columns}{from_}{where}{grouping}) AS {alias}"
    above = [
        dataclasses.replace(value, sql=f"{alias}.{column_name(i)}", simple=True, constant=None)
        for i, value in enumerate(computed)
    ]
    replaced = dict(zip([*keys, *calls], above, strict=True))
    grouped = {value.sql: after for value, after in zip(typed_keys, above, strict=False)}
    after_grouping = Scope(scope.fields, scope.parent, grouped)
    for reference, value in stars.items():
        replaced[reference] = _grouped_star(queries, reference, value, grouped)
    translator = ExpressionTranslator(queries, after_grouping, replaced=replaced)
    condition = ""
    if node.having is not None:
        having = ExpressionTranslator(queries, after_grouping, "HAVING", replaced)
        condition = f" WHERE {having.boolean(node.having, 'HAVING clause').sql}"
    return _Level(sql, condition, translator)


def _grouped_star(
    queries: QueryTranslator, reference: s.Expression, value: Typed, grouped: Mapping[str, Typed]
) -> Typed:
    if value.sql not in grouped:
        raise queries.source.refuse(reference.at, "'*' must be an aggregate expression or appear in GROUP BY clause")
    return grouped[value.sql]


def _key(queries: QueryTranslator, node: s.Select, expression: s.Expression, items: list[Item]) -> s.Expression:
    """A GROUP BY expression; an integer counts the select list from 1."""
    if not isinstance(expression, s.Literal) or expression.type is not ScalarType.INTEGER:
        return expression
    position = expression.value
    if not isinstance(position, int) or not 1 <= position <= len(items):
        raise queries.source.refuse(expression.at, f"GROUP BY position {position} is not in select list")
    return items[position - 1].expression


def _aggregate(queries: QueryTranslator, inside: ExpressionTranslator, call: s.Call) -> Typed:
    if call.ignore_nulls:
        raise queries.source.refuse(call.at, "IGNORE NULLS is for window functions only")
    arguments = [inside.typed(argument) for argument in call.arguments]
    keys = ", ".join(order_key(inside.typed(item.expression), item) for item in call.order_by)
    if call.distinct and any(item.expression not in call.arguments for item in call.order_by):
        message = "For aggregate function with DISTINCT, ORDER BY expressions must appear in arguments"
        raise queries.source.refuse(call.at, message)
    # The order only shows in an array; DuckDB refuses it in some of the others.
    order = f" ORDER BY {keys}" if keys and call.function == "array_agg" else ""
    try:
        return aggregates.build(call.function, arguments, star=call.star, distinct=call.distinct, order=order).typed()
    except (BadArguments, CannotCast) as error:
        raise queries.source.refuse(call.at, str(error)) from None


def _aggregate_calls(queries: QueryTranslator, node: object) -> Iterator[s.Call]:
    """The outermost aggregate calls of an expression; those of a sub-query are its own."""
    if isinstance(node, s.Call) and queries.is_aggregate(node):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from _aggregate_calls(queries, part)
    elif isinstance(node, s.Node) and not isinstance(node, s.Query):
        for field in dataclasses.fields(node):
            value: Any = getattr(node, field.name)
            if isinstance(value, (s.Node, tuple)):
                yield from _aggregate_calls(queries, value)


def _order(
    node: s.Select,
    translator: ExpressionTranslator,
    items: list[Item],
    values: list[Typed],
    order_by: tuple[s.OrderItem, ...],
) -> list[str]:
    """Sort keys: a position, a name or expression of the select list, or (without DISTINCT) any other expression."""
    aliases: dict[s.Expression, Typed] = {}
    ambiguous: set[s.Expression] = set()
    for item, value in zip(items, values, strict=True):
        if item.name is None:
            continue
        name = s.Name(0, (item.name,))
        if aliases.setdefault(name, value).sql != value.sql:
            ambiguous.add(name)
    aliases = {name: value for name, value in aliases.items() if name not in ambiguous}
    named = dataclasses.replace(translator, replaced={**translator.replaced, **aliases})
    keys = []
    for key in order_by:
        if key.expression in ambiguous:
            raise translator.refuse(key.at, "Column of ORDER BY is ambiguous")
        position = _position(translator, key, items, values, aliases)
        if position is not None:
            keys.append(order_key(position, key))
        elif node.distinct:
            raise translator.refuse(key.at, "For SELECT DISTINCT, ORDER BY expressions must appear in select list")
        else:
            keys.append(order_key(named.typed(key.expression), key))
    return keys


def _position(
    translator: ExpressionTranslator,
    key: s.OrderItem,
    items: list[Item],
    values: list[Typed],
    aliases: Mapping[s.Expression, Typed],
) -> int | None:
    expression = key.expression
    if isinstance(expression, s.Literal) and expression.type is ScalarType.INTEGER:
        if not isinstance(expression.value, int) or not 1 <= expression.value <= len(items):
            raise translator.refuse(key.at, f"ORDER BY position {expression.value} is not in select list")
        return expression.value
    if expression in aliases:
        return 1 + [value.sql for value in values].index(aliases[expression].sql)
    for position, item in enumerate(items):
        if item.expression == expression:
            return position + 1
    return None
