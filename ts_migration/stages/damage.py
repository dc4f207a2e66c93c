"""Manifests of a window that cannot be read any more: named, and set aside so that their stages are done again.

A manifest of a newer version is not damaged. The table's own is not set aside: its mapping cannot be made again.
"""

import hashlib
from collections.abc import Collection, Iterable

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
        Refused: the export's is among them, and Timestream holds fewer rows than it told, or nothing tells how many
            those were: a new export would lose them.
    """
    damaged = damaged_in(place, bucket)
    if place.manifest("export") in damaged:
        _refuse_lost_rows(job, window, place, bucket, query, damaged)
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
    job: MigrationJob,
    window: Window,
    place: WindowPlace,
    bucket: ExportBucket,
    query: TimestreamQuery,
    damaged: Collection[str],
) -> None:
    """Never replace an export by fewer rows: how many it had at least, the conversion still tells, or the load."""
    where = bucket.uri(place.manifest("export"))
    begun = [place.manifest(stage) for stage in ("line_protocol", "load") if place.manifest(stage) in damaged]
    exported = _rows_told(place, bucket, damaged)
    if exported is None:
        if begun:
            raise Refused(
                f"the export's manifest cannot be read, nor can {names_of(begun)}: nothing tells how many rows were "
                "exported, and a new export might lose some",
                where=where,
                allowed="an export that replaces another one and holds at least its rows",
                next_step=f"put one of the objects back from a copy or an earlier version of it, or "
                f"`ts-migration reset {job.slug}`, which takes the source as it is now",
            )
        return
    rows = rows_in(query, job.source_database, job.source_table, window)
    if rows < exported:
        raise Refused(
            f"the export's manifest cannot be read, and Timestream holds {rows:,} of the {exported:,} rows that "
            "were exported: a new export would lose the others",
            where=where,
            allowed="an export that replaces another one and holds at least its rows",
            next_step="put the object back from a copy or an earlier version of it",
        )


def _rows_told(place: WindowPlace, bucket: ExportBucket, damaged: Collection[str]) -> int | None:
    """Rows that were exported, or lines that were made of them; None where no manifest that can be read tells."""
    key = place.manifest("line_protocol")
    converted = None if key in damaged else read_manifest(LineProtocolManifest, bucket, key)
    if converted is not None:
        return converted.rows
    key = place.manifest("load")
    loaded = None if key in damaged else read_manifest(LoadManifest, bucket, key)
    return None if loaded is None else loaded.points + loaded.refused_lines
