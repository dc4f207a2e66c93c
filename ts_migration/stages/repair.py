"""What a window that is not proven needs at least, and what of it was done. Reads manifests; `mending` drops them.

A stage that stands is never done again: that rule is the stages' own (`currency`). Here it is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ts_migration.config import MigrationJob
from ts_migration.influxdb.connection import Target
from ts_migration.line_protocol.mapping import Mapping as PointMapping
from ts_migration.manifests import (
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    Manifest,
    read_manifest,
    require_manifest,
)
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.extras import Removed, remove_extras
from ts_migration.stages.mending import first_to_be_done
from ts_migration.stages.proof import WindowProof, WindowStatus
from ts_migration.stages.trace import Sides
from ts_migration.validation.verdict import Stage
from ts_migration.windows import Window

_STAGES: Mapping[str, type[Manifest]] = {
    "export": ExportManifest,
    "line_protocol": LineProtocolManifest,
    "load": LoadManifest,
}
_DONE = {"export": "exported", "line_protocol": "converted", "load": "loaded"}
_NEEDED = {
    Stage.EXPORT: "export, convert and load it again",
    Stage.CONVERSION: "convert and load it again",
    Stage.LOAD: "delete from the bucket what is too much, if anything is, and send its members again",
}

Stamps = Mapping[str, tuple[str, str]]
"""Stage -> digest of its manifest and when it was written."""


def is_to_be_repaired(window: WindowProof) -> bool:
    """Whether a repair is for a window: it was judged and is not proven. One that was never loaded is for `execute`."""
    return window.status in (WindowStatus.FAILED, WindowStatus.STALE)


def need_of(window: WindowProof, place: WindowPlace, bucket: ExportBucket) -> str:
    """What a window needs by its last verdicts and manifests, for people."""
    if window.status is WindowStatus.STALE:
        return "check it again" if window.loaded else "do again what has changed, and what follows from it"
    first = first_to_be_done(bucket, place)
    return _NEEDED[first] if first else "check it again"


def stamps_of(place: WindowPlace, bucket: ExportBucket) -> Stamps:
    """The manifests of a window's stages as they are now."""
    found = {stage: read_manifest(kind, bucket, place.manifest(stage)) for stage, kind in _STAGES.items()}
    return {stage: (one.digest, one.written_at) for stage, one in found.items() if one is not None}


@dataclass(frozen=True)
class Deeds:
    """What a repair did to a window: stages that ran, and points that it deleted because they were too many."""

    stages: tuple[str, ...]
    removed: Removed

    @classmethod
    def between(cls, before: Stamps, after: Stamps, removed: Removed) -> "Deeds":
        """By the manifests before and after."""
        return cls(tuple(stage for stage in _STAGES if stage in after and after[stage] != before.get(stage)), removed)

    @property
    def words(self) -> str:
        """For people."""
        done = [_DONE[stage] for stage in self.stages]
        told = [f"{', '.join(done[:-1])} and {done[-1]} again" if len(done) > 1 else f"{done[0]} again"] if done else []
        if points := self.removed.points:
            count = "1 point that was" if points == 1 else f"{points:,} points that were"
            told.insert(0, f"{count} too many deleted (kept in {self.removed.kept})")
        return "; ".join([*told, "checked again"])


def clear_for_load(
    job: MigrationJob, place: WindowPlace, window: Window, mapping: PointMapping, bucket: ExportBucket, target: Target
) -> Removed:
    """Delete what is too much in the bucket before a converted window is loaded; the load is then wholly to be done.

    Raises:
        MigrationError: see `remove_extras`.
    """
    converted = require_manifest(
        LineProtocolManifest, bucket, place.manifest("line_protocol"), f"convert the window {window.key} first"
    )
    export = require_manifest(ExportManifest, bucket, place.manifest("export"), f"export the window {window.key} first")
    return remove_extras(Sides(window, mapping, export, converted, job.target_bucket, bucket, target), place)
