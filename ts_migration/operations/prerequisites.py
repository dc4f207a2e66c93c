"""The dry run: every component is really used before a migration begins, and each answer is a finding.

Nothing is left behind: probe objects, probe exports and probe buckets are taken away again. How one component is looked
at is in the module of its name; how findings are printed, in the command line.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ts_migration.aws import client, region_of, with_influxdb_token
from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.errors import MigrationError
from ts_migration.objects import ExportBucket
from ts_migration.operations.export_bucket_look import look_at_export_bucket
from ts_migration.operations.findings import Finding, FindingStatus, failed, failures
from ts_migration.operations.influxdb_look import look_at_influxdb
from ts_migration.operations.mapping_look import mapping_finding
from ts_migration.operations.optional_components import look_at_optional_components
from ts_migration.operations.restore_look import look_at_restore, needs_operator
from ts_migration.operations.source_look import Source, look_at_source, look_at_unload
from ts_migration.operations.table_look import look_at_begun_table, look_at_retention
from ts_migration.operations.target import target_if_set
from ts_migration.timestream.query import Retries, TimestreamQuery


@dataclass(frozen=True)
class Prerequisites:
    """What was found: one finding a component, and the sources in the order of the jobs."""

    findings: tuple[Finding, ...]
    sources: tuple[Source, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What stands in the way."""
        return failures(self.findings)

    @property
    def ok(self) -> bool:
        """Nothing does."""
        return not self.failures


def look_at_prerequisites(
    config: MigrationConfig,
    environment: Environment,
    *,
    only: str | None = None,
    region: str | None = None,
    unload: bool = True,
    report: Callable[[Finding], None] = lambda _finding: None,
) -> Prerequisites:
    """Look at everything that a migration needs.

    Args:
        config: its jobs name tables and buckets.
        environment: names export bucket, InfluxDB and the optional components.
        only: name of the one job to look at.
        region: the AWS Region; boto3's own by default.
        unload: whether to export one row of each table, too (a second or more each).
        report: told of every finding as it is made.
    """
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    findings: list[Finding] = []

    def add(finding: Finding) -> Finding:
        findings.append(finding)
        report(finding)
        return finding

    query = TimestreamQuery(client("timestream-query", region), retries=Retries(attempts=2, delay_s=0.5))
    sources = tuple(look_at_source(query, job) for job in jobs)
    for source in sources:
        add(source.finding)
        if retention := look_at_retention(source.job, time.time_ns()):
            add(retention)
    bucket = _export_bucket(environment, region)
    bucket_finding = add(
        look_at_export_bucket(bucket, region_of(query.client)) if bucket else _unset("S3 bucket", "S3_EXPORT_BUCKET")
    )
    if bucket and bucket_finding.ok:
        for source in sources:
            if source.schema and source.mapping:
                add(look_at_begun_table(source.job, config.place(source.job), source.schema, bucket))
    if unload and bucket and bucket_finding.ok:
        for source in _one_per_table(sources):
            add(look_at_unload(query, source.job, bucket))
    found = [add(finding) for finding in _influxdb(environment, jobs, region)]
    target = target_if_set(environment, region) if all(finding.ok for finding in found) else None
    for job in jobs:
        if target and needs_operator(job):
            add(look_at_restore(job, bucket if bucket_finding.ok else None, target))
    for source in sources:
        if source.schema and source.mapping:
            add(mapping_finding(source.job, source.schema, source.mapping, query, target))
    for finding in look_at_optional_components(environment, region):
        add(finding)
    return Prerequisites(tuple(findings), sources)


def _export_bucket(environment: Environment, region: str | None) -> ExportBucket | None:
    name = environment.s3_export_bucket
    return ExportBucket(client("s3", region), name) if name else None


def _one_per_table(sources: tuple[Source, ...]) -> list[Source]:
    """One readable source a table: permissions are the table's, and UNLOAD starts but once a second."""
    return list({source.job.source: source for source in sources if source.schema and source.rows}.values())


def _influxdb(environment: Environment, jobs: list[MigrationJob], region: str | None) -> list[Finding]:
    name = "InfluxDB"
    if not environment.influxdb_url:
        return [_unset(name, "INFLUXDB_URL")]
    if not environment.influxdb_org:
        return [_unset(name, "INFLUXDB_ORG")]
    try:
        resolved = with_influxdb_token(environment, region)
    except MigrationError as error:
        return [failed(name, error, "check INFLUXDB_TOKEN_SECRET_ARN")]
    if not resolved.influxdb_token.get_secret_value():
        return [_unset(name, "INFLUXDB_TOKEN")]
    return look_at_influxdb(resolved, sorted({job.target_bucket for job in jobs}))


def _unset(name: str, variable: str) -> Finding:
    return Finding(
        name,
        FindingStatus.FAILED,
        f"the environment variable {variable} is not set",
        f"export {variable}, or run `ts-migration local up` for the embedded stack",
    )
