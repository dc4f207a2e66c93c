"""What the last work of each stage went through, from its manifest: seconds, rows or points or values, bytes.

Read by `proof` for reports. Values only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ts_migration.manifests import ExportManifest, LineProtocolManifest, LoadManifest, VerdictsManifest

StageName = Literal["export", "line_protocol", "load", "verdicts"]
Unit = Literal["rows", "points", "values"]


@dataclass(frozen=True, slots=True)
class StageWork:
    """One stage of one window.

    Attributes:
        stage: as its manifest is named.
        seconds: that its last work took.
        count: how many `unit` it went through.
        unit: rows exported, rows converted, points written, values compared.
        bytes: Parquet exported, line protocol before compression, compressed bytes sent; None for the checks.
        whole: whether those seconds saw all of it: not where a load went on from where another had stopped.
    """

    stage: StageName
    seconds: float
    count: int
    unit: Unit
    bytes: int | None = None
    whole: bool = True


def works_of(
    export: ExportManifest | None,
    converted: LineProtocolManifest | None,
    loaded: LoadManifest | None,
    verdicts: VerdictsManifest | None,
) -> Iterator[StageWork]:
    """A window's stages in order, those that have run."""
    if export is not None:
        yield StageWork("export", export.seconds, export.rows, "rows", export.bytes)
    if converted is not None:
        yield StageWork("line_protocol", converted.seconds, converted.rows, "rows", converted.text_bytes)
    if loaded is not None:
        whole = not loaded.resumed_members
        yield StageWork("load", loaded.seconds, loaded.points, "points", loaded.bytes, whole)
    if verdicts is not None:
        values = sum(converted.values.values()) if converted is not None else 0
        yield StageWork("verdicts", verdicts.seconds, values, "values")
