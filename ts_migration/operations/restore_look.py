"""Looks at what restores and backups of shards need: an operator token, and a bucket that the job may make or has made.

A probe bucket without shards is restored, and deleted again. Jobs that load by line protocol and are proven by queries
need none of it.
"""

import uuid
from contextlib import suppress

from ts_migration.config import MigrationJob
from ts_migration.errors import MigrationError, Missing, Transient
from ts_migration.influxdb import buckets
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restored_buckets import why_not_restored
from ts_migration.influxdb.restoring import OPERATOR, make_bucket
from ts_migration.objects import ExportBucket
from ts_migration.operations.findings import Finding, accessible, failed
from ts_migration.stages.bulk_way import wanted_bucket


def needs_operator(job: MigrationJob) -> bool:
    """Whether a job takes or gives shards as they are stored."""
    return job.load == "bulk" or job.proof == "storage"


def look_at_restore(job: MigrationJob, bucket: ExportBucket | None, target: Target) -> Finding:
    """Whether a job's shards can be restored and backed up."""
    name = f"restore into InfluxDB bucket {job.target_bucket}"
    try:
        if job.load == "bulk" and bucket is not None:
            refused = why_not_restored(wanted_bucket(job), bucket, target)
            if refused is not None:
                raise refused
        _probe(target)
    except MigrationError as error:
        return failed(name, error, OPERATOR)
    return accessible(name, "an operator token; the bucket will be made with its shards, or was")


def _probe(target: Target) -> None:
    """Restore a bucket and delete it.

    Raises:
        NotAnOperator: the token may not.
    """
    name = f"ts-migration-probe-{uuid.uuid4().hex[:12]}"
    try:
        make_bucket(target, name, [], 3600)
    finally:
        with suppress(Missing, Transient):
            found = buckets.find(target, name)
            if found is not None:
                buckets.delete(target, found)
