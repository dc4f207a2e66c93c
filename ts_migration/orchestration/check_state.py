"""Which windows are materialised, green, failed or stale, as Dagster's event log has it.

`get_asset_check_partition_info` is undocumented: it is called here alone, and `test_dagster_pins` holds it to
what is relied on. A check that did not run, was skipped or judged an older materialisation is not green, and
neither is a window whose export or conversion was made again after its load (`versions`). A window that `reset` took
back is not materialised: Dagster cannot forget a materialisation, so a newer one says so (`rolled_back`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from ts_migration.orchestration.names import REVOKED, ROLLED_BACK_TAG, TableNames
from ts_migration.orchestration.run_history import failed_attempts
from ts_migration.orchestration.versions import is_made_from, is_rolled_back, latest_versions


@dataclass(frozen=True)
class TableState:
    """Windows of one table by state. `newest` is the storage id of the newest event that any of this rests on.

    `rolled_up` tells that `migrated` was materialised since then.
    """

    keys: tuple[str, ...]
    materialized: frozenset[str]
    green: frozenset[str]
    failed: frozenset[str]
    """A check of it failed, or the newest attempt at one of its stages."""
    outdated: frozenset[str]
    """Materialised from an export or a conversion that was made again since."""
    newest: int
    rolled_up: bool = False
    revoked: int = 0
    """Which evaluation took the roll-up back, if that is the newest one: it has to be made again."""
    refuted: frozenset[str] = frozenset()
    """A check of what the window holds now failed."""

    @property
    def unfinished(self) -> frozenset[str]:
        """Failed windows that were not loaded, or not since: no check has spoken against what they hold."""
        return self.failed - (self.materialized & self.refuted)

    @property
    def complete(self) -> bool:
        """Every window is materialised and every required check of it is current and green."""
        return set(self.keys) <= self.green

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Why windows are not green -> those windows, in order; each under the first reason that holds."""
        found: dict[str, list[str]] = {}
        for key in self.open:
            if key not in self.materialized:
                reason = "failed" if key in self.failed else "not migrated"
            elif key in self.outdated:
                reason = "made again after the checks"
            else:
                reason = "failed" if key in self.failed else "not checked"
            found.setdefault(reason, []).append(key)
        return {reason: tuple(keys) for reason, keys in found.items()}

    @property
    def why_open(self) -> dict[str, str]:
        """Open window -> why it is not green."""
        return {key: reason for reason, keys in self.reasons.items() for key in keys}

    @property
    def open(self) -> tuple[str, ...]:
        """Windows that are not green, in order."""
        return tuple(key for key in self.keys if key not in self.green)


def table_state(instance: dg.DagsterInstance, names: TableNames, keys: Sequence[str]) -> TableState:
    """The state of a table's windows."""
    materialized = standing_partitions(instance, names.influxdb_bucket) & frozenset(keys)
    passed: dict[str, set[str]] = {}
    failed: set[str] = set()
    newest = 0
    for info in instance.event_log_storage.get_asset_check_partition_info(list(names.window_checks)):
        key = info.partition_key
        if key is None or info.latest_materialization_storage_id is None or not info.is_current:
            continue
        if info.latest_execution_status is AssetCheckExecutionRecordStatus.SUCCEEDED:
            passed.setdefault(key, set()).add(info.check_key.name)
            newest = max(newest, info.latest_check_event_storage_id)
        elif info.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED:
            failed.add(key)
    required = {check.name for check in names.window_checks}
    outdated = materialized - _chained_partitions(instance, names)
    green = frozenset(key for key in materialized - outdated if passed.get(key, set()) >= required)
    revoked = table_check(instance, names).revoked
    rolled_up = not revoked and is_materialized(instance, names.migrated, since=newest)
    refuted = frozenset(failed)
    failed |= failed_attempts(instance, names) - green
    return TableState(
        tuple(keys),
        materialized,
        green,
        frozenset(failed) & frozenset(keys),
        outdated,
        newest,
        rolled_up,
        revoked,
        refuted,
    )


@dataclass(frozen=True)
class TableCheckState:
    """What the check of a whole table, that every window of it is proven, came to last."""

    passed: bool = False
    revoked: int = 0
    """Id of the evaluation that took the roll-up back; 0 where a roll-up spoke last, or none ever did."""
    accepted: bool = False
    """It passed because windows that are not proven were accepted."""


def table_check(instance: dg.DagsterInstance, names: TableNames) -> TableCheckState:
    """The newest evaluation of `all_windows_proven`, from a roll-up or from what took it back."""
    over = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    records = instance.event_log_storage.get_asset_check_execution_history(
        names.all_windows_proven, limit=1, status=over
    )
    if not records:
        return TableCheckState()
    event = records[0].event.dagster_event if records[0].event else None
    metadata = event.asset_check_evaluation_data.metadata if event else {}
    passed = records[0].status is AssetCheckExecutionRecordStatus.SUCCEEDED
    warned = event is not None and event.asset_check_evaluation_data.severity is dg.AssetCheckSeverity.WARN
    return TableCheckState(passed, records[0].id if REVOKED in metadata else 0, accepted=passed and warned)


def failed_table_checks(instance: dg.DagsterInstance, names: TableNames) -> tuple[str, ...]:
    """Checks of a whole table whose newest evaluation failed, but for the one that windows that only passed fail."""
    checks = [check for check in names.table_checks if check != names.all_windows_proven]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    failed = AssetCheckExecutionRecordStatus.FAILED
    return tuple(check.name for check in checks if check in latest and latest[check].status is failed)


def _chained_partitions(instance: dg.DagsterInstance, names: TableNames) -> frozenset[str]:
    """Partitions whose load was made from the newest conversion, and that from the newest export."""
    exports, conversions, loads = (latest_versions(instance, asset) for asset in names.stages)
    return frozenset(
        key
        for key, load in loads.items()
        if is_made_from(load, conversions.get(key, "")) and is_made_from(conversions.get(key, ""), exports.get(key, ""))
    )


def standing_partitions(instance: dg.DagsterInstance, asset: dg.AssetKey) -> frozenset[str]:
    """Partitions that are materialised and were not rolled back since."""
    gone = {key for key, version in latest_versions(instance, asset).items() if is_rolled_back(version)}
    return frozenset(instance.get_materialized_partitions(asset)) - gone


def is_materialized(instance: dg.DagsterInstance, asset: dg.AssetKey, since: int = 0) -> bool:
    """Whether an unpartitioned asset's newest materialisation is newer than a storage id and no roll-back."""
    records = instance.fetch_materializations(asset, limit=1).records
    if not records or records[0].storage_id <= since:
        return False
    found = records[0].asset_materialization
    return found is not None and ROLLED_BACK_TAG not in (found.tags or {})
