"""`/api/v2/restore` and `/api/v2/backup`: buckets made with their shards, and shards' files in and out.

A real server takes whatever file it is given. This one reads it, and refuses one that is broken or holds points of
other shards, unless it is told to be like a real one (`ts-migration local faults`).
"""

import io
import json
import re
import tarfile
from datetime import datetime
from typing import Any

import numpy as np

from ts_migration.errors import Permanent
from ts_migration.influxdb.tsm.columns import TsmColumn, TsmDamaged
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.local.faults.rules import FaultKind
from ts_migration.local.influxdb.control.refusals import Refusal
from ts_migration.local.influxdb.control.resources import NANOSECONDS, BucketInfo
from ts_migration.local.influxdb.points import MAX_TIME_NS, MIN_TIME_NS
from ts_migration.local.influxdb.server.exchange import Call, Reply, json_reply, rfc3339
from ts_migration.local.influxdb.server.gzip_body import decoded
from ts_migration.local.influxdb.storage.bucket import Bucket
from ts_migration.local.influxdb.storage.shard_files import parts_of
from ts_migration.local.influxdb.storage.shard_groups import ShardGroup
from ts_migration.windows import to_ns

_TSM = re.compile(r"\d{9,}-\d{9,}\.tsm\Z")
_BOUNDARY = "ts-migration-embedded"


def restore_bucket(call: Call) -> Reply:
    """`POST /api/v2/restore/bucketMetadata`."""
    _require_operator(call)
    try:
        content = call.json()
        policies = content["retentionPolicies"]
        policy = next(one for one in policies if one["name"] == content["defaultRetentionPolicy"])
        declared = [
            (ShardGroup(_ns(one["startTime"]), _ns(one["endTime"])), [shard["id"] for shard in one["shards"]])
            for one in policy["shardGroups"] or ()
        ]
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise Refusal("invalid", f"failed to decode the bucket's manifest: {error!r}") from error
    catalog, engine = call.services.catalog, call.services.engine
    bucket = catalog.create_bucket(
        str(content["organizationID"]),
        str(content["bucketName"]),
        content.get("description"),
        int(policy["duration"]) // NANOSECONDS,
        int(policy["shardGroupDuration"]) // NANOSECONDS,
    )
    engine.bucket(bucket.id).declare([group for group, _ in declared])
    numbers = engine.shards.numbers_of(bucket.id, [group for group, _ in declared])
    mappings = [{"oldId": old, "newId": numbers[group]} for group, ids in declared for old in ids]
    return json_reply({"id": bucket.id, "name": bucket.name, "shardMappings": mappings}, 201)


def restore_shard(call: Call) -> Reply:
    """`POST /api/v2/restore/shards/{id}`."""
    _require_operator(call)
    _, bucket, group = _shard(call)
    fault = call.services.restores(f"{call.method} {call.path}")
    body = decoded(call.body, call.headers.get("content-encoding", ""))
    try:
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            files = [(entry.name, tar.extractfile(entry)) for entry in tar if entry.name.endswith(".tsm")]
            contents = [(name.rpartition("/")[2], file.read()) for name, file in files if file is not None]
    except tarfile.TarError as error:
        raise Refusal("internal error", f"the shard's archive cannot be read: {error}") from error
    for name, content in contents:
        if not _TSM.match(name):
            raise Refusal("internal error", f"{name} is not named as a file of a shard is")
        columns = _readable(content, name, group, fault)
        keys, parts = parts_of(columns)
        bucket.restore(group, name.removesuffix(".tsm"), keys, parts)
    return Reply(200)


def _readable(content: bytes, name: str, group: ShardGroup, fault: FaultKind | None) -> tuple[TsmColumn, ...]:
    """What a file holds. Of a broken one that is taken all the same nothing can be read."""
    if fault is FaultKind.RESTORE_BROKEN_FILE:
        content = content[: len(content) // 2]
    try:
        columns = read_tsm(content)
    except TsmDamaged as error:
        if fault is not None:
            return ()
        raise Refusal("unprocessable entity", f"the embedded server reads what it restores: {name}: {error}") from error
    outside = sum(int(np.count_nonzero((one.times < group.start) | (one.times >= group.end))) for one in columns)
    if outside and fault is None:
        raise Refusal(
            "unprocessable entity",
            f"the embedded server reads what it restores: {name}: {outside} values of other shards",
        )
    return columns


def backup_metadata(call: Call) -> Reply:
    """`GET /api/v2/backup/metadata`: the parts kv and sql are empty here."""
    _require_operator(call)
    buckets = [_bucket_manifest(call, bucket) for bucket in call.services.catalog.buckets()]
    parts = {"kv": b"", "sql": b"", "buckets": json.dumps(buckets).encode()}
    pieces = [
        f'--{_BOUNDARY}\r\nContent-Disposition: attachment; name="{name}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + body
        + b"\r\n"
        for name, body in parts.items()
    ]
    body = b"".join(pieces) + f"--{_BOUNDARY}--\r\n".encode()
    return Reply(200, body, {"Content-Type": f"multipart/mixed; boundary={_BOUNDARY}"})


def backup_shard(call: Call) -> Reply:
    """`GET /api/v2/backup/shards/{id}`: one file with all that the shard holds."""
    _require_operator(call)
    info, bucket, group = _shard(call)
    packed = io.BytesIO()
    columns = bucket.stored(group)
    with tarfile.open(fileobj=packed, mode="w") as tar:
        if columns:
            try:
                content = b"".join(tsm_file(columns))
            except Permanent as error:
                raise Refusal("internal error", f"the shard cannot be written as a file: {error}") from error
            entry = tarfile.TarInfo(f"{info.id}/autogen/{call.parameters['id']}/000000001-000000001.tsm")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return Reply(200, packed.getvalue(), {"Content-Type": "application/octet-stream"})


def _bucket_manifest(call: Call, bucket: BucketInfo) -> dict[str, Any]:
    engine = call.services.engine
    groups = engine.bucket(bucket.id).groups() if engine.used(bucket.id) else []
    numbers = engine.shards.numbers_of(bucket.id, groups)
    return {
        "organizationID": bucket.org_id,
        "organizationName": call.services.catalog.organization(id_=bucket.org_id).name,
        "bucketID": bucket.id,
        "bucketName": bucket.name,
        "defaultRetentionPolicy": "autogen",
        "retentionPolicies": [
            {
                "name": "autogen",
                "replicaN": 1,
                "duration": bucket.retention_seconds * NANOSECONDS,
                "shardGroupDuration": bucket.shard_group_seconds * NANOSECONDS,
                "shardGroups": [_group_manifest(numbers[group], group) for group in groups],
                "subscriptions": [],
            }
        ],
    }


def _group_manifest(number: int, group: ShardGroup) -> dict[str, Any]:
    return {
        "id": number,
        "startTime": rfc3339(group.start),
        "endTime": rfc3339(group.end),
        "shards": [{"id": number, "shardOwners": []}],
    }


def _shard(call: Call) -> tuple[BucketInfo, Bucket, ShardGroup]:
    """The shard that the path names. One whose group retention has dropped is not there, as in a real server."""
    text = call.parameters["id"]
    found = call.services.engine.shards.find(int(text)) if text.isdigit() else None
    info = next((one for one in call.services.catalog.buckets() if found and one.id == found[0]), None)
    if found is None or info is None:
        raise Refusal("internal error", f"shard {text} doesn't exist on this server")
    bucket, group = call.services.engine.bucket(info.id), found[1]
    expired = info.retention_seconds and group.end <= call.services.clock() - info.retention_seconds * NANOSECONDS
    if expired or group not in bucket.groups():
        raise Refusal("internal error", f"shard {text} doesn't exist on this server")
    return info, bucket, group


def _require_operator(call: Call) -> None:
    """A token of one organisation, however much it may there, is not enough."""
    rights = call.authorization.permissions
    if not any((one.action, one.type, one.org_id) == ("read", "authorizations", None) for one in rights):
        raise Refusal("unauthorized", "read:authorizations is unauthorized")


def _ns(text: str) -> int:
    return min(max(to_ns(datetime.fromisoformat(text)), MIN_TIME_NS), MAX_TIME_NS + 1)
