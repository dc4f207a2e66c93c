"""Restores that are answered as if all were well, whatever the file: which of them are hit.

What then becomes of the file is in `local.influxdb.server.restoring`; which rules are in force, in `active`.
"""

from ts_migration.local.faults.active import ActiveFaults
from ts_migration.local.faults.rules import RESTORE_KINDS, FaultKind


def restore_fault(label: str, faults: ActiveFaults) -> FaultKind | None:
    """What befalls the restore of this method and path, if anything."""
    rule = faults.hit(label, RESTORE_KINDS)
    return rule.kind if rule else None
