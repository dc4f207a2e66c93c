"""What runs converted and loaded of one table, read on from where it was read to: rows, points, quarantined rows."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from ts_migration.orchestration.names import TableNames

PAGE = 1_000


@dataclass(frozen=True)
class Load:
    """Points of one window that a run loaded, and when (Unix time)."""

    run_id: str
    when: float
    points: int


@dataclass(frozen=True)
class Conversion:
    """Rows of one window that a run converted, and those of them that are kept in the quarantine."""

    run_id: str
    rows: int
    quarantined: int


class TableLoads:
    """The materialisations of a table since a moment.

    Args:
        instance: whose event log is read.
        names: of the table.
        since: Unix time.
    """

    def __init__(self, instance: dg.DagsterInstance, names: TableNames, since: float) -> None:
        self._instance = instance
        self._names = names
        self._since = since
        self._read_to: dict[dg.AssetKey, int] = {}
        self._loads: list[Load] = []
        self._conversions: list[Conversion] = []

    def look(self) -> None:
        """Read on."""
        for asset in self._names.conversions:
            for record, found in self._new(asset):
                rows, quarantined = _number(found, "rows"), _number(found, "quarantined")
                self._conversions.append(Conversion(record.run_id, rows, quarantined))
        for record, found in self._new(self._names.influxdb_bucket):
            self._loads.append(Load(record.run_id, record.timestamp, _number(found, "points")))

    def loads(self, run_ids: Collection[str]) -> list[Load]:
        """What some runs loaded, oldest first."""
        return [load for load in self._loads if load.run_id in run_ids]

    def conversions(self, run_ids: Collection[str]) -> list[Conversion]:
        """What some runs converted, oldest first."""
        return [conversion for conversion in self._conversions if conversion.run_id in run_ids]

    def _new(self, asset: dg.AssetKey) -> list[tuple[dg.EventLogRecord, dg.AssetMaterialization]]:
        found: list[tuple[dg.EventLogRecord, dg.AssetMaterialization]] = []
        while True:
            known = self._read_to.get(asset)
            wanted = dg.AssetRecordsFilter(
                asset, after_storage_id=known, after_timestamp=None if known else self._since
            )
            records = self._instance.fetch_materializations(wanted, limit=PAGE, ascending=True).records
            if records:
                self._read_to[asset] = records[-1].storage_id
            found += [(each, made) for each in records if (made := each.asset_materialization) is not None]
            if len(records) < PAGE:
                return found


def _number(made: dg.AssetMaterialization, name: str) -> int:
    value = made.metadata.get(name)
    return int(str(value.value)) if value is not None else 0
