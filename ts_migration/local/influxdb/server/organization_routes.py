"""`/api/v2/setup`, `/api/v2/orgs`, `/api/v2/users` and `/api/v2/me`: as much as clients ask for."""

from typing import Any
from urllib.parse import quote

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import Organization, User
from ts_migration.local.influxdb.server.authorization_routes import authorization_json
from ts_migration.local.influxdb.server.bucket_routes import bucket_json
from ts_migration.local.influxdb.server.exchange import Call, Reply, checked_id, json_reply, rfc3339


def organization_json(organization: Organization) -> dict[str, Any]:
    """An organisation as the API shows it."""
    own, name = f"/api/v2/orgs/{organization.id}", quote(organization.name)
    links = {kind: f"{own}/{kind}" for kind in ("labels", "logs", "members", "owners", "secrets")}
    links |= {kind: f"/api/v2/{kind}?org={name}" for kind in ("buckets", "dashboards", "tasks")} | {"self": own}
    return {
        "links": dict(sorted(links.items())),
        "id": organization.id,
        "name": organization.name,
        "description": organization.description,
        "createdAt": rfc3339(organization.created_ns),
        "updatedAt": rfc3339(organization.updated_ns),
    }


def user_json(user: User) -> dict[str, Any]:
    """A user as the API shows it."""
    return {"links": {"self": f"/api/v2/users/{user.id}"}, "id": user.id, "name": user.name, "status": "active"}


def setup_allowed(call: Call) -> Reply:
    """`GET /api/v2/setup`."""
    return json_reply({"allowed": not call.services.catalog.onboarded})


def setup(call: Call) -> Reply:
    """`POST /api/v2/setup`."""
    catalog = call.services.catalog
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"failed to decode request: {error}") from error
    for name in ("username", "org", "bucket"):
        if not content.get(name):
            raise Refusal("unprocessable entity", f"{name} is empty")
    seconds = int(content.get("retentionPeriodSeconds") or int(content.get("retentionPeriodHrs") or 0) * 3600)
    catalog.onboard(
        username=str(content["username"]),
        org=str(content["org"]),
        bucket=str(content["bucket"]),
        retention_seconds=seconds,
        token=content.get("token"),
    )
    organization = catalog.organization(name=str(content["org"]))
    return json_reply(
        {
            "user": user_json(catalog.users()[0]),
            "bucket": bucket_json(catalog.bucket_named(organization.id, str(content["bucket"]))),
            "org": organization_json(organization),
            "auth": authorization_json(call, catalog.authorizations()[0]),
        },
        201,
    )


def list_organizations(call: Call) -> Reply:
    """`GET /api/v2/orgs`, all that the token may read or the one that is named."""
    caller, catalog = call.authorization, call.services.catalog
    if name := call.query.get("org"):
        found = [catalog.organization(name=name)]
    elif org_id := call.query.get("orgID"):
        found = [catalog.organization(id_=checked_id(org_id))]
    else:
        found = catalog.organizations()
    offset = int(call.query.get("offset") or 0)
    limit = int(call.query.get("limit") or 20)
    # Every token may see the organisation it belongs to, as clients look its id up by name.
    shown = [one for one in found if one.id == caller.org_id or caller.allows("read", "orgs", one.id, one.id)]
    page = [organization_json(one) for one in shown[offset : offset + limit]]
    return json_reply({"links": {"self": "/api/v2/orgs"}, "orgs": page})


def find_organization(call: Call) -> Reply:
    """`GET /api/v2/orgs/{id}`."""
    _ = call.authorization
    return json_reply(organization_json(call.services.catalog.organization(id_=checked_id(call.parameters["id"]))))


def create_organization(call: Call) -> Reply:
    """`POST /api/v2/orgs`."""
    if not call.authorization.allows("write", "orgs", None):
        raise Refusal("unauthorized", "write:orgs is unauthorized")
    try:
        content = call.json()
    except ValueError as error:
        raise Refusal("invalid", f"failed to unmarshal json: {error}") from error
    if not content.get("name"):
        raise Refusal("invalid", "org name is empty")
    made = call.services.catalog.create_organization(str(content["name"]), str(content.get("description") or ""))
    return json_reply(organization_json(made), 201)


def me(call: Call) -> Reply:
    """`GET /api/v2/me`: the user behind the token."""
    return json_reply(user_json(call.services.catalog.user(call.authorization.user_id)))


def list_users(call: Call) -> Reply:
    """`GET /api/v2/users`."""
    _ = call.authorization
    users = [user_json(user) for user in call.services.catalog.users()]
    return json_reply({"links": {"self": "/api/v2/users"}, "users": users})
