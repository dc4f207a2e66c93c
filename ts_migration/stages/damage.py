"""Manifests of a window that cannot be read any more: named, and set aside so that their stages are done again.

A manifest of a newer version is not damaged. The table's own is not set aside: its mapping cannot be made again.
"""

import hashlib
from collections.abc import Iterable

from ts_migration.config import MigrationJob
from ts_migration.errors import Refused
from ts_migration.manifests import (
    AcceptanceManifest,
    DamagedManifest,
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    Manifest,
    VerdictsManifest,
    read_manifest,
)
from ts_migration.objects import ExportBucket, TablePlace, WindowPlace
from ts_migration.timestream.probe import rows_in
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.windows import Window


def damaged_in(place: WindowPlace, bucket: ExportBucket) -> tuple[str, ...]:
    """Keys of the window's manifests that are there and cannot be read, in the order of the flow."""
    return tuple(key for key, kind in _kinds(place).items() if _is_damaged(kind, bucket, key))


def damaged_windows(place: TablePlace, windows: Iterable[str], bucket: ExportBucket) -> dict[str, tuple[str, ...]]:
    """Partition key -> keys of its manifests that cannot be read, of windows that have any."""
    found = {key: damaged_in(place.window(key), bucket) for key in windows}
    return {key: damaged for key, damaged in found.items() if damaged}


def set_aside(
    job: MigrationJob, window: Window, place: WindowPlace, bucket: ExportBucket, query: TimestreamQuery
) -> tuple[str, ...]:
    """Move the manifests that cannot be read to where no stage looks; the keys that they had.

    Raises:
        Refused: the export's is among them, and Timestream holds fewer rows than it told: a new export would lose them.
    """
    damaged = damaged_in(place, bucket)
    if place.manifest("export") in damaged and place.manifest("line_protocol") not in damaged:
        _refuse_lost_rows(job, window, place, bucket, query)
    for key in damaged:
        body = bucket.get(key)
        bucket.put(place.damaged(key, hashlib.sha256(body).hexdigest()), body)
        bucket.delete(key)
    return damaged


def names_of(keys: Iterable[str]) -> str:
    """The manifests of a window by their names, for people."""
    return ", ".join(key.rpartition("/")[2] for key in keys)


def _kinds(place: WindowPlace) -> dict[str, type[Manifest]]:
    return {
        place.manifest("export"): ExportManifest,
        place.manifest("line_protocol"): LineProtocolManifest,
        place.manifest("load"): LoadManifest,
        place.verdicts: VerdictsManifest,
        place.acceptance: AcceptanceManifest,
    }


def _is_damaged(kind: type[Manifest], bucket: ExportBucket, key: str) -> bool:
    try:
        read_manifest(kind, bucket, key)
    except DamagedManifest:
        return True
    return False


def _refuse_lost_rows(
    job: MigrationJob, window: Window, place: WindowPlace, bucket: ExportBucket, query: TimestreamQuery
) -> None:
    """Never replace an export by fewer rows: how many it had, the conversion still tells."""
    converted = read_manifest(LineProtocolManifest, bucket, place.manifest("line_protocol"))
    if converted is None:
        return
    rows = rows_in(query, job.source_database, job.source_table, window)
    if rows < converted.rows:
        raise Refused(
            f"the export's manifest cannot be read, and Timestream holds {rows:,} of the {converted.rows:,} rows that "
            "were exported: a new export would lose the others",
            where=bucket.uri(place.manifest("export")),
            allowed="an export that replaces another one and holds at least its rows",
            next_step="put the object back from a copy or an earlier version of it",
        )
