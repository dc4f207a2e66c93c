"""Requests of restore and backup: a bucket with its shards, files into a shard, and a shard's files out of it.

What `influx restore` and `influx backup` send (facts of InfluxDB's files; seen on 2.7.11 and 2.9.1). The server checks
no file: whoever sends one has decoded it. Nothing here retries.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import IO, Any, cast

from urllib3.exceptions import HTTPError

from ts_migration.errors import MigrationError, Missing, Permanent, Refused, Transient
from ts_migration.influxdb.buckets import MADE_HERE
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.shard_groups import ShardGroup
from ts_migration.windows import NS_PER_S, iso, to_ns

OPERATOR = (
    "use an operator token: that of the server's first setup, or what `influx auth create --operator` makes with it "
    "(docs/permissions.md, also for Timestream for InfluxDB)"
)
TOMBSTONES = ".tombstone"


class NotAnOperator(Permanent):
    """The token is known, and may not restore or back up."""


class BucketThere(Refused):
    """A bucket of that name exists: a restore only makes new ones."""


@dataclass(frozen=True, slots=True)
class ShardFileOf:
    """A file of a shard's backup: its name, and its content."""

    name: str
    content: bytes


def organization_id(target: Target) -> str:
    """Id of the target's organisation.

    Raises:
        Missing: there is none of the name.
    """
    answer = target.request("GET", "/api/v2/orgs", {"org": target.org})
    if answer.status != 200:
        raise target.error(answer, f"the organisation {target.org!r} could not be looked up")
    found = [one for one in json.loads(answer.body).get("orgs") or () if one.get("name") == target.org]
    if not found:
        raise Missing(f"there is no organisation {target.org!r}", where=target.url, next_step="check INFLUXDB_ORG")
    return str(found[0]["id"])


def make_bucket(
    target: Target, name: str, groups: Sequence[ShardGroup], shard_group_s: int
) -> tuple[str, dict[ShardGroup, int]]:
    """A new bucket that keeps points for ever, with all of its shard groups: a restore cannot add any later.

    Returns:
        Its id, and the shard of each group.

    Raises:
        BucketThere: a bucket of the name exists.
        NotAnOperator: the token may not.
    """
    manifest = {
        "organizationID": organization_id(target),
        "organizationName": target.org,
        "bucketID": "0000000000000001",
        "bucketName": name,
        "description": MADE_HERE,
        "defaultRetentionPolicy": "autogen",
        "retentionPolicies": [
            {
                "name": "autogen",
                "replicaN": 1,
                "duration": 0,
                "shardGroupDuration": shard_group_s * NS_PER_S,
                "shardGroups": [
                    {
                        "id": number,
                        "startTime": iso(group.start_ns),
                        "endTime": iso(group.end_ns),
                        "shards": [{"id": number, "shardOwners": []}],
                    }
                    for number, group in enumerate(groups, 1)
                ],
                "subscriptions": [],
            }
        ],
    }
    body = json.dumps(manifest).encode()
    headers = {"Content-Type": "application/json"}
    answer = target.request("POST", "/api/v2/restore/bucketMetadata", headers=headers, body=body)
    if answer.status == 422:
        raise BucketThere(f"the bucket {name!r} exists: {target.clean(answer.words)}", where=target.url)
    if answer.status not in (200, 201):
        raise _error(target, answer, f"the bucket {name!r} could not be made by a restore")
    made = json.loads(answer.body)
    ids = {int(each["oldId"]): int(each["newId"]) for each in made["shardMappings"]}
    if len(ids) != len(groups):
        raise Permanent(
            f"the server made {len(ids):,} shards of {len(groups):,} for the bucket {name!r}", where=target.url
        )
    return str(made["id"]), {group: ids[number] for number, group in enumerate(groups, 1)}


def send_file(target: Target, shard: int, name: str, content: bytes) -> None:
    """Put a file into a shard, in place of one of the same name; its points are there on return.

    Raises:
        Transient: it may or may not be there; sending it again does no harm. Also of a shard that is not (any more).
        NotAnOperator: the token may not.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    headers = {"Content-Type": "application/octet-stream"}
    answer = target.request(
        "POST", f"/api/v2/restore/shards/{shard}", headers=headers, body=cast(bytes, packed.getbuffer())
    )
    if answer.status not in (200, 204):
        raise _error(target, answer, f"the shard {shard} did not take the file {name}")


def settle_writes(target: Target, shard: int) -> None:
    """Have the server write what a shard holds in memory to a file, which files sent from now on come after.

    A backup begins with that; its answer is not read. Without it values that were written lately, and are not in a file
    yet, would hide those of a file.

    Raises:
        Transient, NotAnOperator: see `backup`.
    """
    response = target.open("GET", f"/api/v2/backup/shards/{shard}")
    try:
        if response.status != 200:
            raise _error(target, _read(target, response), f"the shard {shard} could not be backed up")
    finally:
        response.close()


def backup(target: Target, shard: int) -> Iterator[ShardFileOf]:
    """The files of a shard, one in memory at a time.

    Raises:
        Transient: the answer broke off.
        NotAnOperator: the token may not.
    """
    response = target.open("GET", f"/api/v2/backup/shards/{shard}", headers={"Accept-Encoding": "identity"})
    finished = False
    try:
        if response.status != 200:
            raise _error(target, _read(target, response), f"the shard {shard} could not be backed up")
        with tarfile.open(fileobj=cast(IO[bytes], response), mode="r|") as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is not None:
                    yield ShardFileOf(entry.name.rpartition("/")[2], content.read())
        finished = True
    except (tarfile.TarError, EOFError) as error:
        raise Transient(f"the backup of the shard {shard} broke off: {error}", where=target.url) from None
    except (HTTPError, OSError) as error:
        raise target.broken(error) from None
    finally:
        if finished:
            response.drain_conn()
            response.release_conn()
        else:
            response.close()


def shards_of(target: Target, bucket_id: str) -> dict[ShardGroup, int]:
    """The shards of a bucket, from the metadata of a backup.

    Raises:
        Missing: the metadata names no such bucket.
        NotAnOperator: the token may not.
    """
    answer = target.request("GET", "/api/v2/backup/metadata")
    if answer.status != 200:
        raise _error(target, answer, "the metadata of a backup could not be read")
    for manifest in _bucket_manifests(answer):
        if manifest.get("bucketID") == bucket_id:
            groups = [group for policy in manifest["retentionPolicies"] for group in policy["shardGroups"] or ()]
            return {
                ShardGroup(_ns(group["startTime"]), _ns(group["endTime"])): int(group["shards"][0]["id"])
                for group in groups
                if not group.get("deletedAt") and group["shards"]
            }
    raise Missing(f"the metadata of a backup names no bucket {bucket_id}", where=target.url)


def _bucket_manifests(answer: Answer) -> list[dict[str, Any]]:
    """The part `buckets` of a multipart answer."""
    head = f"Content-Type: {answer.headers.get('Content-Type', '')}\r\n\r\n".encode()
    for part in BytesParser(policy=HTTP).parsebytes(head + answer.body).walk():
        if part.get_param("name", header="content-disposition") == "buckets":
            content: list[dict[str, Any]] = json.loads(part.get_payload(decode=True) or b"[]")  # type: ignore[arg-type]
            return content
    return []


def _ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))


def _read(target: Target, response: Any) -> Answer:
    try:
        return Answer(response.status, response.headers, response.read())
    except (HTTPError, OSError) as error:
        raise target.broken(error) from None


def _error(target: Target, answer: Answer, what: str) -> MigrationError:
    if answer.status in (401, 403) and " is unauthorized" in answer.message:
        words = target.clean(answer.words)
        return NotAnOperator(
            f"{what}: {answer.status} {words}: the token is known and may not restore",
            where=target.url,
            next_step=OPERATOR,
        )
    error = target.error(answer, what)
    if answer.status == 500:
        error.next_step = "look whether the bucket is there still, and whether its retention has dropped the shard"
    return error
