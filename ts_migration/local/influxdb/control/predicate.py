"""The predicate of `/api/v2/delete`: `=` and `!=` on tags and `_measurement`, joined by AND.

Refusals carry the words of the server's predicate/parser.go as far as recordings show them.
"""

import re
from collections.abc import Callable, Mapping

from ts_migration.local.influxdb.control.refusals import Refusal

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<single>'(?:[^'\\]|\\.)*')|(?P<op>!=|=~|!~|=|<=|>=|<|>)"""
    r"""|(?P<paren>[()])|(?P<word>[^\s"'=!<>()]+)|(?P<bad>.))""",
    re.DOTALL,
)

Chosen = Callable[[str, Mapping[str, str]], bool]


def _bad(message: str) -> Refusal:
    return Refusal("invalid", f"error decoding json body: {message}")


class _Tokens:
    def __init__(self, text: str) -> None:
        self.tokens = [
            (match.lastgroup or "bad", match.group(match.lastgroup or "bad"), match.start(match.lastgroup or "bad"))
            for match in _TOKEN.finditer(text.rstrip())
        ]
        self.at = 0

    def next(self) -> tuple[str, str, int]:
        if self.at >= len(self.tokens):
            return "end", "", 0
        self.at += 1
        return self.tokens[self.at - 1]

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", 0)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _rule(tokens: _Tokens) -> Chosen:
    kind, text, position = tokens.next()
    if kind == "paren" and text == "(":
        inner = _conjunction(tokens)
        if tokens.next()[1] != ")":
            raise _bad(f"extra ( seen at position {position}")
        return inner
    if kind not in ("word", "string"):
        raise _bad(f'bad tag key: "{text.strip(chr(39))}", at position {position}')
    key = _unquote(text) if kind == "string" else text
    _, operator, position = tokens.next()
    if operator not in ("=", "!="):
        name = {"=~": "=~", "!~": "!~"}.get(operator)
        if name is not None:
            raise _bad(f'operator: "{name}" at position: {position} is not supported yet')
        raise _bad(f'invalid operator "{operator}" at position: {position}')
    kind, text, value_position = tokens.next()
    if kind not in ("string", "word"):
        raise _bad(f'bad tag value: "{text.strip(chr(39))}", at position {position}')
    value = _unquote(text) if kind == "string" else text
    if key == "_field":
        raise Refusal("not implemented", "delete by field is not supported")
    del value_position
    return _comparison(key, value, operator == "=")


def _comparison(key: str, value: str, equal: bool) -> Chosen:
    if key == "_measurement":
        return lambda measurement, _tags: (measurement == value) is equal
    return lambda _measurement, tags: (tags.get(key, "") == value) is equal


def _conjunction(tokens: _Tokens) -> Chosen:
    rules = [_rule(tokens)]
    while tokens.peek()[0] not in ("end",) and tokens.peek()[1] != ")":
        _, text, position = tokens.next()
        if text.upper() == "OR":
            raise _bad(f"the logical operator OR is not supported yet at position {position}")
        if text.upper() != "AND":
            raise _bad(f"bad logical expression, at position {position}")
        rules.append(_rule(tokens))
    return lambda measurement, tags: all(rule(measurement, tags) for rule in rules)


def parse_predicate(text: str) -> Chosen:
    """A test of measurement and tags; an empty text says yes to all. Raises Refusal."""
    if not text.strip():
        return lambda _measurement, _tags: True
    tokens = _Tokens(text)
    chosen = _conjunction(tokens)
    if tokens.peek()[1] == ")":
        raise _bad(f"extra ) seen at position {tokens.peek()[2]}")
    return chosen
