"""The report of a whole configuration: collected from the proof, kept in S3, and in a folder where one is given.

What a report says is in `reporting`; nothing is judged here.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from ts_migration.config import Environment, MigrationConfig, MigrationJob
from ts_migration.manifests import VerdictRecord, read_manifest
from ts_migration.objects import REPORT_PREFIX, ExportBucket
from ts_migration.reporting.html import report_html
from ts_migration.reporting.results import Kind, MigrationResults, results_of
from ts_migration.reporting.surroundings import common_settings, job_settings, told_variables, versions
from ts_migration.stages.proof import TableProof, proof_of
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration.validation.table import TableCheck
from ts_migration.validation.verdict import Severity


@dataclass(frozen=True)
class WrittenReport:
    """Where a report was put, and what it says in one word."""

    status: str
    html_uri: str
    json_uri: str
    html_path: Path | None = None
    json_path: Path | None = None
    console_url: str | None = None
    """Page of the HTML file in the AWS console, where the bucket is Amazon's."""


def collect(
    config: MigrationConfig,
    bucket: ExportBucket,
    kind: Kind,
    *,
    only: str | None = None,
    job_id: str | None = None,
    configuration: str | None = None,
    environment: Environment | None = None,
    server: str | None = None,
) -> MigrationResults:
    """The results of every job (or of one), from the manifests as they are now.

    Args:
        config: the jobs.
        bucket: the export bucket.
        kind: what ran.
        only: name of the one job.
        job_id: which `execute` it was.
        configuration: path of the file.
        environment: to be told without its secrets.
        server: name and version of the InfluxDB server, where it told them.
    """
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    proofs = [proof_of(config, job, bucket) for job in jobs]
    rolled_up = {
        job.job_name: _table_checks(config, job, bucket, proof) for job, proof in zip(jobs, proofs, strict=True)
    }
    return results_of(
        proofs,
        kind,
        table_checks=rolled_up,
        job_settings={job.job_name: job_settings(job) for job in jobs},
        settings=common_settings(config),
        environment=told_variables(environment) if environment else None,
        versions=versions(server),
        job_id=job_id,
        configuration=configuration,
    )


def write_report(results: MigrationResults, bucket: ExportBucket, folder: Path | None = None) -> WrittenReport:
    """Put a report as HTML and JSON under `reports/`, and into a folder where one is given.

    Raises:
        Transient, Permanent: S3 would not take it.
    """
    html, stem = report_html(results).encode(), results.file_name.removesuffix(".json")
    html_name = stem.replace("migration_results", "migration_report") + ".html"
    bucket.put(REPORT_PREFIX + html_name, html, "text/html; charset=utf-8")
    bucket.put(REPORT_PREFIX + results.file_name, results.to_bytes(), "application/json")
    html_path, json_path = None, None
    if folder is not None:
        html_path, json_path = folder / html_name, folder / results.file_name
        html_path.write_bytes(html)
        json_path.write_bytes(results.to_bytes())
    return WrittenReport(
        status=results.status,
        html_uri=bucket.uri(REPORT_PREFIX + html_name),
        json_uri=bucket.uri(REPORT_PREFIX + results.file_name),
        html_path=html_path,
        json_path=json_path,
        console_url=bucket.console_url(REPORT_PREFIX + html_name),
    )


def _table_checks(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, proof: TableProof
) -> tuple[VerdictRecord, ...]:
    """Verdicts of the whole table, as long as they judged the windows and queries as they are now.

    Where its windows are done and it was not rolled up since, that is told as a check that has not run: no pass.
    """
    migrated = read_manifest(MigratedManifest, bucket, config.place(job).migrated)
    if migrated is not None and migrated.proof == proof.digest:
        return migrated.verdicts_now(config, job)
    return (_not_rolled_up(job),) if job.validation_enabled and proof.complete else ()


def _not_rolled_up(job: MigrationJob) -> VerdictRecord:
    return VerdictRecord(
        check=TableCheck.ALL_WINDOWS_PROVEN.value,
        passed=False,
        severity=Severity.WARN.value,
        expected="the whole table checked since its newest window",
        actual="not checked",
        difference="the checks of the whole table have not run",
        tolerance="0",
        stage=None,
        evidence=(f"`ts-migration validate --only {shlex.quote(job.slug)}` makes them",),
    )
