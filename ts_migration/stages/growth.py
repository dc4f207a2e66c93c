"""A begun window that a later end_time makes longer: what is known of it is made fit for the longer range.

Its stages are done again by themselves, for their manifests are of another range. Only the load's intent knows no
range: it would take whatever lies in the new part of the bucket for the job's own.
"""

from ts_migration.influxdb.ledger import read_intent
from ts_migration.influxdb.ownership import OwnRange, remember_own_ranges
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.windows import Window


def release_window(bucket: ExportBucket, place: TablePlace, window: Window) -> None:
    """Have the next load ask whose points lie in the part that a window grows by; its old range stays the job's own.

    Where others' points were allowed in the window (`allow_existing_data`), the intent that counted them is kept.

    Args:
        bucket: the export bucket.
        place: of the table.
        window: as it was before it grew.
    """
    own = place.window(window.key)
    intent = read_intent(bucket, own)
    if intent is None or intent.found_values:
        return
    # Remembered first: interrupted in between, the same call goes on.
    remember_own_ranges(bucket, place, [OwnRange.of(intent, window)])
    bucket.delete_prefix(own.ledger)
