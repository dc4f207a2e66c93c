"""WHERE taken apart: the range of time, what tags alone decide, and what every row must be asked.

Rules: influxdata/influxql ast.go (ConditionExpr) and tsdb's index: a tag that a series does not have is the empty text,
and a comparison with a missing field is false.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ts_migration.local.influxdb.influxql import syntax
from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.folding import fold, looks_like_time, rfc3339, time_ns
from ts_migration.local.influxdb.influxql.syntax import Binary, Expr, Paren, Regex, String, VarRef, text_of
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SHOWN = {"String": "*influxql.StringLiteral", "VarRef": "*influxql.VarRef", "Boolean": "*influxql.BooleanLiteral"}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Bounds in ns, both inclusive; None where nothing was said."""

    start: int | None = None
    stop: int | None = None

    def meet(self, other: "TimeRange") -> "TimeRange":
        """What lies in both."""
        starts = [bound for bound in (self.start, other.start) if bound is not None]
        stops = [bound for bound in (self.stop, other.stop) if bound is not None]
        return TimeRange(max(starts, default=None), min(stops, default=None))


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE clause without its times."""

    times: TimeRange
    rest: Expr | None


def split(condition: Expr | None, now_ns: int) -> Condition:
    """Take the bounds of time out of a condition. They are met even below an OR, as InfluxDB does.

    Raises StatementError for what is no condition.
    """
    if condition is None:
        return Condition(TimeRange(), None)
    match condition:
        case Binary(operator="AND" | "OR" as operator, left=left, right=right):
            first, second = split(left, now_ns), split(right, now_ns)
            times = first.times.meet(second.times)
            if first.rest is None or second.rest is None:
                return Condition(times, first.rest or second.rest)
            return Condition(times, Binary(operator, first.rest, second.rest))
        case Binary(operator=operator, left=left, right=right):
            if _is_time(left):
                return Condition(_bound(operator, right, now_ns), None)
            if _is_time(right):
                return Condition(_bound(_MIRRORED.get(operator, operator), left, now_ns), None)
            return Condition(TimeRange(), fold(condition, now_ns))
        case Paren(inner=inner):
            found = split(inner, now_ns)
            return Condition(found.times, None if found.rest is None else Paren(found.rest))
        case syntax.Boolean():
            return Condition(TimeRange(), condition)
    raise StatementError(f"invalid condition expression: {text_of(condition)}")


def _is_time(expr: Expr) -> bool:
    return isinstance(expr, VarRef) and expr.name.lower() == "time"


def _bound(operator: str, expr: Expr, now_ns: int) -> TimeRange:
    if isinstance(expr, String) and looks_like_time(expr.value):
        expr = syntax.Time(time_ns(expr.value))
    match fold(expr, now_ns):
        case syntax.Time(value=at):
            if at > MAX_TIME_NS:
                raise StatementError(f"time {rfc3339(at)} overflows time literal")
            if at < MIN_TIME_NS + 1:
                raise StatementError(f"time {rfc3339(at)} underflows time literal")
        case syntax.Duration(value=at) | syntax.Integer(value=at):
            pass
        case syntax.Number(value=fraction):
            at = int(fraction)
        case other:
            name = type(other).__name__
            shown = _SHOWN.get(name, f"*influxql.{name}")
            raise StatementError(f"invalid operation: time and {shown} are not compatible")
    match operator:
        case ">":
            return TimeRange(at + 1, None)
        case ">=":
            return TimeRange(at, None)
        case "<":
            return TimeRange(None, at - 1)
        case "<=":
            return TimeRange(None, at)
        case "=":
            return TimeRange(at, at)
    raise StatementError(f"invalid time comparison operator: {operator}")


def mentions_time(condition: Expr | None) -> bool:
    """Whether a condition speaks of time."""
    return condition is not None and any(_is_time(part) for part in syntax.walk(condition))


def references(condition: Expr | None) -> frozenset[str]:
    """Names of the columns in a condition."""
    if condition is None:
        return frozenset()
    return frozenset(part.name for part in syntax.walk(condition) if isinstance(part, VarRef))


def tag_filter(condition: Expr | None, fields: Collection[str]) -> Callable[[Mapping[str, str]], bool] | None:
    """Whether the tags of a series leave the condition a chance; None where tags decide nothing."""
    if condition is None or all(_is_field(part, fields) for part in syntax.walk(condition) if isinstance(part, VarRef)):
        return None
    return lambda tags: _verdict(condition, tags, fields) is not False


def decided_by_tags(condition: Expr | None, fields: Collection[str]) -> bool:
    """Whether no row needs to be asked once a series has passed the filter."""
    if condition is None:
        return True
    return not any(_is_field(part, fields) for part in syntax.walk(condition) if isinstance(part, VarRef))


def _is_field(reference: VarRef, fields: Collection[str]) -> bool:
    return reference.name in fields and reference.type != "tag"


def _verdict(expr: Expr, tags: Mapping[str, str], fields: Collection[str]) -> bool | None:
    """True or False where tags alone say so, None where fields are needed."""
    match expr:
        case Paren(inner=inner):
            return _verdict(inner, tags, fields)
        case syntax.Boolean(value=truth):
            return truth
        case Binary(operator="AND", left=left, right=right):
            verdicts = (_verdict(left, tags, fields), _verdict(right, tags, fields))
            return False if False in verdicts else None if None in verdicts else True
        case Binary(operator="OR", left=left, right=right):
            verdicts = (_verdict(left, tags, fields), _verdict(right, tags, fields))
            return True if True in verdicts else None if None in verdicts else False
        case Binary(operator=operator, left=left, right=right):
            if any(_is_field(part, fields) for part in syntax.walk(expr) if isinstance(part, VarRef)):
                return None
            return _compare(operator, _text(left, tags), _text(right, tags))
    return False


def _text(expr: Expr, tags: Mapping[str, str]) -> str | Regex | None:
    match expr:
        case VarRef(name=name):
            return tags.get(name, "")
        case String(value=text):
            return text
        case Regex():
            return expr
        case Paren(inner=inner):
            return _text(inner, tags)
    return None


def _compare(operator: str, left: str | Regex | None, right: str | Regex | None) -> bool:
    if isinstance(left, str) and isinstance(right, Regex):
        found = right.pattern.search(left) is not None
        return found if operator == "=~" else not found if operator == "!~" else False
    if not isinstance(left, str) or not isinstance(right, str):
        return False
    return left == right if operator == "=" else left != right if operator == "!=" else False
