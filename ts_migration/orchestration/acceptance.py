"""What becomes of a table's roll-up when windows of it are accepted, or are no longer: it is made again.

Who accepts what is written by `operations.acceptance`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.exclusive import only_one
from ts_migration.orchestration.home import open_instance
from ts_migration.orchestration.job_ids import new_execution_id
from ts_migration.orchestration.job_record import JobEnd, tell_ended, tell_planned
from ts_migration.orchestration.job_watch import JobWatch, written_down
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.pool import Pool
from ts_migration.orchestration.revocation import revoke_roll_up
from ts_migration.orchestration.schedule import Schedule
from ts_migration.orchestration.tasks import Outcome


@dataclass(frozen=True)
class RollUpAgain:
    """Whether a table was rolled up again, and if not, why: windows of it are open, or an error."""

    done: bool
    open_windows: int = 0
    error: str = ""


def roll_up_again(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    changed: Mapping[str, str],
    *,
    config_path: Path,
) -> RollUpAgain:
    """Take back what the roll-up of a job's table says, and make it again where every window is green.

    Args:
        config: of the job.
        job: whose table it is.
        bucket: the export bucket.
        changed: window -> what was changed about it.
        config_path: the file that the configuration was loaded from.

    Raises:
        Refused: an `execute` works on this configuration.
    """
    names = TableNames.of(config, job)
    job_id = "acceptance-" + new_execution_id([job])
    outcomes: list[Outcome] = []
    with open_instance() as instance:
        # Before the lock: an `execute` that holds it, or the sensor, then knows that the roll-up is to be made again.
        revoke_roll_up(instance, names, changed, bucket=bucket, place=config.place(job))
        state = table_state(instance, names, job.grid.keys)
        if not state.complete:
            return RollUpAgain(False, open_windows=len(state.open))
        with (
            only_one(instance, config_path, job_id),
            written_down(instance, config, [job], job_id, command="accept", config_path=config_path),
        ):
            tell_planned(instance, job_id, 0)
            pool = Pool(
                Schedule({job.slug: ()}, roll_up=[job.slug]),
                instance,
                size=1,
                config_path=config_path,
                execution_id=job_id,
                on_outcome=lambda _, outcome: outcomes.append(outcome),
            )
            with JobWatch.of_pool(instance, job_id, [job.slug], pool):
                pool.run(on_interrupt=lambda *_: None)
            error = next((outcome.error for outcome in outcomes if outcome.error), "")
            cancelled = not outcomes or any(outcome.cancelled for outcome in outcomes)
            end = JobEnd.CANCELLED if cancelled else JobEnd.FAILED if error else JobEnd.SUCCEEDED
            tell_ended(instance, job_id, end, error)
    return RollUpAgain(bool(outcomes) and all(outcome.ok for outcome in outcomes), error=error)
