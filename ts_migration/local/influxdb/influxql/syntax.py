"""InfluxQL as a tree: expressions and statements, frozen, with the names that InfluxDB gives them.

What a tree means is decided elsewhere; here it can only be made, walked and printed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expr:
    """Any expression."""


@dataclass(frozen=True, slots=True)
class VarRef(Expr):
    """A column by name, `type` as in `name::type`: a field type, "field", "tag", or None where it was not said."""

    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Wildcard(Expr):
    """`*`, `*::field` or `*::tag`."""

    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Regex(Expr):
    """`/…/`."""

    pattern: re.Pattern[str]
    text: str


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function call; the name in lower case."""

    name: str
    arguments: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Distinct(Expr):
    """`DISTINCT name`, the same as `distinct(name)`."""

    name: str


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """An operation on two operands."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Paren(Expr):
    """A parenthesised expression."""

    inner: Expr


@dataclass(frozen=True, slots=True)
class Literal(Expr):
    """Any constant."""


@dataclass(frozen=True, slots=True)
class String(Literal):
    """A quoted text."""

    value: str


@dataclass(frozen=True, slots=True)
class Integer(Literal):
    """A number that fits int64."""

    value: int


@dataclass(frozen=True, slots=True)
class Unsigned(Literal):
    """A number that only fits uint64."""

    value: int


@dataclass(frozen=True, slots=True)
class Number(Literal):
    """A number with a fraction."""

    value: float


@dataclass(frozen=True, slots=True)
class Boolean(Literal):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Duration(Literal):
    """A duration in ns."""

    value: int


@dataclass(frozen=True, slots=True)
class Time(Literal):
    """A point in time in ns; only folding makes one."""

    value: int


@dataclass(frozen=True, slots=True)
class Field:
    """One expression of a SELECT with its alias, "" for none."""

    expr: Expr
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One source: a name or a pattern, with the database and retention policy if they were said."""

    name: str = ""
    pattern: Regex | None = None
    database: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class SubQuery:
    """A SELECT as a source."""

    statement: "Select"


Source = Measurement | SubQuery


@dataclass(frozen=True, slots=True)
class Fill:
    """`fill(…)`: null, none, previous, linear or number, and the number."""

    kind: str = "null"
    number: int | float | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """Any statement."""


@dataclass(frozen=True, slots=True)
class Select(Statement):
    """`SELECT … FROM …`. Limits are 0 where there is none."""

    fields: tuple[Field, ...]
    sources: tuple[Source, ...]
    condition: Expr | None = None
    dimensions: tuple[Expr, ...] = ()
    fill: Fill = field(default_factory=Fill)
    ascending: bool = True
    limit: int = 0
    offset: int = 0
    series_limit: int = 0
    series_offset: int = 0
    zone: str = ""
    target: bool = False


@dataclass(frozen=True, slots=True)
class Show(Statement):
    """`SHOW …`: `what` names the statement (`FIELD KEYS`, `TAG VALUES CARDINALITY`…), the rest are its clauses."""

    what: str
    database: str = ""
    policy: str = ""
    sources: tuple[Measurement, ...] = ()
    condition: Expr | None = None
    key_operator: str = ""
    key: tuple[str, ...] | Regex = ()
    dimensions: tuple[Expr, ...] = ()
    exact: bool = False
    limit: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Delete(Statement):
    """`DELETE FROM … WHERE …`; no source means every measurement."""

    sources: tuple[Measurement, ...]
    condition: Expr | None


@dataclass(frozen=True, slots=True)
class DropMeasurement(Statement):
    """`DROP MEASUREMENT name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Unimplemented(Statement):
    """A statement that InfluxDB 2 parses and does not execute, under the name in its error."""

    name: str


@dataclass(frozen=True, slots=True)
class Unsupported(Statement):
    """A statement that InfluxDB 2 executes and the embedded server does not."""

    name: str


def operands(expr: Expr) -> tuple[Expr, ...]:
    """The expressions directly below one."""
    match expr:
        case Binary(left=left, right=right):
            return (left, right)
        case Paren(inner=inner):
            return (inner,)
        case Call(arguments=arguments):
            return arguments
    return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """An expression and everything below it, parents first, left before right."""
    yield expr
    for below in operands(expr):
        yield from walk(below)


def duration_text(ns: int) -> str:
    """A duration in the largest unit that divides it, as InfluxQL prints one."""
    if ns == 0:
        return "0s"
    for unit, size in (
        ("w", 604_800_000_000_000),
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("u", 1_000),
    ):
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns}ns"


def text_of(expr: Expr) -> str:
    """An expression as InfluxQL, for errors and for telling two calls apart."""
    match expr:
        case VarRef(name=name, type=kind):
            quoted = name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else '"' + _escaped(name, '"') + '"'
            return f"{quoted}::{kind}" if kind else quoted
        case Wildcard(kind=kind):
            return f"*::{kind}" if kind else "*"
        case Regex(text=text):
            return f"/{text.replace('/', chr(92) + '/')}/"
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(text_of, arguments))})"
        case Distinct(name=name):
            return f"DISTINCT {name}"
        case Binary(operator=operator, left=left, right=right):
            return f"{text_of(left)} {operator} {text_of(right)}"
        case Paren(inner=inner):
            return f"({text_of(inner)})"
        case String(value=value):
            return "'" + _escaped(value, "'") + "'"
        case Boolean(value=truth):
            return "true" if truth else "false"
        case Duration(value=ns):
            return duration_text(ns)
        case Integer(value=number) | Unsigned(value=number) | Time(value=number):
            return str(number)
        case Number(value=fraction):
            return repr(fraction)
    raise TypeError(f"no InfluxQL for {expr!r}")


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace(quote, "\\" + quote)
