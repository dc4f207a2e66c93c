"""Mathematical functions, and those that choose among values (coalesce, greatest, nullif, if)."""

from __future__ import annotations

import math

from ts_migration.local.timestream.catalog import ScalarType
from ts_migration.local.timestream.sql.coercion import coerce
from ts_migration.local.timestream.sql.operators import compare
from ts_migration.local.timestream.sql.signatures import BadArguments, Function, count, number, one_type, wanted
from ts_migration.local.timestream.sql.typed import INTEGERS, Typed, double, let, physical

S = ScalarType


def _same(name: str, integers: str, doubles: str) -> Function:
    """A function whose result has its argument's type; ``{0}`` is the argument."""

    def function(arguments: list[Typed], _now: int) -> Typed:
        count(name, arguments, 1)
        x = number(name, arguments)
        template = integers if x.type in INTEGERS else doubles
        return Typed(let((x,), template.format), x.type, finite=x.finite)

    return function


def _double(name: str, template: str, arity: int = 1) -> Function:
    """A function of doubles with a double result."""

    def function(arguments: list[Typed], _now: int) -> Typed:
        values = wanted(name, arguments, *[S.DOUBLE] * arity)
        return Typed(let(tuple(values), template.format), S.DOUBLE)

    return function


def _predicate(name: str, template: str) -> Function:
    def function(arguments: list[Typed], _now: int) -> Typed:
        (x,) = wanted(name, arguments, S.DOUBLE)
        return Typed(template.format(x.sql), S.BOOLEAN)

    return function


def _number_constant(name: str, value: float) -> Function:
    def function(arguments: list[Typed], _now: int) -> Typed:
        count(name, arguments, 0)
        return Typed(double(value), S.DOUBLE, finite=math.isfinite(value), simple=True)

    return function


def _round(arguments: list[Typed], _now: int) -> Typed:
    """Halves away from zero, as Trino. The second argument counts decimals; integers with it are not supported."""
    count("round", arguments, 1, 2)
    x = number("round", arguments)
    if len(arguments) == 1:
        return x if x.type in INTEGERS else Typed(f"round({x.sql})", S.DOUBLE, finite=x.finite)
    if x.type in INTEGERS or arguments[1].type not in INTEGERS:
        raise BadArguments("round", arguments)
    return Typed(f"round({x.sql}, CAST({arguments[1].sql} AS INTEGER))", S.DOUBLE)


def _sign(arguments: list[Typed], _now: int) -> Typed:
    count("sign", arguments, 1)
    x = number("sign", arguments)
    signs = "CASE WHEN {0} > 0 THEN 1 WHEN {0} < 0 THEN -1 ELSE {0} END"
    if x.type is S.DOUBLE:  # NaN is NaN, and a zero keeps its sign.
        signs = f"CASE WHEN isnan({{0}}) THEN {{0}} ELSE {signs} END"
    return Typed(f"CAST({let((x,), signs.format)} AS {physical(x.type)})", x.type, finite=x.finite)


def _modulus(arguments: list[Typed], _now: int) -> Typed:
    count("mod", arguments, 2)
    number("mod", arguments, 0)
    number("mod", arguments, 1)
    left, right = one_type("mod", arguments)
    return Typed(f"({left.sql} % {right.sql})", left.type)


def _random(arguments: list[Typed], _now: int) -> Typed:
    raise BadArguments("random", arguments, "random values are not supported: answers must be reproducible")


def _coalesce(arguments: list[Typed], _now: int) -> Typed:
    count("coalesce", arguments, 2, 10_000)
    values = one_type("coalesce", arguments)
    sql = f"COALESCE({', '.join(value.sql for value in values)})"
    return Typed(sql, values[0].type, finite=all(value.finite for value in values))


def _nullif(arguments: list[Typed], _now: int) -> Typed:
    count("nullif", arguments, 2)
    first, second = arguments
    return Typed(
        f"CASE WHEN {compare('=', first, second).sql} THEN NULL ELSE {first.sql} END", first.type, first.finite
    )


def _if(arguments: list[Typed], _now: int) -> Typed:
    count("if", arguments, 2, 3)
    if arguments[0].type not in (S.BOOLEAN, S.UNKNOWN):
        raise BadArguments("if", arguments)
    condition, *values = arguments
    values = one_type("if", values)
    otherwise = values[1].sql if len(values) == 2 else "NULL"
    sql = f"CASE WHEN {coerce(condition, S.BOOLEAN).sql} THEN {values[0].sql} ELSE {otherwise} END"
    return Typed(sql, values[0].type, finite=all(value.finite for value in values))


def _extreme(name: str) -> Function:
    """greatest and least: NULL if any argument is NULL. Computed doubles are refused because NaN has no place there."""

    def function(arguments: list[Typed], _now: int) -> Typed:
        count(name, arguments, 1, 10_000)
        values = one_type(name, arguments)
        if not isinstance(values[0].type, ScalarType) or values[0].type is S.BOOLEAN:
            raise BadArguments(name, arguments)
        finite = all(value.finite for value in values)

        def body(*names: str) -> str:
            missing = " OR ".join(f"{n} IS NULL" for n in names)
            chosen = f"{name}({', '.join(names)})"
            if values[0].type is not S.DOUBLE or finite:
                return f"CASE WHEN {missing} THEN NULL ELSE {chosen} END"
            nan = " OR ".join(f"isnan({n})" for n in names)
            return f"CASE WHEN {missing} THEN NULL WHEN {nan} THEN {double(math.nan)} ELSE {chosen} END"

        return Typed(let(tuple(values), body), values[0].type, finite=finite)

    return function


def _logarithm(name: str) -> str:
    """Java's logarithms: NaN below zero and -Infinity at zero, where DuckDB may refuse."""
    negative, zero = double(math.nan), double(-math.inf)
    return f"CASE WHEN {{0}} < 0 THEN {negative} WHEN {{0}} = 0 THEN {zero} ELSE {name}({{0}}) END"


NUMBER_FUNCTIONS: dict[str, Function] = {
    "abs": _same("abs", "abs({0})", "abs({0})"),
    "ceil": _same("ceil", "{0}", "ceil({0})"),
    "ceiling": _same("ceiling", "{0}", "ceil({0})"),
    "floor": _same("floor", "{0}", "floor({0})"),
    "sign": _sign,
    "truncate": _double("truncate", "trunc({0})"),
    "round": _round,
    "mod": _modulus,
    "sqrt": _double("sqrt", f"CASE WHEN {{0}} < 0 THEN {double(math.nan)} ELSE sqrt({{0}}) END"),
    "exp": _double("exp", "exp({0})"),
    "ln": _double("ln", _logarithm("ln")),
    "log10": _double("log10", _logarithm("log10")),
    "log2": _double("log2", _logarithm("log2")),
    "pow": _double("pow", "pow({0}, {1})", 2),
    "power": _double("power", "pow({0}, {1})", 2),
    "sin": _double("sin", "sin({0})"),
    "cos": _double("cos", "cos({0})"),
    "tan": _double("tan", "tan({0})"),
    "atan": _double("atan", "atan({0})"),
    "atan2": _double("atan2", "atan2({0}, {1})", 2),
    "radians": _double("radians", "radians({0})"),
    "degrees": _double("degrees", "degrees({0})"),
    "pi": _number_constant("pi", math.pi),
    "e": _number_constant("e", math.e),
    "nan": _number_constant("nan", math.nan),
    "infinity": _number_constant("infinity", math.inf),
    "is_nan": _predicate("is_nan", "isnan({0})"),
    "is_infinite": _predicate("is_infinite", "isinf({0})"),
    "is_finite": _predicate("is_finite", "isfinite({0})"),
    "rand": _random,
    "random": _random,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "if": _if,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}
