"""`ts-migration local`: the embedded stack. What the servers do is in `ts_migration.local`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ts_migration.cli import faults
from ts_migration.cli.console import bytes_text, note, say, table, warn
from ts_migration.errors import ConfigurationError, ExitCode

app = typer.Typer(
    help="The embedded stack: Timestream, InfluxDB 2, S3 and the rest of AWS on loopback, no account needed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(faults.app, name="faults")


@app.command(epilog="Example: ts-migration local up && ts-migration local seed")
def up() -> None:
    """Start the servers that do not run, make bucket, topic, Lambda and state machine, and write ./.env."""
    from ts_migration.environment import default_dagster_home, prepare_dagster_home, remember
    from ts_migration.local import stack

    cwd = Path.cwd()
    done = stack.up(cwd, report=say)
    prepare_dagster_home(default_dagster_home(cwd))
    remember(cwd)
    say("started" if done.started else "already running: nothing was started")
    if done.kept_variables:
        note(f"left as you set them in .env, outside our block: {', '.join(done.kept_variables)}")
    if done.cleared_faults:
        note(f"faults of an earlier stack were cleared: {', '.join(done.cleared_faults)}")
    if done.faults:
        warn(f"told to misbehave: {', '.join(done.faults)}; ts-migration local faults clear ends it")
    note("./.env points commands and Dagit of this folder at the stack")
    note('for other programs: eval "$(ts-migration local env)"')


@app.command(epilog="Example: ts-migration local down --delete-data")
def down(
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete what the servers stored, their lines in ./.env, and the runs."),
    ] = False,
) -> None:
    """Stop the servers and clear their faults. Their data stays for the next `up`, unless --delete-data is given."""
    from ts_migration.local import stack

    stopped = stack.down(Path.cwd(), delete_data=delete_data)
    say(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")
    if delete_data:
        say("deleted: .ts_migration/local")


@app.command(epilog="Example: ts-migration local status")
def status() -> None:
    """Show each server: whether it runs, its URL, data on disk, log and faults. Exit code 1 unless all run."""
    from ts_migration.local import stack

    found = stack.status(Path.cwd())
    if not found:
        say("never started in this folder; ts-migration local up starts it")
        raise typer.Exit(ExitCode.FAILED)
    rows = [
        (one.service.value, one.state, one.url, str(one.pid or ""), bytes_text(one.bytes), one.log) for one in found
    ]
    table(["server", "state", "url", "pid", "data", "log"], rows, right=["data"])
    for one in found:
        if one.faults:
            warn(f"{one.service.value} was told to misbehave: {', '.join(one.faults)}; ts-migration local faults list")
    if any(one.state != "running" for one in found):
        raise typer.Exit(ExitCode.FAILED)


class EnvFormat(StrEnum):
    """How `local env` prints variables."""

    SHELL = "shell"
    DOTENV = "dotenv"
    JSON = "json"


@app.command(epilog='Example: eval "$(ts-migration local env)"')
def env(
    form: Annotated[EnvFormat, typer.Option("--format", help="shell exports, .env lines or one JSON object.")] = (
        EnvFormat.SHELL
    ),
) -> None:
    """Print the variables that point any client (boto3, aws, influx, Dagster) at the stack. Holds its secrets."""
    import json

    from ts_migration.dotenv import dotenv_text, shell_exports
    from ts_migration.environment import default_dagster_home
    from ts_migration.local.stack import require_state
    from ts_migration.local.variables import stack_variables

    cwd = Path.cwd()
    variables = {**stack_variables(require_state(cwd)), "DAGSTER_HOME": str(default_dagster_home(cwd))}
    if form is EnvFormat.JSON:
        typer.echo(json.dumps(variables, indent=2))
    else:
        typer.echo(shell_exports(variables) if form is EnvFormat.SHELL else dotenv_text(variables))


@app.command(
    epilog="Example: ts-migration local seed --rows 100000, or: ts-migration local seed --csv load.csv --database grid "
    "--table load --dimensions plant,unit --measures mw --time at"
)
def seed(
    rows: Annotated[int, typer.Option(min=1, help="Rows of each of the three example tables.")] = 20_000,
    csv: Annotated[Path | None, typer.Option(help="Seed this CSV file (plain or .gz) instead.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Seed this Parquet file instead.")] = None,
    ons: Annotated[Path | None, typer.Option(help="Seed the open data of ONS from this folder instead.")] = None,
    database: Annotated[str, typer.Option(help="Database to seed into.")] = "ons_energy_data",
    table_name: Annotated[str, typer.Option("--table", help="Table that --csv or --parquet becomes.")] = "",
    dimensions: Annotated[str, typer.Option(help="Columns that are dimensions, separated by commas.")] = "",
    measures: Annotated[str, typer.Option(help="Columns that are measures, separated by commas.")] = "",
    time: Annotated[str, typer.Option(help="Column of the time; without an offset it is read as UTC.")] = "time",
    measure_name: Annotated[str, typer.Option(help="measure_name of multi-measure rows; default: the table's.")] = "",
    single: Annotated[bool, typer.Option("--single", help="Write single-measure records.")] = False,
    separator: Annotated[str, typer.Option(help="Separator of --csv.")] = ",",
) -> None:
    """Fill the embedded Timestream: three generated tables like a grid operator's, or a file of yours."""
    from ts_migration.local import seeding
    from ts_migration.local.stack import require_state
    from ts_migration.local.state import Service

    if sum(source is not None for source in (csv, parquet, ons)) > 1:
        raise ConfigurationError(["give one of --csv, --parquet and --ons"], where="ts-migration local seed")
    url = require_state(Path.cwd()).url(Service.TIMESTREAM)
    file = csv or parquet
    if ons:
        done = seeding.seed_ons(url, ons, database)
    elif file:
        layout = seeding.FileLayout(
            database=database,
            table=table_name,
            dimensions=seeding.names(dimensions),
            measures=seeding.names(measures),
            time=time,
            measure_name=measure_name,
            single=single,
            separator=separator,
        )
        done = seeding.seed_file(url, file, layout)
    else:
        done = seeding.seed_examples(url, database, rows)
    table(
        ["table", "rows read", "records stored", "repetitions", "rows without a value"],
        [(one.table, one.rows_read, one.records_stored, one.repetitions, one.rows_without_value) for one in done],
        right=["rows read", "records stored", "repetitions", "rows without a value"],
    )
