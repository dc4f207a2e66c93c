"""`catch-up`: migrates what came to the source since, pass by pass, until a pass finds nothing new.

A pass asks the source, moves end_time in the configuration file where rows lie after it, and lets `execute` export,
convert, load and check the windows that grew and those that are new: runs of Dagster like any others. What counts as
new is in `operations.arrivals`; how the file's text changes, in `config_end_time`.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ts_migration.aws import client
from ts_migration.config import Environment, MigrationConfig, load_config
from ts_migration.config_end_time import with_end_times
from ts_migration.objects import ExportBucket
from ts_migration.operations.arrivals import Arrivals, arrivals_of
from ts_migration.orchestration.execution import execute
from ts_migration.orchestration.execution_result import ExecutionResult, Progress
from ts_migration.orchestration.repair_run import repair
from ts_migration.stages.proof import proof_of
from ts_migration.timestream.query import Retries, TimestreamQuery

MOST_PASSES = 10
"""A source that is written to without a pause is never still: somebody has to stop its writers."""


@dataclass(frozen=True)
class EndTimeChange:
    """Other end_times in a configuration file: its text before and after."""

    path: Path
    before: str
    after: str


@dataclass(frozen=True)
class CatchUpResult:
    """What `catch_up` did."""

    passes: tuple[ExecutionResult, ...]
    """A pass whose windows had to be repaired has a second result: what was left after that, the roll-up."""
    left: tuple[Arrivals, ...]
    """What the last look found and no pass took in; nothing where the source is still."""
    declined: bool = False
    """Somebody said no to a later end_time, or could not be asked."""

    @property
    def still(self) -> bool:
        """Whether the last look found nothing new."""
        return all(arrivals.nothing for arrivals in self.left)

    @property
    def interrupted(self) -> bool:
        """Whether a pass was cut short."""
        return any(result.interrupted for result in self.passes)

    @property
    def ok(self) -> bool:
        """The source is still, and what the last pass did succeeded."""
        return self.still and not self.interrupted and all(result.ok for result in self.passes[-1:])


def catch_up(
    environment: Environment,
    *,
    config_path: Path,
    only: str | None = None,
    parallel_jobs: int | None = None,
    region: str | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    on_look: Callable[[int, tuple[Arrivals, ...]], None] = lambda _number, _found: None,
    agree: Callable[[EndTimeChange], bool],
) -> CatchUpResult:
    """Take in what came to the source, until it is still. The first pass also does what was left open before.

    Args:
        config_path: the configuration; its end_times are changed where `agree` says so.
        only: name of the one job to work on.
        parallel_jobs: worker processes; by default the configuration's.
        report: told of every step, as of `execute`.
        on_look: told what each pass found before it begins.
        agree: asked before end_times are changed; it writes the file and keeps the former text.

    Raises:
        MigrationError: nothing was begun, or a system failed between two passes: the same call goes on.
    """

    def run(export_again: dict[str, tuple[str, ...]]) -> ExecutionResult:
        return execute(
            load_config(config_path),
            environment,
            config_path=config_path,
            only=only,
            parallel_jobs=parallel_jobs,
            region=region,
            report=report,
            export_again=export_again,
            command="catch-up",
        )

    passes: list[ExecutionResult] = []
    for number in itertools.count(1):
        found = look_at_arrivals(load_config(config_path), environment, only=only, region=region)
        on_look(number, found)
        ends = {each.job.job_name: each.new_end_ns for each in found if each.new_end_ns is not None}
        late = {each.job.slug: tuple(window.key for window in each.changed) for each in found if each.changed}
        if (passes and not ends and not late) or number > MOST_PASSES:
            return CatchUpResult(tuple(passes), found)
        declined = False
        if ends:
            before = config_path.read_text(encoding="utf-8")
            declined = not agree(EndTimeChange(config_path, before, with_end_times(before, ends)))
        passes.append(run(late))
        if not passes[-1].interrupted and _values_gone_are_mended(
            found, passes[-1], environment, config_path=config_path, region=region, report=report
        ):
            passes.append(run({}))
        if declined or passes[-1].interrupted or any(job.failed for job in passes[-1].jobs):
            # A window that failed would fail alike at once. A roll-up fails for rows that came late: the next pass's.
            left = tuple(each for each in found if each.new_end_ns is not None) if declined else ()
            return CatchUpResult(tuple(passes), left, declined)
    raise AssertionError("unreachable")


def _values_gone_are_mended(
    found: tuple[Arrivals, ...],
    result: ExecutionResult,
    environment: Environment,
    *,
    config_path: Path,
    region: str | None,
    report: Callable[[Progress], None],
) -> bool:
    """Repair the windows that were written again and failed their checks: a load takes no value back that is gone.

    Returns:
        Whether there were any, and all of them are right now.
    """
    failed = {job.job for job in result.jobs if job.failed}
    tried = [(each.job.job_name, window.key) for each in found for window in each.rewritten if each.job.slug in failed]
    config = load_config(config_path)
    mended = [
        repair(
            config,
            environment,
            config.job(name),
            config_path=config_path,
            windows=(key, key),
            region=region,
            report=report,
        ).ok
        for name, key in tried
    ]
    return bool(mended) and all(mended)


def look_at_arrivals(
    config: MigrationConfig, environment: Environment, *, only: str | None = None, region: str | None = None
) -> tuple[Arrivals, ...]:
    """What came to the source of every job, or of one, since its windows were exported. Changes nothing.

    Raises:
        MigrationError: S3 or Timestream could not be asked.
    """
    environment.require("s3_export_bucket")
    bucket = ExportBucket(client("s3", region=region), environment.s3_export_bucket)
    settings = config.migration_settings
    query = TimestreamQuery(
        client("timestream-query", region=region), Retries(settings.max_retry_attempts, settings.retry_delay_seconds)
    )
    jobs = [config.job(only)] if only else list(config.migration_jobs)
    return tuple(
        arrivals_of(
            config, job, proof_of(config, job, bucket), query, config.cutover.dual_write_since, values_in=bucket
        )
        for job in jobs
    )
