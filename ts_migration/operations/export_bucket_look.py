"""Looks at the export bucket: it is there, lies in the tables' Region, takes an object, gives it back and deletes it.

Writes one probe object under the bulk prefix and takes it away again.
"""

import uuid

from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.errors import MigrationError
from ts_migration.objects import BULK_PREFIX, ExportBucket, aws_error
from ts_migration.operations.findings import Finding, FindingStatus, accessible, failed

PROBE_PREFIX = f"{BULK_PREFIX}_probe/"
"""Under the prefix that the guide's cleanup deletes: a probe that could not be taken away goes with it."""

_PERMISSIONS = (
    "s3:ListBucket, s3:GetBucketLocation, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload"
)


def look_at_export_bucket(bucket: ExportBucket, region: str) -> Finding:
    """The export bucket as it is found.

    Args:
        bucket: by the client that the migration uses.
        region: the Region of the source tables; UNLOAD writes to no other (docs, UNLOAD prerequisites).
    """
    name = f"S3 bucket {bucket.name}"
    try:
        found_region = _region(bucket)
        if found_region != region:
            return Finding(
                name,
                FindingStatus.FAILED,
                f"it lies in {found_region} and the tables in {region}; UNLOAD writes to its own Region only",
                "set S3_EXPORT_BUCKET to a bucket of the tables' Region, or pass --region",
            )
        _round_trip(bucket)
    except MigrationError as error:
        return failed(name, error, f"set S3_EXPORT_BUCKET, and allow {_PERMISSIONS} on it")
    return accessible(name, f"writable, in {found_region}")


def _region(bucket: ExportBucket) -> str:
    try:
        answer = bucket.client.get_bucket_location(Bucket=bucket.name)
    except (ClientError, BotoCoreError) as error:
        raise aws_error(error, bucket.uri("")) from error
    # us-east-1 answers null and eu-west-1 may answer EU, as S3 has done since before Regions had names.
    location: str | None = answer.get("LocationConstraint")
    return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(location, location) or "us-east-1"


def _round_trip(bucket: ExportBucket) -> None:
    key, body = f"{PROBE_PREFIX}{uuid.uuid4().hex}", b"ts-migration asks whether it may write here"
    bucket.put(key, body, "text/plain")
    try:
        if bucket.get(key) != body:
            raise MigrationError("an object that was just written reads back differently", where=bucket.uri(key))
        next(iter(bucket.list(PROBE_PREFIX)), None)
    finally:
        bucket.delete(key)
