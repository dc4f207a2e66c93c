"""Runs of a table, whoever started them: by asset keys and partition tags, for runs from Dagit carry no job id."""

import dagster as dg

from ts_migration.orchestration.liveness import UNFINISHED
from ts_migration.orchestration.names import PARTITION_TAG, TableNames

LOOKED_AT = 200
"""Newest runs that are looked at: `status` must stay quick after years of runs."""


def _of_table(run: dg.DagsterRun, names: TableNames) -> bool:
    if run.job_name in (names.job, names.roll_up_job):
        return True
    return any(key.path[: len(names.prefix)] == list(names.prefix) for key in run.asset_selection or ())


def running_windows(instance: dg.DagsterInstance, names: TableNames) -> tuple[str, ...]:
    """Partition keys that unfinished runs of the table work on."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[*UNFINISHED, dg.DagsterRunStatus.QUEUED]))
    return tuple(sorted(run.tags.get(PARTITION_TAG, "roll-up") for run in runs if _of_table(run, names)))


def last_error_of(instance: dg.DagsterInstance, names: TableNames) -> str:
    """What the newest failed run of the table said, with its window."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=LOOKED_AT):
        if not _of_table(run, names):
            continue
        for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records:
            event = record.event_log_entry.dagster_event
            data = event.step_failure_data if event else None
            told = data.user_failure_data if data else None
            message = (told.description if told else None) or (data.error.message if data and data.error else "")
            return f"{run.tags.get(PARTITION_TAG, 'roll-up')}: {(message or '').strip()}"
        return f"{run.tags.get(PARTITION_TAG, 'roll-up')}: the run failed"
    return ""
