"""What an expression means: from the syntax tree to typed DuckDB text, one rewrite per construct.

Functions are looked up in ``functions``, aggregates and window functions in ``aggregates`` and ``windows``, queries
inside expressions are given to ``queries``. A construct without a rewrite does not parse, so nothing passes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ts_migration.local.timestream.catalog import ArrayType, DataType, RowField, RowType, ScalarType
from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.coercion import CannotCast, cast, coerce, meeting_type
from ts_migration.local.timestream.sql.functions import FUNCTIONS, BadArguments
from ts_migration.local.timestream.sql.operators import (
    COMPARISONS,
    NotApplicable,
    arithmetic,
    compare,
    concatenate,
    negate,
)
from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.scope import Scope, struct_name
from ts_migration.local.timestream.sql.typed import INTEGERS, Typed, constant, failure, let, spoken, text
from ts_migration.local.timestream.sql.windows import is_window_function, window_call

if TYPE_CHECKING:
    from ts_migration.local.timestream.sql.queries import QueryTranslator

S = ScalarType


@dataclass(frozen=True)
class ExpressionTranslator:
    """Translates expressions that see one scope.

    ``replaced`` holds what was computed a level below (group keys and aggregates) or has a name (aliases in ORDER BY).
    ``clause`` names the clause for messages where aggregates and window functions are not allowed; None allows windows.
    """

    queries: QueryTranslator
    scope: Scope
    clause: str | None = None
    replaced: Mapping[s.Expression, Typed] = field(default_factory=dict)

    def refuse(self, at: int, message: str) -> SqlRefused:
        """A ValidationException at a place of the text."""
        return self.queries.source.refuse(at, message)

    def typed(self, node: s.Expression) -> Typed:
        """Translate any expression."""
        if self.replaced and node in self.replaced:
            return self.replaced[node]
        try:
            return self._typed(node)
        except (NotApplicable, BadArguments, CannotCast) as error:
            raise self.refuse(node.at, str(error)) from None

    def boolean(self, node: s.Expression, clause: str) -> Typed:
        """Translate a condition; SqlRefused if it is not boolean."""
        value = self.typed(node)
        if value.type is S.UNKNOWN:
            return coerce(value, S.BOOLEAN)
        if value.type is not S.BOOLEAN:
            raise self.refuse(node.at, f"{clause} must evaluate to a boolean: actual type {spoken(value.type)}")
        return value

    def _typed(self, node: s.Expression) -> Typed:
        match node:
            case s.Literal():
                return constant(node)
            case s.Name():
                return self.scope.resolve(self.queries.source, node)
            case s.Unary():
                return self._unary(node)
            case s.Binary():
                return self._binary(node)
            case s.Between():
                return self._between(node)
            case s.InList():
                return self._in_list(node)
            case s.InQuery():
                return self._in_query(node)
            case s.Like():
                return self._like(node)
            case s.IsNull():
                word = "IS NOT NULL" if node.negated else "IS NULL"
                return Typed(f"({self.typed(node.operand).sql} {word})", S.BOOLEAN)
            case s.Case():
                return self._case(node)
            case s.Cast():
                return self._cast(node)
            case s.Exists():
                return Typed(f"EXISTS ({self.queries.query(node.query, self.scope).sql})", S.BOOLEAN)
            case s.ScalarQuery():
                return self._scalar_query(node)
            case s.Row():
                return self._row(node)
            case s.Array():
                return self._array(node)
            case s.Subscript():
                return self._subscript(node)
            case s.Call():
                return self._call(node)

    def _unary(self, node: s.Unary) -> Typed:
        if node.operator == "NOT":
            return Typed(f"(NOT {self.boolean(node.operand, 'Value of logical NOT expression').sql})", S.BOOLEAN)
        operand = self.typed(node.operand)
        return negate(operand) if node.operator == "-" else operand

    def _binary(self, node: s.Binary) -> Typed:
        if node.operator in ("AND", "OR"):
            return self._chain(node)
        left, right = self.typed(node.left), self.typed(node.right)
        if node.operator in COMPARISONS:
            return compare(node.operator, left, right)
        return concatenate(left, right) if node.operator == "||" else arithmetic(node.operator, left, right)

    def _chain(self, node: s.Binary) -> Typed:
        """AND and OR, flat: thousands of terms must not nest."""
        terms: list[str] = []
        left: s.Expression = node
        while isinstance(left, s.Binary) and left.operator == node.operator:
            terms.append(self.boolean(left.right, "Logical expression term").sql)
            left = left.left
        terms.append(self.boolean(left, "Logical expression term").sql)
        return Typed(f"({f' {node.operator} '.join(reversed(terms))})", S.BOOLEAN)

    def _between(self, node: s.Between) -> Typed:
        value, low, high = self.typed(node.operand), self.typed(node.low), self.typed(node.high)

        def within(x: Typed) -> str:
            return f"({compare('>=', x, low).sql} AND {compare('<=', x, high).sql})"

        def body(v: str) -> str:
            return within(Typed(v, value.type, value.finite, simple=True, constant=value.constant))

        has_query = "(SELECT " in low.sql or "(SELECT " in high.sql
        sql = within(value) if has_query else let((value,), body)
        return Typed(f"(NOT {sql})" if node.negated else sql, S.BOOLEAN)

    def _in_list(self, node: s.InList) -> Typed:
        value, choices = self.typed(node.operand), [self.typed(choice) for choice in node.choices]
        target: DataType = value.type
        for choice in choices:
            met = meeting_type(Typed(value.sql, target, constant=value.constant), choice)
            if met is None:
                raise NotApplicable("IN", value, choice)
            target = met
        if not isinstance(target, ScalarType):
            raise NotApplicable("IN", value, *choices)
        value, choices = coerce(value, target), [coerce(choice, target) for choice in choices]
        if target is S.DOUBLE and not all(choice.finite for choice in [value, *choices]):
            sql = f"({' OR '.join(compare('=', value, choice).sql for choice in choices)})"
            return Typed(f"(NOT {sql})" if node.negated else sql, S.BOOLEAN)
        word = "NOT IN" if node.negated else "IN"
        return Typed(f"({value.sql} {word} ({', '.join(choice.sql for choice in choices)}))", S.BOOLEAN)

    def _in_query(self, node: s.InQuery) -> Typed:
        value = self.typed(node.operand)
        query = self.queries.query(node.query, self.scope)
        if len(query.outputs) != 1:
            raise self.refuse(
                node.query.at,
                f"Multiple columns returned by subquery are not yet supported. Found {len(query.outputs)}",
            )
        found = Typed("_0", query.outputs[0].type, query.outputs[0].finite)
        target = meeting_type(value, found)
        if not isinstance(target, ScalarType):
            raise NotApplicable("IN", value, found)
        value, element = coerce(value, target), coerce(found, target)
        if target is S.DOUBLE and not (value.finite and element.finite):
            raise self.refuse(node.at, "IN (SELECT …) of computed doubles is not supported: NaN would be found")
        word = "NOT IN" if node.negated else "IN"
        return Typed(f"({value.sql} {word} (SELECT {element.sql} FROM ({query.sql})))", S.BOOLEAN)

    def _like(self, node: s.Like) -> Typed:
        value, pattern = self.typed(node.operand), self.typed(node.pattern)
        for operand in (value, pattern):
            if operand.type is not S.VARCHAR:
                raise NotApplicable("LIKE", value, pattern)
        word = "NOT LIKE" if node.negated else "LIKE"
        if node.escape is None:
            return Typed(f"({value.sql} {word} {pattern.sql})", S.BOOLEAN)
        escape = self.typed(node.escape)
        if escape.constant is None or not isinstance(escape.constant.value, str) or len(escape.constant.value) != 1:
            raise self.refuse(node.at, "Escape string must be a single character")
        if pattern.constant is None:
            raise self.refuse(node.at, "LIKE with ESCAPE needs a constant pattern")
        _check_pattern(self, node, str(pattern.constant.value), escape.constant.value)
        return Typed(f"({value.sql} {word} {pattern.sql} ESCAPE {text(escape.constant.value)})", S.BOOLEAN)

    def _case(self, node: s.Case) -> Typed:
        operand = None if node.operand is None else self.typed(node.operand)
        conditions: list[str] = []
        for condition, _ in node.branches:
            if operand is None:
                conditions.append(self.boolean(condition, "CASE WHEN clause").sql)
            else:
                conditions.append(compare("=", operand, self.typed(condition)).sql)
        values = [self.typed(value) for _, value in node.branches]
        values.append(
            constant(s.Literal(node.at, None, S.UNKNOWN)) if node.default is None else self.typed(node.default)
        )
        return self.choose(node.at, conditions, values)

    def choose(self, at: int, conditions: list[str], values: list[Typed]) -> Typed:
        """CASE of conditions and one more value than conditions, brought to one type."""
        target: DataType = S.UNKNOWN
        for value in values:
            met = meeting_type(Typed("", target), value)
            if met is None:
                raise self.refuse(at, f"All CASE results must be the same type: {spoken(target)}, {spoken(value.type)}")
            target = met
        values = [coerce(value, target) for value in values]
        branches = " ".join(f"WHEN {c} THEN {v.sql}" for c, v in zip(conditions, values, strict=False))
        finite = all(value.finite for value in values)
        return Typed(f"CASE {branches} ELSE {values[-1].sql} END", target, finite=finite)

    def _cast(self, node: s.Cast) -> Typed:
        value = self.typed(node.operand)
        return cast(value, node.target, safe=node.safe)

    def _scalar_query(self, node: s.ScalarQuery) -> Typed:
        query = self.queries.query(node.query, self.scope)
        if len(query.outputs) != 1:
            raise self.refuse(
                node.at, f"Multiple columns returned by subquery are not yet supported. Found {len(query.outputs)}"
            )
        return Typed(f"({query.sql})", query.outputs[0].type, finite=query.outputs[0].finite)

    def _row(self, node: s.Row) -> Typed:
        items = [self.typed(item) for item in node.items]
        fields = ", ".join(f"{struct_name(i)} := {item.sql}" for i, item in enumerate(items))
        return Typed(f"struct_pack({fields})", RowType(tuple(RowField(None, item.type) for item in items)))

    def _array(self, node: s.Array) -> Typed:
        items = [self.typed(item) for item in node.items]
        target: DataType = S.UNKNOWN
        for item in items:
            met = meeting_type(Typed("", target), item)
            if met is None:
                raise self.refuse(
                    item.constant.at if item.constant else node.at, "All ARRAY elements must be the same type"
                )
            target = met
        elements = ", ".join(coerce(item, target).sql for item in items)
        array = Typed(f"[{elements}]", ArrayType(target))
        return array if items else Typed("CAST([] AS INTEGER[])", ArrayType(S.UNKNOWN))

    def _subscript(self, node: s.Subscript) -> Typed:
        operand, index = self.typed(node.operand), self.typed(node.index)
        if not isinstance(operand.type, ArrayType) or index.type not in INTEGERS:
            raise NotApplicable("[]", operand, index)

        element = operand.type.element

        def body(array: str, i: str) -> str:
            below = failure("'SQL array indices start at 1'", element)
            message = f"'Array subscript must be less than or equal to array length: ' || {i} || ' > ' || len({array})"
            beyond = failure(message, element)
            return f"CASE WHEN {i} < 1 THEN {below} WHEN {i} > len({array}) THEN {beyond} ELSE {array}[{i}] END"

        return Typed(let((operand, index), body), element)

    def _call(self, node: s.Call) -> Typed:
        if is_window_function(node):
            if self.clause is not None:
                raise self._not_allowed(node)
            return window_call(self, node)
        if self.queries.is_aggregate(node):
            raise self._not_allowed(node)
        if node.function not in FUNCTIONS:
            raise self.refuse(
                node.at, f"Function {node.function} not registered, or not supported by the embedded Timestream"
            )
        if node.star or node.distinct or node.order_by or node.ignore_nulls:
            raise self.refuse(node.at, f"{node.function} is not an aggregate function")
        arguments = [self.typed(argument) for argument in node.arguments]
        return FUNCTIONS[node.function](arguments, self.queries.now_ns)

    def _not_allowed(self, node: s.Call) -> SqlRefused:
        clause = self.clause or "This expression"
        message = (
            f"{clause} clause cannot contain aggregations, window functions or grouping operations: [{node.function}]"
        )
        return self.refuse(node.at, message)


def _check_pattern(translator: ExpressionTranslator, node: s.Like, pattern: str, escape: str) -> None:
    position = 0
    while position < len(pattern):
        if pattern[position] == escape:
            position += 1
            if position == len(pattern) or pattern[position] not in ("%", "_", escape):
                raise translator.refuse(
                    node.at, "Escape character must be followed by '%', '_' or the escape character itself"
                )
        position += 1
