"""Window functions and aggregates over windows: OVER (PARTITION BY … ORDER BY … frame). Grouping is in ``selects``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ts_migration.local.timestream.catalog import ScalarType
from ts_migration.local.timestream.sql import aggregates
from ts_migration.local.timestream.sql import syntax as s
from ts_migration.local.timestream.sql.coercion import coerce, common_type
from ts_migration.local.timestream.sql.signatures import BadArguments, constant_integer, count
from ts_migration.local.timestream.sql.typed import Typed, physical

if TYPE_CHECKING:
    from ts_migration.local.timestream.sql.expressions import ExpressionTranslator

_RANKS = {
    "row_number": ScalarType.BIGINT,
    "rank": ScalarType.BIGINT,
    "dense_rank": ScalarType.BIGINT,
    "percent_rank": ScalarType.DOUBLE,
    "cume_dist": ScalarType.DOUBLE,
}
_VALUES = ("first_value", "last_value", "nth_value", "lag", "lead")
_ONLY_WINDOWED = (*_RANKS, *_VALUES, "ntile")
_NOT_OVER_WINDOWS = ("create_time_series", "approx_percentile")


def is_window_function(call: s.Call) -> bool:
    """Whether a call is one over a window, or could only be."""
    return call.window is not None or call.function in _ONLY_WINDOWED


def window_call(translator: ExpressionTranslator, call: s.Call) -> Typed:
    """Translate a call with OVER."""
    if call.window is None:
        raise translator.refuse(call.at, f"Window function {call.function} requires an OVER clause")
    if call.distinct or call.order_by:
        raise translator.refuse(call.at, "DISTINCT and ORDER BY in window function parameters are not supported")
    over = f" OVER ({_window(translator, call.window)})"
    arguments = [translator.typed(argument) for argument in call.arguments]
    if call.ignore_nulls and call.function not in _VALUES:
        raise translator.refuse(call.at, f"Cannot specify IGNORE NULLS for {call.function}")
    if call.function in _RANKS:
        count(call.function, arguments, 0)
        return Typed(f"{call.function}(){over}", _RANKS[call.function], finite=True)
    if call.function == "ntile":
        buckets = constant_integer("ntile", arguments, 0)
        if buckets < 1 or len(arguments) != 1:
            raise BadArguments("ntile", arguments, "Buckets must be greater than 0")
        return Typed(f"ntile({buckets}){over}", ScalarType.BIGINT)
    if call.function in _VALUES:
        return _value(translator, call, arguments, over)
    if call.function not in aggregates.AGGREGATES or call.function in _NOT_OVER_WINDOWS:
        raise translator.refuse(call.at, f"{call.function} over a window is not supported")
    return aggregates.build(call.function, arguments, star=call.star, distinct=False, order="").typed(over)


def _value(translator: ExpressionTranslator, call: s.Call, arguments: list[Typed], over: str) -> Typed:
    name = call.function
    nulls = " IGNORE NULLS" if call.ignore_nulls else ""
    value = arguments[0] if arguments else None
    if value is None:
        raise BadArguments(name, arguments)
    sql, finite = [value.sql], value.finite
    if name == "nth_value":
        count(name, arguments, 2)
        position = constant_integer(name, arguments, 1)
        if position < 1:
            raise BadArguments(name, arguments, "Offset must be at least 1")
        sql.append(str(position))
    elif name in ("lag", "lead"):
        count(name, arguments, 1, 3)
        if not call.window or not call.window.order_by or call.window.frame:
            raise translator.refuse(call.at, f"{name} needs a window with ORDER BY and without a frame")
        offset = constant_integer(name, arguments, 1) if len(arguments) > 1 else 1
        if offset < 0:
            raise BadArguments(name, arguments, "Offset must be at least 0")
        sql.append(str(offset))
        if len(arguments) > 2:
            if common_type(value.type, arguments[2].type) != value.type:
                raise BadArguments(name, arguments)
            default = coerce(arguments[2], value.type)
            sql.append(default.sql)
            finite = finite and default.finite
    else:
        count(name, arguments, 1)
    return Typed(f"{name}({', '.join(sql)}{nulls}){over}", value.type, finite=finite)


def _window(translator: ExpressionTranslator, window: s.Window) -> str:
    parts = []
    if window.partition_by:
        parts.append("PARTITION BY " + ", ".join(translator.typed(key).sql for key in window.partition_by))
    if window.order_by:
        parts.append("ORDER BY " + ", ".join(order_key(translator.typed(k.expression), k) for k in window.order_by))
    if window.frame is not None:
        parts.append(_frame(translator, window.frame))
    return " ".join(parts)


def _frame(translator: ExpressionTranslator, frame: s.Frame) -> str:
    bounds = []
    for word, offset in (frame.start, frame.end):
        if offset is None:
            bounds.append(word)
            continue
        value = translator.typed(offset)
        constant = value.constant.value if value.constant else None
        if (
            frame.unit != "ROWS"
            or value.type is not ScalarType.INTEGER
            or not isinstance(constant, int)
            or constant < 0
        ):
            raise translator.refuse(frame.at, "a frame's offset must be a constant number of ROWS, not negative")
        bounds.append(f"{constant} {word}")
    if frame.start[0] == "UNBOUNDED FOLLOWING" or frame.end[0] == "UNBOUNDED PRECEDING":
        raise translator.refuse(
            frame.at, "Window frame cannot start at UNBOUNDED FOLLOWING or end at UNBOUNDED PRECEDING"
        )
    return f"{frame.unit} BETWEEN {bounds[0]} AND {bounds[1]}"


def order_key(value: Typed | int, item: s.OrderItem) -> str:
    """A sort key, a value or a position: nulls last whatever the direction, unless the query says otherwise."""
    if isinstance(value, int):
        sql = str(value)
    else:  # A bare constant would be a position to DuckDB, or refused.
        sql = value.sql if value.constant is None else f"CAST({value.sql} AS {physical(value.type)})"
    return f"{sql} {'DESC' if item.descending else 'ASC'} NULLS {'FIRST' if item.nulls_first else 'LAST'}"
