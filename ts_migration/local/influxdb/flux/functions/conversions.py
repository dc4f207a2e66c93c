"""Functions of single values, which work on columns too: conversions, length, contains, parts of strings and math."""

import math
from collections.abc import Callable

import numpy as np

from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.evaluation import Invocation, shown
from ts_migration.local.influxdb.flux.functions.declaring import Family
from ts_migration.local.influxdb.flux.operators import elementwise, kind_name
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.tables import Column, ColumnType
from ts_migration.local.influxdb.flux.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    Duration,
    Time,
    UInt,
    parse_duration,
    parse_time,
    type_name,
)

UNIVERSE = Family()
STRINGS = Family("strings")
MATH = Family("math")
DATE = Family("date")


def convert(target: str, value: object) -> object:
    """A value or a column as another type. Raises ValueProblem where that cannot be."""
    if target == "string":
        return shown(value)
    if value is None:
        return None
    kind, function = _TARGETS[target]
    if isinstance(value, Column):
        fast = _fast(kind, value)
        return fast if fast is not None else elementwise(function, kind, value)
    return function(value)


def _fast(kind: ColumnType, column: Column) -> Column | None:
    """Conversions of whole columns that cannot fail row by row."""
    if column.type is kind:
        return column
    if kind is ColumnType.FLOAT and column.type in (ColumnType.INT, ColumnType.UINT, ColumnType.BOOL):
        return Column("", kind, column.values.astype(np.float64), column.valid)
    if kind is ColumnType.INT and column.type in (ColumnType.BOOL, ColumnType.TIME, ColumnType.UINT):
        return Column("", kind, column.values.astype(np.int64), column.valid)
    if kind is ColumnType.TIME and column.type is ColumnType.INT:
        return Column("", kind, column.values, column.valid)
    return None


def _impossible(value: object, target: str) -> ValueProblem:
    shown_value = f' "{value}"' if isinstance(value, str) else ""
    return ValueProblem(f"cannot convert {type_name(value)}{shown_value} to {target}")


def _to_float(value: object) -> object:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise _impossible(value, "float") from error
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise _impossible(value, "float")


def _to_int(value: object) -> object:
    if isinstance(value, str):
        try:
            number = int(value) if value.isascii() and "_" not in value and value == value.strip() else None
        except ValueError:
            number = None
        if number is None or not MIN_INT <= number <= MAX_INT:
            raise _impossible(value, "int")
        return number
    if isinstance(value, float):
        if not math.isfinite(value) or not MIN_INT <= value < MAX_INT:
            raise ValueProblem(f"cannot convert float {value} to int: out of range")
        return math.trunc(value)
    if isinstance(value, Time):
        return value.ns
    if isinstance(value, Duration) and not value.months:
        return value.ns
    if isinstance(value, (bool, int)):
        return (int(value) + 2**63) % 2**64 - 2**63
    raise _impossible(value, "int")


def _to_uint(value: object) -> object:
    if isinstance(value, float) and not 0 <= value < MAX_UINT:
        raise ValueProblem(f"cannot convert float {value} to uint: out of range")
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit() or int(value) > MAX_UINT:
            raise _impossible(value, "uint")
        return UInt(value)
    if isinstance(value, (bool, int, float)):
        return UInt(int(value) % 2**64)
    if isinstance(value, Time):
        return UInt(value.ns % 2**64)
    raise _impossible(value, "uint")


def _to_bool(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, (int, float)) and value in (0, 1):
        return value == 1
    raise _impossible(value, "bool")


def _to_time(value: object) -> object:
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Time((int(value) + 2**63) % 2**64 - 2**63)
    if isinstance(value, Time):
        return value
    raise _impossible(value, "time")


_TARGETS: dict[str, tuple[ColumnType, Callable[[object], object]]] = {
    "float": (ColumnType.FLOAT, _to_float),
    "int": (ColumnType.INT, _to_int),
    "uint": (ColumnType.UINT, _to_uint),
    "bool": (ColumnType.BOOL, _to_bool),
    "time": (ColumnType.TIME, _to_time),
}


def _conversion(target: str) -> None:
    @UNIVERSE.function(target, required="v")
    def run(session: Session, call: Invocation) -> object:
        return convert(target, call.arguments["v"])


for _target in ("string", *_TARGETS):
    _conversion(_target)


@UNIVERSE.function("duration", required="v")
def duration(session: Session, call: Invocation) -> object:
    """A duration from its text or from ns."""
    value = call.arguments["v"]
    if isinstance(value, str):
        text = value.removeprefix("-")
        return parse_duration(text) if text == value else -parse_duration(text)
    if isinstance(value, int) and not isinstance(value, bool):
        return Duration(0, value)
    if isinstance(value, Duration):
        return value
    raise ValueProblem(f"cannot convert {kind_name(value)} to duration")


@UNIVERSE.function("length", required="arr")
def length(session: Session, call: Invocation) -> object:
    """How many items an array has."""
    return len(call.get("arr", list))


@UNIVERSE.function("contains", required="value set")
def contains(session: Session, call: Invocation) -> object:
    """Whether a value is in an array."""
    wanted = call.get("set", list)
    value = call.arguments["value"]
    if isinstance(value, Column):
        return elementwise(lambda item: item in wanted, ColumnType.BOOL, value)
    return any(type(item) is type(value) and item == value for item in wanted)


def _of_text(family: Family, name: str, parameters: str, kind: ColumnType, function: Callable[..., object]) -> None:
    @family.function(name, required=parameters)
    def run(session: Session, call: Invocation) -> object:
        arguments = [call.arguments[parameter] for parameter in parameters.split()]
        for parameter, value in zip(parameters.split(), arguments, strict=True):
            if value is not None and kind_name(value) != "string":
                raise call.mismatch(parameter, "string", value)
        return elementwise(function, kind, *arguments)


for _name, _parameters, _kind, _function in (
    ("toUpper", "v", ColumnType.STRING, str.upper),
    ("toLower", "v", ColumnType.STRING, str.lower),
    ("trimSpace", "v", ColumnType.STRING, str.strip),
    ("trimPrefix", "v prefix", ColumnType.STRING, str.removeprefix),
    ("trimSuffix", "v suffix", ColumnType.STRING, str.removesuffix),
    ("hasPrefix", "v prefix", ColumnType.BOOL, str.startswith),
    ("hasSuffix", "v suffix", ColumnType.BOOL, str.endswith),
    ("containsStr", "v substr", ColumnType.BOOL, str.__contains__),
    ("replaceAll", "v t u", ColumnType.STRING, str.replace),
    ("strlen", "v", ColumnType.INT, len),
):
    _of_text(STRINGS, _name, _parameters, _kind, _function)


def _half_away(value: float) -> float:
    """Go's math.Round: halves go away from zero."""
    if not math.isfinite(value):
        return value
    whole = math.trunc(value)
    return math.copysign(abs(whole) + (abs(value - whole) >= 0.5), value)


def _of_float(name: str, function: Callable[[float], float]) -> None:
    @MATH.function(name, required="x")
    def run(session: Session, call: Invocation) -> object:
        value = call.arguments["x"]
        if value is not None and kind_name(value) != "float":
            raise call.mismatch("x", "float", value)
        return elementwise(function, ColumnType.FLOAT, value)


for _name, _rounding in (
    ("abs", abs),
    ("ceil", lambda value: float(np.ceil(value))),
    ("floor", lambda value: float(np.floor(value))),
    ("round", _half_away),
    ("trunc", lambda value: float(np.trunc(value))),
    ("sqrt", lambda value: float(np.sqrt(value)) if value >= 0 else math.nan),
):
    _of_float(_name, _rounding)
