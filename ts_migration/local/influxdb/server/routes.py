"""Which handler answers which path and method."""

import re
from collections.abc import Mapping

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.server import (
    authorization_routes,
    bucket_routes,
    deleting,
    health_routes,
    organization_routes,
    querying,
    restoring,
    writing,
)
from ts_migration.local.influxdb.server.exchange import Handler

_ROUTES: dict[str, dict[str, Handler]] = {
    "/health": {"GET": health_routes.health},
    "/ping": {"GET": health_routes.ping, "HEAD": health_routes.ping},
    "/ready": {"GET": health_routes.ready},
    "/metrics": {"GET": health_routes.metrics},
    "/write": {"POST": writing.write_v1},
    "/query": {"GET": querying.query_influxql, "POST": querying.query_influxql},
    "/api/v2/write": {"POST": writing.write},
    "/api/v2/delete": {"POST": deleting.delete},
    "/api/v2/query": {"POST": querying.query_flux},
    "/api/v2/query/analyze": {"POST": querying.analyze_flux},
    "/api/v2/setup": {"GET": organization_routes.setup_allowed, "POST": organization_routes.setup},
    "/api/v2/orgs": {"GET": organization_routes.list_organizations, "POST": organization_routes.create_organization},
    "/api/v2/orgs/{id}": {"GET": organization_routes.find_organization},
    "/api/v2/me": {"GET": organization_routes.me},
    "/api/v2/users": {"GET": organization_routes.list_users},
    "/api/v2/buckets": {"GET": bucket_routes.list_all, "POST": bucket_routes.create},
    "/api/v2/restore/bucketMetadata": {"POST": restoring.restore_bucket},
    "/api/v2/restore/shards/{id}": {"POST": restoring.restore_shard},
    "/api/v2/backup/metadata": {"GET": restoring.backup_metadata},
    "/api/v2/backup/shards/{id}": {"GET": restoring.backup_shard},
    "/api/v2/buckets/{id}": {
        "GET": bucket_routes.find,
        "PATCH": bucket_routes.update,
        "DELETE": bucket_routes.delete,
    },
    "/api/v2/authorizations": {"GET": authorization_routes.list_all, "POST": authorization_routes.create},
    "/api/v2/authorizations/{id}": {
        "GET": authorization_routes.find,
        "PATCH": authorization_routes.update,
        "DELETE": authorization_routes.delete,
    },
}
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"/?\Z"), methods) for path, methods in _ROUTES.items()
]


def route(method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
    """The handler of a request and the parameters in its path. Raises Refusal with influxd's 404 and 405."""
    for pattern, methods in _PATTERNS:
        match = pattern.match(path)
        if match is None:
            continue
        handler = methods.get(method)
        if handler is None:
            raise Refusal("method not allowed", f"allow: {', '.join(sorted([*methods, 'OPTIONS']))}")
        return handler, match.groupdict()
    raise Refusal("not found", "path not found")
