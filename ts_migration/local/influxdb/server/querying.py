"""`/query` and `/api/v2/query`: what a request asks for, handed to InfluxQL or Flux, and their answer handed back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ts_migration.local.influxdb import flux, influxql
from ts_migration.local.influxdb.answer import Answer
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.flux.errors import ValueProblem
from ts_migration.local.influxdb.flux.values import parse_time
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS, Points
from ts_migration.local.influxdb.server.exchange import Call, Reply, form_of, json_reply
from ts_migration.local.influxdb.server.writing import database_bucket

_TRUE = ("true", "1", "t", "T", "TRUE", "True")


@dataclass(frozen=True, slots=True)
class _Mutations:
    """`points.Mutations` with the rights of the caller's token."""

    call: Call

    def delete(
        self,
        database: str,
        measurement: str | None,
        start_ns: int,
        stop_ns: int,
        where: Callable[[Mapping[str, str]], bool] | None,
    ) -> None:
        bucket = database_bucket(self.call, database, None)
        if bucket is None:
            raise Refusal("not found", f"database not found: {database}")
        if not self.call.authorization.allows("write", "buckets", bucket.org_id, bucket.id):
            raise Refusal("forbidden", "insufficient permissions for write")
        self.call.services.engine.bucket(bucket.id).delete(measurement, start_ns, stop_ns, where)

    def drop_measurement(self, database: str, measurement: str) -> None:
        self.delete(database, measurement, MIN_TIME_NS, MAX_TIME_NS, None)


def query_influxql(call: Call) -> Answer:
    """`GET` or `POST /query`."""
    _ = call.authorization
    asked = dict(call.query)
    if call.method == "POST" and call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        asked = form_of(call.body) | asked
    text = asked.get("q")
    if not text:
        # The server looks for a query in the body then, and stumbles over its missing Content-Type.
        raise Refusal("invalid", "mime: no media type")
    policy = asked.get("rp")

    def source(database: str) -> Points | None:
        bucket = database_bucket(call, database, policy)
        if bucket is None or not call.authorization.allows("read", "buckets", bucket.org_id, bucket.id):
            return None
        return call.services.engine.bucket(bucket.id).snapshot()

    return influxql.execute(
        text,
        database=asked.get("db") or None,
        source=source,
        epoch=asked.get("epoch") or None,
        accept=call.headers.get("accept"),
        chunked=asked.get("chunked") in _TRUE,
        chunk_size=_chunk_size(asked.get("chunk_size")),
        now_ns=call.services.clock(),
        pretty=asked.get("pretty") in _TRUE,
        mutate=_Mutations(call),
        databases=lambda: _databases(call),
    )


def _databases(call: Call) -> list[str]:
    """The v1 databases of the caller's organisation that may be read: `db/rp` names a policy of `db`."""
    org_id = call.authorization.org_id
    names = [
        bucket.name.partition("/")[0]
        for bucket in call.services.catalog.buckets()
        if bucket.org_id == org_id and call.authorization.allows("read", "buckets", org_id, bucket.id)
    ]
    return list(dict.fromkeys(names))


def _chunk_size(text: str | None) -> int:
    """The rows of a chunk: 10,000 unless a positive number is asked for."""
    return int(text) if text and text.isdigit() and int(text) > 0 else 10_000


def query_flux(call: Call) -> Answer:
    """`POST /api/v2/query`: a JSON body, or the bare query as `application/vnd.flux`."""
    _ = call.authorization
    organization = call.organization()
    asked = _flux_body(call)

    def source(name: str) -> Points | None:
        for bucket in call.services.catalog.buckets():
            if bucket.org_id == organization.id and name in (bucket.name, bucket.id):
                readable = call.authorization.allows("read", "buckets", bucket.org_id, bucket.id)
                return call.services.engine.bucket(bucket.id).snapshot() if readable else None
        return None

    def buckets() -> list[flux.BucketRow]:
        return [
            flux.BucketRow(bucket.name, bucket.id, bucket.org_id, bucket.retention_seconds * 10**9)
            for bucket in call.services.catalog.buckets()
            if bucket.org_id == organization.id
            and call.authorization.allows("read", "buckets", bucket.org_id, bucket.id)
        ]

    return flux.execute(
        asked.query,
        dialect=asked.dialect,
        source=source,
        now_ns=call.services.clock() if asked.now_ns is None else asked.now_ns,
        extern=asked.extern,
        buckets=buckets,
    )


@dataclass(frozen=True, slots=True)
class _FluxRequest:
    """The body of a Flux request. `now_ns` is the clock that relative times go by, where the request brings its own."""

    query: str
    dialect: Mapping[str, object] | None = None
    extern: Mapping[str, object] | None = None
    now_ns: int | None = None


def _flux_body(call: Call) -> _FluxRequest:
    if call.headers.get("content-type", "").startswith("application/vnd.flux"):
        return _FluxRequest(call.body.decode("utf-8", "replace"))
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"failed parsing request body as JSON: {error}") from error
    kind = content.get("type") or "flux"
    if kind != "flux":
        raise Refusal("invalid", f'unknown query type: "{kind}"; this server takes flux here and InfluxQL at /query')
    if not content.get("query"):
        raise Refusal("invalid", "request body requires either query or AST")
    now = content.get("now")
    return _FluxRequest(
        str(content["query"]),
        _object(content.get("dialect")),
        _object(content.get("extern")),
        _clock(now) if now else None,
    )


def _object(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, dict) else None


def _clock(text: object) -> int:
    try:
        return parse_time(str(text)).ns
    except ValueProblem as error:
        raise Refusal("invalid", f"failed parsing request body as JSON: now: {error}") from error


def analyze_flux(call: Call) -> Reply:
    """`POST /api/v2/query/analyze`: the syntax errors of a Flux query."""
    _ = call.authorization
    return json_reply(flux.analyze(_flux_body(call).query))
