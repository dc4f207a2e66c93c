"""`ts-migration status`: where every job stands, whoever ran its windows."""

import typer

from ts_migration.cli.console import note, say, table
from ts_migration.cli.work import ConfigOption, begin
from ts_migration.errors import ExitCode


def status(config: ConfigOption = None) -> None:
    """Show where every job stands: windows materialised, green, failed, running. Exit code 1: not all succeeded.

    Example: ts-migration status --config migration_config.yaml
    """
    work = begin(config)
    from ts_migration.orchestration.job_status import status as ask

    found = ask(work.config)
    counts = ["windows", "materialised", "green", "failed", "running"]
    table(
        ["job", "source", "bucket", "state", *counts],
        [
            (
                one.job, one.source, one.bucket, one.state, one.windows, one.materialized, one.green, len(one.failed),
                len(one.running),
            )
            for one in found
        ],
        right=counts,
    )  # fmt: skip
    for one in found:
        if one.failed:
            shown = ", ".join(one.failed[:10])
            more = f" and {len(one.failed) - 10} more" if len(one.failed) > 10 else ""
            say(f"{one.job}: failed windows: {shown}{more}")
        if one.failed_checks:
            say(f"{one.job}: checks of the whole table that failed: {', '.join(one.failed_checks)}")
        if one.last_error:
            say(f"{one.job}: last error: {one.last_error}")
    if any(one.cut_short for one in found):
        for one in found:
            if one.cut_short:
                note(f"{one.job}: {one.newest_id}: {one.state}; next: ts-migration execute --resume goes on from here")
        raise typer.Exit(ExitCode.FAILED)
    if any(one.failed for one in found):
        for one in found:
            for step in one.next_steps:
                note(f"next: {step}")
        raise typer.Exit(ExitCode.FAILED)
    if any(one.state == "loaded, not checked" for one in found):
        note("next: ts-migration execute makes the checks that did not run, or could not, or are of an older load")
        raise typer.Exit(ExitCode.FAILED)
    if any(one.state == "no longer proven" for one in found):
        note("next: ts-migration execute rolls up what is complete again, and loads what is not in the bucket any more")
        raise typer.Exit(ExitCode.FAILED)
    if any(one.failed_checks for one in found):
        note("next: ts-migration execute asks again what the whole table fails for, and says what mends it")
        raise typer.Exit(ExitCode.FAILED)
    if any(not one.checked for one in found):
        note("validation_enabled is false: what is not checked is not proven")
        raise typer.Exit(ExitCode.FAILED)
    if any(not one.proven for one in found):
        note("next: ts-migration execute names what stands in the way of a proof; ts-migration report shows it")
        note('or, where that may be: ts-migration accept JOB --reason "…"')
        raise typer.Exit(ExitCode.FAILED)
