"""`ts-migration plan`. What is planned is in `operations.plan`; here it is only asked for and shown."""

from typing import TYPE_CHECKING

import typer

from ts_migration.cli.console import bytes_text, error_line, note, say, table
from ts_migration.cli.work import ConfigOption, OnlyOption, RegionOption, begin
from ts_migration.errors import ExitCode

if TYPE_CHECKING:
    from ts_migration.operations.plan import JobPlan

_SHOWN_FIELDS = 40


def plan(config: ConfigOption = None, only: OnlyOption = None, region: RegionOption = None) -> None:
    """Show what a migration would do: ranges, windows, rows, mapping and problems. Writes nothing.

    Example: ts-migration plan --config migration_config.yaml
    """
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.kept_exports import what_is_kept
    from ts_migration.operations.plan import plan as make_plan
    from ts_migration.operations.target import target_if_set
    from ts_migration.timestream.query import TimestreamQuery

    work = begin(config, only=only)
    name = work.environment.s3_export_bucket
    bucket = ExportBucket(client("s3", region), name) if name else None
    query, target = TimestreamQuery(client("timestream-query", region)), target_if_set(work.environment, region)
    plans = make_plan(work.config, query, only, bucket, target)
    for one in plans:
        _show(one)
    table(
        ["job", "source", "bucket", "windows", "rows", "largest window", "export about", "window"],
        [_row(one) for one in plans],
        right=["windows", "rows", "largest window", "export about"],
    )
    problems = [f"job {one.job.job_name!r}: {problem}" for one in plans for problem in one.problems]
    for problem in problems:
        error_line(problem)
    if problems:
        raise typer.Exit(ExitCode.FAILED)
    note(what_is_kept(bucket))
    note("next: ts-migration execute --dry-run")


def _row(one: "JobPlan") -> tuple[object, ...]:
    largest = f"{one.largest.rows:,} ({one.largest.window.key})" if one.largest else ""
    window = _grid_name(one.job.window)
    if one.recommended:
        window += f", better {one.recommended}"
    volume = bytes_text(one.bytes) if one.windows else ""
    return (
        one.job.job_name,
        one.job.source,
        one.job.target_bucket,
        len(one.job.grid),
        one.rows if one.windows else "not known",
        largest,
        volume,
        window,
    )


def _grid_name(cron: str) -> str:
    from ts_migration.windows import NAMED_GRIDS

    return next((name for name, known in NAMED_GRIDS.items() if known == cron), repr(cron))


def _show(one: "JobPlan") -> None:
    from ts_migration.windows import iso

    job = one.job
    say(f"job {job.job_name!r}: {job.source} -> bucket {job.target_bucket}, measurement {job.measurement}")
    say(f"  range    {iso(job.start_time)} until {iso(job.end_time)} (excluded)")
    say(f"  windows  {len(job.grid):,}, {job.grid.keys[0]} to {job.grid.keys[-1]}, by {_grid_name(job.window)}, UTC")
    if one.mapping:
        tags = ", ".join(
            source.tag if source.tag == source.column else f"{source.tag} (from {source.column})"
            for source in one.mapping.tags
        )
        say(f"  tags     {tags or 'none'}")
        for index, source in enumerate(one.mapping.fields[:_SHOWN_FIELDS]):
            origin = "" if source.field == source.column else f" (from {source.column})"
            say(f"  {'fields ' if index == 0 else '       '}  {source.field}: {source.type}{origin}")
        if len(one.mapping.fields) > _SHOWN_FIELDS:
            say(f"           and {len(one.mapping.fields) - _SHOWN_FIELDS} more")
    if one.series:
        say(f"  series   {one.series.series:,}, {one.series.with_fields:,} with field keys")
    if rules := job.mapping.rewrite.active:
        say(f"  rewrite  {', '.join(f'{rule}: {choice}' for rule, choice in rules.items())}")
    if one.recommended:
        say(f"  advice   window: {one.recommended} (by volume); it can be chosen until the table is begun")
    for line in one.notes:
        say(f"  note     {line}")
    say("")
