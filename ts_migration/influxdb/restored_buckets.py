"""Buckets that a job has made by a restore: which shard takes which stretch of time, kept in the export bucket.

A restore declares all shard groups of a bucket at once and cannot add any: they are those of the job's whole range and
of the time since. A bucket that was made in any other way is refused. Requests are in `restoring`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ts_migration.errors import Refused
from ts_migration.influxdb.buckets import BucketInfo, describe, find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import BucketThere, make_bucket, shards_of
from ts_migration.influxdb.shard_groups import ShardGroup, groups_of
from ts_migration.manifests import Manifest, read_manifest
from ts_migration.objects import ExportBucket, restored_bucket_key
from ts_migration.windows import MAX_TIME_NS, NS_PER_S, Window, iso

_SPARE_GROUPS = 2
"""Declared beyond the present: a catch-up appends windows until the applications are switched over."""
_LOOKS, _PAUSE_S = 10, 0.3
"""How often and how long a worker waits for what another one, which is just making the bucket, writes down."""


class RestoredShard(BaseModel):
    """A shard and the stretch of time that it takes, half-open, ns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_ns: int
    end_ns: int
    id: int


class RestoredBucket(Manifest):
    """A bucket that a job has made by a restore."""

    stage: Literal["restored_bucket"] = "restored_bucket"
    job: str
    org: str
    bucket: str
    bucket_id: str
    shard_group_s: int
    shards: tuple[RestoredShard, ...]

    @property
    def by_group(self) -> Mapping[ShardGroup, int]:
        """The shard of each group."""
        return {ShardGroup(one.start_ns, one.end_ns): one.id for one in self.shards}


class RestoreBegun(Manifest):
    """That a job is about to make a bucket: one of which nobody heard that it was made is known by it."""

    stage: Literal["restore_begun"] = "restore_begun"
    job: str
    org: str
    bucket: str


@dataclass(frozen=True)
class WantedBucket:
    """The bucket that a job restores into.

    Attributes:
        job, name: of the job, and of the bucket.
        whole: the job's range.
        shard_group_s: duration of a shard group, seconds.
    """

    job: str
    name: str
    whole: Window
    shard_group_s: int

    @property
    def groups(self) -> list[ShardGroup]:
        """Shard groups of the whole range."""
        return list(groups_of(self.whole, self.shard_group_s))

    def declared(self, now_ns: int) -> list[ShardGroup]:
        """Shard groups that the bucket is made with: through the present, too, for an end_time may become later."""
        spare = _SPARE_GROUPS * self.shard_group_s * NS_PER_S
        end = min(max(self.whole.end_ns, now_ns + spare), MAX_TIME_NS)
        return list(groups_of(Window(self.whole.start_ns, max(end, self.whole.end_ns)), self.shard_group_s))


def read_restored(bucket: ExportBucket, name: str) -> RestoredBucket | None:
    """What is known of a bucket, or None."""
    return read_manifest(RestoredBucket, bucket, restored_bucket_key(name))


def ensure_restored(
    wanted: WantedBucket, bucket: ExportBucket, target: Target, wait: Callable[[float], None] = time.sleep
) -> BucketInfo:
    """The bucket, made with shard groups for the job's whole range and the time since unless it is there.

    Args:
        wanted: the bucket.
        bucket: the export bucket.
        target: InfluxDB.
        wait: between two looks at what another worker does.

    Raises:
        Refused: the bucket exists and this job has not made it, or it lacks shards for the range.
        NotAnOperator: the token may not restore.
    """
    there = find(target, wanted.name)
    if there is None:
        RestoreBegun(job=wanted.job, org=target.org, bucket=wanted.name).write(bucket, _begun_key(wanted.name))
        try:
            made = make_bucket(target, wanted.name, wanted.declared(time.time_ns()), wanted.shard_group_s)
        except BucketThere:
            # Another worker was quicker, or the answer to an earlier request was lost.
            there = find(target, wanted.name)
            if there is None:
                raise
        else:
            _remember(wanted, bucket, target, *made)
            there = find(target, wanted.name)
        if there is None:
            raise Refused(
                f"the bucket {wanted.name!r} was made and is gone", where=target.url, next_step="run it again"
            )
    # The record is written before the beginning is deleted: in this order one of them is seen.
    begun = read_manifest(RestoreBegun, bucket, _begun_key(wanted.name))
    record = read_restored(bucket, wanted.name)
    looks = 0
    while record is None or record.bucket_id != there.id:
        if begun is None or begun.job != wanted.job:
            raise _strange(wanted, target)
        if looks == _LOOKS:
            record = _adopted(wanted, there, bucket, target)
            break
        wait(_PAUSE_S)
        looks += 1
        record = read_restored(bucket, wanted.name)
    else:
        if begun is not None:
            # Left by a worker that lost the race: a stranger's bucket of this name would be taken for the job's by it.
            bucket.delete(_begun_key(wanted.name))
    refused = _unfit(wanted, record, target)
    if refused is not None:
        raise refused
    # A server may have left out the description that says who made it.
    return there if there.made_here else describe(target, there)


def why_not_restored(wanted: WantedBucket, bucket: ExportBucket, target: Target) -> Refused | None:
    """Why a job cannot restore into its bucket as it is now; None where it can, or where there is no bucket yet."""
    there = find(target, wanted.name)
    if there is None:
        return None
    begun = read_manifest(RestoreBegun, bucket, _begun_key(wanted.name))
    record = read_restored(bucket, wanted.name)
    if record is None or record.bucket_id != there.id:
        return None if begun is not None and begun.job == wanted.job else _strange(wanted, target)
    return _unfit(wanted, record, target)


def _begun_key(name: str) -> str:
    return restored_bucket_key(name).replace(".json", ".begun.json")


def _remember(
    wanted: WantedBucket, bucket: ExportBucket, target: Target, id_: str, shards: Mapping[ShardGroup, int]
) -> RestoredBucket:
    told = (RestoredShard(start_ns=one.start_ns, end_ns=one.end_ns, id=shard) for one, shard in shards.items())
    record = RestoredBucket(
        job=wanted.job,
        org=target.org,
        bucket=wanted.name,
        bucket_id=id_,
        shard_group_s=wanted.shard_group_s,
        shards=tuple(told),
    ).write(bucket, restored_bucket_key(wanted.name))
    bucket.delete(_begun_key(wanted.name))
    return record


def _adopted(wanted: WantedBucket, there: BucketInfo, bucket: ExportBucket, target: Target) -> RestoredBucket:
    """The record of a bucket that was made for this job by somebody who did not live to write it down."""
    shards = shards_of(target, there.id)
    if not set(shards) >= set(wanted.groups):
        raise _strange(wanted, target)
    return _remember(wanted, bucket, target, there.id, shards)


def _unfit(wanted: WantedBucket, record: RestoredBucket, target: Target) -> Refused | None:
    if record.job != wanted.job or record.org != target.org:
        return _strange(wanted, target, f": it was made for the job {record.job!r}")
    missing = [group for group in wanted.groups if group not in record.by_group]
    if not missing:
        return None
    return Refused(
        f"the bucket {wanted.name!r} was made without a shard for {iso(missing[0].start_ns)} to "
        f"{iso(missing[0].end_ns)}, and a restore cannot add one",
        where=f"{target.url}, job {wanted.job!r}",
        allowed="the shard_group_duration, and a range within that, that the bucket was made with",
        next_step="load the windows that were added by `load: line_protocol`, or take the job back by "
        "`ts-migration rollback` and begin anew",
    )


def _strange(wanted: WantedBucket, target: Target, why: str = "") -> Refused:
    return Refused(
        f"the bucket {wanted.name!r} exists and was not made by a bulk load of this job{why}: shards can only be "
        "restored into a bucket that is made with them",
        where=f"{target.url}, job {wanted.job!r}",
        allowed="a target_bucket that does not exist yet",
        next_step="choose another target_bucket, or load: line_protocol; points that this job loaded are taken back by "
        "`ts-migration rollback`",
    )
