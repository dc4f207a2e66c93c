"""`ts-migration quarantine`: what was kept out of the bucket. `operations.quarantine` reads it, `execute` replays."""

from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.console import error_line, note, say, table
from ts_migration.cli.work import ConfigOption, OnlyOption, ParallelJobsOption, RegionOption, Work, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.config import MigrationJob
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.quarantine import Entry, Replay

app = typer.Typer(
    help="Rows that InfluxDB cannot hold exactly and lines that it refused: list, show, try again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
JobArgument = Annotated[str, typer.Argument(help="The job, by its job_name.")]
WindowOption = Annotated[str | None, typer.Option("--window", help="Only this window, by its partition key.")]


@app.command("list", epilog="Example: ts-migration quarantine list")
def list_(config: ConfigOption = None, only: OnlyOption = None, region: RegionOption = None) -> None:
    """List windows with rows or lines that were kept out, with reasons. Exit code 1 where there are any."""
    work = begin(config, only=only)
    from ts_migration.operations.quarantine import quarantine_of

    bucket = _bucket(work, region)
    jobs = [work.config.job(only)] if only else list(work.config.migration_jobs)
    found = [(job, one) for job in jobs for one in quarantine_of(work.config, job, bucket)]
    if not found:
        _tell_nothing(work, jobs, bucket)
        return
    table(
        ["job", "window", "rows", "lines refused", "rewritten", "reasons", "kept in"],
        [
            (
                job.slug, one.key, one.rows, one.refused, sum(one.rewritten.values()),
                "; ".join(f"{name}: {rows:,}" for name, rows in {**one.reasons, **one.rewritten}.items()),
                ", ".join(filter(None, (one.place, one.refused_place))),
            )
            for job, one in found
        ],
        right=["rows", "lines refused", "rewritten"],
    )  # fmt: skip
    note("next: ts-migration quarantine show JOB")
    raise typer.Exit(ExitCode.FAILED)


@app.command(epilog="Example: ts-migration quarantine show load-data-migration --window 2023-02-01 --limit 5")
def show(
    job: JobArgument,
    config: ConfigOption = None,
    window: WindowOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows and lines.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, all values exact.")] = False,
    region: RegionOption = None,
) -> None:
    """Show rows and lines that were kept out: the whole source row, and why."""
    work = begin(config, only=job)
    from itertools import islice

    from ts_migration.operations.quarantine import entries, quarantine_of

    bucket, found = _bucket(work, region), work.config.job(job)
    total = sum(one.rows + one.refused for one in quarantine_of(work.config, found, bucket, window))
    for entry in islice(entries(work.config, found, bucket, window), limit):
        _show(entry, json)
    if total > limit:
        note(f"{total - limit:,} more: --limit {total}")
    if not total:
        _tell_nothing(work, [found], bucket, window)


@app.command(epilog="Example: ts-migration quarantine replay load-data-migration")
def replay(
    job: JobArgument,
    config: ConfigOption = None,
    window: WindowOption = None,
    parallel_jobs: ParallelJobsOption = None,
    region: RegionOption = None,
) -> None:
    """Try again what was kept out: rows that rules of mapping.rewrite now allow, and lines that InfluxDB refused.

    Windows concerned are converted or loaded again, and checked; all others stay as they are.
    """
    work = begin(config, parallel_jobs=parallel_jobs, only=job)
    from ts_migration.operations.quarantine import quarantine_of, replay_of

    found = work.config.job(job)
    bucket = _bucket(work, region)
    kept = quarantine_of(work.config, found, bucket, window)
    what = replay_of(kept)
    _tell(what, found.slug)
    if not what.windows:
        left = any(one.rows for one in kept)
        if left:
            say("nothing to try again")
        else:
            _tell_nothing(work, [found], bucket, window)
        raise typer.Exit(ExitCode.FAILED if left else ExitCode.OK)
    from ts_migration.cli.execute import Selection, run

    chosen = Selection(job, chosen=what.windows, reload=what.reloaded)
    raise typer.Exit(run(work, chosen, region, parallel_jobs))


def _bucket(work: Work, region: str | None) -> "ExportBucket":
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket

    work.environment.require("s3_export_bucket")
    return ExportBucket(client("s3", region), work.environment.s3_export_bucket)


def _tell_nothing(work: Work, jobs: "list[MigrationJob]", bucket: "ExportBucket", window: str | None = None) -> None:
    """That nothing was kept out, as far as it is known: a window tells it once it is converted."""
    from ts_migration.operations.quarantine import unconverted

    open_ = sum(unconverted(work.config, job, bucket, window) for job in jobs)
    windows = "1 window is" if open_ == 1 else f"{open_:,} windows are"
    say("nothing was kept out" + (f" so far; {windows} not converted: ts-migration execute" if open_ else ""))


def _show(entry: "Entry", as_json: bool) -> None:
    import json

    if as_json:
        content = {"window": entry.window, "reason": entry.reason, "column": entry.column}
        kept = {"row": entry.row} if entry.row is not None else {"line": entry.line}
        typer.echo(json.dumps({**content, **kept}, ensure_ascii=False))
        return
    say(f"{entry.window}  {f'{entry.column}: ' if entry.column else ''}{entry.reason}")
    if entry.row is None:
        say(f"    {entry.line}")
        return
    values = {name: value for name, value in entry.row.items() if value is not None}
    say("    " + ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()))


def _tell(what: "Replay", slug: str) -> None:
    """What will be tried again, and what stands in the way of the rest."""
    from ts_migration.operations.quarantine import rule_for

    if what.rewritten:
        say(f"{slug}: mapping.rewrite was changed: {len(what.rewritten):,} windows are converted again")
    if what.reloaded:
        say(f"{slug}: refused lines are sent again: {len(what.reloaded):,} windows are loaded again")
    for reason, rows in what.left.items():
        rule = rule_for(reason)
        way = f"the rule mapping.rewrite.{rule} would end that" if rule else "no rule can end that"
        error_line(f"job {slug}: {rows:,} rows stay in the quarantine for {reason}: {way}")
