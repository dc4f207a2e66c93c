"""`ts-migration rollback`: deletes what a job wrote and puts back what was there before.

`operations.rollback` and `orchestration.rollback` do it; here it is shown, asked for and told.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.approval import require_approval
from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.log_file import EXECUTION_LOG, LogFile
from ts_migration.cli.work import ConfigOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode, MigrationError, Refused

if TYPE_CHECKING:
    from ts_migration.operations.rollback import RollbackLook
    from ts_migration.stages.rollback_record import RollbackManifest

_SHOWN = 20


def rollback(
    job: Annotated[str, typer.Argument(help="The job that is rolled back, by its job_name.")],
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done; change nothing.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Do not ask.")] = False,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="Where the job's points cannot be told from others' any more: delete all of the window, keeping a "
            "copy in the export bucket.",
        ),
    ] = False,
    region: RegionOption = None,
) -> None:
    """Delete exactly what a job wrote, put back what was there before, prove both, and take its table to the beginning.

    Exit code 0: rolled back, 1: it began and is not finished (the same command goes on), 2: refused, nothing was done.

    Example: ts-migration rollback "Load Data Migration" --dry-run
    """
    work = begin(config, only=job)
    found = _look(work, job, region)
    _show(found)
    if found.nothing:
        say("nothing to roll back: the job has written nothing")
        return
    if dry_run:
        for problem in found.problems:
            say(f"  refused  {problem}")
        note("nothing was changed" if found.problems else f"nothing was changed; next: {_command(found)}")
        raise typer.Exit(ExitCode.COULD_NOT_START if found.problems else ExitCode.OK)
    if not approve and not found.problems:
        require_approval(
            "Roll it back?",
            of="the rollback",
            where=f"job {found.begun.job.job_name!r}",
            next_step=f"{_command(found)} --approve",
        )
    try:
        perform(work, job, "approved on the command line", region=region, everything=everything)
    except Refused:
        raise
    except MigrationError as error:
        error_line(str(error))
        note(f"not finished; next: {_command(found)} --approve goes on with it")
        raise typer.Exit(ExitCode.FAILED) from None


def perform(work: Work, job: str, reason: str, *, region: str | None, everything: bool = False) -> "RollbackManifest":
    """Roll a job back and tell what came of it.

    Raises:
        MigrationError: it was refused, or a server failed.
    """
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.orchestration.rollback import roll_back

    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    wanted = work.config.job(job)
    log = LogFile(Path.cwd() / EXECUTION_LOG)
    log.write(f"rollback {work.path} {wanted.slug}: {reason}")
    record = roll_back(
        work.config,
        work.environment,
        wanted,
        bucket,
        config_path=work.path,
        reason=reason,
        everything=everything,
        report=note,
    )
    _conclude(record, bucket.uri(work.config.place(wanted).rollback), log)
    _notify(work, wanted.slug, record, region)
    return record


def _notify(work: Work, job: str, record: "RollbackManifest", region: str | None) -> None:
    """Tell those who are told of migrations."""
    from ts_migration.operations.notices import rolled_back
    from ts_migration.operations.notifications import Notifications

    what = f"{record.deleted:,} values deleted from {len(record.ranges):,} windows"
    with Notifications.of(work.config, work.environment, region, warn=note) as told:
        told.send(rolled_back(record.digest[:12], job, what, [f"reason: {record.reason}"]))


def _look(work: Work, job: str, region: str | None) -> "RollbackLook":
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.orchestration.rollback import look

    work.environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    return look(work.config, work.environment, work.config.job(job), bucket)


def _show(found: "RollbackLook") -> None:
    """What would go and what would be put back."""
    begun = found.begun
    say(f"job {begun.job.job_name!r}: {begun.job.source} -> bucket {begun.job.target_bucket}")
    if found.earlier is not None:
        done = sum(one.state == "restored" for one in found.earlier.ranges)
        say(f"  goes on  a rollback of which {done:,} of {len(found.earlier.ranges):,} ranges are done")
    for one in found.ranges[:_SHOWN]:
        say(f"  deleted  {one.line}")
    if len(found.ranges) > _SHOWN:
        say(f"  deleted  and {len(found.ranges) - _SHOWN:,} more windows")
    if not begun.nothing:
        say(f"  deleted  manifests of {len(begun.windows):,} windows, their export and converted files")
        say("  stays    every point that the job did not write; Timestream; reports")


def _command(found: "RollbackLook") -> str:
    return f"ts-migration rollback {found.begun.job.slug}"


def _conclude(record: "RollbackManifest", where: str, log: LogFile) -> None:
    others = sum(one.others for one in record.ranges)
    found = sum(copy.values for one in record.ranges for copy in one.found)
    kept = [one.kept_key for one in record.ranges if one.kept_key]
    told = [
        f"rolled back: {record.deleted:,} values deleted from {len(record.ranges):,} windows, each proven by count "
        "and digest to hold what it held before",
        f"{found:,} values that were there before the job are put back" if found else "",
        f"{others:,} values that others wrote since were kept, beside what was there before" if others else "",
        f"{len(kept):,} windows were deleted whole; copies: {', '.join(kept[:3])}" if kept else "",
        f"deleted, for the tool had made them and they are empty: {', '.join(record.buckets_deleted)}"
        if record.buckets_deleted
        else "",
        record.retention,
        f"{record.objects:,} objects deleted, {record.materializations:,} materialisations taken back",
    ]
    for line in filter(None, told):
        say(line)
        log.write(line)
    say(f"record: {where}")
    note("next: ts-migration execute begins the job anew")
