"""What `execute --resume` goes on with: the newest execution of a configuration, or the one that is named."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from ts_migration.errors import Missing
from ts_migration.orchestration.job_record import JobEnd, JobRecord, job_records


@dataclass(frozen=True)
class Resumable:
    """An execution that may be gone on with: its jobs (slugs), and the windows it was limited to."""

    execution_id: str
    jobs: tuple[str, ...]
    limits: tuple[str, str] | None
    succeeded: bool

    @property
    def only(self) -> str | None:
        """The one job that it was about; None where it was about several."""
        return self.jobs[0] if len(self.jobs) == 1 else None


def resumable(instance: dg.DagsterInstance, config_path: Path, named: str | None = None) -> Resumable:
    """What was executed last, or under an id.

    Args:
        instance: where executions are written down.
        config_path: the configuration that they were of.
        named: id of a job or an execution; by default the newest.

    Raises:
        Missing: nothing was executed yet, or not under that id.
    """
    config = str(config_path.resolve())
    records = [
        each for each in job_records(instance) if each.begin.command == "execute" and each.begin.config == config
    ]
    chosen = [each for each in records if named in (None, each.job_id, each.begin.execution_id)]
    if not chosen:
        raise Missing(
            f"there is no execution {named!r} of this configuration to resume"
            if named
            else "nothing was executed with this configuration yet, so there is nothing to resume",
            where=config,
            next_step="ts-migration execute, without --resume, does whatever is not done yet",
        )
    newest = chosen[0].begin
    together = [each for each in records if each.begin.execution_id == newest.execution_id]
    if named == newest.job_id:
        together = chosen
    limits = (newest.first, newest.last) if newest.first else None
    return Resumable(
        newest.execution_id,
        tuple(each.begin.job for each in reversed(together)),
        limits,
        succeeded=all(_succeeded(each) for each in together),
    )


def _succeeded(record: JobRecord) -> bool:
    return record.end is JobEnd.SUCCEEDED
