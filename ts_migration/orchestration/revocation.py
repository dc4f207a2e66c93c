"""Takes back what a table's roll-up says, once a window of it is open again: Dagster would show it green for ever.

The check `all_windows_proven` of `migrated` is told to have failed, without a run, and `migrated.json` goes. The next
roll-up makes both again. When a table is complete is told in `check_state`.
"""

from collections.abc import Mapping

import dagster as dg

from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.orchestration.check_state import is_materialized, table_check
from ts_migration.orchestration.names import REVOKED, TableNames

NAMED_WINDOWS = 20


def revoke_roll_up(
    instance: dg.DagsterInstance,
    names: TableNames,
    open_windows: Mapping[str, str],
    *,
    bucket: ExportBucket | None = None,
    place: TablePlace | None = None,
) -> bool:
    """Say that a table is no longer migrated, if it was said to be. Repeated calls say it once.

    Args:
        instance: Dagster's.
        names: of the table.
        open_windows: window -> why it is open again; nothing is done where there is none.
        bucket, place: where the manifest of the roll-up lies; it is left alone where they are not at hand.

    Returns:
        Whether it was said now.
    """
    if not open_windows:
        return False
    if bucket is not None and place is not None:
        bucket.delete(place.migrated)
    if not is_materialized(instance, names.migrated) or table_check(instance, names).revoked:
        return False
    keys = sorted(open_windows)
    evidence = [dg.TableRecord({"finding": f"window {key}: {open_windows[key]}"}) for key in keys[:NAMED_WINDOWS]]
    check = names.all_windows_proven
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=check.asset_key,
            check_name=check.name,
            passed=False,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                REVOKED: f"{len(keys):,} windows are open again since the table was rolled up",
                "first open windows": ", ".join(keys[:3]),
                "evidence": dg.MetadataValue.table(evidence, schema=dg.TableSchema([dg.TableColumn("finding")])),
            },
        )
    )
    return True
