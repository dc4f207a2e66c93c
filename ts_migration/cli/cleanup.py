"""`ts-migration cleanup`: frees the export bucket and archives logs. `operations.cleanup` and `archive` do the work."""

import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import bytes_text, note, say, warn
from ts_migration.cli.work import ConfigOption, RegionOption, begin
from ts_migration.errors import ConfigurationError, ExitCode, MigrationError

if TYPE_CHECKING:
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.cleanup import JobFiles

_SHOWN = 5


def cleanup(
    job: Annotated[
        list[str] | None, typer.Option("--job", help="This job, by its job_name; may be repeated. Default: all.")
    ] = None,
    config: ConfigOption = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only files written so long ago: 12h, 7d, 4w.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also delete the files of windows that are not proven or accepted.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go; change nothing.")] = False,
    abort_uploads_after: Annotated[
        int | None,
        typer.Option(
            "--abort-uploads-after", min=1, help="Days after which S3 drops unfinished uploads; sets a lifecycle rule."
        ),
    ] = None,
    region: RegionOption = None,
) -> None:
    """Delete export and converted files whose windows are proven or accepted, and archive logs and results.

    Manifests and reports stay: nothing is less proven afterwards. Exit code 1: windows that are not green kept files.

    Example: ts-migration cleanup --job "Load Data Migration" --older-than 7d --dry-run
    """
    before = _before(older_than)
    work = begin(config)
    jobs = [work.config.job(name) for name in job] if job else list(work.config.migration_jobs)
    from ts_migration import file_locks
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.archive import archived_files
    from ts_migration.operations.cleanup import delete_files, delete_scratch, look_at_files, look_at_left_scratch

    work.environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    with file_locks.only_one(Path(os.environ["DAGSTER_HOME"]), work.path, "execute", "ts-migration cleanup"):
        files = [look_at_files(work.config, one, bucket, before=before, force=force) for one in jobs]
        for each in files:
            _show(each)
        scratch = look_at_left_scratch(bucket, datetime.now(UTC))
        if scratch:
            size = sum(found.size for found in scratch)
            say(f"left by checks that were killed: {len(scratch):,} files, {bytes_text(size)}")
        if dry_run:
            say(f"would be archived: {len(archived_files(Path.cwd())):,} logs and results")
            note("nothing was changed")
            return
        freed = delete_files(files, bucket)
        delete_scratch(scratch, bucket)
        total = freed.total() + sum(found.size for found in scratch)
    say(f"freed {bytes_text(total)} in {bucket.uri('')}; manifests and reports stay")
    _archive()
    if abort_uploads_after:
        _set_rule(bucket, abort_uploads_after)
    if any(each.held_back for each in files):
        raise typer.Exit(ExitCode.FAILED)


def _show(files: "JobFiles") -> None:
    say(f"{files.job}: {len(files.to_delete):,} export and converted files, {bytes_text(files.bytes)}")
    if files.younger:
        say(f"    {files.younger:,} files are younger and stay")
    for key, why in files.held_back[:_SHOWN]:
        say(f"    window {key} keeps its files: {why}")
    if len(files.held_back) > _SHOWN:
        say(f"    and {len(files.held_back) - _SHOWN:,} more windows")


def _archive() -> None:
    from ts_migration.operations.archive import archive

    made = archive(Path.cwd(), date.today())
    if made is None:
        say("no logs or results to archive here")
    else:
        say(f"archived {made.files:,} logs and results: {made.path.name}, {bytes_text(made.bytes)}")


def _set_rule(bucket: "ExportBucket", days: int) -> None:
    try:
        bucket.abort_uploads_after(days)
    except MigrationError as error:
        warn(f"the lifecycle rule for unfinished uploads was not set: {error}")
    else:
        say(f"S3 drops unfinished uploads after {days} days")


def _before(text: str | None) -> datetime | None:
    """The time that files have to be older than.

    Raises:
        ConfigurationError: it is no duration.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if match is None:
        raise ConfigurationError(
            [f"--older-than {text!r} is not allowed; allowed: a number with h, d or w, such as 7d"],
            where="command line",
        )
    hours = int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]]
    return datetime.now(UTC) - timedelta(hours=hours)
