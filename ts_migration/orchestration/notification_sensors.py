"""Sensors that tell what becomes of runs that no command started: windows that failed, and jobs that came to an end.

Commands tell of their own runs. Both sensors are on and do nothing until a topic or a namespace is configured; what
is told, and how, is in `operations.notifications`. A first tick begins with now: history is told to nobody.
"""

import json
import time
from dataclasses import asdict, dataclass

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from ts_migration.config import MigrationConfig
from ts_migration.operations.notices import FailedWindow, JobEnd, windows_failed
from ts_migration.operations.notifications import Notifications
from ts_migration.orchestration.check_state import table_state
from ts_migration.orchestration.ended_runs import EndedRun, ended_runs
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.resources import current_environment
from ts_migration.orchestration.run_history import running_windows

TICK_S = 30
ROLL_UP_WAIT_S = 120.0
"""How long the end of a job waits for its roll-up, which `rollup_sensor` requests."""
_UNFINISHED_BACKFILLS = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
_NOBODY = "nothing is told: NOTIFICATION_TOPIC_ARN, notifications.topic and metrics.namespace are not set"


def notification_sensors(config: MigrationConfig) -> list[dg.SensorDefinition]:
    """The two sensors of a configuration."""
    return [_failures(config), _ends(config)]


def _failures(config: MigrationConfig) -> dg.SensorDefinition:
    @dg.sensor(
        name="failure_notification_sensor",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the SNS topic which windows failed in runs that Dagster started: together, not one by one.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        with _notifications(config, context) as told:
            if not told.active:
                return dg.SkipReason(_NOBODY)
            now = time.time()
            since, due = json.loads(context.cursor) if context.cursor else (now, 0.0)
            if now < due:
                return dg.SkipReason(f"failures are told together: the next time in {due - now:.0f} s")
            found, newest = ended_runs(context.instance, config, since)
            failed = [
                FailedWindow(run.id, run.job, run.key or "roll-up", run.figures.error)
                for run in found
                if not run.figures.ok and not run.cancelled
            ]
            if failed:
                told.send(windows_failed(failed))
            context.update_cursor(json.dumps([newest, now + config.notifications.failure_interval if failed else 0.0]))
            return dg.SkipReason(f"told of {len(failed)} failed windows" if failed else "no window has failed since")

    return sensor


@dataclass
class _Pending:
    """A job whose runs have ended, or some of them: what is told once nothing of it runs."""

    id: str
    since: float
    failed: int = 0
    cancelled: int = 0
    points: int = 0
    seconds: float = 0.0

    def add(self, run: EndedRun) -> None:
        """Count a run."""
        self.id = run.id
        self.since = run.figures.ended
        self.failed += not run.figures.ok and not run.cancelled
        self.cancelled += run.cancelled
        self.points += run.figures.points
        self.seconds += run.figures.seconds


def _ends(config: MigrationConfig) -> dg.SensorDefinition:
    @dg.sensor(
        name="job_end_notification_sensor",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the SNS topic that a job's runs in Dagster have ended; puts their figures to CloudWatch.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        with _notifications(config, context) as told:
            if not told.active:
                return dg.SkipReason(_NOBODY)
            now = time.time()
            since, kept = json.loads(context.cursor) if context.cursor else (now, {})
            pending = {slug: _Pending(**found) for slug, found in kept.items()}
            found, newest = ended_runs(context.instance, config, since)
            for run in found:
                pending.setdefault(run.job, _Pending(run.id, 0.0)).add(run)
                if run.key:
                    told.put(run.figures)
            ended = [slug for slug, job in pending.items() if _tell_end(context.instance, config, slug, job, told, now)]
            left = {slug: asdict(job) for slug, job in pending.items() if slug not in ended}
            context.update_cursor(json.dumps([newest, left]))
            waiting = f"runs of {', '.join(left)} go on" if left else "no job has ended since"
            return dg.SkipReason(f"told that {', '.join(ended)} ended" if ended else waiting)

    return sensor


def _tell_end(
    instance: dg.DagsterInstance, config: MigrationConfig, slug: str, pending: _Pending, told: Notifications, now: float
) -> bool:
    """Tell that a job ended, unless something of it still runs or is to come; whether it was told."""
    if slug not in {job.slug for job in config.migration_jobs}:
        return True
    job = config.job(slug)
    names = TableNames.of(config, job)
    if running_windows(instance, names) or _in_backfill(instance, pending.id):
        return False
    state = table_state(instance, names, job.grid.keys)
    due = state.complete and not state.rolled_up and job.validation_enabled
    if due and now - pending.since < ROLL_UP_WAIT_S:
        return False
    outcome = "failed" if pending.failed else "cancelled" if pending.cancelled else "succeeded"
    words = "migrated" if state.rolled_up else "complete" if state.complete else "partly migrated"
    end = JobEnd(slug, len(state.keys), len(state.green), len(state.failed), pending.points, words)
    told.ended(pending.id, outcome, [end], pending.seconds)
    return True


def _in_backfill(instance: dg.DagsterInstance, backfill_id: str) -> bool:
    unfinished = instance.get_backfills(filters=BulkActionsFilter(statuses=_UNFINISHED_BACKFILLS))
    return any(backfill.backfill_id == backfill_id for backfill in unfinished)


def _notifications(config: MigrationConfig, context: dg.SensorEvaluationContext) -> Notifications:
    return Notifications.of(config, current_environment(), warn=context.log.warning)
