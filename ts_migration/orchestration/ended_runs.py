"""Runs that ended since a moment and that no command started: what became of their windows, for who is to be told.

Runs of commands carry a job id; the command tells of those itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.dagster_run import RunRecord

from ts_migration.config import MigrationConfig
from ts_migration.operations.metrics import WindowFigures
from ts_migration.orchestration.names import JOB_ID_TAG, PARTITION_TAG, TableNames
from ts_migration.orchestration.run_history import events_of, is_of_table, words_of

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
BACKFILL_TAG = "dagster/backfill"


@dataclass(frozen=True)
class EndedRun:
    """A run of a window, or a roll-up, that ended.

    Attributes:
        id: what people know it by: its backfill, else the run.
        job: slug of the configuration's job.
        key: partition key; "" of a roll-up.
        cancelled: neither succeeded nor failed.
    """

    id: str
    job: str
    key: str
    figures: WindowFigures
    cancelled: bool


def ended_runs(instance: dg.DagsterInstance, config: MigrationConfig, since: float) -> tuple[list[EndedRun], float]:
    """Runs of the tables that ended after `since` (Unix time), oldest first; and the time of the newest."""
    after = datetime.fromtimestamp(since, UTC)
    records = instance.get_run_records(dg.RunsFilter(statuses=ENDED, updated_after=after), order_by="update_timestamp")
    newest = max((record.update_timestamp.timestamp() for record in records), default=since)
    tables = [(job.slug, TableNames.of(config, job)) for job in config.migration_jobs]
    found = [
        _ended(instance, record, slug, names)
        for record in reversed(records)
        if JOB_ID_TAG not in record.dagster_run.tags
        for slug, names in tables
        if is_of_table(record.dagster_run, names)
    ]
    return found, newest


def _ended(instance: dg.DagsterInstance, record: RunRecord, slug: str, names: TableNames) -> EndedRun:
    run = record.dagster_run
    metadata: dict[str, int] = {}
    converted = dict.fromkeys(names.conversions, ("rows", "quarantined"))
    for event in events_of(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
        wanted = converted.get(event.asset_key, ("points",) if event.asset_key == names.influxdb_bucket else ())  # type: ignore[arg-type]
        found = event.step_materialization_data.materialization.metadata
        metadata |= {name: int(str(found[name].value)) for name in wanted if name in found}
    checks = [
        event.asset_check_evaluation_data
        for event in events_of(instance, run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ]
    ok = run.status is dg.DagsterRunStatus.SUCCESS
    failed = run.status is dg.DagsterRunStatus.FAILURE
    figures = WindowFigures(
        slug,
        run.tags.get(PARTITION_TAG, ""),
        ok,
        **metadata,
        checks_failed=sum(not check.passed and check.asset_key == names.influxdb_bucket for check in checks),
        seconds=max(0.0, (record.end_time or 0) - (record.start_time or record.end_time or 0)),
        ended=record.update_timestamp.timestamp(),
        error=words_of(instance, run.run_id) if failed else "",
    )
    id_ = run.tags.get(BACKFILL_TAG) or run.run_id[:8]
    return EndedRun(id_, slug, figures.key, figures, cancelled=not ok and not failed)
