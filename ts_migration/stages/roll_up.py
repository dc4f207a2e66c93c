"""The roll-up of a table: once every window is settled, the whole-table checks and the manifest that says `migrated`.

What windows come to is read in `proof`, the checks are pure functions of `validation.table`.
"""

import shlex
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Permanent
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.manifests import Manifest, Sha256, VerdictRecord, read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.proof import TableProof, WindowStatus, proof_of
from ts_migration.stages.queries import TableQueries, ask_queries, queries_fingerprint
from ts_migration.stages.retention_record import set_and_remember
from ts_migration.stages.source_values import rewritten_in
from ts_migration.stages.table import frozen_mapping
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery
from ts_migration.timestream.series import series_counts
from ts_migration.timestream.window_counts import window_rows
from ts_migration.validation.table import SourceTotals, TableCheck, TableTotals, check_table
from ts_migration.windows import Window

_DAY_S = 86_400
RollUpStatus = Literal["proven", "accepted", "passed", "failed", "unchecked"]


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
    status: RollUpStatus
    """accepted: every window is proven or was accepted. unchecked: the job has validation_enabled: false."""
    accepted: int = 0
    """Windows that are not proven and were accepted."""
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


def unmet(verdicts: Iterable[VerdictRecord]) -> str:
    """Warnings of a whole table that did not pass, with the first of what they found; "" where there is none.

    That windows only passed is told of those windows.
    """
    found: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.passed or verdict.severity != "WARN" or verdict.check == TableCheck.ALL_WINDOWS_PROVEN:
            continue
        found.setdefault(next(iter(verdict.evidence), verdict.difference), []).append(verdict.check)
    told = [f"{', '.join(checks)} did not pass: {why}" for why, checks in found.items()]
    return f"whole table: {'; '.join(told)}" if told else ""


def unmet_of(config: MigrationConfig, job: MigrationJob, bucket: ExportBucket) -> str:
    """The same of a job's table as it was rolled up last."""
    migrated = read_manifest(MigratedManifest, bucket, config.place(job).migrated)
    return unmet(migrated.verdicts_now(config, job)) if migrated else ""


def roll_up(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, target: Target, query: TimestreamQuery
) -> MigratedManifest:
    """Judge a whole table, set the bucket's retention where the job names one, and write `migrated.json`.

    Both sides are asked anew: rows may have come to the source since they were exported.

    Raises:
        Permanent: a window is not settled.
        Transient: Timestream, InfluxDB or S3 failed for now.
    """
    settings = config.migration_settings
    policy = RetryPolicy(settings.max_retry_attempts, settings.retry_delay_seconds)
    there = retrying(lambda: find(target, job.target_bucket), policy)
    proof = proof_of(config, job, bucket, there.id if there else "")
    _require_settled(job, proof)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_source_totals, config, job, proof, bucket, query)
        totals = retrying(lambda: _totals(job, target), policy)
        source = asked.result()
    verdicts = check_table(
        [window.result for window in proof.windows],
        len(job.grid),
        source,
        totals,
        config.validation_rules.record_count_tolerance,
        catch_up_command(job),
    )
    verdicts += ask_queries(config, job, proof, bucket, target, query).verdicts
    good = all(verdict.passed or verdict.severity == "WARN" for verdict in verdicts)
    if job.retention_days and there is not None and good:
        set_and_remember(bucket, config.place(job), target, there, job.retention_days * _DAY_S, policy)
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
        accepted=len(proof.accepted),
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


def catch_up_command(job: MigrationJob) -> str:
    """What exports again the windows of a job that rows came late to."""
    return f"`ts-migration catch-up --only {shlex.quote(job.slug)}`"


def _totals(job: MigrationJob, target: Target) -> TableTotals:
    """Of the job's range alone: other jobs may write to the same measurement."""
    whole = Window(job.start_time, job.end_time)
    found = reader.range_counts(target, job.target_bucket, job.measurement, whole)
    return TableTotals(found.counts, found.series, found.with_fields)


def _source_totals(
    config: MigrationConfig, job: MigrationJob, proof: TableProof, bucket: ExportBucket, query: TimestreamQuery
) -> SourceTotals:
    windows = [window.window for window in proof.windows]
    rows = window_rows(query, job.source_database, job.source_table, windows)
    rewritten = None
    if config.validation_rules.reread_source:
        rewritten = {window.key for window in rewritten_in(config, job, proof.windows, rows, query, bucket)}
    whole = Window(job.start_time, job.end_time)
    schema = describe(query, job.source_database, job.source_table)
    try:
        mapping = frozen_mapping(job, config.place(job), bucket)
        counted = series_counts(query, schema, mapping, whole, job.mapping.rewrite.active)
    except QueryTooLarge:
        return SourceTotals(rows, None, None, rewritten)
    return SourceTotals(rows, counted.series, counted.with_fields, rewritten)


def _status(job: MigrationJob, proof: TableProof, verdicts: tuple[VerdictRecord, ...]) -> RollUpStatus:
    if any(not verdict.passed and verdict.severity == "ERROR" for verdict in verdicts):
        return "unchecked" if not job.validation_enabled and proof.complete else "failed"
    if proof.accepted and proof.cleared:
        return "accepted"
    tolerated = any(verdict.severity == "WARN" for verdict in verdicts)
    return "passed" if tolerated or proof.status is not WindowStatus.PROVEN else "proven"
