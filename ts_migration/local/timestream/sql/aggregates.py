"""The allow-list of aggregate functions, each with its typed rewrite. Grouping itself is in ``selects``.

Where DuckDB's answer could differ from run to run a deterministic one is taken that the definition allows:
``arbitrary`` is the least value, ``approx_distinct`` and ``approx_percentile`` are exact, and sums of stored doubles
are compensated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ts_migration.local.timestream.catalog import ArrayType, DataType, RowType, ScalarType, TimeSeriesType
from ts_migration.local.timestream.sql.coercion import coerce
from ts_migration.local.timestream.sql.signatures import BadArguments, count, number, wanted
from ts_migration.local.timestream.sql.typed import INTEGERS, NUMBERS, Typed

S = ScalarType


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate call: the DuckDB call itself, what is done with its result (``{0}``), and the result's type.

    Kept apart so that OVER can stand directly behind the call. ``second`` is another call that ``around`` may need.
    """

    call: str
    type: DataType
    around: str = "{0}"
    finite: bool = False
    second: str = ""

    def typed(self, over: str = "") -> Typed:
        """The whole expression, perhaps over a window."""
        sql = self.around.replace("{0}", f"{self.call}{over}").replace("{1}", f"{self.second}{over}")
        return Typed(sql, self.type, finite=self.finite)


Builder: TypeAlias = Callable[[list[Typed], str, str], Aggregate]
"""Typed arguments, ``DISTINCT `` or nothing, `` ORDER BY …`` or nothing."""


def _count(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("count", arguments, 1)
    return Aggregate(f"count({distinct}{arguments[0].sql}{order})", S.BIGINT)


def _count_if(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    (x,) = wanted("count_if", arguments, S.BOOLEAN)
    return Aggregate(f"count({distinct}CASE WHEN {x.sql} THEN TRUE END{order})", S.BIGINT)


def _sum(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    """Sums of integers refuse to overflow; DuckDB's own sum of integers is wider and is narrowed again."""
    count("sum", arguments, 1)
    x = arguments[0]
    if x.type is S.INTERVAL_DAY_TO_SECOND or x.type in INTEGERS:
        result = S.BIGINT if x.type in INTEGERS else x.type
        return Aggregate(f"sum({distinct}{x.sql}{order})", result, "CAST({0} AS BIGINT)")
    x = number("sum", arguments)
    return _compensated("fsum", "sum", x, distinct, order)


def _avg(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("avg", arguments, 1)
    x = coerce(number("avg", arguments), S.DOUBLE)
    return _compensated("favg", "avg", x, distinct, order)


def _compensated(precise: str, plain: str, x: Typed, distinct: str, order: str) -> Aggregate:
    """The compensated form wherever it is a number; infinities and overflow are the plain one's affair."""
    plain_call = f"{plain}({distinct}{x.sql}{order})"
    if not x.finite:
        return Aggregate(plain_call, S.DOUBLE)
    call = f"{precise}({distinct}{x.sql}{order})"
    return Aggregate(call, S.DOUBLE, "CASE WHEN isfinite({0}) THEN {0} ELSE {1} END", second=plain_call)


def _extreme(name: str) -> Builder:
    def build(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
        count(name, arguments, 1)
        x = _ordered(name, arguments, 0)
        return Aggregate(f"{name}({distinct}{x.sql}{order})", x.type, finite=x.finite)

    return build


def _ordered(name: str, arguments: list[Typed], index: int) -> Typed:
    if not isinstance(arguments[index].type, ScalarType):
        raise BadArguments(name, arguments)
    return arguments[index]


def _by(name: str, duckdb: str) -> Builder:
    """max_by(x, y): the x of the greatest y, even if that x is NULL."""

    def build(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
        count(name, arguments, 2)
        if distinct or order:
            raise BadArguments(name, arguments, "DISTINCT and ORDER BY are not supported here")
        key = _ordered(name, arguments, 1)
        return Aggregate(f"{duckdb}({arguments[0].sql}, {key.sql})", arguments[0].type, finite=arguments[0].finite)

    return build


def _arbitrary(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("arbitrary", arguments, 1)
    return Aggregate(f"min({distinct}{arguments[0].sql}{order})", arguments[0].type, finite=arguments[0].finite)


def _array_agg(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("array_agg", arguments, 1)
    return Aggregate(f"list({distinct}{arguments[0].sql}{order})", ArrayType(arguments[0].type))


def _boolean(name: str) -> Builder:
    def build(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
        (x,) = wanted(name, arguments, S.BOOLEAN)
        function = "bool_or" if name == "bool_or" else "bool_and"
        return Aggregate(f"{function}({distinct}{x.sql}{order})", S.BOOLEAN)

    return build


def _statistic(name: str, arity: int = 1, around: str = "{0}", duckdb: str | None = None) -> Builder:
    def build(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
        values = wanted(name, arguments, *[S.DOUBLE] * arity)
        call = f"{duckdb or name}({distinct}{', '.join(value.sql for value in values)}{order})"
        return Aggregate(call, S.DOUBLE, around)

    return build


def _geometric_mean(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    """By logarithms. DuckDB's own is a macro, which takes neither DISTINCT nor a window."""
    (x,) = wanted("geometric_mean", arguments, S.DOUBLE)
    return Aggregate(f"avg({distinct}ln({x.sql}){order})", S.DOUBLE, "exp({0})")


def _approx_distinct(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("approx_distinct", arguments, 1, 2)
    return Aggregate(f"count(DISTINCT {arguments[0].sql}{order})", S.BIGINT)


def _approx_percentile(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    """The exact percentile by rank; one percentage or an array of them, as constants. Weights are not supported."""
    count("approx_percentile", arguments, 2)
    x = number("approx_percentile", arguments)
    share = arguments[1]
    literal = share.constant
    result: DataType = x.type
    if isinstance(share.type, ArrayType) and share.type.element in NUMBERS:
        result = ArrayType(x.type)
    elif literal is None or not isinstance(literal.value, (int, float)) or not 0 <= literal.value <= 1:
        raise BadArguments("approx_percentile", arguments, "Percentile must be a constant between 0 and 1")
    if distinct or order:
        raise BadArguments("approx_percentile", arguments, "DISTINCT and ORDER BY are not supported here")
    return Aggregate(f"quantile_disc({x.sql}, {share.sql})", result, finite=x.finite)


def _create_time_series(arguments: list[Typed], distinct: str, order: str) -> Aggregate:
    count("create_time_series", arguments, 2)
    time, value = arguments
    if time.type is not S.TIMESTAMP or not isinstance(value.type, ScalarType) or distinct or order:
        raise BadArguments("create_time_series", arguments)
    pair = f'struct_pack("time" := {time.sql}, "value" := {value.sql})'
    return Aggregate(f"list({pair} ORDER BY {time.sql})", TimeSeriesType(value.type))


AGGREGATES: dict[str, Builder] = {
    "count": _count,
    "count_if": _count_if,
    "sum": _sum,
    "avg": _avg,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "min_by": _by("min_by", "arg_min_null"),
    "max_by": _by("max_by", "arg_max_null"),
    "arbitrary": _arbitrary,
    "array_agg": _array_agg,
    "bool_and": _boolean("bool_and"),
    "bool_or": _boolean("bool_or"),
    "every": _boolean("every"),
    "geometric_mean": _geometric_mean,
    "approx_distinct": _approx_distinct,
    "approx_percentile": _approx_percentile,
    "stddev": _statistic("stddev", duckdb="stddev_samp"),
    "stddev_samp": _statistic("stddev_samp"),
    "stddev_pop": _statistic("stddev_pop"),
    "variance": _statistic("variance", duckdb="var_samp"),
    "var_samp": _statistic("var_samp"),
    "var_pop": _statistic("var_pop"),
    "corr": _statistic("corr", 2),
    "covar_pop": _statistic("covar_pop", 2),
    "covar_samp": _statistic("covar_samp", 2),
    "regr_slope": _statistic("regr_slope", 2),
    "regr_intercept": _statistic("regr_intercept", 2),
    "create_time_series": _create_time_series,
}


def build(function: str, arguments: list[Typed], *, star: bool, distinct: bool, order: str) -> Aggregate:
    """An aggregate call of typed arguments. ``BadArguments`` if the function does not take them."""
    if star:
        if function != "count":
            raise BadArguments(function, arguments, "* is only for count")
        return Aggregate("count(*)", S.BIGINT)
    if distinct and any(isinstance(a.type, RowType) for a in arguments) and function != "count":
        raise BadArguments(function, arguments)
    return AGGREGATES[function](arguments, "DISTINCT " if distinct else "", order)
