"""`ts-migration accept`: a person answers for windows that passed and are not proven, see `operations.acceptance`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say
from ts_migration.cli.execute import windows_of
from ts_migration.cli.work import ConfigOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode, MigrationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ts_migration.config import MigrationJob
    from ts_migration.objects import ExportBucket


def accept(
    job: Annotated[str, typer.Argument(help="The job, by its job_name.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why these windows may count as they are; kept and shown everywhere.")
    ] = "",
    config: ConfigOption = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Only these windows: KEY or FROM..TO, both included.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who accepts; default: the user of this machine.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take back what was accepted.")] = False,
    region: RegionOption = None,
) -> None:
    """Accept windows that passed every check and are not proven, with the verdicts that they have now.

    Rows in the quarantine or a tolerance used keep a window from being proven; a cutover counts it once somebody
    accepted it. Other verdicts need another acceptance. Failed windows cannot be accepted.

    Example: ts-migration accept load-data-migration --reason "the row in the quarantine is a test of ours"
    """
    work = begin(config, only=job)
    found = work.config.job(job)
    windows = windows_of(work, window, job)
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket

    work.environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    if revoke:
        raise typer.Exit(_revoke(work, found, bucket, windows))
    raise typer.Exit(_accept(work, found, bucket, windows, reason, by or _user()))


def _accept(
    work: Work, job: "MigrationJob", bucket: "ExportBucket", windows: tuple[str, str] | None, reason: str, by: str
) -> int:
    from ts_migration.operations.acceptance import accept as write
    from ts_migration.operations.acceptance import look_at_passed, require_reason, told
    from ts_migration.operations.target import target_of
    from ts_migration.stages.placement import target_bucket_id

    require_reason(reason)
    # Windows of a bucket that is gone are no proof: it is asked which one is there.
    bucket_id = target_bucket_id(job, target_of(work.environment))
    found = look_at_passed(work.config, job, bucket, windows, bucket_id)
    for one in found.accepted:
        say(f"{one.key}: {one.accepted}; that stands")
    for manifest in write(work.config, job, bucket, found.passed, reason=reason, accepted_by=by):
        say(f"{manifest.window.key}: {manifest.found}; {manifest.text}")
    if not found.passed:
        proven = f": {len(found.proven):,} of the windows are proven" if found.proven else ""
        say(f"there is nothing to accept{proven}")
    elif not _roll_up(work, job, bucket, {one.key: "accepted since" for one in found.passed}):
        return ExitCode.FAILED
    if found.unacceptable:
        error_line(f"job {job.slug}: {told(found.unacceptable)}: only windows that passed every check can be accepted")
        return ExitCode.FAILED
    return ExitCode.OK


def _revoke(work: Work, job: "MigrationJob", bucket: "ExportBucket", windows: tuple[str, str] | None) -> int:
    from ts_migration.operations.acceptance import revoke as take_back

    keys = take_back(work.config, job, bucket, windows)
    if not keys:
        say("there is nothing to take back: none of the windows is accepted")
        return ExitCode.OK
    for key in keys:
        say(f"{key}: no longer accepted")
    rolled_up = _roll_up(work, job, bucket, dict.fromkeys(keys, "no longer accepted"))
    return ExitCode.OK if rolled_up else ExitCode.FAILED


def _roll_up(work: Work, job: "MigrationJob", bucket: "ExportBucket", changed: "Mapping[str, str]") -> bool:
    """Roll the table up again, so that Dagit, `status` and the report say what is accepted now; whether that went well.

    What was accepted stands either way.
    """
    from ts_migration.orchestration.acceptance import roll_up_again

    try:
        again = roll_up_again(work.config, job, bucket, changed, config_path=work.path)
    except MigrationError as error:
        error_line(f"the table is not rolled up again: {error}")
        return False
    if again.open_windows:
        note(f"{again.open_windows:,} windows are open: `ts-migration execute` rolls the table up when they are done")
        return True
    if not again.done:
        error_line(f"the whole table does not pass: {again.error or 'its roll-up was cancelled'}")
        return False
    say("the table is rolled up again")
    return True


def _user() -> str:
    import getpass
    import socket

    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()
