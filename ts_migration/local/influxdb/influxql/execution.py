"""From the text of a query to its answer: parse, run statement after statement, write.

The only module that the HTTP server calls. Which databases there are, and what may change, the server tells it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.influxql import aggregates, raw, schema_statements
from ts_migration.local.influxdb.influxql.conditions import decided_by_tags, split, tag_filter
from ts_migration.local.influxdb.influxql.errors import ParseError, StatementError, not_implemented, unsupported
from ts_migration.local.influxdb.influxql.frames import Frame, Rows
from ts_migration.local.influxdb.influxql.parser import parse
from ts_migration.local.influxdb.influxql.plan import plan
from ts_migration.local.influxdb.influxql.selection import Selection, select
from ts_migration.local.influxdb.influxql.syntax import (
    Delete,
    DropMeasurement,
    Measurement,
    Select,
    Show,
    Statement,
    Unimplemented,
    Unsupported,
)
from ts_migration.local.influxdb.influxql.writing.answers import chunked as in_chunks
from ts_migration.local.influxdb.influxql.writing.answers import format_for, gathered
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, Mutations, Points

_SYSTEM = {
    "_fieldKeys": "SHOW FIELD KEYS",
    "_measurements": "SHOW MEASUREMENTS",
    "_series": "SHOW SERIES",
    "_tagKeys": "SHOW TAG KEYS",
    "_tags": "SHOW TAG VALUES",
}
_NEEDS_MAPPING = ("TAG KEYS", "TAG VALUES")


def execute(
    text: str,
    *,
    database: str | None,
    source: Callable[[str], Points | None],
    epoch: str | None,
    accept: str | None,
    chunked: bool,
    chunk_size: int,
    now_ns: int,
    pretty: bool = False,
    mutate: Mutations | None = None,
    databases: Callable[[], Sequence[str]] | None = None,
) -> Answer:
    """Answer a query as InfluxDB 2.7.11 does.

    Args:
        text: one statement or several, separated by semicolons.
        database: the database of statements that name none.
        source: a snapshot of a database, None where there is none that may be read; `db/rp` asks for a policy.
        epoch: ns, u, ms, s, m or h; None for RFC 3339 times (in CSV ns).
        accept: the Accept header: JSON unless it is exactly a type of CSV or MessagePack.
        chunked: one document for every `chunk_size` rows of a series instead of one for all.
        now_ns: the time of `now()`.
        pretty: accepted and without effect, as on the real server.
        mutate: what DELETE and DROP MEASUREMENT change; without it they are refused.
        databases: names for SHOW DATABASES; without it that is refused.

    What is not supported is an error in the answer. Exceptions of `mutate` pass through before any of the body.
    """
    del pretty
    try:
        statements = parse(text)
    except ParseError as error:
        return _refused(error)
    session = _Session(database, source, now_ns, max(chunk_size, 1), mutate, databases)
    runs = [lambda statement=statement: session.run(statement) for statement in statements]
    format_ = format_for(accept, epoch)
    headers = {"Content-Type": format_.content_type}
    if not chunked:
        return Answer(200, headers, iter((gathered(runs, format_, session.chunk),)))
    body = in_chunks(runs, format_, session.chunk)
    first = next(body, b"")
    return Answer(200, headers, chain((first,), body))


def _refused(error: ParseError) -> Answer:
    content = {"code": "invalid", "message": f"failed to parse query: {error}"}
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Platform-Error-Code": "invalid"}
    return Answer(400, headers, iter((body,)))


@dataclass(frozen=True, slots=True)
class _Session:
    """What the statements of one query share."""

    database: str | None
    source: Callable[[str], Points | None]
    now_ns: int
    chunk: int
    mutate: Mutations | None
    databases: Callable[[], Sequence[str]] | None

    def run(self, statement: Statement) -> Rows | None:
        """Execute one statement."""
        match statement:
            case Select():
                return self._select(statement)
            case Show(what="DATABASES"):
                if self.databases is None:
                    raise unsupported("SHOW DATABASES is")
                return schema_statements.databases(self.databases())
            case Show():
                return self._show(statement)
            case Delete():
                self._delete(statement)
                return None
            case DropMeasurement(name=name):
                self._mutations().drop_measurement(self._default(), name)
                return None
            case Unimplemented(name=name):
                raise not_implemented(name)
            case Unsupported(name=name):
                raise unsupported(f"{name} is")
        raise StatementError("invalid query")

    def _default(self, said: str = "") -> str:
        name = said or self.database
        if not name:
            raise StatementError("database name required")
        return name

    def _points(self, database: str, policy: str = "") -> Points:
        found = self.source(database if policy in ("", "autogen") else f"{database}/{policy}")
        if found is None:
            if policy in ("", "autogen") or self.source(database) is None:
                raise StatementError(f"database not found: {database}")
            raise StatementError(f"retention policy not found: {policy}")
        return found

    def _select(self, statement: Select) -> Rows:
        measurements = [one for one in statement.sources if isinstance(one, Measurement)]
        for one in measurements:
            if one.name in _SYSTEM:
                raise StatementError(f"unable to use system source '{one.name}': use {_SYSTEM[one.name]} instead")
        selection = select(statement, self.now_ns)
        return Rows(self._frames(selection, self._sources(measurements)))

    def _sources(self, measurements: Sequence[Measurement]) -> list[tuple[Points, str]]:
        known: dict[tuple[str, str], Points] = {}
        found: list[tuple[Points, str]] = []
        for one in measurements:
            if not one.name and one.pattern is None:
                raise StatementError("invalid measurement")
            place = (self._default(one.database), one.policy)
            if place not in known:
                known[place] = self._points(*place)
            points = known[place]
            found += [(points, name) for name in schema_statements.chosen([one], points.measurements())]
        if len({id(points) for points, _ in found}) > 1:
            raise unsupported("a query over several databases is")
        return [(points, name) for name, points in {name: points for points, name in found}.items()]

    def _frames(self, selection: Selection, sources: list[tuple[Points, str]]) -> Iterator[Frame]:
        found = plan(selection, sources, self.now_ns)
        return aggregates.rows(found) if found.calls else raw.rows(found, self.chunk)

    def _show(self, statement: Show) -> Rows | None:
        if "*" in (statement.database, statement.policy) or statement.policy:
            raise unsupported("SHOW MEASUREMENTS of more than one database or of a policy is")
        name = self._default(statement.database)
        if statement.what == "RETENTION POLICIES":
            return schema_statements.retention_policies(known=self.source(name) is not None)
        policies = {one.policy for one in statement.sources}
        if len(policies) > 1 or any(one.database not in ("", name) for one in statement.sources):
            raise unsupported(f"SHOW {statement.what} of several databases is")
        if self.source(name) is None:
            if statement.what == "MEASUREMENTS":
                return None
            if statement.what in _NEEDS_MAPPING:
                raise StatementError(f"default retention policy not set for: {name}")
        return schema_statements.show(statement, self._points(name, *policies), self.now_ns)

    def _mutations(self) -> Mutations:
        if self.mutate is None:
            raise unsupported("a statement that changes a bucket is")
        return self.mutate

    def _delete(self, statement: Delete) -> None:
        mutations, name = self._mutations(), self._default()
        points = self._points(name)
        condition = split(statement.condition, self.now_ns)
        names = schema_statements.chosen(statement.sources, points.measurements())
        for measurement in names:
            fields = {field for field, _ in points.field_types(measurement)}
            if not decided_by_tags(condition.rest, fields):
                raise StatementError("fields not supported in WHERE clause during deletion")
        start = MIN_TIME_NS if condition.times.start is None else condition.times.start
        stop = MAX_TIME_NS if condition.times.stop is None else condition.times.stop
        for measurement in names:
            mutations.delete(name, measurement, start, stop, tag_filter(condition.rest, ()))
