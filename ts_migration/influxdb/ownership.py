"""Ranges of a bucket whose points a job wrote itself, remembered after the windows that wrote them were forgotten.

`reset` deletes the intents of a table's windows with their ledgers; without this record the job's own points would be
taken for a stranger's when the table is begun anew, perhaps in other windows. Who asks is the load; intents are in
`ledger`.
"""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from ts_migration.influxdb.ledger import LoadIntent
from ts_migration.manifests import Manifest, read_manifest
from ts_migration.objects import ExportBucket, TablePlace
from ts_migration.windows import Window


class OwnRange(BaseModel):
    """A half-open range, ns, that one job found empty in one bucket and then wrote to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    org: str
    bucket: str
    bucket_id: str
    measurement: str
    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, intent: LoadIntent, window: Window) -> Self:
        """The range of a window that was about to be loaded."""
        place = {name: getattr(intent, name) for name in _PLACE}
        return cls(start_ns=window.start_ns, end_ns=window.end_ns, **place)

    def same_place(self, other: "OwnRange | LoadIntent") -> bool:
        """Whether both speak of one job, bucket and measurement."""
        return all(getattr(self, name) == getattr(other, name) for name in _PLACE)


_PLACE = ("job", "org", "bucket", "bucket_id", "measurement")


class OwnRanges(Manifest):
    """All ranges of a table's job. It lies beside table.json and outlives it."""

    stage: Literal["own_ranges"] = "own_ranges"
    ranges: tuple[OwnRange, ...]


def own_ranges_key(table: TablePlace) -> str:
    """Key of the record."""
    return f"{table.proof}own_ranges.json"


def read_own_ranges(bucket: ExportBucket, table: TablePlace) -> tuple[OwnRange, ...]:
    """What a job's table is known to have written before it was last begun; nothing where it was never reset."""
    found = read_manifest(OwnRanges, bucket, own_ranges_key(table))
    return found.ranges if found else ()


def remember_own_ranges(bucket: ExportBucket, table: TablePlace, ranges: Iterable[OwnRange]) -> None:
    """Add ranges to what is remembered."""
    merged = merge([*read_own_ranges(bucket, table), *ranges])
    if merged:
        OwnRanges(ranges=merged).write(bucket, own_ranges_key(table))


def merge(ranges: Iterable[OwnRange]) -> tuple[OwnRange, ...]:
    """The same ranges with those that touch or overlap in one place joined: windows of years become one."""
    merged: list[OwnRange] = []
    for each in sorted(ranges, key=lambda one: (*(getattr(one, name) for name in _PLACE), one.start_ns)):
        last = merged[-1] if merged else None
        if last is not None and last.same_place(each) and each.start_ns <= last.end_ns:
            merged[-1] = last.model_copy(update={"end_ns": max(last.end_ns, each.end_ns)})
        else:
            merged.append(each)
    return tuple(merged)


def strange_parts(window: Window, intent: LoadIntent | OwnRange, ranges: Iterable[OwnRange]) -> list[Window]:
    """The parts of a window that are no range of the job's own: points in them are somebody else's."""
    parts: list[Window] = []
    position = window.start_ns
    for own in merge(each for each in ranges if each.same_place(intent)):
        if own.end_ns <= position or own.start_ns >= window.end_ns:
            continue
        if own.start_ns > position:
            parts.append(Window(position, own.start_ns, window.key))
        position = own.end_ns
    if position < window.end_ns:
        parts.append(Window(position, window.end_ns, window.key))
    return parts
