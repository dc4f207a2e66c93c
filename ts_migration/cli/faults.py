"""`ts-migration local faults`: the embedded servers told to misbehave. How they do: `ts_migration.local.faults`."""

from pathlib import Path
from typing import Annotated

import typer

from ts_migration.cli.console import note, say, table
from ts_migration.errors import Refused
from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService

app = typer.Typer(
    help="Tell the embedded servers to misbehave: to try what a migration does when its systems fail.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(
    "set", epilog='Example: ts-migration local faults set influxdb lost-answer --on "POST /api/v2/write*" --times 3'
)
def set_(
    service: Annotated[FaultyService, typer.Argument(help="The server that misbehaves.")],
    kind: Annotated[FaultKind, typer.Argument(help="What goes wrong.")],
    times: Annotated[int | None, typer.Option(help="Requests that are hit at most; by default for ever.")] = None,
    every: Annotated[int, typer.Option(help="Hit each n-th of the matching requests.")] = 1,
    share: Annotated[float | None, typer.Option(help="Hit this part of them, 0 to 1, chosen by --seed.")] = None,
    on: Annotated[
        str, typer.Option(help="Only requests whose label matches this glob, such as 'PUT */manifests/*'.")
    ] = "",
    retry_after: Annotated[
        float | None, typer.Option(help="Seconds that throttle and unavailable ask to wait.")
    ] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds that slow waits; by default 1.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides which requests --share hits: the same ones every time; by default 0.")
    ] = None,
) -> None:
    """Set a fault while the servers run. One of the same service, kind and --on is replaced; others stay."""
    from ts_migration.local.faults.setting import set_fault

    if seed is not None and share is None:
        raise Refused("--seed chooses among the requests of --share, which is not given", next_step="add --share 0.1")
    rule = FaultRule(service, kind, on, times, every, share, retry_after, delay, seed or 0)
    rules = set_fault(Path.cwd(), rule)
    say(f"{service.value}: {kind.value}, {rule.extent}" + (f", on {on}" if on else ""))
    if len(rules) > 1:
        note(f"{service.value} has {len(rules)} faults; where two hit one request, the one set first counts")
    note(f"until: ts-migration local faults clear {service.value}, or ts-migration local down")


@app.command("list", epilog="Example: ts-migration local faults list")
def list_() -> None:
    """List the faults that are set, with the requests that matched each since, and how many of them it hit."""
    from ts_migration.local.faults.setting import list_faults

    found = list_faults(Path.cwd())
    if not found:
        say("no fault is set")
        return
    rows = [
        (one.rule.service.value, one.rule.kind.value, one.rule.on or "all", one.rule.extent, one.seen, one.hit)
        for one in found
    ]
    table(["server", "fault", "on", "hits", "matched", "hit"], rows, right=["matched", "hit"])


@app.command("clear", epilog="Example: ts-migration local faults clear influxdb")
def clear(
    service: Annotated[FaultyService | None, typer.Argument(help="Only this server's faults; by default all.")] = None,
) -> None:
    """Take faults away: the server works again from its next request on."""
    from ts_migration.local.faults.setting import clear_faults

    cleared = clear_faults(Path.cwd(), service)
    say(f"cleared: {', '.join(one.value for one in cleared)}" if cleared else "no fault was set")
