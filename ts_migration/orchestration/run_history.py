"""Runs of a table, whoever started them: by asset keys and partition tags, for runs from Dagit carry no job id."""

import dagster as dg
from dagster._core.events import DagsterEvent

from ts_migration.orchestration.failures import cause_of
from ts_migration.orchestration.liveness import UNFINISHED
from ts_migration.orchestration.names import PARTITION_TAG, TableNames

LOOKED_AT = 200
"""Newest runs that are looked at: `status` must stay quick after years of runs."""


def is_of_table(run: dg.DagsterRun, names: TableNames) -> bool:
    """Whether a run works on a table, by its job or its assets."""
    if run.job_name in (names.job, names.check_job, names.roll_up_job):
        return True
    return any(key.path[: len(names.prefix)] == list(names.prefix) for key in run.asset_selection or ())


def running_windows(instance: dg.DagsterInstance, names: TableNames) -> tuple[str, ...]:
    """Partition keys that unfinished runs of the table work on."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[*UNFINISHED, dg.DagsterRunStatus.QUEUED]))
    return tuple(sorted(run.tags.get(PARTITION_TAG, "roll-up") for run in runs if is_of_table(run, names)))


def failed_attempts(instance: dg.DagsterInstance, names: TableNames) -> frozenset[str]:
    """Partitions whose newest attempt at one of the three stages failed, and brought no materialisation of it.

    A cancelled attempt is none that failed, and neither is one that still runs.
    """
    attempts: dict[str, set[str]] = {}
    for asset in names.stages:
        tried = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
            asset
        )
        for partition, (run_id, _) in tried.items():
            attempts.setdefault(run_id, set()).add(partition)
    failed: set[str] = set()
    run_ids = sorted(attempts)
    for first in range(0, len(run_ids), LOOKED_AT):
        wanted = dg.RunsFilter(run_ids=run_ids[first : first + LOOKED_AT], statuses=[dg.DagsterRunStatus.FAILURE])
        for run in instance.get_runs(wanted):
            failed |= attempts[run.run_id]
    return frozenset(failed)


def last_error_of(instance: dg.DagsterInstance, names: TableNames) -> str:
    """What the newest failed run of the table said, with its window; one that went well since has no error."""
    over = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    went_well: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=over), limit=LOOKED_AT):
        if not is_of_table(run, names):
            continue
        what = run.tags.get(PARTITION_TAG, "roll-up")
        if run.status is dg.DagsterRunStatus.SUCCESS:
            went_well.add(what)
        elif what not in went_well:
            return f"{what}: {words_of(instance, run.run_id)}"
    return ""


def words_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a failed run said: the checks that failed, else the step's error, else how the run ended."""
    failed = [
        evaluation.check_name
        for event in events_of(instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if not (evaluation := event.asset_check_evaluation_data).passed
    ]
    if failed:
        return f"checks failed: {', '.join(failed)}"
    for event in events_of(instance, run_id, dg.DagsterEventType.STEP_FAILURE):
        data = event.step_failure_data
        told = data.user_failure_data
        message = (told.description if told else None) or (cause_of(data.error) if data.error else "")
        if message:
            return message.strip()
    for event in events_of(instance, run_id, dg.DagsterEventType.RUN_FAILURE):
        if event.message:
            return event.message
    return "the run failed"


def events_of(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> list[DagsterEvent]:
    """A run's events of one kind, oldest first."""
    records = instance.get_records_for_run(run_id, of_type=kind).records
    return [event for record in records if (event := record.event_log_entry.dagster_event) is not None]
