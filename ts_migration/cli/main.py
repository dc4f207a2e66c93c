"""`ts-migration`: the commands put together. They live in a module each and import what is heavy when they run."""

from typing import Annotated

import typer

from ts_migration.cli import (
    accept,
    audit,
    catch_up,
    cleanup,
    cutover,
    execute,
    local,
    monitor,
    plan,
    quarantine,
    queries,
    repair,
    report,
    reset,
    restore_export,
    rollback,
    status,
    validate,
)
from ts_migration.cli.guard import guarded

app = typer.Typer(
    name="ts-migration",
    help="Move Amazon Timestream tables to InfluxDB 2, window by window, and prove every value.",
    epilog="Example: ts-migration execute --config migration_config.yaml --dry-run",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(local.app, name="local")
app.add_typer(quarantine.app, name="quarantine")
app.command("plan")(plan.plan)
app.command("execute")(execute.execute)
app.command("catch-up")(catch_up.catch_up)
app.command("monitor")(monitor.monitor)
app.command("status")(status.status)
app.command("validate")(validate.validate)
app.command("accept")(accept.accept)
app.command("repair")(repair.repair)
app.command("queries")(queries.queries)
app.command("report")(report.report)
app.command("audit-validation")(audit.audit_validation)
app.command("reset")(reset.reset)
app.command("rollback")(rollback.rollback)
app.command("restore-export")(restore_export.restore_export)
app.command("cleanup")(cleanup.cleanup)
app.command("cutover")(cutover.cutover)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("ts-migration"))
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of the whole program; each command has its own."""


def main() -> None:
    """Entry point of the `ts-migration` program."""
    guarded(app)


if __name__ == "__main__":
    main()
