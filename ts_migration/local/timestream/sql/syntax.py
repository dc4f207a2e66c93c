"""The syntax tree: every construct of the language that is translated at all, as plain frozen values.

Two nodes are equal when they were written alike, wherever they stand: ``at`` (the offset in the text) does not count.
That is how an expression of the select list is recognised as one of GROUP BY. No meaning and no types live here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ts_migration.local.timestream.catalog import ScalarType


@dataclass(frozen=True, slots=True)
class Node:
    """Anything with a place in the text."""

    at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant in its physical representation: ns for times and intervals, days for dates; None is NULL."""

    value: str | int | float | bool | None
    type: ScalarType


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A column reference, qualified or not."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``-x``, ``+x``, ``NOT x``."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison, ``||``, AND, OR, ``IS DISTINCT FROM`` and ``IS NOT DISTINCT FROM``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Between(Node):
    """``x [NOT] BETWEEN low AND high``."""

    operand: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class InList(Node):
    """``x [NOT] IN (a, b, …)``."""

    operand: Expression
    choices: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class InQuery(Node):
    """``x [NOT] IN (SELECT …)``."""

    operand: Expression
    query: Query
    negated: bool


@dataclass(frozen=True, slots=True)
class Like(Node):
    """``x [NOT] LIKE pattern [ESCAPE e]``."""

    operand: Expression
    pattern: Expression
    escape: Expression | None
    negated: bool


@dataclass(frozen=True, slots=True)
class IsNull(Node):
    """``x IS [NOT] NULL``."""

    operand: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Case(Node):
    """``CASE [x] WHEN … THEN … [ELSE …] END``."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """``CAST(x AS type)`` and ``TRY_CAST``."""

    operand: Expression
    target: ScalarType
    safe: bool


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """``EXISTS (SELECT …)``."""

    query: Query


@dataclass(frozen=True, slots=True)
class ScalarQuery(Node):
    """A sub-query that is used as a value."""

    query: Query


@dataclass(frozen=True, slots=True)
class Row(Node):
    """``(a, b, …)`` and ``ROW(a, …)``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Array(Node):
    """``ARRAY[a, …]``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """``array[index]``."""

    operand: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Frame(Node):
    """A window frame; bounds are (keyword, offset) with keyword like ``PRECEDING`` or ``CURRENT ROW``."""

    unit: str
    start: tuple[str, Expression | None]
    end: tuple[str, Expression | None]


@dataclass(frozen=True, slots=True)
class Window(Node):
    """What stands in OVER (…)."""

    partition_by: tuple[Expression, ...]
    order_by: tuple[OrderItem, ...]
    frame: Frame | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function call; its name is in lower case. ``star`` is ``count(*)``."""

    function: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    star: bool = False
    order_by: tuple[OrderItem, ...] = ()
    window: Window | None = None
    ignore_nulls: bool = False


Expression: TypeAlias = (
    Literal
    | Name
    | Unary
    | Binary
    | Between
    | InList
    | InQuery
    | Like
    | IsNull
    | Case
    | Cast
    | Exists
    | ScalarQuery
    | Row
    | Array
    | Subscript
    | Call
)


@dataclass(frozen=True, slots=True)
class OrderItem(Node):
    """One key of an ORDER BY; nulls come last unless NULLS FIRST is written, as in Trino."""

    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class SelectItem(Node):
    """An expression of the select list."""

    expression: Expression
    alias: str | None


@dataclass(frozen=True, slots=True)
class Star(Node):
    """``*`` or ``t.*`` in the select list."""

    qualifier: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableName(Node):
    """A table or a WITH query by name."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Derived(Node):
    """A sub-query in FROM."""

    query: Query


@dataclass(frozen=True, slots=True)
class Unnest(Node):
    """``UNNEST(array)`` of one array or time series."""

    operand: Expression
    ordinality: bool


@dataclass(frozen=True, slots=True)
class Aliased(Node):
    """A relation with an alias and perhaps column aliases."""

    relation: Relation
    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Join(Node):
    """A join; ``kind`` is INNER, LEFT, RIGHT, FULL or CROSS."""

    kind: str
    left: Relation
    right: Relation
    condition: Expression | None
    using: tuple[str, ...]


Relation: TypeAlias = TableName | Derived | Unnest | Aliased | Join


@dataclass(frozen=True, slots=True)
class Select(Node):
    """One SELECT without its ORDER BY."""

    distinct: bool
    items: tuple[SelectItem | Star, ...]
    source: Relation | None
    where: Expression | None
    group_by: tuple[Expression, ...]
    having: Expression | None


@dataclass(frozen=True, slots=True)
class Values(Node):
    """``VALUES row, …``; a row of one column is a bare expression."""

    rows: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SetOperation(Node):
    """UNION, INTERSECT or EXCEPT of two bodies."""

    operator: str
    distinct: bool
    left: Body
    right: Body


Body: TypeAlias = "Select | Values | SetOperation | Query"


@dataclass(frozen=True, slots=True)
class Query(Node):
    """WITH, body, ORDER BY and LIMIT."""

    named: tuple[tuple[str, tuple[str, ...], Query], ...]
    body: Body
    order_by: tuple[OrderItem, ...]
    limit: int | None
