"""`/api/v2/authorizations`: tokens, listed, made, switched off, deleted."""

from typing import Any

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import RESOURCE_TYPES, Authorization, Permission
from ts_migration.local.influxdb.server.exchange import Call, Reply, checked_id, json_reply, rfc3339


def authorization_json(call: Call, one: Authorization) -> dict[str, Any]:
    """A token as the API shows it, names of user and organisation included."""
    catalog = call.services.catalog
    return {
        "links": {"self": f"/api/v2/authorizations/{one.id}", "user": f"/api/v2/users/{one.user_id}"},
        "id": one.id,
        "token": one.token,
        "status": one.status,
        "description": one.description,
        "orgID": one.org_id,
        "org": catalog.organization(id_=one.org_id).name,
        "userID": one.user_id,
        "user": catalog.user(one.user_id).name,
        "permissions": [_permission_json(right) for right in one.permissions],
        "createdAt": rfc3339(one.created_ns),
        "updatedAt": rfc3339(one.created_ns),
    }


def _permission_json(right: Permission) -> dict[str, Any]:
    resource = {"type": right.type} | ({"id": right.id} if right.id else {})
    return {"action": right.action, "resource": resource | ({"orgID": right.org_id} if right.org_id else {})}


def _permission(content: dict[str, Any]) -> Permission:
    resource = content.get("resource") or {}
    action, type_ = content.get("action"), resource.get("type")
    if action not in ("read", "write"):
        raise Refusal("invalid", f"unknown action: {action!r}, allowed are read and write")
    if type_ not in RESOURCE_TYPES:
        raise Refusal("invalid", f"unknown resource type for permission: {type_!r}")
    org_id, id_ = resource.get("orgID"), resource.get("id")
    return Permission(action, type_, checked_id(org_id) if org_id else None, checked_id(id_) if id_ else None)


def _visible(call: Call, one: Authorization) -> bool:
    return call.authorization.allows("read", "authorizations", one.org_id, one.id)


def list_all(call: Call) -> Reply:
    """`GET /api/v2/authorizations`, with the filters of the client."""
    found = [one for one in call.services.catalog.authorizations() if _visible(call, one)]
    filters = {"orgID": "org_id", "userID": "user_id"}
    for parameter, attribute in filters.items():
        if wanted := call.query.get(parameter):
            found = [one for one in found if getattr(one, attribute) == wanted]
    if org := call.query.get("org"):
        org_id = call.services.catalog.organization(name=org).id
        found = [one for one in found if one.org_id == org_id]
    if token := call.query.get("token"):
        found = [one for one in found if one.token == token]
    shown = [authorization_json(call, one) for one in found]
    return json_reply({"links": {"self": "/api/v2/authorizations"}, "authorizations": shown})


def find(call: Call) -> Reply:
    """`GET /api/v2/authorizations/{id}`."""
    return json_reply(authorization_json(call, _found(call, "read")))


def _found(call: Call, action: str) -> Authorization:
    caller = call.authorization
    one = call.services.catalog.authorization(checked_id(call.parameters["id"]))
    if not caller.allows(action, "authorizations", one.org_id, one.id):
        raise Refusal("unauthorized", f"{action}:authorizations/{one.id} is unauthorized")
    return one


def create(call: Call) -> Reply:
    """`POST /api/v2/authorizations`: no token may grant what it does not have."""
    caller = call.authorization
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"invalid json structure: {error}") from error
    org_id = checked_id(str(content.get("orgID") or ""))
    if not caller.allows("write", "authorizations", org_id):
        raise Refusal("unauthorized", "write:authorizations is unauthorized")
    rights = tuple(_permission(one) for one in content.get("permissions") or ())
    if not rights:
        raise Refusal("invalid", "authorization must include permissions")
    for right in rights:
        if not caller.allows(right.action, right.type, right.org_id or org_id, right.id):
            raise Refusal("forbidden", f"permission {right.action}:{right.type} is not allowed")
    user_id = str(content.get("userID") or caller.user_id)
    made = call.services.catalog.create_authorization(
        org_id, user_id, str(content.get("description") or ""), rights, status=str(content.get("status") or "active")
    )
    return json_reply(authorization_json(call, made), 201)


def update(call: Call) -> Reply:
    """`PATCH /api/v2/authorizations/{id}`: status and description."""
    one = _found(call, "write")
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"invalid json structure: {error}") from error
    if content.get("status") not in (None, "active", "inactive"):
        raise Refusal("invalid", "status must be active or inactive")
    updated = call.services.catalog.update_authorization(one.id, content.get("status"), content.get("description"))
    return json_reply(authorization_json(call, updated))


def delete(call: Call) -> Reply:
    """`DELETE /api/v2/authorizations/{id}`."""
    call.services.catalog.delete_authorization(_found(call, "write").id)
    return Reply(204)
