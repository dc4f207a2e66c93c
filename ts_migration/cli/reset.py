"""`ts-migration reset`: takes a job's table back to its beginning.

`operations.reset` and `orchestration.reset` do it; here it is shown, asked for and told.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from ts_migration.cli.approval import require_approval
from ts_migration.cli.console import note, say, stderr
from ts_migration.cli.work import ConfigOption, RegionOption, begin

if TYPE_CHECKING:
    from ts_migration.operations.reset import Begun

_TELL_EVERY = 100
"""Materialisations between two lines of progress: Dagster takes some 20 ms for each."""


def reset(
    job: Annotated[str, typer.Argument(help="The job whose table is taken back, by its job_name.")],
    config: ConfigOption = None,
    region: RegionOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a job's manifests, verdicts and files, so that `execute` begins its table anew. Points stay in the bucket.

    Needed where the grid (window, start_time) or the mapping changes, or the source has new measures.

    Example: ts-migration reset "Load Data Migration"
    """
    work = begin(config, only=job)
    from ts_migration.aws import client
    from ts_migration.objects import ExportBucket
    from ts_migration.operations.reset import look_at_begun
    from ts_migration.orchestration.reset import reset as run

    work.environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region), work.environment.s3_export_bucket)
    begun = look_at_begun(work.config, work.config.job(job), bucket)
    _show(begun)
    if not yes:
        require_approval(
            "Reset it?",
            of="the reset",
            where=f"job {begun.job.job_name!r}",
            next_step=f"ts-migration reset {begun.job.slug} --yes",
        )

    def tell(done: int, total: int) -> None:
        if done % _TELL_EVERY == 0:
            note(f"{done} of {total} materialisations taken back")

    result = run(work.config, begun, bucket, config_path=work.path, report=tell)
    if not result.objects and not result.materializations:
        say("nothing to take back: the table was not begun")
        return
    say(f"reset: {result.objects:,} objects deleted, {result.materializations:,} materialisations taken back")
    _tell_of_points(begun)
    note("next: ts-migration execute")


def _show(begun: "Begun") -> None:
    """What would go and what would stay."""
    from ts_migration.windows import iso

    job, grid = begun.job, begun.grid
    say(f"job {job.job_name!r}: {job.source} -> bucket {job.target_bucket}")
    if begun.nothing:
        return
    say(f"  begun    {iso(grid.start_ns)} until {iso(grid.end_ns)} (excluded), {len(grid):,} windows of {grid.cron!r}")
    say(f"  deleted  manifests and verdicts of {len(begun.windows):,} windows, their export and converted files")
    for line in begun.stays:
        say(f"  stays    {line}")


def _tell_of_points(begun: "Begun") -> None:
    """What becomes of the points, and the commands for whoever wants them gone."""
    if not begun.loads:
        return
    note("points that the job wrote stay in the bucket; loading them again overwrites them and is not refused")
    if begun.deletions:
        note(
            "where the new mapping has other tags, fields or measurement, delete the old points first, or checks fail:"
        )
        for line in begun.deletions:
            stderr().print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
