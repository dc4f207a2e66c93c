"""What a SELECT asks for before any bucket is looked at: times, interval, groups and checked calls.

Rules and words: influxql/query/compile.go of InfluxDB 2.7.11. Names are resolved in `plan`.
"""

from dataclasses import dataclass

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.conditions import Condition, split
from ts_migration.local.influxdb.influxql.errors import StatementError, not_implemented, unsupported
from ts_migration.local.influxdb.influxql.folding import fold, looks_like_time, time_ns
from ts_migration.local.influxdb.influxql.syntax import Binary, Call, Expr, Field, Regex, Select, VarRef, Wildcard

SELECTORS = frozenset(("min", "max", "first", "last", "percentile"))
AGGREGATES = frozenset(("count", "sum", "mean", "median", "mode", "stddev", "spread"))
_REFUSED = """
top bottom sample derivative non_negative_derivative difference non_negative_difference cumulative_sum elapsed
moving_average exponential_moving_average double_exponential_moving_average triple_exponential_moving_average
relative_strength_index triple_exponential_derivative kaufmans_efficiency_ratio
kaufmans_adaptive_moving_average chande_momentum_oscillator integral count_hll sum_hll holt_winters
holt_winters_with_fit abs acos asin atan atan2 ceil cos exp floor ln log log2 log10 pow round sin sqrt tan
"""
_NOT_EMBEDDED = frozenset(_REFUSED.split())


@dataclass(frozen=True, slots=True)
class Interval:
    """`time(size, offset)` in ns; a size of 0 is one window over all times."""

    size: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """A checked SELECT. `selector` says that a single call chooses a point and its time with it."""

    statement: Select
    condition: Condition
    interval: Interval
    dimensions: tuple[Expr, ...]
    fields: tuple[Field, ...]
    time_name: str
    calls: tuple[Call, ...]


def select(statement: Select, now_ns: int) -> Selection:
    """Check a statement.

    Raises StatementError, in InfluxDB's words where it refuses it too.
    """
    if statement.target:
        raise not_implemented("SELECT INTO")
    if statement.zone not in ("", "UTC", "Etc/UTC"):
        raise unsupported(f"the time zone {statement.zone} is")
    if any(isinstance(source, syntax.SubQuery) for source in statement.sources):
        raise unsupported("a query as a source is")
    condition = split(statement.condition, now_ns)
    _check_condition(condition.rest)
    interval, dimensions = _dimensions(statement.dimensions, now_ns)
    checks = _Checks()
    fields: list[Field] = []
    time_name = "time"
    for field in statement.fields:
        if isinstance(field.expr, VarRef) and field.expr.name == "time":
            time_name = field.alias or time_name
            continue
        expr = _without_distinct(fold(field.expr))
        checks.field(expr, wildcards=True)
        fields.append(Field(expr, field.alias))
    checks.together(len(fields), interval, statement.fill.kind)
    return Selection(statement, condition, interval, dimensions, tuple(fields), time_name, tuple(checks.calls))


def _without_distinct(expr: Expr) -> Expr:
    match expr:
        case syntax.Distinct(name=name):
            return Call("distinct", (VarRef(name),))
        case Call(name=name, arguments=arguments):
            return Call(name, tuple(map(_without_distinct, arguments)))
        case Binary(operator=operator, left=left, right=right):
            return Binary(operator, _without_distinct(left), _without_distinct(right))
    return expr


def _check_condition(rest: Expr | None) -> None:
    for part in () if rest is None else syntax.walk(rest):
        if isinstance(part, Call):
            if part.name in _NOT_EMBEDDED:
                raise unsupported(f"{part.name}() in a condition is")
            raise StatementError(f"invalid function call in condition: {syntax.text_of(part)}")


def _dimensions(found: tuple[Expr, ...], now_ns: int) -> tuple[Interval, tuple[Expr, ...]]:
    interval = Interval()
    dimensions: list[Expr] = []
    for expr in found:
        match expr:
            case VarRef(name=name):
                if name.lower() == "time":
                    raise StatementError("time() is a function and expects at least one argument")
                dimensions.append(expr)
            case Wildcard() | Regex():
                dimensions.append(expr)
            case Call():
                if interval.size:
                    raise StatementError("multiple time dimensions not allowed")
                interval = _interval(expr, now_ns)
            case _:
                raise StatementError("only time and tag dimensions allowed")
    return interval, tuple(dimensions)


def _interval(call: Call, now_ns: int) -> Interval:
    if call.name != "time":
        raise StatementError("only time() calls allowed in dimensions")
    if len(call.arguments) not in (1, 2):
        raise StatementError("time dimension expected 1 or 2 arguments")
    arguments = [fold(argument) for argument in call.arguments]
    if not isinstance(arguments[0], syntax.Duration):
        raise StatementError("time dimension must have duration argument")
    size = arguments[0].value
    if size <= 0:
        raise StatementError("time dimension must have a positive duration")
    if len(arguments) == 1:
        return Interval(size)
    match arguments[1]:
        case syntax.Duration(value=value):
            return Interval(size, value % size if value >= 0 else -(-value % size))
        case syntax.Time(value=value):
            return Interval(size, value % size)
        case syntax.String(value=text) if looks_like_time(text):
            return Interval(size, time_ns(text) % size)
        case Call(name="now", arguments=()):
            return Interval(size, now_ns % size)
        case Call(name="now"):
            raise StatementError("time dimension offset now() function requires no arguments")
        case Call():
            raise StatementError("time dimension offset function must be now()")
    raise StatementError("time dimension offset must be duration or now()")


class _Checks:
    """What the compiler remembers while it walks over the fields."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.plain = False
        self.only_selectors = True
        self.distinct = False

    def field(self, expr: Expr, *, wildcards: bool) -> None:
        """Check one expression of the list."""
        match expr:
            case VarRef():
                self.plain = True
            case Wildcard() | Regex():
                self.plain = True
                if not wildcards:
                    kind = "wildcard" if isinstance(expr, Wildcard) else "regex"
                    raise StatementError(f"unable to use {kind} in a binary expression")
            case Call():
                self._call(expr, wildcards=wildcards)
            case Binary(left=left, right=right):
                if isinstance(left, syntax.Literal) and isinstance(right, syntax.Literal):
                    raise StatementError("cannot perform a binary expression on two literals")
                for side in (left, right):
                    if not isinstance(side, syntax.Literal):
                        self.field(side, wildcards=False)
            case syntax.Paren(inner=inner):
                self.field(inner, wildcards=wildcards)
            case _:
                raise StatementError("field must contain at least one variable")

    def _call(self, call: Call, *, wildcards: bool) -> None:
        name, arguments = call.name, call.arguments
        if name in _NOT_EMBEDDED:
            raise unsupported(f"{name}() is")
        if name != "distinct" and name not in SELECTORS and name not in AGGREGATES:
            raise StatementError(f"undefined function {name}()")
        self.calls.append(call)
        if name == "distinct":
            self._distinct(arguments)
            self.distinct = True
            return
        wanted = 2 if name == "percentile" else 1
        if len(arguments) != wanted:
            counted = f"expected {wanted}, got {len(arguments)}"
            raise StatementError(f"invalid number of arguments for {name}, {counted}")
        if name == "percentile" and not isinstance(arguments[1], syntax.Integer | syntax.Number):
            raise StatementError("expected float argument in percentile()")
        if name in AGGREGATES:
            self.only_selectors = False
        inner = arguments[0]
        if name == "count" and isinstance(inner, Call) and inner.name == "distinct":
            self._distinct(inner.arguments)
            return
        if isinstance(inner, Wildcard | Regex):
            if not wildcards:
                kind = "wildcard" if isinstance(inner, Wildcard) else "regex field"
                raise StatementError(f"unsupported expression with {kind}: {name}()")
            self.only_selectors = False
        elif not isinstance(inner, VarRef):
            raise StatementError(f"expected field argument in {name}()")

    def _distinct(self, arguments: tuple[Expr, ...]) -> None:
        if not arguments:
            raise StatementError("distinct function requires at least one argument")
        if len(arguments) != 1:
            raise StatementError("distinct function can only have one argument")
        if not isinstance(arguments[0], VarRef):
            raise StatementError("expected field argument in distinct()")
        self.only_selectors = False

    def together(self, fields: int, interval: Interval, fill: str) -> None:
        """Check what the fields are to each other."""
        if not fields:
            raise StatementError("at least 1 non-time field must be queried")
        if not self.calls:
            if fill in ("none", "linear"):
                raise StatementError(f"fill({fill}) must be used with a function")
            if interval.size:
                raise StatementError("GROUP BY requires at least one aggregate function")
        if self.distinct and (len(self.calls) != 1 or self.plain):
            raise StatementError("aggregate function distinct() cannot be combined with other functions or fields")
        if self.plain and not self.only_selectors:
            raise StatementError("mixing aggregate and non-aggregate queries is not supported")
        if self.plain and len(self.calls) > 1:
            raise StatementError("mixing multiple selector functions with tags or fields is not supported")
