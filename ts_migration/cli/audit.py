"""`ts-migration audit-validation`: whether the checks see what they must. `operations.audit` does the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say, table
from ts_migration.cli.work import RegionOption, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.config import MigrationConfig, MigrationJob
    from ts_migration.influxdb.connection import Target
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.audit import Audit, Finding
    from ts_migration.timestream.query import TimestreamQuery
    from ts_migration.windows import Window


def audit_validation(
    config: Annotated[
        str | None,
        typer.Option("--config", help="Audit the smallest proven window of it; default: a generated table."),
    ] = None,
    only: Annotated[str | None, typer.Option("--only", help="With --config: of this one job, by its job_name.")] = None,
    region: RegionOption = None,
) -> None:
    """Spoil copies of a proven window in thirteen ways: is each caught? Exit code 0: 13 of 13, no false alarm.

    Without --config a generated table of all types is migrated on the embedded stack, audited and deleted again.
    Nothing that is there is changed: copies are buckets of their own, deleted afterwards.

    Example: ts-migration audit-validation
    """
    from ts_migration.influxdb.retries import RetryPolicy
    from ts_migration.operations.audit import audit
    from ts_migration.operations.audit_subject import subject_of

    with _window(config, only, region) as (settings, job, window, bucket, query, target):
        note(f"auditing the window {window.key} of {job.source}, bucket {job.target_bucket}")
        retries = settings.migration_settings
        policy = RetryPolicy(retries.max_retry_attempts, retries.retry_delay_seconds)
        found = audit(subject_of(settings, job, window, bucket, query), target, policy, note)
    _show(found)
    raise typer.Exit(ExitCode.OK if found.passed else ExitCode.FAILED)


@contextmanager
def _window(
    config: str | None, only: str | None, region: str | None
) -> "Iterator[tuple[MigrationConfig, MigrationJob, Window, ExportBucket, TimestreamQuery, Target]]":
    """The window to audit, with the clients that reach both its sides."""
    from ts_migration.aws import client
    from ts_migration.environment import activate
    from ts_migration.influxdb.retries import RetryPolicy
    from ts_migration.local.audit_table import audit_table
    from ts_migration.local.stack import require_state
    from ts_migration.local.state import Service
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.audit_subject import migrated, smallest_proven
    from ts_migration.operations.target import target_of
    from ts_migration.timestream.query import TimestreamQuery

    work = begin(config, only=only) if config or only else None
    environment = work.environment if work else activate(Path.cwd())
    if work is None:
        url = require_state(Path.cwd()).url(Service.TIMESTREAM)
    environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    bucket = ExportBucket(client("s3", region), environment.s3_export_bucket)
    query, target = TimestreamQuery(client("timestream-query", region)), target_of(environment, region)
    if work is not None:
        jobs = [work.config.job(only)] if only else list(work.config.migration_jobs)
        job, window = smallest_proven(work.config, jobs, bucket, target, RetryPolicy())
        yield work.config, job, window, bucket, query, target
        return
    with (
        audit_table(url, client("timestream-write", region)) as settings,
        migrated(settings, bucket, query, target) as (job, window),
    ):
        yield settings, job, window, bucket, query, target


def _show(found: "Audit") -> None:
    from ts_migration.validation.count_comparison import EXIT_CODE

    table(COLUMNS, [cells(finding) for finding in found.findings])
    seen = sum(finding.counts_differ for finding in found.findings)
    say(f"Clean copy of {found.points:,} points: {_alarms(found)}")
    say(
        f"{found.caught} of {len(found.findings)} caught by the check named in advance; a comparison of counts sees "
        f"{seen}, and ends with exit code {EXIT_CODE} all the same"
    )
    for finding in found.findings:
        if not finding.caught and not finding.impossible:
            error_line(f"{finding.name}: not seen by {finding.must_see}")
    if impossible := [f"{finding.name} ({finding.impossible})" for finding in found.findings if finding.impossible]:
        error_line(
            f"not possible in this window, so not shown to be caught: {', '.join(impossible)}. "
            "Next: `ts-migration audit-validation` without --config, whose table has all types"
        )


COLUMNS = ("spoiled", "must be seen by", "seen by", "caught", "comparison of counts")


def cells(finding: "Finding") -> tuple[str, ...]:
    """One class as a row of the table."""
    if finding.impossible:
        return finding.name, finding.must_see, finding.impossible, "not possible", ""
    return (
        finding.name,
        finding.must_see,
        ", ".join(finding.seen_by) or "no check",
        "yes" if finding.caught else "NO",
        "differs" if finding.counts_differ else "finds nothing",
    )


def _alarms(found: "Audit") -> str:
    return f"false alarm of {', '.join(found.false_alarms)}" if found.false_alarms else "no alarm"
