"""Values that a request brings beside its query: the `extern` file of options that clients make of query parameters.

From the JSON of Flux's syntax tree to nodes of ours; only what influxdb-client and Grafana write is understood.
"""

import json
from collections.abc import Mapping

from ts_migration.local.influxdb.flux import syntax
from ts_migration.local.influxdb.flux.errors import FluxError, Location, ValueProblem
from ts_migration.local.influxdb.flux.regular import compile_pattern
from ts_migration.local.influxdb.flux.values import parse_duration, parse_time

NOWHERE = Location(0, 0, 0, 0)


def assignments(extern: Mapping[str, object]) -> list[syntax.Assignment]:
    """The options of an `extern` file. Raises FluxError for any other statement or expression."""
    body = extern.get("body") or []
    if not isinstance(body, list):
        raise FluxError("invalid extern: body must be a list of statements")
    found = []
    for statement in body:
        inner = statement.get("assignment") if statement.get("type") == "OptionStatement" else statement
        if not isinstance(inner, dict) or inner.get("type") != "VariableAssignment":
            raise _unsupported(statement)
        found.append(syntax.Assignment(NOWHERE, str(inner["id"]["name"]), _node(inner["init"]), option=True))
    return found


def _node(tree: Mapping[str, object]) -> syntax.Node:
    kind, value = tree.get("type"), tree.get("value")
    match kind:
        case "StringLiteral" | "BooleanLiteral":
            if isinstance(value, (str, bool)):
                return syntax.Literal(NOWHERE, value)
        case "IntegerLiteral" | "UnsignedIntegerLiteral":
            return syntax.Literal(NOWHERE, int(str(value)))
        case "FloatLiteral":
            return syntax.Literal(NOWHERE, float(str(value)))
        case "DateTimeLiteral":
            return syntax.Literal(NOWHERE, parse_time(str(value)))
        case "RegexpLiteral":
            return syntax.Literal(NOWHERE, compile_pattern(str(value).strip("/")))
        case "DurationLiteral":
            parts = _list(tree, "values")
            return syntax.Literal(
                NOWHERE, parse_duration("".join(f"{part['magnitude']}{part['unit']}" for part in parts))
            )
        case "UnaryExpression":
            return syntax.Unary(NOWHERE, str(tree["operator"]), _node(_mapping(tree, "argument")))
        case "ArrayExpression":
            return syntax.ArrayNode(NOWHERE, tuple(_node(item) for item in _list(tree, "elements")))
        case "ObjectExpression":
            pairs = []
            for each in _list(tree, "properties"):
                key = _mapping(each, "key")
                pairs.append((str(key.get("name", key.get("value"))), _node(_mapping(each, "value"))))
            return syntax.RecordNode(NOWHERE, None, tuple(pairs))
        case "CallExpression":
            if _mapping(tree, "callee").get("name") == "now" and not tree.get("arguments"):
                return syntax.Call(NOWHERE, syntax.Identifier(NOWHERE, "now"), ())
    raise _unsupported(tree)


def _list(tree: Mapping[str, object], name: str) -> list[dict[str, object]]:
    value = tree.get(name) or []
    if not isinstance(value, list):
        raise ValueProblem(f"invalid extern: {name} must be a list")
    return value


def _mapping(tree: Mapping[str, object], name: str) -> dict[str, object]:
    value = tree.get(name)
    if not isinstance(value, dict):
        raise ValueProblem(f"invalid extern: {name} is missing")
    return value


def _unsupported(tree: object) -> FluxError:
    return FluxError(f"this extern is not supported by the embedded InfluxDB: {json.dumps(tree, default=str)[:200]}")
