"""The grammar of queries: WITH, SELECT, FROM, joins, set operations, VALUES, ORDER BY and LIMIT.

What the language does not have (OFFSET, GROUPING SETS, DDL, DML) or what is not translated ends here, by name.
"""

from __future__ import annotations

from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.cursor import NOT_AN_ALIAS, Cursor
from ts_migration.local.timestream.sql.expression_grammar import ExpressionGrammar
from ts_migration.local.timestream.sql.refusal import SqlRefused
from ts_migration.local.timestream.sql.tokens import Kind

_REFUSED_CLAUSES = {
    "OFFSET": "OFFSET is not part of the language",
    "FETCH": "FETCH is not part of the language",
    "WINDOW": "named windows are not supported",
    "QUALIFY": "QUALIFY is not part of the language",
    "TABLESAMPLE": "TABLESAMPLE is not part of the language",
    "MATCH_RECOGNIZE": "MATCH_RECOGNIZE is not part of the language",
}


class QueryGrammar:
    """Reads queries from a cursor."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.expressions = ExpressionGrammar(cursor, self)

    def at_query(self) -> bool:
        """Whether a query comes next that is not itself in parentheses."""
        return self.cursor.current.upper in ("SELECT", "WITH", "VALUES")

    def query(self) -> s.Query:
        """Read a query with its WITH, ORDER BY and LIMIT."""
        cursor, at = self.cursor, self.cursor.current.at
        cursor.deeper()
        named = self._with()
        body = self._union()
        order_by = self.expressions.order_by() if cursor.take_word("ORDER", "BY") else ()
        limit = self._limit() if cursor.take_word("LIMIT") else None
        self._refuse_clauses()
        cursor.shallower()
        return s.Query(at, named, body, order_by, limit)

    def _with(self) -> tuple[tuple[str, tuple[str, ...], s.Query], ...]:
        cursor = self.cursor
        if not cursor.take_word("WITH"):
            return ()
        if cursor.at_word("RECURSIVE"):
            raise cursor.source.refuse(cursor.current.at, "recursive WITH is not supported")
        named: list[tuple[str, tuple[str, ...], s.Query]] = []
        while True:
            at, name = cursor.current.at, cursor.name()
            if any(name == earlier for earlier, _, _ in named):
                raise cursor.source.refuse(at, f"WITH query name '{name}' specified more than once")
            columns = cursor.names() if cursor.at_symbol("(") else ()
            cursor.expect_word("AS")
            cursor.expect_symbol("(")
            named.append((name, columns, self.query()))
            cursor.expect_symbol(")")
            if not cursor.take_symbol(","):
                return tuple(named)

    def _limit(self) -> int | None:
        if self.cursor.take_word("ALL"):
            return None
        if self.cursor.current.kind is not Kind.INTEGER:
            raise self.cursor.unexpected("ALL, <integer>")
        token = self.cursor.advance()
        if len(token.text) > 18:
            raise self.cursor.source.refuse(token.at, f"Invalid limit: {token.text}")
        return int(token.text)

    def _refuse_clauses(self) -> None:
        token = self.cursor.current
        if token.upper in _REFUSED_CLAUSES:
            raise self.cursor.source.refuse(token.at, _REFUSED_CLAUSES[token.upper])

    def _union(self) -> s.Body:
        left = self._intersection()
        while self.cursor.at_word("UNION") or self.cursor.at_word("EXCEPT"):
            token = self.cursor.advance()
            distinct = self._set_quantifier(token.upper)
            left = s.SetOperation(token.at, token.upper, distinct, left, self._intersection())
        return left

    def _intersection(self) -> s.Body:
        left = self._term()
        while self.cursor.at_word("INTERSECT"):
            token = self.cursor.advance()
            distinct = self._set_quantifier(token.upper)
            left = s.SetOperation(token.at, token.upper, distinct, left, self._term())
        return left

    def _set_quantifier(self, operator: str) -> bool:
        if self.cursor.take_word("ALL"):
            if operator != "UNION":
                raise self.cursor.source.refuse(self.cursor.current.at, f"{operator} ALL is not supported")
            return False
        self.cursor.take_word("DISTINCT")
        return True

    def _term(self) -> s.Body:
        cursor = self.cursor
        if cursor.take_symbol("("):
            query = self.query()
            cursor.expect_symbol(")")
            return query
        if cursor.at_word("VALUES"):
            at = cursor.advance().at
            return s.Values(at, self.expressions.list())
        return self._select()

    def _select(self) -> s.Select:
        cursor, at = self.cursor, self.cursor.current.at
        cursor.expect_word("SELECT")
        distinct = cursor.take_word("DISTINCT")
        if not distinct:
            cursor.take_word("ALL")
        items = [self._item()]
        while cursor.take_symbol(","):
            items.append(self._item())
        source = self._from() if cursor.take_word("FROM") else None
        where = self.expressions.expression() if cursor.take_word("WHERE") else None
        group_by = self._group_by() if cursor.take_word("GROUP", "BY") else ()
        having = self.expressions.expression() if cursor.take_word("HAVING") else None
        self._refuse_clauses()
        return s.Select(at, distinct, tuple(items), source, where, group_by, having)

    def _item(self) -> s.SelectItem | s.Star:
        cursor, at = self.cursor, self.cursor.current.at
        if cursor.take_symbol("*"):
            return s.Star(at, ())
        star = self._qualified_star()
        if star is not None:
            return star
        expression = self.expressions.expression()
        if cursor.take_word("AS"):
            return s.SelectItem(at, expression, cursor.name())
        has_alias = cursor.at_name() and cursor.current.upper not in NOT_AN_ALIAS
        return s.SelectItem(at, expression, cursor.name() if has_alias else None)

    def _qualified_star(self) -> s.Star | None:
        cursor, ahead = self.cursor, 0
        while cursor.peek(ahead).kind in (Kind.WORD, Kind.QUOTED) and cursor.peek(ahead + 1).text == ".":
            ahead += 2
        if ahead == 0 or cursor.peek(ahead).text != "*" or cursor.peek(ahead).kind is not Kind.SYMBOL:
            return None
        at, parts = cursor.current.at, []
        while not cursor.take_symbol("*"):
            parts.append(cursor.name())
            cursor.expect_symbol(".")
        return s.Star(at, tuple(parts))

    def _group_by(self) -> tuple[s.Expression, ...]:
        cursor = self.cursor
        grouping_sets = cursor.at_word("GROUPING", "SETS") or (
            cursor.peek().text == "(" and (cursor.at_word("ROLLUP") or cursor.at_word("CUBE"))
        )
        if grouping_sets:
            raise cursor.source.refuse(cursor.current.at, "GROUPING SETS, ROLLUP and CUBE are not part of the language")
        return self.expressions.list()

    def _from(self) -> s.Relation:
        left = self._joined()
        while self.cursor.at_symbol(","):
            at = self.cursor.advance().at
            left = s.Join(at, "CROSS", left, self._joined(), None, ())
        return left

    def _joined(self) -> s.Relation:
        cursor, left = self.cursor, self._relation()
        while True:
            at = cursor.current.at
            if cursor.at_word("NATURAL"):
                raise cursor.source.refuse(at, "NATURAL JOIN is not supported: name the columns with USING")
            if cursor.take_word("CROSS", "JOIN"):
                left = s.Join(at, "CROSS", left, self._relation(), None, ())
                continue
            kind = self._join_kind()
            if kind is None:
                return left
            right = self._relation()
            if cursor.take_word("USING"):
                left = s.Join(at, kind, left, right, None, cursor.names())
            else:
                cursor.expect_word("ON")
                left = s.Join(at, kind, left, right, self.expressions.expression(), ())

    def _join_kind(self) -> str | None:
        cursor = self.cursor
        for kind in ("LEFT", "RIGHT", "FULL"):
            if cursor.take_word(kind):
                cursor.take_word("OUTER")
                cursor.expect_word("JOIN")
                return kind
        if cursor.take_word("INNER"):
            cursor.expect_word("JOIN")
            return "INNER"
        return "INNER" if cursor.take_word("JOIN") else None

    def _relation(self) -> s.Relation:
        cursor, at = self.cursor, self.cursor.current.at
        relation = self._bare_relation()
        explicit = cursor.take_word("AS")
        if not explicit and (not cursor.at_name() or cursor.current.upper in NOT_AN_ALIAS):
            return relation
        alias = cursor.name()
        columns = cursor.names() if cursor.at_symbol("(") else ()
        return s.Aliased(at, relation, alias, columns)

    def _bare_relation(self) -> s.Relation:
        cursor, at = self.cursor, self.cursor.current.at
        if cursor.take_word("UNNEST"):
            cursor.expect_symbol("(")
            operand = self.expressions.expression()
            cursor.expect_symbol(")")
            return s.Unnest(at, operand, cursor.take_word("WITH", "ORDINALITY"))
        if cursor.at_word("LATERAL"):
            raise cursor.source.refuse(at, "LATERAL is not supported")
        if cursor.take_symbol("("):
            return self._parenthesised(at)
        parts = [cursor.name()]
        while cursor.take_symbol("."):
            parts.append(cursor.name())
        return s.TableName(at, tuple(parts))

    def _parenthesised(self, at: int) -> s.Relation:
        """A sub-query or joined tables. ``((SELECT …`` may begin either: the second is tried where the first fails."""
        cursor, start, depth = self.cursor, self.cursor.position, self.cursor.depth
        if self.at_query() or cursor.at_symbol("("):
            try:
                found: s.Relation = s.Derived(at, self.query())
                cursor.expect_symbol(")")
            except SqlRefused:
                if cursor.tokens[start].text != "(":
                    raise
                cursor.position, cursor.depth = start, depth
            else:
                return found
        found = self._from()
        cursor.expect_symbol(")")
        return found
