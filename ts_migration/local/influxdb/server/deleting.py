"""`/api/v2/delete`: a time range with both ends and a predicate."""

import re
from datetime import UTC, datetime

from ts_migration.local.influxdb.control.predicate import parse_predicate
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS
from ts_migration.local.influxdb.server.exchange import Call, Reply

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)\Z")


def delete(call: Call) -> Reply:
    """`POST /api/v2/delete`."""
    _ = call.authorization
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"error decoding json body: {error}") from error
    start = _time(content, "start")
    stop = _time(content, "stop")
    chosen = parse_predicate(str(content.get("predicate") or ""))
    name = call.query.get("bucket") or call.query.get("bucketID")
    organization = call.organization()
    if not name:
        raise Refusal("invalid", "Please provide either bucketID or bucket")
    bucket = call.services.catalog.bucket_named(organization.id, name)
    if not call.authorization.allows("write", "buckets", bucket.org_id, bucket.id):
        raise Refusal("forbidden", "insufficient permissions to delete")
    call.services.engine.bucket(bucket.id).delete_where(chosen, start, stop)
    return Reply(204)


def _time(content: dict[str, object], name: str) -> int:
    match = _RFC3339.match(str(content.get(name) or ""))
    try:
        if match is None:
            raise ValueError(name)
        moment = datetime.fromisoformat(match[1] + ("+00:00" if match[3] == "Z" else match[3]))
    except ValueError as error:
        raise Refusal(
            "invalid",
            f"error decoding json body: invalid RFC3339Nano for field {name}, please format your time with "
            "RFC3339Nano format, example: 2009-01-02T23:00:00Z",
        ) from error
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (delta.days * 86_400 + delta.seconds) * 10**9 + int((match[2] or "").ljust(9, "0"))
    return min(max(ns, MIN_TIME_NS), MAX_TIME_NS)
