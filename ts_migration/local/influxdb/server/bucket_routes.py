"""`/api/v2/buckets`: create, find with paging, update, delete."""

from typing import Any
from urllib.parse import urlencode

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import BucketInfo
from ts_migration.local.influxdb.server.exchange import Call, Reply, checked_id, json_reply, rfc3339

_PATH = "/api/v2/buckets"
_MAX_LIMIT = 100


def bucket_json(bucket: BucketInfo) -> dict[str, Any]:
    """A bucket as the API shows it."""
    own = f"{_PATH}/{bucket.id}"
    links = {
        "labels": f"{own}/labels",
        "members": f"{own}/members",
        "org": f"/api/v2/orgs/{bucket.org_id}",
        "owners": f"{own}/owners",
        "self": own,
        "write": f"/api/v2/write?org={bucket.org_id}&bucket={bucket.id}",
    }
    rule = {
        "type": "expire",
        "everySeconds": bucket.retention_seconds,
        "shardGroupDurationSeconds": bucket.shard_group_seconds,
    }
    described = {} if bucket.description is None else {"description": bucket.description}
    return {
        "id": bucket.id,
        "orgID": bucket.org_id,
        "type": bucket.type,
        **described,
        "name": bucket.name,
        "retentionRules": [rule],
        "createdAt": rfc3339(bucket.created_ns),
        "updatedAt": rfc3339(bucket.updated_ns),
        "links": links,
        "labels": [],
    }


def _may(call: Call, action: str, bucket: BucketInfo) -> bool:
    return call.authorization.allows(action, "buckets", bucket.org_id, bucket.id)


def _found(call: Call, action: str) -> BucketInfo:
    _ = call.authorization
    bucket = call.services.catalog.bucket(checked_id(call.parameters["id"]))
    if not _may(call, action, bucket):
        raise Refusal("unauthorized", f"{action}:orgs/{bucket.org_id}/buckets/{bucket.id} is unauthorized")
    return bucket


def _content(call: Call) -> dict[str, Any]:
    try:
        return call.json()
    except ValueError as error:
        raise Refusal("invalid", f"failed to unmarshal json: {error}") from error


def _durations(content: dict[str, Any]) -> tuple[int, int | None] | None:
    """Retention and shard group duration in seconds; None where the request has no rule."""
    rules = content.get("retentionRules")
    if not rules:
        return None
    every = int(rules[0].get("everySeconds") or 0)
    if every < 0:
        raise Refusal("unprocessable entity", "expiration seconds cannot be negative")
    group = rules[0].get("shardGroupDurationSeconds")
    return every, None if group is None else int(group)


def create(call: Call) -> Reply:
    """`POST /api/v2/buckets`."""
    caller = call.authorization
    content = _content(call)
    org_id = checked_id(str(content.get("orgID") or ""))
    call.services.catalog.organization(id_=org_id)
    if not caller.allows("write", "buckets", org_id):
        raise Refusal("unauthorized", f"write:orgs/{org_id}/buckets is unauthorized")
    every, group = _durations(content) or (0, None)
    description = content.get("description")
    bucket = call.services.catalog.create_bucket(org_id, str(content.get("name") or ""), description, every, group or 0)
    return json_reply(bucket_json(bucket), 201)


def find(call: Call) -> Reply:
    """`GET /api/v2/buckets/{id}`."""
    return json_reply(bucket_json(_found(call, "read")))


def update(call: Call) -> Reply:
    """`PATCH /api/v2/buckets/{id}`."""
    bucket = _found(call, "write")
    content = _content(call)
    every, group = _durations(content) or (None, None)
    updated = call.services.catalog.update_bucket(
        bucket.id,
        name=content.get("name"),
        description=content.get("description"),
        retention_seconds=every,
        shard_group_seconds=group,
    )
    return json_reply(bucket_json(updated))


def delete(call: Call) -> Reply:
    """`DELETE /api/v2/buckets/{id}`, points included."""
    bucket = _found(call, "write")
    call.services.catalog.delete_bucket(bucket.id)
    call.services.engine.drop(bucket.id)
    return Reply(204)


def list_all(call: Call) -> Reply:
    """`GET /api/v2/buckets` with its filters and pages."""
    _ = call.authorization
    query = call.query
    limit, offset = _number(query.get("limit"), 20, 1, _MAX_LIMIT), _number(query.get("offset"), 0, 0, None)
    descending = query.get("descending") == "true"
    found = [bucket for bucket in call.services.catalog.buckets() if _may(call, "read", bucket)]
    if org_id := query.get("orgID"):
        organization = call.services.catalog.organization(id_=checked_id(org_id))
        found = [bucket for bucket in found if bucket.org_id == organization.id]
    elif org := query.get("org"):
        organization = call.services.catalog.organization(name=org)
        found = [bucket for bucket in found if bucket.org_id == organization.id]
    if name := query.get("name"):
        found = [bucket for bucket in found if bucket.name == name]
    if id_ := query.get("id"):
        found = [bucket for bucket in found if bucket.id == checked_id(id_)]
    if after := query.get("after"):
        found = [bucket for bucket in found if bucket.id > checked_id(after)]
    if descending:
        found.reverse()
    page = found[offset : offset + limit]
    links = _links(query, limit, offset, descending, len(page))
    return json_reply({"links": links, "buckets": [bucket_json(bucket) for bucket in page]})


def _number(text: str | None, default: int, low: int, high: int | None) -> int:
    if text is None:
        return default
    if not text.isdigit() or int(text) < low or (high is not None and int(text) > high):
        bounds = f"between {low} and {high}" if high is not None else f"at least {low}"
        raise Refusal("invalid", f"if set, limit and offset must be numbers {bounds}; found {text}")
    return int(text)


def _links(query: Any, limit: int, offset: int, descending: bool, count: int) -> dict[str, str]:
    values = {
        "after": query.get("after"),
        "bucket": query.get("name"),
        "bucketID": query.get("id"),
        "descending": str(descending).lower(),
        "limit": str(limit),
        "org": query.get("org"),
        "orgID": query.get("orgID"),
    }

    def link(at: int) -> str:
        pairs = {name: value for name, value in (values | {"offset": str(at)}).items() if value}
        return f"{_PATH}?{urlencode(sorted(pairs.items()))}"

    links = {"self": link(offset)}
    if count >= limit:
        links["next"] = link(offset + limit)
    if offset > 0:
        links["prev"] = link(max(offset - limit, 0))
    return links
