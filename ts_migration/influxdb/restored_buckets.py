"""Buckets that a job has made by a restore: which shard takes which stretch of time, kept in the export bucket.

A restore declares all shard groups of a bucket at once and cannot add any: they are taken from the job's whole range,
and a bucket that was made in any other way is refused. Requests are in `restoring`.
"""

import time
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ts_migration.errors import Refused
from ts_migration.influxdb.buckets import BucketInfo, describe, find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import BucketThere, make_bucket, shards_of
from ts_migration.influxdb.shard_groups import ShardGroup, groups_of
from ts_migration.manifests import Manifest, read_manifest
from ts_migration.objects import ExportBucket, restored_bucket_key
from ts_migration.windows import Window, iso

_LOOKS, _PAUSE_S = 10, 0.3
"""How long a worker waits for what another one, which is just making the bucket, writes down."""


class RestoredShard(BaseModel):
    """A shard and the stretch of time that it takes, half-open, ns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_ns: int
    end_ns: int
    id: int


class RestoredBucket(Manifest):
    """A bucket that a job makes, or has made: then it has an id and shards."""

    stage: Literal["restored_bucket"] = "restored_bucket"
    job: str
    org: str
    bucket: str
    bucket_id: str = ""
    shard_group_s: int
    shards: tuple[RestoredShard, ...] = ()

    def shard_of(self, start_ns: int, end_ns: int) -> int | None:
        """The shard of a group; None where there is none of exactly this stretch."""
        return next((one.id for one in self.shards if (one.start_ns, one.end_ns) == (start_ns, end_ns)), None)


def read_restored(bucket: ExportBucket, name: str) -> RestoredBucket | None:
    """What is known of a bucket, or None."""
    return read_manifest(RestoredBucket, bucket, restored_bucket_key(name))


def ensure_restored(
    job: str,
    name: str,
    whole: Window,
    shard_group_s: int,
    bucket: ExportBucket,
    target: Target,
    wait: Callable[[float], None] = time.sleep,
) -> BucketInfo:
    """The bucket that a job restores into; made with the shard groups of its whole range unless it is there.

    Args:
        job: its name.
        name: of the bucket.
        whole: the job's range.
        shard_group_s: duration of a shard group, seconds.
        bucket: the export bucket.
        target: InfluxDB.
        wait: between two looks at what another worker does.

    Raises:
        Refused: the bucket exists and this job has not made it, or it lacks shards for the range.
        NotAnOperator: the token may not restore.
    """
    record, there = read_restored(bucket, name), find(target, name)
    plan = RestoredBucket(job=job, org=target.org, bucket=name, shard_group_s=shard_group_s)
    groups = list(groups_of(whole, shard_group_s))
    if there is None:
        key = restored_bucket_key(name)
        # Written first: a bucket of which nobody heard that it was made is known by it.
        record = plan.write(bucket, key)
        try:
            made_id, shards = make_bucket(target, name, groups, shard_group_s)
        except BucketThere:
            there = find(target, name)
        else:
            _made(plan, made_id, shards).write(bucket, key)
            return _described(target, name)
    if there is None:
        raise Refused(f"the bucket {name!r} comes and goes", where=target.url, next_step="run it again")
    for _ in range(_LOOKS):
        if record is not None and record.bucket_id == there.id:
            break
        if record is None or record.bucket_id or not there.made_here:
            raise _strange(job, name, target)
        wait(_PAUSE_S)
        record = read_restored(bucket, name)
    if record is None or record.job != job or record.org != target.org:
        raise _strange(job, name, target, f": it was made for the job {record.job!r}" if record else "")
    if not record.bucket_id:
        shards = shards_of(target, there.id)
        if set(shards) != set(groups):
            raise _strange(job, name, target)
        record = _made(plan, there.id, shards).write(bucket, restored_bucket_key(name))
    missing = [group for group in groups if record.shard_of(group.start_ns, group.end_ns) is None]
    if missing:
        raise Refused(
            f"the bucket {name!r} was made without a shard for {iso(missing[0].start_ns)} to "
            f"{iso(missing[0].end_ns)}, and a restore cannot add one",
            where=f"{target.url}, job {job!r}",
            allowed="the range and shard_group_duration that the bucket was made with",
            next_step="load the windows that were added by `load: line_protocol`, or take the job back by "
            "`ts-migration rollback` and begin anew",
        )
    return there


def _made(plan: RestoredBucket, bucket_id: str, shards: dict[ShardGroup, int]) -> RestoredBucket:
    told = tuple(RestoredShard(start_ns=one.start_ns, end_ns=one.end_ns, id=id_) for one, id_ in shards.items())
    return plan.model_copy(update={"bucket_id": bucket_id, "shards": told})


def _described(target: Target, name: str) -> BucketInfo:
    """The bucket, with the description that says who made it: a server may leave it out."""
    found = find(target, name)
    if found is None:
        raise Refused(f"the bucket {name!r} was made and is gone", where=target.url, next_step="run it again")
    return found if found.made_here else describe(target, found)


def _strange(job: str, name: str, target: Target, why: str = "") -> Refused:
    return Refused(
        f"the bucket {name!r} exists and was not made by a bulk load of this job{why}: shards can only be restored "
        "into a bucket that is made with them",
        where=f"{target.url}, job {job!r}",
        allowed="a target_bucket that does not exist yet",
        next_step="choose another target_bucket, or load: line_protocol; points that this job loaded are taken back by "
        "`ts-migration rollback`",
    )
