"""The syntax tree of a Flux query.

Nodes only: how text becomes nodes is `parser`'s business, what nodes mean is `evaluation`'s.
"""

import re
from dataclasses import dataclass

from ts_migration.local.influxdb.flux.errors import Location
from ts_migration.local.influxdb.flux.values import Duration, Time


@dataclass(frozen=True, slots=True)
class Node:
    place: Location


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant: int, float, str, bool, Time, Duration or a compiled regular expression."""

    value: int | float | str | bool | Time | Duration | re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Interpolation(Node):
    """A string with `${...}` in it: texts are Literals."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ArrayNode(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class RecordNode(Node):
    base: Identifier | None
    properties: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: Node | None
    piped: bool


@dataclass(frozen=True, slots=True)
class FunctionNode(Node):
    parameters: tuple[Parameter, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Block(Node):
    """The braces of a function body: assignments and a return at the end."""

    statements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: Node
    arguments: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    left: Node
    call: Call


@dataclass(frozen=True, slots=True)
class Member(Node):
    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    target: Node
    position: Node


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logical(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    test: Node
    consequent: Node
    alternate: Node


@dataclass(frozen=True, slots=True)
class Import(Node):
    alias: str
    path: str


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """`name = value`, or `option name = value` where `option` is set (`option v.name = ...` has a dotted name)."""

    name: str
    value: Node
    option: bool = False


@dataclass(frozen=True, slots=True)
class Return(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Expression(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Program:
    imports: tuple[Import, ...]
    statements: tuple[Node, ...]
