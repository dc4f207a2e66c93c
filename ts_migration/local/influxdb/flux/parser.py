"""From tokens to the syntax tree, by recursive descent along Flux's order of operators.

Grammar only: names are checked by `names`, types where values meet.
"""

from collections.abc import Callable
from typing import Final

from ts_migration.local.influxdb.flux import syntax
from ts_migration.local.influxdb.flux.errors import Location, ProgramError, ValueProblem, refusal, unsupported
from ts_migration.local.influxdb.flux.lexer import Lexer, Token
from ts_migration.local.influxdb.flux.regular import compile_pattern
from ts_migration.local.influxdb.flux.values import MAX_INT, parse_duration, parse_time

LONGEST_NUMBER: Final = 30
"""Digits that a number can have at all: more are not even read."""
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=", "=~", "!~")


def parse(text: str) -> syntax.Program:
    """The tree of a whole query. Raises ProgramError with places in the words of the server's style."""
    return Parser(Lexer(text).tokens()).program()


def between(first: Location, last: Location) -> Location:
    """From the start of one place to the end of another."""
    return Location(first.line, first.column, last.end_line, last.end_column)


class Parser:
    """Reads a list of tokens that ends with one of kind `end`."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    # --- statements -------------------------------------------------------------------------------------------------

    def program(self) -> syntax.Program:
        if self._at("package"):
            self._take()
            self._expect_kind("name")
        imports = []
        while self._at("import"):
            imports.append(self._import())
        statements = []
        while self._peek().kind != "end":
            statements.append(self._statement())
        return syntax.Program(tuple(imports), tuple(statements))

    def lone_expression(self) -> syntax.Node:
        """The expression of `${...}`, which must be all there is."""
        node = self._expression()
        if self._peek().kind != "end":
            raise self._unexpected("}")
        return node

    def _import(self) -> syntax.Import:
        start = self._take()
        alias = self._take().text if self._peek().kind == "name" else ""
        path = self._expect_kind("string")
        text = "".join(part for part in path.parts if isinstance(part, str))
        return syntax.Import(between(start.place, path.place), alias or text.rsplit("/", 1)[-1], text)

    def _statement(self) -> syntax.Node:
        token = self._peek()
        if token.text in ("builtin", "test", "testcase", "import", "package") and token.kind == "keyword":
            raise unsupported(token.place, f"the statement {token.text}")
        if self._at("option"):
            start = self._take()
            name = self._expect_kind("name").text
            while self._at("."):
                self._take()
                name += "." + self._expect_kind("name").text
            self._expect("=")
            value = self._expression()
            return syntax.Assignment(between(start.place, value.place), name, value, option=True)
        if self._at("return"):
            start = self._take()
            value = self._expression()
            return syntax.Return(between(start.place, value.place), value)
        if token.kind == "name" and self._peek(1).text == "=" and self._peek(1).kind == "sign":
            self._take()
            self._take()
            value = self._expression()
            return syntax.Assignment(between(token.place, value.place), token.text, value)
        value = self._expression()
        return syntax.Expression(value.place, value)

    # --- expressions, loosest first ---------------------------------------------------------------------------------

    def _expression(self) -> syntax.Node:
        if not self._at("if"):
            return self._disjunction()
        start = self._take()
        test = self._expression()
        self._expect("then")
        consequent = self._expression()
        self._expect("else")
        alternate = self._expression()
        return syntax.Conditional(between(start.place, alternate.place), test, consequent, alternate)

    def _disjunction(self) -> syntax.Node:
        return self._chain(self._conjunction, ("or",), syntax.Logical)

    def _conjunction(self) -> syntax.Node:
        return self._chain(self._negation, ("and",), syntax.Logical)

    def _negation(self) -> syntax.Node:
        if self._at("not") or self._at("exists"):
            token = self._take()
            operand = self._negation()
            return syntax.Unary(between(token.place, operand.place), token.text, operand)
        return self._chain(self._sum, _COMPARISONS, syntax.Binary)

    def _sum(self) -> syntax.Node:
        return self._chain(self._product, ("+", "-"), syntax.Binary)

    def _product(self) -> syntax.Node:
        return self._chain(self._power, ("*", "/", "%"), syntax.Binary)

    def _power(self) -> syntax.Node:
        return self._chain(self._pipe, ("^",), syntax.Binary)

    def _chain(
        self,
        operand: Callable[[], syntax.Node],
        operators: tuple[str, ...],
        node: type[syntax.Binary] | type[syntax.Logical],
    ) -> syntax.Node:
        left = operand()
        while self._peek().kind in ("sign", "keyword") and self._peek().text in operators:
            operator = self._take().text
            right = operand()
            left = node(between(left.place, right.place), operator, left, right)
        return left

    def _pipe(self) -> syntax.Node:
        left = self._signed()
        while self._at("|>"):
            self._take()
            right = self._signed()
            if not isinstance(right, syntax.Call):
                raise refusal(right.place, "pipe destination must be a function call")
            left = syntax.Pipe(between(left.place, right.place), left, right)
        return left

    def _signed(self) -> syntax.Node:
        if self._at("-") or self._at("+"):
            token = self._take()
            operand = self._signed()
            return syntax.Unary(between(token.place, operand.place), token.text, operand)
        return self._postfix()

    def _postfix(self) -> syntax.Node:
        node = self._primary()
        while True:
            if self._at("."):
                self._take()
                name = self._expect_kind("name")
                node = syntax.Member(between(node.place, name.place), node, name.text)
            elif self._at("["):
                self._take()
                position = self._expression()
                end = self._expect("]")
                place = between(node.place, end.place)
                if isinstance(position, syntax.Literal) and isinstance(position.value, str):
                    node = syntax.Member(place, node, position.value)
                else:
                    node = syntax.Index(place, node, position)
            elif self._at("("):
                node = self._call(node)
            else:
                return node

    def _call(self, function: syntax.Node) -> syntax.Call:
        self._expect("(")
        arguments: list[tuple[str, syntax.Node]] = []
        while not self._at(")"):
            name = self._expect_kind("name")
            if self._at(":"):
                self._take()
                value = self._expression()
            else:
                value = syntax.Identifier(name.place, name.text)
            if name.text in dict(arguments):
                raise refusal(name.place, f"duplicate keyword argument {name.text}")
            arguments.append((name.text, value))
            if not self._at(")"):
                self._expect(",")
        end = self._expect(")")
        return syntax.Call(between(function.place, end.place), function, tuple(arguments))

    # --- operands ---------------------------------------------------------------------------------------------------

    def _primary(self) -> syntax.Node:
        token = self._peek()
        if token.kind == "name":
            self._take()
            if token.text in ("true", "false"):
                return syntax.Literal(token.place, token.text == "true")
            return syntax.Identifier(token.place, token.text)
        if token.kind in ("int", "float", "time", "duration", "regex"):
            return self._literal(self._take())
        if token.kind == "string":
            return self._string(self._take())
        if token.kind == "sign" and token.text in "([{":
            if token.text == "[":
                return self._array()
            if token.text == "{":
                return self._record()
            return self._function() if self._function_ahead() else self._parenthesis()
        raise self._unexpected("an expression")

    def _literal(self, token: Token) -> syntax.Literal:
        try:
            if token.kind == "int":
                if len(token.text) > LONGEST_NUMBER:
                    raise ValueProblem(f"invalid integer literal {token.text[:20]}...")
                number = int(token.text)
                # one more than the largest is let pass for the minus sign before the smallest
                if number > MAX_INT + 1 or (len(token.text) > 1 and token.text[0] == "0"):
                    raise ValueProblem(f"invalid integer literal {token.text}")
                return syntax.Literal(token.place, number)
            if token.kind == "float":
                return syntax.Literal(token.place, float(token.text))
            if token.kind == "time":
                return syntax.Literal(token.place, parse_time(token.text))
            if token.kind == "duration":
                return syntax.Literal(token.place, parse_duration(token.text))
            return syntax.Literal(token.place, compile_pattern(token.text))
        except ValueProblem as problem:
            raise refusal(token.place, str(problem)) from problem

    def _string(self, token: Token) -> syntax.Node:
        if len(token.parts) == 1 and isinstance(token.parts[0], str):
            return syntax.Literal(token.place, token.parts[0])
        nodes = [
            syntax.Literal(token.place, part) if isinstance(part, str) else Parser(list(part)).lone_expression()
            for part in token.parts
        ]
        return syntax.Interpolation(token.place, tuple(nodes))

    def _parenthesis(self) -> syntax.Node:
        self._expect("(")
        node = self._expression()
        self._expect(")")
        return node

    def _array(self) -> syntax.Node:
        start = self._expect("[")
        items = []
        while not self._at("]"):
            items.append(self._expression())
            if self._at(":"):
                raise unsupported(self._peek().place, "a dictionary")
            if not self._at("]"):
                self._expect(",")
        end = self._expect("]")
        return syntax.ArrayNode(between(start.place, end.place), tuple(items))

    def _record(self) -> syntax.Node:
        start = self._expect("{")
        base = None
        if self._peek().kind == "name" and self._peek(1).text == "with" and self._peek(1).kind == "keyword":
            token = self._take()
            base = syntax.Identifier(token.place, token.text)
            self._take()
        properties: list[tuple[str, syntax.Node]] = []
        while not self._at("}"):
            token = self._take()
            if token.kind not in ("name", "string"):
                raise refusal(token.place, f"expected a property name, got {token.text}")
            name = (
                token.text if token.kind == "name" else "".join(part for part in token.parts if isinstance(part, str))
            )
            if self._at(":"):
                self._take()
                properties.append((name, self._expression()))
            else:
                properties.append((name, syntax.Identifier(token.place, name)))
            if not self._at("}"):
                self._expect(",")
        end = self._expect("}")
        return syntax.RecordNode(between(start.place, end.place), base, tuple(properties))

    def _function_ahead(self) -> bool:
        """Whether the parenthesis that stands next belongs to a function: `=>` follows the one that closes it."""
        depth = 0
        for position in range(self._next, len(self._tokens)):
            token = self._tokens[position]
            if token.kind == "sign":
                depth += (token.text in "([{") - (token.text in ")]}")
                if not depth:
                    following = self._tokens[position + 1]
                    return following.kind == "sign" and following.text == "=>"
        return False

    def _function(self) -> syntax.Node:
        start = self._expect("(")
        parameters: list[syntax.Parameter] = []
        while not self._at(")"):
            name = self._expect_kind("name").text
            default, piped = None, False
            if self._at("="):
                self._take()
                if self._at("<-"):
                    self._take()
                    piped = True
                else:
                    default = self._expression()
            parameters.append(syntax.Parameter(name, default, piped))
            if not self._at(")"):
                self._expect(",")
        self._expect(")")
        self._expect("=>")
        body = self._block() if self._at("{") else self._expression()
        return syntax.FunctionNode(between(start.place, body.place), tuple(parameters), body)

    def _block(self) -> syntax.Node:
        start = self._expect("{")
        statements = []
        while not self._at("}"):
            statements.append(self._statement())
        end = self._expect("}")
        place = between(start.place, end.place)
        if not statements or not isinstance(statements[-1], syntax.Return):
            raise refusal(place, "missing return statement in block")
        return syntax.Block(place, tuple(statements))

    # --- tokens -----------------------------------------------------------------------------------------------------

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _at(self, text: str) -> bool:
        token = self._peek()
        return token.text == text and token.kind in ("sign", "keyword")

    def _take(self) -> Token:
        token = self._peek()
        self._next += token.kind != "end"
        return token

    def _expect(self, text: str) -> Token:
        if not self._at(text):
            raise self._unexpected(text)
        return self._take()

    def _expect_kind(self, kind: str) -> Token:
        if self._peek().kind != kind:
            raise self._unexpected(f"a {kind}")
        return self._take()

    def _unexpected(self, wanted: str) -> ProgramError:
        token = self._peek()
        return refusal(token.place, f"expected {wanted}, got {token.text}")
