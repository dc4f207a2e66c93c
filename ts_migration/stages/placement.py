"""Where the points of a finished load are: in a bucket that is still there, or in one that is gone.

A bucket that was dropped, or another InfluxDB under the same configuration, holds none of them, whatever its name. What
loads write is in `load`; what a failed check has done again is in `mending`.
"""

import time
from collections.abc import Callable

from ts_migration.config import MigrationJob
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import LoadManifest, read_manifest
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.windows import NS_PER_S


def target_bucket_id(job: MigrationJob, target: Target, policy: RetryPolicy | None = None) -> str:
    """Id of the job's target bucket as InfluxDB has it now, "" where there is none.

    Without a policy it is asked once: within a stage, which is tried again as a whole.

    Raises:
        Permanent: the token is wrong or the organisation unknown.
        Transient: InfluxDB cannot be reached for now.
    """
    name = job.target_bucket
    found = retrying(lambda: find(target, name), policy) if policy else find(target, name)
    return found.id if found else ""


def expires_before_ns(job: MigrationJob, target: Target, policy: RetryPolicy) -> int | None:
    """The time before which the job's target bucket deletes points, as InfluxDB has it now; None: it keeps all.

    Raises:
        Permanent, Transient: as of `target_bucket_id`.
    """
    found = retrying(lambda: find(target, job.target_bucket), policy)
    return time.time_ns() - found.retention_s * NS_PER_S if found and found.retention_s else None


def forget_load_elsewhere(
    job: MigrationJob, place: WindowPlace, bucket: ExportBucket, target: Callable[[], Target]
) -> bool:
    """Drop the load and the verdicts of a window whose points are not in the bucket that is there now.

    Every stage asks this first: what a load that stands no longer needs may be gone, and has to be made again then.

    Args:
        job: whose table it is.
        place: of the window.
        bucket: the export bucket.
        target: gives InfluxDB; not called for a window that was never loaded.

    Returns:
        Whether something was dropped.
    """
    loaded = read_manifest(LoadManifest, bucket, place.manifest("load"))
    if loaded is None or loaded.bucket_id == target_bucket_id(job, target()):
        return False
    # The verdicts go first: without a load they would be orphans, without them the load is merely not checked.
    bucket.delete(place.verdicts)
    bucket.delete(place.manifest("load"))
    return True
