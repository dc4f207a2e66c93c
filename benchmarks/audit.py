"""How many of thirteen faults the five checks catch, beside the comparison of counts that migrations commonly end with.

The mutation audit on the generated table (`ts-migration audit-validation`), on servers in a folder of its own.
"""

import tempfile
from pathlib import Path

from pydantic import SecretStr

from benchmarks.rows import Row
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.local.audit_table import audit_table
from ts_migration.objects import ExportBucket
from ts_migration.operations.audit import audit
from ts_migration.operations.audit_subject import migrated, subject_of
from ts_migration.timestream.query import TimestreamQuery
from ts_migration_tests.local.influxdb.embedded import running_influxdb
from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream, write_client


def measure(runs: int) -> list[Row]:
    """One row, classes caught. The same every time, so that it is run once, whatever `runs` says."""
    with (
        tempfile.TemporaryDirectory(prefix="ts-migration-bench-") as folder,
        running_s3(Path(folder)) as (endpoint, access_key, secret_key),
        running_timestream(Path(folder), endpoint) as url,
        running_influxdb(Path(folder)) as (influxdb_url, token, org),
    ):
        client = s3_client(endpoint, access_key, secret_key)
        client.create_bucket(Bucket="exports")
        bucket, query = ExportBucket(client, "exports"), TimestreamQuery(query_client(url))
        target = Target(influxdb_url, org, SecretStr(token))
        with (
            audit_table(url, write_client(url)) as config,
            migrated(config, bucket, query, target) as (job, window),
        ):
            found = audit(subject_of(config, job, window, bucket, query), target, RetryPolicy())
    classes, counted = len(found.findings), sum(finding.counts_differ for finding in found.findings)
    return [
        Row(
            "audit: faults caught, no false alarm",
            "a comparison of counts",
            found.caught,
            counted,
            f"of {classes}",
            found.caught / max(counted, 1),
            f"{classes} of {classes}",
            found.passed,
        )
    ]
