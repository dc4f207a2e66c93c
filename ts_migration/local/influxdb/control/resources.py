"""The resources of the control API as values, and how they are written to and read from the catalog's JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation; times in ns."""

    id: str
    name: str
    description: str
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class User:
    """A user; passwords are not kept, only tokens open the embedded server."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """A bucket's name and rules; retention 0 keeps for ever; durations in seconds, times in ns."""

    id: str
    org_id: str
    name: str
    description: str | None
    type: str
    retention_seconds: int
    shard_group_seconds: int
    created_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Permission:
    """The right to `read` or `write` one kind of resource; None where it is not narrowed to an id or organisation."""

    action: str
    type: str
    org_id: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """A token and what it may do."""

    id: str
    token: str
    org_id: str
    user_id: str
    description: str
    permissions: tuple[Permission, ...]
    created_ns: int
    status: str = "active"

    def allows(self, action: str, type_: str, org_id: str | None, id_: str | None = None) -> bool:
        """Whether the token may do this to a resource of this type, organisation and id."""
        return self.status == "active" and any(
            permission.action == action
            and permission.type == type_
            and permission.org_id in (None, org_id)
            and permission.id in (None, id_)
            for permission in self.permissions
        )


RESOURCE_TYPES = (
    "authorizations", "buckets", "dashboards", "orgs", "tasks", "telegrafs", "users", "variables", "secrets", "labels",
    "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "notebooks", "annotations",
    "remotes", "replications",
)  # fmt: skip


def operator_permissions() -> tuple[Permission, ...]:
    """Everything, in every organisation: what the token of the first setup has."""
    return tuple(Permission(action, type_) for type_ in RESOURCE_TYPES for action in ("read", "write"))


@dataclass(slots=True)
class Resources:
    """Everything the catalog holds, by id, in the order of creation."""

    organizations: dict[str, Organization] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    buckets: dict[str, BucketInfo] = field(default_factory=dict)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    last_id: int = 0

    def to_json(self) -> dict[str, Any]:
        """The content of the catalog's file."""
        return {
            "format": 1,
            "organizations": [asdict(one) for one in self.organizations.values()],
            "users": [asdict(one) for one in self.users.values()],
            "buckets": [asdict(one) for one in self.buckets.values()],
            "authorizations": [asdict(one) for one in self.authorizations.values()],
            "last_id": self.last_id,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Resources":
        """The inverse of `to_json`."""
        authorizations = [
            Authorization(**(one | {"permissions": tuple(Permission(**right) for right in one["permissions"])}))
            for one in content["authorizations"]
        ]
        return cls(
            organizations={one["id"]: Organization(**one) for one in content["organizations"]},
            users={one["id"]: User(**one) for one in content["users"]},
            buckets={one["id"]: BucketInfo(**one) for one in content["buckets"]},
            authorizations={one.id: one for one in authorizations},
            last_id=content["last_id"],
        )
