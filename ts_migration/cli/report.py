"""`ts-migration report`, and the report that `execute` and `validate` end with. `operations.report` does the work."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ts_migration.cli.console import say, stdout
from ts_migration.cli.work import ConfigOption, OnlyOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.reporting.results import Kind, MigrationResults


def report(config: ConfigOption = None, only: OnlyOption = None, region: RegionOption = None) -> None:
    """Write the report of what is proven, as HTML and JSON, here and in S3. Exit code 1: not all proven, or accepted.

    Reads the manifests in S3 only: it works after the export files are deleted, and with every server down but S3.

    Example: ts-migration report --config migration_config.yaml
    """
    results = show_report(begin(config, only=only), "validation", only=only, region=region)
    raise typer.Exit(ExitCode.OK if results.cleared else ExitCode.FAILED)


def show_report(
    work: Work,
    kind: "Kind",
    *,
    only: str | None = None,
    region: str | None = None,
    job_id: str | None = None,
    write: bool = True,
) -> "MigrationResults":
    """Print the results of every job by the proof in S3; with `write` keep them in S3 and in this folder too."""
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.influxdb_look import server_version
    from ts_migration.operations.report import collect, write_report
    from ts_migration.reporting.console import report as drawn

    work.environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    results = collect(
        work.config,
        bucket,
        kind,
        only=only,
        job_id=job_id,
        configuration=str(work.path),
        environment=work.environment,
        server=server_version(work.environment),
    )
    stdout().print(drawn(results))
    if write:
        written = write_report(results, bucket, Path.cwd())
        say(f"Report: {written.html_path} and {written.html_uri}")
    return results
