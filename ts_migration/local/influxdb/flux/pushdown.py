"""Which part of a filter storage decides itself, and how storage decides it.

The two differ from Flux: to storage a tag that a series lacks is an empty text, and a value of another type than the
literal never matches. Rules: query/stdlib/influxdata/influxdb/rules.go of InfluxDB 2.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ts_migration.local.influxdb.flux import syntax
from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.operators import binary
from ts_migration.local.influxdb.flux.tables import Array, Column, ColumnType

Constant = str | int | float | bool | re.Pattern[str]
Resolve = Callable[[str], object]
Verdict = bool | Array | None
"""What is known of a predicate: decided, decided row by row, or (None) not decidable with what is known so far."""

_TAG_SIGNS: Final = ("==", "!=", "=~", "!~")
_NOT_TAGS: Final = ("_value", "_time", "_start", "_stop")
VALUE: Final = "_value"
FIELD: Final = "_field"
MEASUREMENT: Final = "_measurement"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`r.column sign literal`."""

    column: str
    sign: str
    literal: Constant


@dataclass(frozen=True, slots=True)
class Junction:
    """Both (`and`) or one (`or`) of two predicates."""

    sign: str
    left: "Predicate"
    right: "Predicate"


Predicate = Comparison | Junction


def split(function: syntax.FunctionNode, resolve: Resolve) -> tuple[Predicate | None, syntax.Node | None]:
    """What storage takes over of a filter's function, and what stays with Flux; either may be nothing."""
    if len(function.parameters) != 1 or isinstance(function.body, syntax.Block):
        return None, function.body
    parameter = function.parameters[0].name
    pushed: Predicate | None = None
    rest: syntax.Node | None = None
    for part in _conjuncts(function.body):
        predicate = _predicate(part, parameter, resolve)
        if predicate is not None:
            pushed = predicate if pushed is None else Junction("and", pushed, predicate)
        else:
            rest = part if rest is None else syntax.Logical(part.place, "and", rest, part)
    return pushed, rest


def _conjuncts(node: syntax.Node) -> list[syntax.Node]:
    if isinstance(node, syntax.Logical) and node.operator == "and":
        return _conjuncts(node.left) + _conjuncts(node.right)
    return [node]


def _predicate(node: syntax.Node, parameter: str, resolve: Resolve) -> Predicate | None:
    if isinstance(node, syntax.Logical):
        left = _predicate(node.left, parameter, resolve)
        right = _predicate(node.right, parameter, resolve)
        return Junction(node.operator, left, right) if left is not None and right is not None else None
    if isinstance(node, syntax.Unary):
        return _existence(node, parameter)
    if not isinstance(node, syntax.Binary):
        return None
    column, literal = _column(node.left, parameter), _literal(node.right, parameter, resolve)
    if column is None or literal is None:
        return None
    if column == VALUE:
        return (
            Comparison(column, node.operator, literal) if node.operator in (*_TAG_SIGNS, "<", "<=", ">", ">=") else None
        )
    if column in _NOT_TAGS or node.operator not in _TAG_SIGNS or (node.operator == "==" and literal == ""):
        return None
    if not isinstance(literal, (str, re.Pattern)):
        return None
    return Comparison(column, node.operator, literal)


def _existence(node: syntax.Unary, parameter: str) -> Predicate | None:
    """`exists r.tag` and `not exists r.tag`."""
    negated = False
    while node.operator == "not" and isinstance(node.operand, syntax.Unary):
        negated = not negated
        node = node.operand
    column = _column(node.operand, parameter) if node.operator == "exists" else None
    if column is None or column in _NOT_TAGS:
        return None
    return Comparison(column, "==" if negated else "!=", "")


def _column(node: syntax.Node, parameter: str) -> str | None:
    if isinstance(node, syntax.Member) and isinstance(node.target, syntax.Identifier) and node.target.name == parameter:
        return node.name
    return None


def _literal(node: syntax.Node, parameter: str, resolve: Resolve) -> Constant | None:
    if isinstance(node, syntax.Literal):
        value: object = node.value
    elif isinstance(node, syntax.Identifier) and node.name != parameter:
        value = resolve(node.name)
    else:
        return None
    return value if isinstance(value, (str, int, float, bool, re.Pattern)) else None


def decide(
    predicate: Predicate | None, known: Mapping[str, str] | None, value: Column | None, complete: bool
) -> Verdict:
    """The predicate with what is known so far.

    `known` holds tags, `_measurement` and `_field`; a name that it lacks is not known yet, but for tags where
    `complete`: there the series has no such tag. `value` is the column of values once it is read."""
    if predicate is None:
        return True
    if isinstance(predicate, Comparison):
        return _compare(predicate, known or {}, value, complete)
    left = decide(predicate.left, known, value, complete)
    right = decide(predicate.right, known, value, complete)
    stop = predicate.sign == "or"
    if left is stop or right is stop:
        return stop
    if left is None or right is None:
        return None
    if isinstance(left, bool) or isinstance(right, bool):
        return right if isinstance(left, bool) else left
    return left | right if stop else left & right


def _compare(test: Comparison, known: Mapping[str, str], value: Column | None, complete: bool) -> Verdict:
    if test.column == VALUE:
        return None if value is None else _compare_values(test, value)
    if test.column not in known and (not complete or test.column == FIELD):
        return None
    text = known.get(test.column, "")
    if isinstance(test.literal, re.Pattern):
        return (test.literal.search(text) is not None) is (test.sign == "=~")
    return (text == test.literal) is (test.sign == "==")


def _compare_values(test: Comparison, value: Column) -> Array:
    try:
        result = binary(test.sign, value, test.literal)
    except ValueProblem:
        return np.zeros(len(value), np.bool_)
    if not isinstance(result, Column) or result.type is not ColumnType.BOOL:
        return np.zeros(len(value), np.bool_)
    return result.values
