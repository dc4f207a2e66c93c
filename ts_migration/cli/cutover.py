"""`ts-migration cutover`: shows, begins and takes back the switch of the applications. `cutover.switch` does it."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.approval import require_approval
from ts_migration.cli.console import error_line, note, say, table, warn
from ts_migration.cli.work import ConfigOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.cutover.clients import CutoverClients
    from ts_migration.cutover.record import CutoverRecord
    from ts_migration.objects import ExportBucket


def cutover(
    config: ConfigOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what each action would change. Writes nothing.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do the actions, once everything is proven.")] = False,
    revert: Annotated[bool, typer.Option("--revert", help="Put back what was there before.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="With --apply: approve it, and do not ask.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Tell whether it may begin, and all that is missing. Writes nothing.")
    ] = False,
    region: RegionOption = None,
) -> None:
    """Switch applications over to InfluxDB once everything is proven, and back.

    Exit codes: 0 done, or ready; 1 not ready, or an action failed and was reverted; 2 it could not begin.

    Example: ts-migration cutover --plan
    """
    if plan + apply + revert + status != 1 or (approve and not apply):
        raise typer.BadParameter("one of --status, --plan, --apply and --revert; --approve with --apply alone")
    work = begin(config)
    if status:
        raise typer.Exit(_status(work, region))
    clients = _clients(work, region)
    if plan:
        raise typer.Exit(_plan(work, clients, region))
    bucket = _bucket(work, region)
    with _alone(work):
        raise typer.Exit(
            _apply(work, clients, bucket, region, approve=approve) if apply else _revert(work, clients, bucket)
        )


def _plan(work: Work, clients: "CutoverClients", region: str | None) -> ExitCode:
    """The table of what would change, and what is there already."""
    from ts_migration.cutover.plan import plan_cutover
    from ts_migration.cutover.record import cutover_record

    found = plan_cutover(work.config, clients)
    table(
        ["action", "what", "name", "before", "after"],
        [
            (f"{number} {action.type}", action.target, change.name, _shown(change.before), _shown(change.after))
            for number, action in enumerate(found.actions, 1)
            for change in action.changes
        ],
    )
    for number, action in enumerate(found.actions, 1):
        if action.problem:
            error_line(f"action {number} ({action.type} {action.target}) cannot be done: {action.problem}")
    if not found.actions:
        say("there are no actions: list some in cutover.actions")
    if work.environment.s3_export_bucket:
        record = cutover_record(_bucket(work, region))
        if record is not None:
            note(f"the latest cutover: {_told(record)}")
    return ExitCode.OK if found.possible else ExitCode.FAILED


def _status(work: Work, region: str | None) -> ExitCode:
    """Whether it may begin, and what became of the latest one."""
    from ts_migration.cli.readiness import show_readiness
    from ts_migration.cutover.record import cutover_record

    record = cutover_record(_bucket(work, region))
    code = show_readiness(work, region, applied=record is not None and record.state == "applied")
    if record is not None:
        note(f"the latest cutover: {_told(record)}")
    return code


def _apply(
    work: Work, clients: "CutoverClients", bucket: "ExportBucket", region: str | None, *, approve: bool
) -> ExitCode:
    from ts_migration.cli.readiness import look, tell_missing
    from ts_migration.cutover.record import cutover_record
    from ts_migration.cutover.switch import apply_cutover

    record = cutover_record(bucket)
    if record is not None and record.state == "applied":
        # It says so, or refuses other actions; nothing is begun.
        say(_told(apply_cutover(work.config, clients, bucket, record.proof, _who())))
        note("nothing was done: a cutover is applied once")
        return ExitCode.OK
    if record is not None and record.unfinished:
        warn(f"a cutover was not finished: {_told(record)}")
    ready = look(work, region, values=True)
    if not ready.ready:
        tell_missing(ready)
        return ExitCode.FAILED
    if work.config.cutover.approval == "manual" and not approve:
        require_approval(
            "Everything is proven. Do this now?",
            of="the cutover",
            where="cutover.approval: manual",
            next_step="look at ts-migration cutover --plan, then ts-migration cutover --apply --approve",
            show=lambda: _plan(work, clients, None),
        )
    try:
        result = apply_cutover(work.config, clients, bucket, ready.proof, _who())
    except KeyboardInterrupt:
        warn("it may be half done; next: the same command goes on, ts-migration cutover --revert puts all back")
        raise
    return _end(work, result, wanted="applied")


def _revert(work: Work, clients: "CutoverClients", bucket: "ExportBucket") -> ExitCode:
    from ts_migration.cutover.record import cutover_record
    from ts_migration.cutover.switch import revert_cutover

    record = cutover_record(bucket)
    if record is not None and record.state == "reverted":
        say(_told(record))
        note("nothing was done: it is reverted already")
        return ExitCode.OK
    return _end(work, revert_cutover(work.config, clients, bucket, _who()), wanted="reverted")


def _end(work: Work, record: "CutoverRecord", wanted: str) -> ExitCode:
    """Tell what became of each action; the exit code."""
    from ts_migration.operations.cutover_notice import notice_of
    from ts_migration.operations.notifications import Notifications

    with Notifications.of(work.config, work.environment, warn=warn) as told:
        told.send(notice_of(record))
    table(
        ["action", "what", "state", "problem"],
        [
            (f"{number} {action.type}", action.target, action.state if action.undo else "not begun", action.problem)
            for number, action in enumerate(record.actions, 1)
        ],
    )
    if record.state == wanted:
        say(_told(record))
        if record.problem:
            warn(record.problem)
        return ExitCode.OK
    error_line(record.problem)
    if record.state == "reverted":
        note("all is as it was before: the actions that were done are reverted")
    else:
        note("some things are not as they were before; next: mend the reason, then ts-migration cutover --revert")
    return ExitCode.FAILED


@contextmanager
def _alone(work: Work) -> Iterator[None]:
    """No other cutover of the configuration works meanwhile."""
    from ts_migration.file_locks import only_one

    with only_one(Path(os.environ["DAGSTER_HOME"]), work.path, "cutover", "ts-migration cutover"):
        yield


def _clients(work: Work, region: str | None) -> "CutoverClients":
    from ts_migration.aws import with_influxdb_token
    from ts_migration.cutover.clients import CutoverClients

    return CutoverClients.of(with_influxdb_token(work.environment, region), os.environ, Path.cwd(), region)


def _bucket(work: Work, region: str | None) -> "ExportBucket":
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket

    work.environment.require("s3_export_bucket")
    return ExportBucket(client("s3", region), work.environment.s3_export_bucket)


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _told(record: "CutoverRecord") -> str:
    state = {"planned": "interrupted", "reverting": "interrupted while it was reverted", "failed": "half reverted"}
    by = f", reverted by {record.reverted_by}" if record.reverted_by else ""
    return (
        f"cutover {record.id}: {state.get(record.state, record.state)}, begun {record.began_at} by {record.who}{by}, "
        f"for proof {record.proof[:12]}"
    )


def _shown(value: str | None) -> str:
    return "(absent)" if value is None else value
