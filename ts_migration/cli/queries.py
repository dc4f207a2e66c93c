"""`ts-migration queries`: the questions of a configuration asked of both systems, and nothing else checked."""

from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say, table
from ts_migration.cli.work import ConfigOption, OnlyOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.config import MigrationJob
    from ts_migration.stages.queries import TableQueries
    from ts_migration.validation.query_verdicts import QueryResult


def queries(
    config: ConfigOption = None,
    only: OnlyOption = None,
    region: RegionOption = None,
    show: Annotated[bool, typer.Option("--show", help="Print the texts of every question as they were asked.")] = False,
) -> None:
    """Ask both systems the queries of the configuration and compare answers and times; nothing is written anywhere.

    Exit code 0: every answer alike and in time, 1: not, 2: nothing could be asked.

    Example: ts-migration queries --config migration_config.yaml --only "Load Data Migration"
    """
    work = begin(config, only=only)
    jobs = [work.config.job(only)] if only else list(work.config.migration_jobs)
    codes = [_told(job, asked, show=show) for job, asked in zip(jobs, _ask(work, jobs, region), strict=True)]
    raise typer.Exit(max(codes))


def _ask(work: Work, jobs: "list[MigrationJob]", region: str | None) -> "list[TableQueries]":
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.target import target_of
    from ts_migration.stages.proof import proof_of
    from ts_migration.stages.queries import ask_queries
    from ts_migration.timestream.query import Retries, TimestreamQuery

    work.environment.require("s3_export_bucket")
    settings = work.config.migration_settings
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    target = target_of(work.environment, region)
    retries = Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    query = TimestreamQuery(client("timestream-query", region=region), retries)
    return [ask_queries(work.config, job, proof_of(work.config, job, bucket), bucket, target, query) for job in jobs]


def _told(job: "MigrationJob", asked: "TableQueries", *, show: bool) -> int:
    for question in asked.questions if show else ():
        say(f"-- {job.job_name}: {question.name}\n{question.sql}\n-- {question.language}\n{question.text}\n")
    if asked.results:
        columns = ("InfluxDB median", "p95", "Limit", "Timestream median")
        rows = [(job.job_name, result.name, result.summary, *_times(result)) for result in asked.results]
        table(("Job", "Query", "Answer", *columns), rows, right=columns)
    for line in asked.unasked:
        note(f"{job.job_name}: {line}")
    for result in asked.results:
        for line in result.comparison.examples if result.comparison else ():
            error_line(f"job {job.job_name}: {result.name}: {line}")
    if not asked.results:
        error_line(f"job {job.job_name}: nothing was asked")
        return ExitCode.COULD_NOT_START
    return ExitCode.OK if all(verdict.passed for verdict in asked.verdicts) else ExitCode.FAILED


def _times(result: "QueryResult") -> tuple[str, str, str, str]:
    target, source = result.target, result.source
    limit = "none" if result.max_latency_ms is None else f"{result.max_latency_ms:,g} ms"
    measured = (f"{target.median:,.1f} ms", f"{target.p95:,.1f} ms") if target.ms else ("", "")
    return (*measured, limit, f"{source.median:,.1f} ms" if source.ms else "")
