"""Which windows are materialised, green, failed or stale, as Dagster's event log has it.

`get_asset_check_partition_info` is undocumented: it is called here alone, and `test_dagster_pins` holds it to
what is relied on. A check that did not run, was skipped or judged an older materialisation is not green.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from ts_migration.orchestration.names import TableNames


@dataclass(frozen=True)
class TableState:
    """Windows of one table by state. `newest` is the storage id of the newest event that any of this rests on."""

    keys: tuple[str, ...]
    materialized: frozenset[str]
    green: frozenset[str]
    failed: frozenset[str]
    newest: int

    @property
    def complete(self) -> bool:
        """Every window is materialised and every required check of it is current and green."""
        return set(self.keys) <= self.green

    @property
    def open(self) -> tuple[str, ...]:
        """Windows that are not green, in order."""
        return tuple(key for key in self.keys if key not in self.green)


def table_state(instance: dg.DagsterInstance, names: TableNames, keys: Sequence[str]) -> TableState:
    """The state of a table's windows."""
    materialized = frozenset(instance.get_materialized_partitions(names.influxdb_bucket)) & frozenset(keys)
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
    green = frozenset(key for key in keys if key in materialized and passed.get(key, set()) >= required)
    return TableState(tuple(keys), materialized, green, frozenset(failed) & frozenset(keys), newest)
