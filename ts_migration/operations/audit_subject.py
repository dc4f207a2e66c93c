"""The window that an audit copies: the smallest proven one of a configuration, or that of a table made for the audit.

What the bucket must hold of it is taken from the window's own manifests and asked of Timestream, as its checks do.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Missing, Permanent
from ts_migration.influxdb.buckets import delete, find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.objects import ExportBucket
from ts_migration.operations.audit import AuditSubject
from ts_migration.stages.check import chain_of, check_window, export_reading, kept_coverage, source_reading
from ts_migration.stages.convert import convert_window
from ts_migration.stages.expectation import Expectation
from ts_migration.stages.export import export_window
from ts_migration.stages.load import load_window
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import WindowStatus, proof_of
from ts_migration.stages.table import begin_table, frozen_mapping
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.readings import sample_rows, source_counts
from ts_migration.timestream.series import distinct_records
from ts_migration.windows import Window


def smallest_proven(
    config: MigrationConfig, jobs: Sequence[MigrationJob], bucket: ExportBucket, target: Target, policy: RetryPolicy
) -> tuple[MigrationJob, Window]:
    """The proven window with the fewest values that has any.

    Raises:
        Missing: no window is proven.
    """
    found = [
        (sum(proof.values.values()), proof.key, job, proof.window)
        for job in jobs
        for proof in proof_of(config, job, bucket, target_bucket_id(job, target, policy)).windows
        if proof.status is WindowStatus.PROVEN and proof.values
    ]
    if not found:
        raise Missing(
            "no window with values is proven",
            where=", ".join(job.job_name for job in jobs),
            next_step="run `ts-migration execute`, or leave --config out: a generated table is audited then",
        )
    _, _, job, window = min(found, key=lambda each: each[:2])
    return job, window


def subject_of(
    config: MigrationConfig,
    job: MigrationJob,
    window: Window,
    bucket: ExportBucket,
    query: TimestreamQuery,
    *,
    seed: int | None = None,
) -> AuditSubject:
    """A proven window as the audit takes it. Its tolerances are left aside: an audit allows none.

    Raises:
        MigrationError: its manifests do not belong together, or Timestream cannot be asked.
    """
    place = config.place(job)
    own, mapping = place.window(window.key), frozen_mapping(job, place, bucket)
    chain = chain_of(job, own, window, mapping, bucket)
    schema = describe(query, job.source_database, job.source_table)
    chosen = secrets.randbits(32) if seed is None else seed
    counts = source_counts(query, schema, mapping, window)
    sample = sample_rows(query, schema, window, config.validation_rules.sample_size, chosen, chain.export.rows)
    expectation = Expectation(
        window=window,
        mapping=mapping,
        source=source_reading(counts, sample, mapping, chain.converted),
        reading=export_reading(chain.export, chain.converted, kept_coverage(bucket, chain)),
        export=chain.export,
        converted=chain.converted,
        bucket=bucket,
    )
    return AuditSubject(expectation, chain.loaded.bucket, distinct_records(query, schema, mapping, window))


@contextmanager
def migrated(
    config: MigrationConfig, bucket: ExportBucket, query: TimestreamQuery, target: Target
) -> Iterator[tuple[MigrationJob, Window]]:
    """The first window of a job, migrated for the while: its bucket, files and manifests go afterwards.

    Raises:
        Permanent: the window is not proven.
        MigrationError: a stage failed.
    """
    job = config.migration_jobs[0]
    place, window = config.place(job), next(iter(job.grid))
    try:
        schema = describe(query, job.source_database, job.source_table)
        _, mapping = begin_table(job, place, schema, bucket)
        export_window(job, place, window, schema, query, bucket)
        convert_window(job, place, window, mapping, bucket)
        load_window(job, place, window, mapping, bucket, target)
        verdicts = check_window(config, job, window, bucket, query, target, schema=schema)
        if verdicts.status != "proven":
            failed = ", ".join(verdict.check for verdict in verdicts.verdicts if not verdict.passed)
            raise Permanent(f"the table made for the audit is not proven: {failed or verdicts.status}")
        yield job, window
    finally:
        if (made := find(target, job.target_bucket)) is not None:
            delete(target, made)
        for prefix in (place.bulk, place.proof):
            bucket.delete_prefix(prefix)
