"""The roll-up of a table: once every window is settled, the whole-table checks and the manifest that says `migrated`.

What windows come to is read in `proof`, the checks are pure functions of `validation.table`.
"""

from typing import Literal

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Permanent
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import find, set_retention
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import Manifest, Sha256, VerdictRecord
from ts_migration.objects import ExportBucket
from ts_migration.stages.proof import TableProof, WindowStatus, proof_of
from ts_migration.stages.queries import TableQueries, ask_queries, queries_fingerprint
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.validation.table import TableTotals, check_table
from ts_migration.windows import Window

_DAY_S = 86_400


class MigratedManifest(Manifest):
    """A whole table in its bucket. Current only while `proof` is the digest of the windows' verdicts."""

    stage: Literal["migrated"] = "migrated"
    database: str
    table: str
    job: str
    org: str
    bucket: str
    measurement: str
    range_start_ns: int
    range_end_ns: int
    proof: Sha256
    windows: int
    rows: int
    points: int
    values: int
    series: int
    verdicts: tuple[VerdictRecord, ...]
    status: Literal["proven", "passed", "failed", "unchecked"]
    """unchecked: the job has validation_enabled: false."""
    queries: str = ""
    """Fingerprint of the queries that were asked."""

    def verdicts_now(self, config: MigrationConfig, job: MigrationJob) -> tuple[VerdictRecord, ...]:
        """The verdicts; those about queries that the configuration has changed since do not stand any more."""
        if self.queries == queries_fingerprint(config, job):
            return self.verdicts
        changed = TableQueries(
            unasked=("`queries` was changed since they were asked: `ts-migration execute` or `validate` asks anew",)
        )
        anew = {verdict.check: verdict for verdict in changed.verdicts}
        return tuple(anew.get(verdict.check, verdict) for verdict in self.verdicts)


def roll_up(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, target: Target, query: TimestreamQuery
) -> MigratedManifest:
    """Judge a whole table, set the bucket's retention where the job names one, and write `migrated.json`.

    Raises:
        Permanent: a window is not settled.
        Transient: Timestream, InfluxDB or S3 failed for now.
    """
    settings = config.migration_settings
    policy = RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)
    there = retrying(lambda: find(target, job.target_bucket), policy)
    proof = proof_of(config, job, bucket, there.id if there else "")
    _require_settled(job, proof)
    totals = retrying(lambda: _totals(job, target), policy)
    results = [window.result for window in proof.windows]
    verdicts = check_table(results, len(job.grid), totals, config.validation_rules.record_count_tolerance)
    verdicts += ask_queries(config, job, proof, bucket, target, query).verdicts
    if job.retention_days and all(verdict.passed or verdict.severity == "WARN" for verdict in verdicts):
        seconds = job.retention_days * _DAY_S
        retrying(lambda: set_retention(target, job.target_bucket, seconds), policy)
    return MigratedManifest(
        database=job.source_database,
        table=job.source_table,
        job=job.job_name,
        org=target.org,
        bucket=job.target_bucket,
        measurement=job.measurement,
        range_start_ns=job.start_time,
        range_end_ns=job.end_time,
        proof=proof.digest,
        windows=len(proof.windows),
        rows=proof.rows,
        points=proof.points,
        values=proof.values,
        series=totals.series,
        verdicts=verdicts,
        status=_status(job, proof, verdicts),
        queries=queries_fingerprint(config, job),
    ).write(bucket, config.place(job).migrated)


def _require_settled(job: MigrationJob, proof: TableProof) -> None:
    unsettled = [window for window in proof.windows if not window.settled]
    if unsettled:
        first = "; ".join(f"{window.key}: {window.status.value}: {window.reason}" for window in unsettled[:3])
        raise Permanent(
            f"{len(unsettled):,} of {len(proof.windows):,} windows are not proven: {first}",
            where=f"job {job.job_name!r}",
            next_step="run `ts-migration execute`: it does what is left to do",
        )


def _totals(job: MigrationJob, target: Target) -> TableTotals:
    whole = Window(job.start_time, job.end_time)
    return TableTotals(
        counts=reader.counts(target, job.target_bucket, job.measurement, whole),
        series=reader.series_cardinality(target, job.target_bucket, job.measurement),
    )


def _status(
    job: MigrationJob, proof: TableProof, verdicts: tuple[VerdictRecord, ...]
) -> Literal["proven", "passed", "failed", "unchecked"]:
    if any(not verdict.passed and verdict.severity == "ERROR" for verdict in verdicts):
        return "unchecked" if not job.validation_enabled and proof.complete else "failed"
    tolerated = any(verdict.severity == "WARN" for verdict in verdicts)
    return "passed" if tolerated or proof.status is not WindowStatus.PROVEN else "proven"
