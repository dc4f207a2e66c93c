"""The grammar of expressions: precedence as in Trino, and only the constructs that have a translation.

Query constructs are in ``query_grammar``; what an expression means is in ``expressions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.cursor import Cursor
from ts_migration.local.timestream.sql.literal_grammar import cast_target, literal

if TYPE_CHECKING:
    from ts_migration.local.timestream.sql.query_grammar import QueryGrammar

_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_CONSTANT_FUNCTIONS = {"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"}
_EXTRACTED = frozenset(
    """
    YEAR QUARTER MONTH WEEK DAY DAY_OF_MONTH DAY_OF_WEEK DOW DAY_OF_YEAR DOY YEAR_OF_WEEK YOW
    HOUR MINUTE SECOND MILLISECOND MICROSECOND NANOSECOND
    """.split()  # noqa: SIM905
)
_EXTRACT_SYNONYMS = {"dow": "day_of_week", "doy": "day_of_year", "yow": "year_of_week"}


class ExpressionGrammar:
    """Reads expressions from a cursor; sub-queries by the query grammar it belongs to."""

    def __init__(self, cursor: Cursor, queries: QueryGrammar) -> None:
        self.cursor = cursor
        self.queries = queries

    def expression(self) -> s.Expression:
        """Read one expression, boolean or not."""
        self.cursor.deeper()
        left = self._conjunction()
        while self.cursor.at_word("OR"):
            at = self.cursor.advance().at
            left = s.Binary(at, "OR", left, self._conjunction())
        self.cursor.shallower()
        return left

    def list(self) -> tuple[s.Expression, ...]:
        """Read expressions with commas between them."""
        found = [self.expression()]
        while self.cursor.take_symbol(","):
            found.append(self.expression())
        return tuple(found)

    def order_by(self) -> tuple[s.OrderItem, ...]:
        """Read the keys after ORDER BY."""
        keys = [self._order_item()]
        while self.cursor.take_symbol(","):
            keys.append(self._order_item())
        return tuple(keys)

    def _order_item(self) -> s.OrderItem:
        at = self.cursor.current.at
        expression = self.expression()
        descending = self.cursor.take_word("DESC")
        if not descending:
            self.cursor.take_word("ASC")
        nulls_first = self.cursor.take_word("NULLS", "FIRST")
        if not nulls_first:
            self.cursor.take_word("NULLS", "LAST")
        return s.OrderItem(at, expression, descending, nulls_first)

    def _conjunction(self) -> s.Expression:
        left = self._negation()
        while self.cursor.at_word("AND"):
            at = self.cursor.advance().at
            left = s.Binary(at, "AND", left, self._negation())
        return left

    def _negation(self) -> s.Expression:
        if self.cursor.at_word("NOT"):
            at = self.cursor.advance().at
            self.cursor.deeper()
            operand = self._negation()
            self.cursor.shallower()
            return s.Unary(at, "NOT", operand)
        return self._predicate()

    def _predicate(self) -> s.Expression:
        left = self._concatenation()
        token = self.cursor.current
        if token.text in _COMPARISONS and self.cursor.at_symbol(token.text):
            self.cursor.advance()
            if self.cursor.at_word("ALL") or self.cursor.at_word("ANY") or self.cursor.at_word("SOME"):
                raise self.cursor.source.refuse(self.cursor.current.at, "quantified comparisons are not supported")
            operator = "<>" if token.text == "!=" else token.text
            return s.Binary(token.at, operator, left, self._concatenation())
        if self.cursor.take_word("IS"):
            return self._is(token.at, left)
        negated = self.cursor.take_word("NOT")
        if self.cursor.take_word("BETWEEN"):
            low = self._concatenation()
            self.cursor.expect_word("AND")
            return s.Between(token.at, left, low, self._concatenation(), negated)
        if self.cursor.take_word("IN"):
            return self._in(token.at, left, negated)
        if self.cursor.take_word("LIKE"):
            pattern = self._concatenation()
            escape = self._concatenation() if self.cursor.take_word("ESCAPE") else None
            return s.Like(token.at, left, pattern, escape, negated)
        if negated:
            raise self.cursor.unexpected("BETWEEN, IN, LIKE")
        return left

    def _is(self, at: int, left: s.Expression) -> s.Expression:
        negated = self.cursor.take_word("NOT")
        if self.cursor.take_word("DISTINCT", "FROM"):
            operator = "IS NOT DISTINCT FROM" if negated else "IS DISTINCT FROM"
            return s.Binary(at, operator, left, self._concatenation())
        if self.cursor.take_word("NULL"):
            return s.IsNull(at, left, negated)
        raise self.cursor.unexpected("NULL, DISTINCT FROM")

    def _in(self, at: int, left: s.Expression, negated: bool) -> s.Expression:
        self.cursor.expect_symbol("(")
        if self.queries.at_query():
            found: s.Expression = s.InQuery(at, left, self.queries.query(), negated)
        else:
            found = s.InList(at, left, self.list(), negated)
        self.cursor.expect_symbol(")")
        return found

    def _concatenation(self) -> s.Expression:
        left = self._sum()
        while self.cursor.at_symbol("||"):
            at = self.cursor.advance().at
            left = s.Binary(at, "||", left, self._sum())
        return left

    def _sum(self) -> s.Expression:
        left = self._product()
        while self.cursor.at_symbol("+") or self.cursor.at_symbol("-"):
            token = self.cursor.advance()
            left = s.Binary(token.at, token.text, left, self._product())
        return left

    def _product(self) -> s.Expression:
        left = self._signed()
        while self.cursor.at_symbol("*") or self.cursor.at_symbol("/") or self.cursor.at_symbol("%"):
            token = self.cursor.advance()
            left = s.Binary(token.at, token.text, left, self._signed())
        return left

    def _signed(self) -> s.Expression:
        if self.cursor.at_symbol("-") or self.cursor.at_symbol("+"):
            token = self.cursor.advance()
            negative_literal = literal(self.cursor, negative=token.text == "-", signed=True)
            if negative_literal is not None:
                return self._postfix(negative_literal)
            self.cursor.deeper()
            operand = self._signed()
            self.cursor.shallower()
            return s.Unary(token.at, token.text, operand)
        return self._postfix(self._primary())

    def _postfix(self, operand: s.Expression) -> s.Expression:
        while self.cursor.at_symbol("["):
            at = self.cursor.advance().at
            operand = s.Subscript(at, operand, self.expression())
            self.cursor.expect_symbol("]")
        return operand

    def _primary(self) -> s.Expression:
        cursor = self.cursor
        constant = literal(cursor, negative=False, signed=False)
        if constant is not None:
            return constant
        token = cursor.current
        if cursor.at_symbol("("):
            return self._parenthesis()
        if token.upper in ("CAST", "TRY_CAST") and cursor.peek().text == "(":
            return self._cast()
        if token.upper == "CASE":
            return self._case()
        if token.upper == "EXISTS":
            cursor.advance()
            cursor.expect_symbol("(")
            query = self.queries.query()
            cursor.expect_symbol(")")
            return s.Exists(token.at, query)
        if token.upper == "EXTRACT":
            return self._extract()
        if token.upper in _CONSTANT_FUNCTIONS:
            cursor.advance()
            return s.Call(token.at, token.text.lower(), ())
        if token.upper == "ARRAY" and cursor.peek().text == "[":
            return self._array()
        if token.upper and cursor.at_name() and cursor.peek().text == "(":
            return self._call()
        return self._column()

    def _parenthesis(self) -> s.Expression:
        at = self.cursor.advance().at
        if self.queries.at_query():
            found: s.Expression = s.ScalarQuery(at, self.queries.query())
        else:
            items = self.list()
            found = items[0] if len(items) == 1 else s.Row(at, items)
        self.cursor.expect_symbol(")")
        return found

    def _cast(self) -> s.Expression:
        token = self.cursor.advance()
        self.cursor.expect_symbol("(")
        operand = self.expression()
        self.cursor.expect_word("AS")
        target = cast_target(self.cursor)
        self.cursor.expect_symbol(")")
        return s.Cast(token.at, operand, target, token.upper == "TRY_CAST")

    def _case(self) -> s.Expression:
        at = self.cursor.advance().at
        operand = None if self.cursor.at_word("WHEN") else self.expression()
        branches: list[tuple[s.Expression, s.Expression]] = []
        while self.cursor.take_word("WHEN"):
            condition = self.expression()
            self.cursor.expect_word("THEN")
            branches.append((condition, self.expression()))
        if not branches:
            raise self.cursor.unexpected("WHEN")
        default = self.expression() if self.cursor.take_word("ELSE") else None
        self.cursor.expect_word("END")
        return s.Case(at, operand, tuple(branches), default)

    def _extract(self) -> s.Expression:
        at = self.cursor.advance().at
        self.cursor.expect_symbol("(")
        token = self.cursor.advance()
        if token.upper not in _EXTRACTED:
            raise self.cursor.source.refuse(token.at, f"Invalid EXTRACT field: {token.text}")
        part = token.text.lower()
        self.cursor.expect_word("FROM")
        operand = self.expression()
        self.cursor.expect_symbol(")")
        return s.Call(at, _EXTRACT_SYNONYMS.get(part, part), (operand,))

    def _array(self) -> s.Expression:
        at = self.cursor.advance().at
        self.cursor.expect_symbol("[")
        items = () if self.cursor.at_symbol("]") else self.list()
        self.cursor.expect_symbol("]")
        return s.Array(at, items)

    def _column(self) -> s.Expression:
        at = self.cursor.current.at
        parts = [self.cursor.name()]
        while self.cursor.take_symbol("."):
            parts.append(self.cursor.name())
        return s.Name(at, tuple(parts))

    def _call(self) -> s.Expression:
        cursor, token = self.cursor, self.cursor.advance()
        function = token.text.lower()
        cursor.expect_symbol("(")
        if function == "position":
            return self._position(token.at)
        if function == "row":
            items = self.list()
            cursor.expect_symbol(")")
            return s.Row(token.at, items)
        star = cursor.take_symbol("*")
        distinct = not star and cursor.take_word("DISTINCT")
        arguments = () if star or cursor.at_symbol(")") else self.list()
        order_by = self.order_by() if cursor.take_word("ORDER", "BY") else ()
        cursor.expect_symbol(")")
        if cursor.at_word("FILTER") and cursor.peek().text == "(":
            raise cursor.source.refuse(cursor.current.at, "FILTER is not supported: use CASE inside the aggregate")
        ignore_nulls = cursor.take_word("IGNORE", "NULLS")
        if not ignore_nulls:
            cursor.take_word("RESPECT", "NULLS")
        window = self._window() if cursor.take_word("OVER") else None
        return s.Call(token.at, function, arguments, distinct, star, order_by, window, ignore_nulls)

    def _position(self, at: int) -> s.Expression:
        needle = self._concatenation()
        self.cursor.expect_word("IN")
        haystack = self.expression()
        self.cursor.expect_symbol(")")
        return s.Call(at, "strpos", (haystack, needle))

    def _window(self) -> s.Window:
        cursor, at = self.cursor, self.cursor.current.at
        cursor.expect_symbol("(")
        partition_by = self.list() if cursor.take_word("PARTITION", "BY") else ()
        order_by = self.order_by() if cursor.take_word("ORDER", "BY") else ()
        frame = self._frame() if cursor.at_word("ROWS") or cursor.at_word("RANGE") else None
        cursor.expect_symbol(")")
        return s.Window(at, partition_by, order_by, frame)

    def _frame(self) -> s.Frame:
        token = self.cursor.advance()
        if self.cursor.take_word("BETWEEN"):
            start = self._bound()
            self.cursor.expect_word("AND")
            end = self._bound()
        else:
            start, end = self._bound(), ("CURRENT ROW", None)
        return s.Frame(token.at, token.upper, start, end)

    def _bound(self) -> tuple[str, s.Expression | None]:
        for words in (("UNBOUNDED", "PRECEDING"), ("UNBOUNDED", "FOLLOWING"), ("CURRENT", "ROW")):
            if self.cursor.take_word(*words):
                return " ".join(words), None
        offset = self._concatenation()
        for word in ("PRECEDING", "FOLLOWING"):
            if self.cursor.take_word(word):
                return word, offset
        raise self.cursor.unexpected("PRECEDING, FOLLOWING")
