"""InfluxQL's clauses and statements: a text becomes a list of statements, or an error with its place.

Rules: influxdata/influxql parser.go and parse_tree.go. Statements that InfluxDB 2 does not execute are only recognised.
"""

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import ParseError
from ts_migration.local.influxdb.influxql.expression_parser import ExpressionParser
from ts_migration.local.influxdb.influxql.syntax import (
    Binary,
    Call,
    Expr,
    Field,
    Fill,
    Measurement,
    Select,
    Source,
    Statement,
    VarRef,
)

_COMPARING = frozenset(("=", "!=", "=~", "!~", "<", "<=", ">", ">=", "AND", "OR"))
_FILLS = ("null", "none", "previous", "linear")


class ClauseParser(ExpressionParser):
    """FROM, WHERE, GROUP BY and the rest, shared by SELECT and SHOW."""

    def select(self) -> Select:
        """What follows SELECT."""
        fields = self._fields()
        target = self.optional("INTO")
        if target:
            self.segments()
            if self.lexer.peek() == ":":
                self.expect(":", "MEASUREMENT")
        token = self.lexer.skip()
        if token.kind != "FROM":
            raise token.unexpected("FROM")
        sources = self.sources(subqueries=True)
        condition = self.condition()
        dimensions = self.dimensions()
        fill = self._fill()
        ascending = self.order()
        return Select(
            fields,
            sources,
            condition,
            dimensions,
            fill,
            ascending,
            limit=self.number_after("LIMIT"),
            offset=self.number_after("OFFSET"),
            series_limit=self.number_after("SLIMIT"),
            series_offset=self.number_after("SOFFSET"),
            zone=self._zone(),
            target=target,
        )

    def _fields(self) -> tuple[Field, ...]:
        found = [self._field()]
        while self.lexer.scan().kind == ",":
            found.append(self._field())
        self.lexer.unscan()
        return tuple(found)

    def _field(self) -> Field:
        expr: Expr | None = self.pattern()
        if expr is None:
            start = self.lexer.skip()
            self.lexer.unscan()
            expr = self.expression()
            for part in syntax.walk(expr):
                if isinstance(part, Binary) and part.operator in _COMPARING:
                    found = start.wrong(f"invalid operator {part.operator} in SELECT clause")
                    raise ParseError(f"{found}; operator is intended for WHERE clause")
        alias = self.identifier() if self.optional("AS") else ""
        self.lexer.consume_space()
        return Field(expr, alias)

    def sources(self, *, subqueries: bool) -> tuple[Source, ...]:
        """One source or several."""
        found = [self.source(subqueries=subqueries)]
        while self.optional(","):
            found.append(self.source(subqueries=subqueries))
        return tuple(found)

    def measurements(self) -> tuple[Measurement, ...]:
        """Sources that cannot be queries."""
        return tuple(found for found in self.sources(subqueries=False) if isinstance(found, Measurement))

    def source(self, *, subqueries: bool) -> Source:
        """A measurement, a pattern, or a query in parentheses."""
        pattern = self.pattern()
        if pattern is not None:
            return Measurement(pattern=pattern)
        if subqueries and self.optional("("):
            self.expect("SELECT")
            statement = self.select()
            self.expect(")")
            return syntax.SubQuery(statement)
        names = self.segments()
        if len(names) == 3:
            return Measurement(names[2], None, names[0], names[1])
        pattern = self.pattern()
        if pattern is not None:
            database, policy = names if len(names) == 2 else ("", names[0])
            return Measurement("", pattern, database, policy)
        return Measurement(names[-1], None, "", names[0] if len(names) == 2 else "")

    def condition(self) -> Expr | None:
        """WHERE."""
        return self.expression() if self.optional("WHERE") else None

    def dimensions(self) -> tuple[Expr, ...]:
        """GROUP BY."""
        if not self.optional("GROUP"):
            return ()
        token = self.lexer.skip()
        if token.kind != "BY":
            raise token.unexpected("BY")
        found = [self._dimension()]
        while self.lexer.scan().kind == ",":
            found.append(self._dimension())
        self.lexer.unscan()
        return tuple(found)

    def _dimension(self) -> Expr:
        pattern = self.pattern()
        if pattern is not None:
            return pattern
        expr = self.expression()
        self.lexer.consume_space()
        return expr

    def _named_call(self, name: str) -> Expr | None:
        token = self.lexer.skip()
        self.lexer.unscan()
        return self.expression() if token.kind == "IDENT" and token.text.lower() == name else None

    def _fill(self) -> Fill:
        expr = self._named_call("fill")
        if expr is None:
            return Fill()
        if not isinstance(expr, Call):
            raise ParseError("fill must be a function call")
        if len(expr.arguments) != 1:
            raise ParseError("fill requires an argument, e.g.: 0, null, none, previous, linear")
        match expr.arguments[0]:
            case VarRef(name=name, type=None) if name in _FILLS:
                return Fill(name)
            case syntax.Integer(value=value) | syntax.Number(value=value):
                return Fill("number", value)
        raise ParseError("expected number argument in fill()")

    def _zone(self) -> str:
        expr = self._named_call("tz")
        if expr is None:
            return ""
        if not isinstance(expr, Call):
            raise ParseError("tz must be a function call")
        if len(expr.arguments) != 1:
            raise ParseError("tz requires exactly one argument")
        if not isinstance(expr.arguments[0], syntax.String):
            raise ParseError("expected string argument in tz()")
        return expr.arguments[0].value

    def number_after(self, word: str) -> int:
        """The number behind LIMIT and its kin, 0 without."""
        if not self.optional(word):
            return 0
        token = self.lexer.skip()
        if token.kind != "INTEGER":
            raise token.unexpected("integer")
        return int(token.text)

    def order(self) -> bool:
        """ORDER BY; whether times ascend."""
        if not self.optional("ORDER"):
            return True
        token = self.lexer.skip()
        if token.kind != "BY":
            raise token.unexpected("BY")
        token = self.lexer.skip()
        if token.kind in ("ASC", "DESC"):
            ascending = token.kind == "ASC"
        elif token.kind == "IDENT":
            direction = self.lexer.skip()
            if direction.kind not in ("ASC", "DESC"):
                self.lexer.unscan()
            ascending = direction.kind != "DESC"
            if token.text != "time":
                raise ParseError("only ORDER BY time supported at this time")
        else:
            raise token.unexpected("identifier", "ASC", "DESC")
        if self.optional(","):
            raise ParseError("only ORDER BY time supported at this time")
        return ascending


def parse(text: str) -> list[Statement]:
    """The statements of a query.

    Raises ParseError with InfluxQL's own words.
    """
    from ts_migration.local.influxdb.influxql.statement_parser import StatementParser

    parser = StatementParser(text)
    statements: list[Statement] = []
    separated = True
    while True:
        token = parser.lexer.skip()
        if token.kind == "EOF":
            return statements
        if token.kind == ";":
            separated = True
            continue
        if not separated:
            raise token.unexpected(";")
        parser.lexer.unscan()
        statements.append(parser.statement())
        separated = False
