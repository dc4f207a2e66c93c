"""Buckets by the control API: find, make, set the retention, and whether the token may write and read.

Points are written in `writer` and read in `reader`.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.reader import counts, measurements, query_rows
from ts_migration.windows import NS_PER_S, Window, iso

Result = TypeVar("Result")

MADE_HERE = "loaded by ts-migration"
"""Description of the buckets that this tool makes."""
_ALL_TIME = Window(-(2**63) + 2, 2**63 - 1)
_MEASUREMENTS = 1_000
"""Of a bucket that may be empty: one with more of them is not."""


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """A bucket as the server knows it. `retention_s` 0 is for ever, `shard_group_s` 0 the server's choice.

    `made_here` is whether its description says that this tool made it.
    """

    id: str
    name: str
    retention_s: int
    shard_group_s: int
    made_here: bool = False


def find(target: Target, name: str) -> BucketInfo | None:
    """The bucket of a name, or None.

    Raises:
        Permanent: the token is wrong or the organisation unknown.
    """

    def ask(client: Any) -> BucketInfo | None:
        found = client.buckets_api().find_buckets(name=name, org=target.org).buckets or []
        return _info(found[0]) if found else None

    try:
        return _controlled(target, f"the bucket {name!r} could not be looked up", ask)
    except Missing as error:
        if "bucket" in error.what and "not found" in error.what and "organization" not in error.what:
            return None
        raise


def ensure(target: Target, name: str, shard_group_s: int) -> BucketInfo:
    """The bucket of a name; made with infinite retention and this shard group duration (seconds) unless it is there.

    Raises:
        Permanent: the token may not make it, or the organisation is unknown.
    """
    known = find(target, name)
    if known:
        return known

    def make(client: Any) -> BucketInfo:
        organisations = client.organizations_api().find_organizations(org=target.org)
        if not organisations:
            raise Missing(f"there is no organisation {target.org!r}", where=target.url, next_step="check INFLUXDB_ORG")
        rule = {"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": shard_group_s}
        made = client.buckets_api().create_bucket(
            bucket_name=name, org_id=organisations[0].id, retention_rules=[rule], description=MADE_HERE
        )
        return _info(made)

    try:
        return _controlled(target, f"the bucket {name!r} could not be made", make)
    except Permanent:
        # Another worker may have made it between the look and the making: the server answers 422.
        known = find(target, name)
        if known:
            return known
        raise


def set_retention(target: Target, name: str, retention_s: int) -> BucketInfo:
    """Set a bucket's retention, seconds, 0 for ever; its shard group duration stays. Points beyond it will be lost.

    Raises:
        Missing: there is no such bucket.
    """
    known = find(target, name)
    if known is None:
        raise Missing(f"there is no bucket {name!r}", where=target.url)

    def change(client: Any) -> BucketInfo:
        api = client.buckets_api()
        bucket = api.find_bucket_by_id(known.id)
        bucket.retention_rules = [
            {"type": "expire", "everySeconds": retention_s, "shardGroupDurationSeconds": known.shard_group_s}
        ]
        return _info(api.update_bucket(bucket=bucket))

    return _controlled(target, f"the retention of the bucket {name!r} could not be set", change)


def describe(target: Target, bucket: BucketInfo) -> BucketInfo:
    """Say in a bucket's description that this tool made it; its rules stay."""

    def change(client: Any) -> BucketInfo:
        api = client.buckets_api()
        found = api.find_bucket_by_id(bucket.id)
        found.description = MADE_HERE
        return _info(api.update_bucket(bucket=found))

    return _controlled(target, f"the bucket {bucket.name!r} could not be described", change)


def delete(target: Target, bucket: BucketInfo) -> None:
    """Delete a bucket with all its points; one that is gone is no error.

    Raises:
        Permanent: the token may not.
        Transient: the server cannot be reached.
    """
    with suppress(Missing):
        _controlled(
            target,
            f"the bucket {bucket.name!r} could not be deleted",
            lambda client: client.buckets_api().delete_bucket(bucket.id),
        )


def is_empty(target: Target, bucket: str) -> bool:
    """Whether a bucket holds no point of any measurement and time. After a delete a measurement may still be named."""
    named = measurements(target, bucket, _MEASUREMENTS)
    return len(named) < _MEASUREMENTS and not any(counts(target, bucket, name, _ALL_TIME) for name in named)


def require_room(target: Target, bucket: BucketInfo, window: Window, clock: Callable[[], float] = time.time) -> None:
    """Refuse a bucket whose retention would drop points of the window: the server would do so at once or within days.

    Raises:
        Refused: with the way out.
    """
    if bucket.retention_s == 0:
        return
    oldest_ns = int(clock() * NS_PER_S) - bucket.retention_s * NS_PER_S
    if window.start_ns < oldest_ns:
        raise Refused(
            f"the bucket {bucket.name!r} keeps points for {bucket.retention_s // 3600:,} h and would drop those of "
            f"the window before {iso(oldest_ns)}",
            where=f"{target.url}, window {window}",
            next_step="set the bucket's retention to infinite (the job's retention_days is set at the end)",
        )


def require_writable(target: Target, bucket: str) -> None:
    """A cheap proof that the token may write: an empty body is answered 204, and writes nothing.

    Raises:
        Permanent: what to fix: the token, its permissions, the bucket or the organisation.
        Transient: the server cannot be reached.
    """
    answer = write_nothing(target, bucket)
    if answer.status != 204:
        raise target.error(answer, f"the token may not write to the bucket {bucket!r}")


def write_nothing(target: Target, bucket: str) -> Answer:
    """The answer to a write with an empty body."""
    return target.request("POST", "/api/v2/write", {"org": target.org, "bucket": bucket, "precision": "ns"}, body=b"")


def require_readable(target: Target, bucket: str) -> None:
    """Whether the token may read by InfluxQL, which a token that only writes may not.

    Raises:
        Permanent: what to fix.
    """
    query_rows(target, bucket, "SHOW MEASUREMENTS LIMIT 1")


def _info(bucket: Any) -> BucketInfo:
    rules = bucket.retention_rules or []
    retention = int(rules[0].every_seconds or 0) if rules else 0
    shard_group = int(rules[0].shard_group_duration_seconds or 0) if rules else 0
    return BucketInfo(str(bucket.id), str(bucket.name), retention, shard_group, bucket.description == MADE_HERE)


def _controlled(target: Target, what: str, call: Callable[[Any], Result]) -> Result:
    """Run a call of influxdb-client; its errors become the product's."""
    from influxdb_client.rest import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return call(target.control)
    except ApiException as error:
        body = error.body if isinstance(error.body, bytes) else str(error.body or error.reason or "").encode()
        raise target.error(Answer(int(error.status or 0), dict(error.headers or {}), body), what) from None
    except (HTTPError, OSError) as error:
        raise target.broken(error) from None
    except json.JSONDecodeError as error:
        raise Permanent(f"{what}: the answer is no JSON: {error}", where=target.url) from None
