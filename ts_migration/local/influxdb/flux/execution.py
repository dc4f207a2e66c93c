"""Runs a query from its text to the HTTP answer.

Order of what can go wrong, as on the server: syntax, names, arguments, plan, buckets, and then tables; from the first
byte on an error can only be told within the answer.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.flux import library, names, syntax
from ts_migration.local.influxdb.flux.annotated_csv import Dialect, Encoder
from ts_migration.local.influxdb.flux.errors import FluxError, PlanError, refusal, unsupported
from ts_migration.local.influxdb.flux.evaluation import Function, Scope, evaluate
from ts_migration.local.influxdb.flux.externals import assignments
from ts_migration.local.influxdb.flux.parser import parse
from ts_migration.local.influxdb.flux.session import BucketRow, Session
from ts_migration.local.influxdb.flux.streams import Stream
from ts_migration.local.influxdb.points import Points


def execute(
    query: str,
    *,
    dialect: Mapping[str, object] | None,
    source: Callable[[str], Points | None],
    now_ns: int,
    extern: Mapping[str, object] | None = None,
    buckets: Callable[[], Sequence[BucketRow]] | None = None,
) -> Answer:
    """Answers `/api/v2/query` for one query.

    `dialect` and `extern` (query parameters of influxdb-client) are the request's JSON of these names. `source` gives
    the points of a bucket by name or id, None where there is none; `now_ns` is the clock of relative times;
    `buckets` lists what `buckets()` tells, which is refused without it. The body streams: tables are read as it is
    consumed.
    """
    try:
        encoder = Encoder(Dialect.of(dialect))
        session = Session(source, now_ns, buckets)
        results = run(parse(query), session, assignments(extern or {}))
        session.check(stream for _, stream in results)
        body = encoder.encode((name, stream.tables()) for name, stream in results)
        first = next(body, b"")
    except FluxError as error:
        return _refused(error)
    except RecursionError:
        return _refused(unsupported_depth())
    return Answer(200, {"Content-Type": "text/csv; charset=utf-8"}, _chained(first, body))


def analyze(query: str) -> dict[str, object]:
    """Answers `/api/v2/query/analyze`: the syntax errors of a query, nothing else."""
    try:
        parse(query)
    except FluxError as error:
        findings = getattr(error, "findings", [])
        return {
            "errors": [
                {"line": place.line, "column": place.column, "character": 0, "message": text}
                for place, text in findings
            ]
        }
    return {"errors": []}


def run(program: syntax.Program, session: Session, given: Sequence[syntax.Assignment] = ()) -> list[tuple[str, Stream]]:
    """The results that a program yields, in the order of its text, under options given from outside"""
    predefined = library.universe(session)
    names.check(program, [*predefined, *(option.name for option in given)])
    options = Scope({}, Scope(predefined))
    for option in given:
        options.values[option.name] = evaluate(option.value, options)
    scope = session.scope = Scope({}, options)
    for imported in program.imports:
        package = library.package(imported.path, session)
        if package is None:
            if library.is_known(imported.path):
                raise unsupported(imported.place, f"the package {imported.path}")
            raise refusal(imported.place, f"invalid import path {imported.path}")
        scope.values[imported.alias] = package
    for statement in program.statements:
        _statement(statement, scope, session)
    seen: set[str] = set()
    for name, _ in session.results:
        if name in seen:
            raise PlanError(f'tried to produce more than one result with the name "{name}"')
        seen.add(name)
    if not session.results:
        raise FluxError(
            "error in query specification while starting program: this Flux script returns no streaming data. Consider "
            'adding a "yield" or invoking streaming functions directly, without performing an assignment'
        )
    return session.results


def _statement(statement: syntax.Node, scope: Scope, session: Session) -> None:
    if isinstance(statement, syntax.Assignment):
        if statement.option and statement.name not in ("now", "task") and "." in statement.name:
            raise unsupported(statement.place, f"the option {statement.name}")
        value = evaluate(statement.value, scope)
        if statement.option and statement.name == "now" and not isinstance(value, Function):
            raise refusal(statement.place, "the option now must be a function")
        if not statement.option and statement.name in scope.values:
            raise refusal(statement.place, f'variable "{statement.name}" redefined')
        scope.values[statement.name] = value
    elif isinstance(statement, syntax.Expression):
        value = evaluate(statement.value, scope)
        if isinstance(value, Stream) and not value.yielded:
            session.results.append(("_result", value))
    else:
        raise refusal(statement.place, "return statements are only allowed in functions")


def unsupported_depth() -> FluxError:
    """A query nested more deeply than this server follows."""
    return FluxError("the query is nested too deeply for the embedded InfluxDB")


def _refused(error: FluxError) -> Answer:
    body = json.dumps({"code": error.code, "message": error.message}, ensure_ascii=False, separators=(",", ":"))
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Platform-Error-Code": error.code}
    return Answer(error.status, headers, iter([body.encode("utf-8", "surrogateescape")]))


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
