"""InfluxQL's expressions: precedence, literals, calls, patterns and column references.

Rules: influxdata/influxql parser.go. Clauses and statements are parsed elsewhere.
"""

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.regular import compile_pattern
from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import ParseError
from ts_migration.local.influxdb.influxql.lexer import Lexer, Token, duration_ns
from ts_migration.local.influxdb.influxql.syntax import Binary, Call, Expr, Integer, Paren, Regex, VarRef, Wildcard

_PRECEDENCE = {"OR": 1, "AND": 2} | dict.fromkeys(("=", "!=", "=~", "!~", "<", "<=", ">", ">="), 3)
_PRECEDENCE |= dict.fromkeys(("+", "-", "|", "^"), 4) | dict.fromkeys(("*", "/", "%", "&"), 5)
_FIELD_TYPES = ("float", "integer", "unsigned", "string", "boolean")
_LARGEST = 2**63 - 1


class ExpressionParser:
    """Parses expressions from a lexer; statements are built upon it."""

    def __init__(self, text: str) -> None:
        self.lexer = Lexer(text)

    def expect(self, *kinds: str) -> None:
        """Read the given tokens, one after the other."""
        for kind in kinds:
            token = self.lexer.skip()
            if token.kind != kind:
                raise token.unexpected(kind)

    def optional(self, kind: str) -> bool:
        """Read a token if it is the next one."""
        if self.lexer.skip().kind == kind:
            return True
        self.lexer.unscan()
        return False

    def identifier(self) -> str:
        """A required identifier."""
        token = self.lexer.skip()
        if token.kind != "IDENT":
            raise token.unexpected("identifier")
        return token.text

    def segments(self) -> list[str]:
        """Identifiers joined by dots; the one before a pattern ends with its dot."""
        found = [self.identifier()]
        while True:
            if self.lexer.scan().kind != ".":
                self.lexer.unscan()
                break
            follower = self.lexer.peek()
            if follower in ("/", ":"):
                break
            found.append("" if follower == "." else self.identifier())
        if len(found) > 3:
            shown = ".".join(syntax.text_of(VarRef(name)) for name in found)
            raise ParseError(f"too many segments in {shown} at line 1, char 1")
        return found

    def expression(self) -> Expr:
        """An expression, operators bound by precedence and from the left."""
        left = self._climb(1)
        self.lexer.unscan()
        return left

    def _climb(self, least: int) -> Expr:
        """Leaves with the token behind the expression read."""
        left = self.unary()
        token = self.lexer.skip()
        while _PRECEDENCE.get(token.kind, 0) >= least:
            operator = token.kind
            if operator in ("=~", "!~"):
                right: Expr = self._required_pattern()
                token = self.lexer.skip()
            else:
                right = self._climb(_PRECEDENCE[operator] + 1)
                self.lexer.unscan()
                token = self.lexer.skip()
            left = Binary(operator, left, right)
        return left

    def _required_pattern(self) -> Regex:
        pattern = self.pattern()
        if pattern is None:
            raise self.lexer.skip().unexpected("regex")
        return pattern

    def pattern(self) -> Regex | None:
        """A pattern if one comes next."""
        if self.lexer.peek() in (" ", "\t", "\n"):
            self.lexer.consume_space()
        if self.lexer.peek() != "/":
            return None
        token = self.lexer.scan_regex()
        if token.kind != "REGEX":
            raise token.wrong("bad regex: ")
        try:
            return Regex(compile_pattern(token.text), token.text)
        except ValueProblem as problem:
            raise token.wrong(str(problem)) from problem

    def unary(self) -> Expr:
        """Anything but an operation."""
        token = self.lexer.skip()
        match token.kind:
            case "(":
                inner = self.expression()
                closing = self.lexer.skip()
                if closing.kind != ")":
                    raise closing.unexpected(")")
                return Paren(inner)
            case "IDENT":
                if self.lexer.scan().kind == "(":
                    return self._call(token.text)
                self.lexer.unscan()
                self.lexer.unscan()
                return self.reference()
            case "DISTINCT":
                return self._distinct()
            case "*":
                return self._wildcard()
            case "+" | "-":
                return self._signed(token)
        return self._literal(token)

    def _literal(self, token: Token) -> Expr:
        match token.kind:
            case "STRING":
                return syntax.String(token.text)
            case "NUMBER":
                return syntax.Number(float(token.text))
            case "INTEGER":
                value = int(token.text)
                if value > 2**64 - 1:
                    raise token.wrong("unable to parse integer")
                return Integer(value) if value <= _LARGEST else syntax.Unsigned(value)
            case "TRUE" | "FALSE":
                return syntax.Boolean(token.kind == "TRUE")
            case "DURATION_VALUE":
                try:
                    return syntax.Duration(duration_ns(token.text))
                except ValueError as error:
                    raise ParseError(str(error)) from error
            case "BOUNDPARAM":
                name = token.text.removeprefix("$")
                raise ParseError(f"missing parameter: {name}" if name else "empty bound parameter")
        raise token.unexpected("identifier", "string", "number", "bool")

    def _distinct(self) -> Expr:
        follower = self.lexer.scan()
        if follower.kind == "(":
            return self._call("distinct")
        if follower.kind != "WS":
            raise follower.unexpected("(", "identifier")
        return syntax.Distinct(self.identifier())

    def _wildcard(self) -> Expr:
        if self.lexer.scan().kind != "::":
            self.lexer.unscan()
            return Wildcard()
        kind = self.lexer.scan()
        if kind.kind not in ("FIELD", "TAG"):
            raise kind.unexpected("field", "tag")
        return Wildcard(kind.kind.lower())

    def _signed(self, sign: Token) -> Expr:
        factor = -1 if sign.kind == "-" else 1
        follower = self.lexer.skip()
        if follower.kind not in ("NUMBER", "INTEGER", "DURATION_VALUE", "(", "IDENT"):
            raise follower.unexpected("identifier", "number", "duration", "(")
        self.lexer.unscan()
        operand = self.unary()
        match operand:
            case syntax.Number(value=value):
                return syntax.Number(value * factor)
            case Integer(value=value):
                return Integer(value * factor)
            case syntax.Duration(value=value):
                return syntax.Duration(value * factor)
            case syntax.Unsigned(value=value):
                if factor < 0 and value > 2**63:
                    raise ParseError(f"constant -{value} underflows int64")
                return Integer(-value) if factor < 0 else operand
        return Binary("*", Integer(factor), operand)

    def _call(self, name: str) -> Call:
        arguments: list[Expr] = []
        pattern = self.pattern()
        if pattern is not None:
            arguments.append(pattern)
        else:
            if self.lexer.scan().kind == ")":
                return Call(name.lower())
            self.lexer.unscan()
            arguments.append(self.expression())
        while self.optional(","):
            pattern = self.pattern()
            arguments.append(pattern if pattern is not None else self.expression())
        closing = self.lexer.scan()
        if closing.kind != ")":
            raise closing.unexpected(")")
        return Call(name.lower(), tuple(arguments))

    def reference(self) -> VarRef:
        """A column, with its type if one is said."""
        name = ".".join(self.segments())
        if self.lexer.scan().kind != "::":
            self.lexer.unscan()
            return VarRef(name)
        token = self.lexer.scan()
        if token.kind == "IDENT":
            if token.text.lower() not in _FIELD_TYPES:
                raise token.unexpected(*_FIELD_TYPES, "field", "tag")
            return VarRef(name, token.text.lower())
        if token.kind not in ("FIELD", "TAG"):
            raise token.unexpected("float", "integer", "string", "boolean", "field", "tag")
        return VarRef(name, token.kind.lower())
