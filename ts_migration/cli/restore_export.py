"""`ts-migration restore-export`: a Timestream table again, from the exports that are kept.

`operations.restore` does it; here it is shown, asked for and told.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.approval import require_approval
from ts_migration.cli.console import bytes_text, error_line, note, say
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.work import ConfigOption, RegionOption, begin, window_keys
from ts_migration.errors import ExitCode, MigrationError

if TYPE_CHECKING:
    from ts_migration.operations.restore import RestoreLook
    from ts_migration.timestream.ingestion import Ingestion

_NAMED = 10


def restore_export(
    job: Annotated[str, typer.Argument(help="The job whose exports are restored, by its job_name.")],
    into: Annotated[str, typer.Option("--into", help="DATABASE.TABLE of Timestream; made where there is none.")],
    config: ConfigOption = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Only these windows: KEY, or FROM..TO with both ends included.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    allow_existing_data: Annotated[
        bool, typer.Option("--allow-existing-data", help="Also into a table that holds other rows.")
    ] = False,
    record_version: Annotated[
        int, typer.Option("--record-version", min=1, help="Version of the records; a higher one writes over others.")
    ] = 1,
    retention_days: Annotated[
        int,
        typer.Option("--retention-days", min=1, max=73_000, help="Magnetic store retention of a table that is made."),
    ] = 73_000,
    region: RegionOption = None,
) -> None:
    """Write exported rows back to a table of Timestream, and prove by count and value that it holds them again.

    Interrupted, the same command goes on. Exit code 0: all is proven there, 1: begun and not finished, 2: refused.

    Example: ts-migration restore-export "Load Data Migration" --into energy_restored.load_data --dry-run
    """
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations import restore
    from ts_migration.timestream.ingestion import Ingestion
    from ts_migration.timestream.query import Retries, TimestreamQuery

    work = begin(config, only=job)
    wanted = work.config.job(job)
    work.environment.require("s3_export_bucket")
    settings = work.config.migration_settings
    retries = Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    query = TimestreamQuery(client("timestream-query", region), retries)
    database, table = restore.into(into, wanted)
    ingestion = Ingestion(client("timestream-write", region), database, table, record_version, retries)
    keys = window_keys(window, [wanted])
    look = restore.look_at_exports(work.config, wanted, bucket, query, ingestion, keys)
    _show(look, ingestion, retention_days)
    restore.require_restorable(look, ingestion, allow_existing=allow_existing_data, now_ns=restore.nanoseconds_now())
    if dry_run:
        note("nothing was changed; next: the same without --dry-run")
        return
    if not yes:
        require_approval(
            f"Write to {ingestion.name}?",
            of="restoring the exports",
            where=ingestion.name,
            next_step="the same with --yes",
        )
    log = LogFile(Path.cwd() / EXECUTION_LOG)
    log.write(f"restore-export {work.path} {wanted.slug} into {ingestion.name}")

    def tell(line: str) -> None:
        note(line)
        log.write(line)

    # Also of a restore that goes on: rows that were there when it began are beside its own.
    existing = allow_existing_data or (look.record is not None and look.record.existing_allowed)
    work_to_do = restore.Restore(work.config, look, bucket, query, ingestion, existing, retention_days)
    try:
        record = work_to_do.perform(tell)
    except MigrationError as error:
        error_line(str(error))
        note("not finished; the same command goes on with it")
        raise typer.Exit(ExitCode.FAILED) from None
    restored = [each for each in record.windows if each.key in {one.window.key for one in look.exports}]
    said = f"{sum(one.rows for one in restored):,} rows of {len(restored):,} windows are in {ingestion.name}"
    say(f"{said}, proven by count and by the digest of all their values")
    log.write(said)
    say(f"record: {bucket.uri(work.config.place(wanted).restored(ingestion.name))}")


def _show(look: "RestoreLook", ingestion: "Ingestion", retention_days: int) -> None:
    say(f"job {look.job.job_name!r}: exports of {look.job.source} -> table {ingestion.name}")
    say(
        f"  kept     {look.rows:,} rows of {len(look.exports):,} windows, {bytes_text(look.bytes)}; "
        f"{look.requests:,} requests of WriteRecords"
    )
    for key, why in look.not_kept[:_NAMED]:
        say(f"  missing  window {key}: {why}")
    if len(look.not_kept) > _NAMED:
        say(f"  missing  and {len(look.not_kept) - _NAMED:,} more windows")
    if look.settings is None:
        say(f"  made     the table {ingestion.name}, which keeps {retention_days:,} days and takes old records")
    elif look.record is not None:
        say(f"  goes on  a restore of which {len(look.record.windows):,} windows are proven")
    else:
        say(f"  there    the table {ingestion.name}, {'which holds rows' if look.holds_rows else 'empty'}")
