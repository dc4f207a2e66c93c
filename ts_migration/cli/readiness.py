"""Whether applications may switch, as commands ask and tell it. `orchestration.readiness` looks."""

from typing import TYPE_CHECKING

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.work import Work
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.cutover.readiness import Readiness


def look(work: Work, region: str | None, *, values: bool = False) -> "Readiness":
    """All that is missing, whatever is missing first. The event log, the manifests, target and source are asked.

    With `values` all values of the source are read again, too, where nothing else is missing.

    Raises:
        ConfigurationError: a variable that names one of them is not set.
    """

    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.target import target_of
    from ts_migration.orchestration.home import open_instance
    from ts_migration.orchestration.readiness import Systems, look_at_readiness
    from ts_migration.timestream.query import Retries, TimestreamQuery

    work.environment.require("s3_export_bucket", "influxdb_url", "influxdb_org")
    settings = work.config.migration_settings
    retries = Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    target = target_of(work.environment, region)
    systems = Systems(
        bucket=lambda: ExportBucket(client("s3", region), work.environment.s3_export_bucket),
        target=lambda: target,
        query=lambda: TimestreamQuery(client("timestream-query", region=region), retries),
    )
    with open_instance() as instance:
        return look_at_readiness(instance, work.config, systems, everything=True, values=values)


def tell_missing(readiness: "Readiness") -> None:
    """Every reason as an error, and what else is to be known."""
    for reason in readiness.reasons:
        error_line(f"not ready: {reason}")
    for line in readiness.notes:
        note(line)


def show_readiness(work: Work, region: str | None, *, applied: bool) -> ExitCode:
    """Tell whether a cutover may begin, and where it is not `applied` already, how; the exit code."""
    readiness = look(work, region)
    if not readiness.ready:
        tell_missing(readiness)
        return ExitCode.FAILED
    say(readiness.text)
    for line in readiness.notes:
        note(line)
    approve = " --approve" if work.config.cutover.approval == "manual" else ""
    if not applied:
        note(f"next: ts-migration cutover --plan, then ts-migration cutover --apply{approve}")
    return ExitCode.OK
