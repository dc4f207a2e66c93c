"""What Dagster's event log leaves open before a cutover: every window and required check, and the whole-table checks.

A check counts only where its newest execution succeeded and judged the newest materialisation. One that was planned and
gave no verdict, judged an older materialisation, failed or never ran is told apart. Manifests are `cutover.readiness`.
"""

from collections.abc import Sequence

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.cutover.readiness import Lack, Reason, command, mending
from ts_migration.orchestration.check_state import TableState, table_state
from ts_migration.orchestration.names import TableNames

_OF_TABLES = {Lack.FAILED: Lack.TABLE_FAILED}


def check_reasons(instance: dg.DagsterInstance, config: MigrationConfig, job: MigrationJob) -> tuple[Reason, ...]:
    """What is missing of a job's table by the event log, windows before the table; nothing where all is green."""
    names = TableNames.of(config, job)
    state = table_state(instance, names, job.grid.keys)
    found = _window_lacks(instance, names, state)
    if found:
        return tuple(
            Reason(lack, job.slug, len(firsts), firsts[0], _next_step(lack, job)) for lack, firsts in found.items()
        )
    return _table_reasons(instance, names, job, state)


def _window_lacks(instance: dg.DagsterInstance, names: TableNames, state: TableState) -> dict[Lack, list[str]]:
    """Lack -> windows, or checks of windows, in order; each under the first lack that holds for it."""
    found: dict[Lack, list[str]] = {}
    infos = _infos(instance, names.required_checks)
    for key in state.keys:
        if key not in state.materialized:
            found.setdefault(Lack.NOT_MIGRATED, []).append(f"window {key}")
        elif key in state.outdated:
            found.setdefault(Lack.MADE_AGAIN, []).append(f"window {key}")
        else:
            for check in names.required_checks:
                lack = _lack(infos.get((check, key)))
                if lack:
                    found.setdefault(lack, []).append(f"{check.name} of window {key}")
    return found


def _table_reasons(
    instance: dg.DagsterInstance, names: TableNames, job: MigrationJob, state: TableState
) -> tuple[Reason, ...]:
    if not state.rolled_up:
        what = "taken back since" if state.revoked else "a check is newer than the roll-up, or there is none"
        return (Reason(Lack.NOT_ROLLED_UP, job.slug, 1, f"{job.source}: {what}", command("validate", job)),)
    infos = _infos(instance, names.table_checks)
    lacks = {check.name: _lack(infos.get((check, None))) for check in names.table_checks}
    reasons = []
    for lack in (Lack.TABLE_FAILED, Lack.TABLE_NOT_CHECKED):
        checks = [name for name, each in lacks.items() if each and _OF_TABLES.get(each, Lack.TABLE_NOT_CHECKED) is lack]
        if checks:
            next_step = mending(checks[0], job) if lack is Lack.TABLE_FAILED else command("validate", job)
            reasons.append(Reason(lack, job.slug, len(checks), checks[0], next_step))
    return tuple(reasons)


def _infos(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]
) -> dict[tuple[dg.AssetCheckKey, str | None], AssetCheckPartitionInfo]:
    return {
        (info.check_key, info.partition_key): info
        for info in instance.event_log_storage.get_asset_check_partition_info(list(checks))
    }


def _lack(info: AssetCheckPartitionInfo | None) -> Lack | None:
    """Why the newest execution of a check is no pass of what is there now; None where it is one."""
    if info is None:
        return Lack.NOT_CHECKED
    if info.latest_execution_status is AssetCheckExecutionRecordStatus.PLANNED:
        return Lack.NO_VERDICT
    # Without a materialisation `is_current` is true: there is nothing then that a check could have judged.
    if info.latest_materialization_storage_id is None or not info.is_current:
        return Lack.OUTDATED
    return None if info.latest_execution_status is AssetCheckExecutionRecordStatus.SUCCEEDED else Lack.FAILED


def _next_step(lack: Lack, job: MigrationJob) -> str:
    """Windows that only lack verdicts are checked again; all else has something to be done again."""
    return command("validate" if lack in (Lack.NOT_CHECKED, Lack.NO_VERDICT, Lack.OUTDATED) else "execute", job)
