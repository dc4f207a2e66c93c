"""The retention that a bucket had before a roll-up set the job's own: what a rollback sets back.

Only of buckets that were there before; one that this tool made goes with its points.
"""

from typing import Literal

from ts_migration.influxdb.buckets import BucketInfo, find, set_retention
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import Manifest, read_manifest
from ts_migration.objects import ExportBucket, TablePlace


class RetentionManifest(Manifest):
    """Retention of one bucket, seconds, 0 for ever: before the first roll-up, and as the newest set it."""

    stage: Literal["retention"] = "retention"
    bucket: str
    bucket_id: str
    before_s: int
    set_s: int


def set_and_remember(
    bucket: ExportBucket, place: TablePlace, target: Target, there: BucketInfo, retention_s: int, policy: RetryPolicy
) -> None:
    """Set a bucket's retention; what it was is written down first.

    Raises:
        MigrationError: S3 or InfluxDB failed.
    """
    if not there.made_here and there.retention_s != retention_s:
        known = read_manifest(RetentionManifest, bucket, place.retention)
        same = known is not None and known.bucket_id == there.id and known.set_s == there.retention_s
        before = known.before_s if known is not None and same else there.retention_s
        RetentionManifest(bucket=there.name, bucket_id=there.id, before_s=before, set_s=retention_s).write(
            bucket, place.retention
        )
    retrying(lambda: set_retention(target, there.name, retention_s), policy)


def set_back(bucket: ExportBucket, place: TablePlace, target: Target, policy: RetryPolicy) -> str:
    """Set the retention back, unless somebody has changed it since or points would expire; what was done, or why not.

    "" where a roll-up had set none, or the bucket is gone.

    Raises:
        MigrationError: S3 or InfluxDB failed.
    """
    known = read_manifest(RetentionManifest, bucket, place.retention)
    if known is None:
        return ""
    there = retrying(lambda: find(target, known.bucket), policy)
    told = ""
    if there is not None and there.id == known.bucket_id:
        was = _words(known.before_s)
        if there.retention_s != known.set_s:
            told = f"bucket {known.bucket!r} keeps points {_words(there.retention_s)}, which somebody has set since"
        elif known.before_s and (not there.retention_s or known.before_s < there.retention_s):
            told = f"bucket {known.bucket!r} kept points {was} before; not set back, for points would expire"
        else:
            retrying(lambda: set_retention(target, known.bucket, known.before_s), policy)
            told = f"bucket {known.bucket!r} keeps points {was} again, as before the job"
    bucket.delete(place.retention)
    return told


def _words(seconds: int) -> str:
    return f"for {seconds / 86_400:,.6g} days" if seconds else "for ever"
