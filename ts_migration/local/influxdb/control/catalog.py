"""The control API's state on disk: who exists, what it is called, who may do what. One JSON file, always whole."""

import json
import re
import secrets
import threading
import time
from dataclasses import replace
from pathlib import Path

from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import (
    NANOSECONDS,
    Authorization,
    BucketInfo,
    Organization,
    Permission,
    Resources,
    User,
    operator_permissions,
)
from ts_migration.local.influxdb.storage.manifest import replace_file
from ts_migration.local.influxdb.storage.shard_groups import default_duration

_ID = re.compile(r"[0-9a-fA-F]{16}\Z")
_DAY = 86_400


def is_id(text: str) -> bool:
    """Whether a text is an id as platform.IDFromString takes it: 16 hex digits, not all zero."""
    return bool(_ID.match(text)) and text != "0" * 16


class Catalog:
    """Organisations, users, buckets and authorizations. Thread-safe; every change is on disk on return."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._resources = Resources()
        if path.exists():
            self._resources = Resources.from_json(json.loads(path.read_text("utf-8")))

    def _save(self) -> None:
        replace_file(self._path, json.dumps(self._resources.to_json(), indent=1).encode("utf-8"))

    def _new_id(self) -> str:
        number = max(time.time_ns() >> 8, self._resources.last_id + 1)
        self._resources.last_id = number
        return f"{number:016x}"

    # Setup

    @property
    def onboarded(self) -> bool:
        """Whether the first setup took place."""
        return bool(self._resources.users)

    def onboard(self, *, username: str, org: str, bucket: str, retention_seconds: int, token: str | None) -> None:
        """The first setup: a user, an organisation, a bucket and an operator token."""
        with self._lock:
            if self.onboarded:
                raise Refusal("conflict", "onboarding has already been completed")
            user = User(self._new_id(), username)
            self._resources.users[user.id] = user
            organization = self.create_organization(org, "")
            self.create_bucket(organization.id, bucket, None, retention_seconds, 0)
            self.create_authorization(
                organization.id, user.id, f"{username}'s Token", operator_permissions(), token=token
            )

    # Organisations and users

    def organizations(self) -> list[Organization]:
        """All organisations."""
        with self._lock:
            return list(self._resources.organizations.values())

    def users(self) -> list[User]:
        """All users."""
        with self._lock:
            return list(self._resources.users.values())

    def user(self, user_id: str) -> User:
        """A user by id. Raises Refusal."""
        found = self._resources.users.get(user_id)
        if found is None:
            raise Refusal("not found", "user not found")
        return found

    def organization(self, *, id_: str | None = None, name: str | None = None) -> Organization:
        """An organisation by id or else by name. Raises Refusal."""
        with self._lock:
            if id_ is not None:
                found = self._resources.organizations.get(id_)
                if found is None:
                    raise Refusal("not found", "organization not found")
                return found
            for organization in self._resources.organizations.values():
                if organization.name == name:
                    return organization
            raise Refusal("not found", f'organization name "{name}" not found')

    def create_organization(self, name: str, description: str) -> Organization:
        """A new organisation with the system buckets that a real one has. Raises Refusal."""
        with self._lock:
            if any(one.name == name for one in self._resources.organizations.values()):
                raise Refusal("conflict", f"organization with name {name} already exists")
            now = time.time_ns()
            organization = Organization(self._new_id(), name, description, now, now)
            self._resources.organizations[organization.id] = organization
            for bucket, days, log in (("_tasks", 3, "task"), ("_monitoring", 7, "monitoring")):
                self._put_bucket(organization.id, bucket, f"System bucket for {log} logs", days * _DAY, 0, "system")
            self._save()
            return organization

    # Buckets

    def buckets(self) -> list[BucketInfo]:
        """All buckets, in the order of their ids."""
        with self._lock:
            return sorted(self._resources.buckets.values(), key=lambda bucket: bucket.id)

    def bucket(self, bucket_id: str) -> BucketInfo:
        """A bucket by id. Raises Refusal."""
        found = self._resources.buckets.get(bucket_id.lower())
        if found is None:
            raise Refusal("not found", "bucket not found")
        return found

    def bucket_named(self, org_id: str, text: str) -> BucketInfo:
        """A bucket of an organisation by id or name, as `/api/v2/write` looks it up. Raises Refusal."""
        with self._lock:
            found = self._resources.buckets.get(text.lower()) if is_id(text) else None
            if found is not None and found.org_id == org_id:
                return found
            for bucket in self._resources.buckets.values():
                if bucket.org_id == org_id and bucket.name == text:
                    return bucket
            raise Refusal("not found", f'bucket "{text}" not found')

    def create_bucket(
        self, org_id: str, name: str, description: str | None, retention_seconds: int, shard_group_seconds: int
    ) -> BucketInfo:
        """A new bucket; a shard group of 0 s takes the default of its retention. Raises Refusal."""
        with self._lock:
            self.organization(id_=org_id)
            if not name:
                raise Refusal("invalid", "bucket name cannot be empty")
            self._check_name(org_id, name)
            self._check_durations(retention_seconds, shard_group_seconds)
            bucket = self._put_bucket(org_id, name, description, retention_seconds, shard_group_seconds, "user")
            self._save()
            return bucket

    def _put_bucket(
        self, org_id: str, name: str, description: str | None, retention: int, shard_group: int, type_: str
    ) -> BucketInfo:
        group = shard_group or default_duration(retention * NANOSECONDS) // NANOSECONDS
        now = time.time_ns()
        bucket = BucketInfo(self._new_id(), org_id, name, description, type_, retention, group, now, now)
        self._resources.buckets[bucket.id] = bucket
        return bucket

    def _check_name(self, org_id: str, name: str) -> None:
        if name.startswith("_"):
            raise Refusal("invalid", f"bucket name {name} is invalid. Buckets may not start with underscore")
        if '"' in name:
            raise Refusal("invalid", f"bucket name {name} is invalid. Bucket names may not include quotation marks")
        if any(one.org_id == org_id and one.name == name for one in self._resources.buckets.values()):
            raise Refusal("conflict", f"bucket with name {name} already exists")

    def _check_durations(self, retention: int, shard_group: int) -> None:
        if retention and retention < 3600:
            raise Refusal("internal error", "retention policy duration must be at least 1h0m0s")
        if retention and shard_group > retention:
            raise Refusal("unprocessable entity", "retention policy duration must be greater than the shard duration")

    def update_bucket(
        self,
        bucket_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        retention_seconds: int | None = None,
        shard_group_seconds: int | None = None,
    ) -> BucketInfo:
        """Change what is not None. A new shard group duration counts for shard groups made later. Raises Refusal."""
        with self._lock:
            old = self.bucket(bucket_id)
            if name is not None and name != old.name:
                if old.type == "system":
                    raise Refusal("invalid", "system buckets cannot be renamed")
                self._check_name(old.org_id, name)
            retention = old.retention_seconds if retention_seconds is None else retention_seconds
            group = old.shard_group_seconds if shard_group_seconds is None else shard_group_seconds
            self._check_durations(retention, group)
            new = replace(
                old,
                name=old.name if name is None else name,
                description=old.description if description is None else description,
                retention_seconds=retention,
                shard_group_seconds=group or default_duration(retention * NANOSECONDS) // NANOSECONDS,
                updated_ns=time.time_ns(),
            )
            self._resources.buckets[new.id] = new
            self._save()
            return new

    def delete_bucket(self, bucket_id: str) -> BucketInfo:
        """Delete a bucket; its points are the caller's. Raises Refusal."""
        with self._lock:
            bucket = self.bucket(bucket_id)
            if bucket.type == "system":
                raise Refusal("invalid", "system buckets cannot be deleted")
            del self._resources.buckets[bucket.id]
            self._save()
            return bucket

    # Authorizations

    def authorizations(self) -> list[Authorization]:
        """All tokens."""
        with self._lock:
            return list(self._resources.authorizations.values())

    def authorization(self, authorization_id: str) -> Authorization:
        """A token by the id of its authorization. Raises Refusal."""
        found = self._resources.authorizations.get(authorization_id)
        if found is None:
            raise Refusal("not found", "authorization not found")
        return found

    def by_token(self, token: str) -> Authorization | None:
        """The authorization of an active token, None for any other text."""
        with self._lock:
            for one in self._resources.authorizations.values():
                if one.status == "active" and secrets.compare_digest(one.token.encode(), token.encode()):
                    return one
        return None

    def create_authorization(
        self,
        org_id: str,
        user_id: str,
        description: str,
        permissions: tuple[Permission, ...],
        *,
        token: str | None = None,
        status: str = "active",
    ) -> Authorization:
        """A new token; a random one unless given."""
        with self._lock:
            self.organization(id_=org_id)
            made = token or secrets.token_urlsafe(64)[:86] + "=="
            one = Authorization(self._new_id(), made, org_id, user_id, description, permissions, time.time_ns(), status)
            self._resources.authorizations[one.id] = one
            self._save()
            return one

    def update_authorization(self, authorization_id: str, status: str | None, description: str | None) -> Authorization:
        """Activate, deactivate or describe a token. Raises Refusal."""
        with self._lock:
            old = self.authorization(authorization_id)
            new = replace(old, status=status or old.status, description=description or old.description)
            self._resources.authorizations[new.id] = new
            self._save()
            return new

    def delete_authorization(self, authorization_id: str) -> None:
        """Delete a token. Raises Refusal."""
        with self._lock:
            self.authorization(authorization_id)
            del self._resources.authorizations[authorization_id]
            self._save()
