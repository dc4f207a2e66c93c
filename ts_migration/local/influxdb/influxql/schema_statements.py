"""SHOW: measurements, keys, values, series and their numbers, read from the schema alone.

Rules: v1/coordinator/statement_executor.go and influxql/query/statement_rewriter.go of InfluxDB 2.7.11; what that one
does not implement is answered in its words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from ts_migration.local.influxdb.influxql.conditions import Condition, mentions_time, split, tag_filter
from ts_migration.local.influxdb.influxql.errors import StatementError, not_implemented, unsupported
from ts_migration.local.influxdb.influxql.frames import Column, Frame, Rows, Segment, table, texts
from ts_migration.local.influxdb.influxql.schema import key_order
from ts_migration.local.influxdb.influxql.syntax import Measurement, Regex, Show
from ts_migration.local.influxdb.points import FieldType, Points, Series

Where = Callable[[Mapping[str, str]], bool]
Found = TypeVar("Found")


def databases(names: Sequence[str]) -> Rows:
    """SHOW DATABASES."""
    return _rows([table(["name"], [texts(names)], "databases")])


def retention_policies(*, known: bool) -> Rows:
    """SHOW RETENTION POLICIES: the same constants for every bucket, as 2.7.11 prints them."""
    count = 1 if known else 0
    columns = [
        texts(["autogen"] * count),
        texts(["0s"] * count),
        texts(["168h0m0s"] * count),
        Column(FieldType.INTEGER, np.ones(count, np.int64)),
        Column(FieldType.BOOLEAN, np.ones(count, np.bool_)),
    ]
    return _rows([table(["name", "duration", "shardGroupDuration", "replicaN", "default"], columns)])


def show(statement: Show, points: Points, now_ns: int) -> Rows | None:
    """The rows of a SHOW over one bucket; None where there is nothing to show.

    Raises StatementError for what InfluxDB or the embedded server does not answer.
    """
    answer = _ANSWERS.get(statement.what)
    if answer is None:
        raise unsupported(f"SHOW {statement.what} is")
    if statement.dimensions:
        raise unsupported(f"GROUP BY in SHOW {statement.what} is")
    if mentions_time(statement.condition):
        _refuse_time(statement)
    frames = list(answer(statement, points, split(statement.condition, now_ns)))
    # The keys and values of each measurement are results of their own, which do not say that another follows.
    return _rows(frames, chained=statement.what not in ("TAG KEYS", "TAG VALUES")) if frames else None


def _refuse_time(statement: Show) -> None:
    what = statement.what.replace(" CARDINALITY", " EXACT CARDINALITY")
    if statement.what == "FIELD KEY CARDINALITY":
        what = statement.what
    if statement.what == "MEASUREMENTS" or statement.what.endswith(" CARDINALITY"):
        raise StatementError(f"SHOW {what} doesn't support time in WHERE clause")
    raise unsupported(f"time in the WHERE clause of SHOW {statement.what} is")


def _rows(frames: list[Frame], *, chained: bool = True) -> Rows:
    return Rows(iter(frames), chained)


def chosen(sources: Sequence[Measurement], names: Sequence[str]) -> list[str]:
    """The measurements that FROM names; all of them without."""
    if not sources:
        return list(names)
    return [name for name in names if any(_names(source, name) for source in sources)]


def _names(source: Measurement, name: str) -> bool:
    return source.name == name if source.pattern is None else source.pattern.pattern.search(name) is not None


def series_key(series: Series) -> str:
    """A series as SHOW SERIES prints it."""
    name = series.measurement.replace(",", "\\,").replace(" ", "\\ ")
    return "".join([name, *(f",{_escaped(key)}={_escaped(value)}" for key, value in series.tags)])


def _escaped(text: str) -> str:
    return text.replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")


def _limited(statement: Show, found: Sequence[Found]) -> Sequence[Found]:
    return found[statement.offset : statement.offset + statement.limit if statement.limit else None]


def _where(points: Points, measurement: str, condition: Condition) -> Where | None:
    return tag_filter(condition.rest, {name for name, _ in points.field_types(measurement)})


def _series(statement: Show, points: Points, condition: Condition) -> Iterator[tuple[str, list[Series]]]:
    """The series of each chosen measurement that the condition lets through."""
    for name in chosen(statement.sources, points.measurements()):
        where = _where(points, name, condition)
        found = [one for one in points.series(name) if where is None or where(dict(one.tags))]
        if found:
            yield name, found


def _measurements(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    if condition.rest is None:
        names = chosen(statement.sources, points.measurements())
    else:
        names = [name for name, _ in _series(statement, points, condition)]
    found = _limited(statement, names)
    if found:
        yield table(["name"], [texts(found)], "measurements")


def _field_keys(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    for name in chosen(statement.sources, points.measurements()):
        found = _limited(statement, points.field_types(name))
        if found:
            columns = [texts([key for key, _ in found]), texts([type_.value for _, type_ in found])]
            yield table(["fieldKey", "fieldType"], columns, name)


def _has_key(statement: Show, key: str) -> bool:
    if isinstance(statement.key, Regex):
        return (statement.key.pattern.search(key) is not None) == (statement.key_operator == "=~")
    return not statement.key or (key in statement.key) == (statement.key_operator == "=")


def _tag_keys(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    for name, series in _series(statement, points, condition):
        keys = {key for one in series for key, _ in one.tags if _has_key(statement, key)}
        found = _limited(statement, sorted(keys, key=key_order))
        if found:
            yield table(["tagKey"], [texts(found)], name)


def _tag_values(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    for name, series in _series(statement, points, condition):
        pairs = {pair for one in series for pair in one.tags if _has_key(statement, pair[0])}
        found = _limited(statement, sorted(pairs, key=lambda pair: (key_order(pair[0]), key_order(pair[1]))))
        if found:
            yield table(
                ["key", "value"], [texts([key for key, _ in found]), texts([value for _, value in found])], name
            )


def _all_series(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    keys = [series_key(one) for _, series in _series(statement, points, condition) for one in series]
    found = _limited(statement, keys)
    if found:
        yield table(["key"], [texts(found)])


def _counted(counts: list[tuple[str, int]], statement: Show) -> Iterator[Frame]:
    if statement.limit or statement.offset:
        raise unsupported(f"LIMIT in SHOW {statement.what} is")
    if counts:
        segments = tuple(Segment(name, (), place, place + 1) for place, (name, _) in enumerate(counts))
        column = Column(FieldType.INTEGER, np.array([count for _, count in counts], np.int64))
        yield Frame(("count",), None, (column,), segments)


def _estimated(statement: Show) -> None:
    """Estimates are what 2.7.11 does not implement; any clause makes it count."""
    if not statement.exact and not statement.sources and statement.condition is None and not statement.limit:
        raise not_implemented(f"SHOW {statement.what}")


def _series_cardinality(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    _estimated(statement)
    yield from _counted([(name, len(series)) for name, series in _series(statement, points, condition)], statement)


def _measurement_cardinality(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    _estimated(statement)
    count = sum(1 for _ in _series(statement, points, condition))
    yield from _counted([("", count)] if count else [], statement)


def _field_key_cardinality(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    if condition.rest is not None:
        raise unsupported("WHERE in SHOW FIELD KEY CARDINALITY is")
    names = chosen(statement.sources, points.measurements())
    yield from _counted([(name, len({key for key, _ in points.field_types(name)})) for name in names], statement)


def _tag_key_cardinality(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    counts = [
        (name, len({key for one in series for key, _ in one.tags}))
        for name, series in _series(statement, points, condition)
    ]
    yield from _counted([pair for pair in counts if pair[1]], statement)


def _tag_value_cardinality(statement: Show, points: Points, condition: Condition) -> Iterator[Frame]:
    counts = [
        (name, len({value for one in series for key, value in one.tags if _has_key(statement, key)}))
        for name, series in _series(statement, points, condition)
    ]
    yield from _counted([pair for pair in counts if pair[1]], statement)


_ANSWERS: dict[str, Callable[[Show, Points, Condition], Iterator[Frame]]] = {
    "MEASUREMENTS": _measurements,
    "FIELD KEYS": _field_keys,
    "TAG KEYS": _tag_keys,
    "TAG VALUES": _tag_values,
    "SERIES": _all_series,
    "SERIES CARDINALITY": _series_cardinality,
    "MEASUREMENT CARDINALITY": _measurement_cardinality,
    "FIELD KEY CARDINALITY": _field_key_cardinality,
    "TAG KEY CARDINALITY": _tag_key_cardinality,
    "TAG VALUES CARDINALITY": _tag_value_cardinality,
}
