"""Points of a window that are in the bucket and not in the export: kept in an object, then deleted, for `repair`.

The rest of the window is the load's: a delete cannot choose fields, and one of a longer span takes along what belongs
there. So the load is forgotten first, and has all of the window's members to send. What may not be deleted is not: see
`remove_extras`.
"""

import gzip
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block
from ts_migration.influxdb.buckets import find
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.ledger import read_intent
from ts_migration.objects import WindowPlace
from ts_migration.stages.mending import forget_load
from ts_migration.stages.pinpoint import both_sides, differing_parts
from ts_migration.stages.target_reading import read_points
from ts_migration.stages.trace import Sides
from ts_migration.windows import Window

DELETES = 200
"""Requests at most. More points are deleted by the span of each series, more series by the span of all."""

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Removed:
    """What was deleted: points that were too many, and the object that keeps them; "" where none were."""

    points: int = 0
    kept: str = ""


def remove_extras(sides: Sides, place: WindowPlace) -> Removed:
    """Delete every point of the window that the export does not have, after keeping it in an object beside the proof.

    Nothing is deleted where the range held points before the job's first load (`allow_existing_data`): those are
    somebody else's, and a delete of a point or span may take them along; neither where the job has never loaded it, nor
    in a bucket that was made anew since.

    Raises:
        Missing: the export files are gone: what is too many cannot be told.
        Permanent: they are not what their manifest says; the server refuses.
        Transient: a side failed for now; a new call goes on.
    """
    intent = read_intent(sides.bucket, place)
    if intent is None or intent.found_values or intent.bucket != sides.held:
        return Removed()
    there = find(sides.target, sides.held)
    if there is None or there.id != intent.bucket_id:
        return Removed()
    found = _Extras()
    with tempfile.TemporaryFile(prefix="ts-migration-") as body:
        with gzip.open(body, "wb") as lines:
            for block, rows in _extra_points(sides):
                _keep(lines, block, rows)
                found.add(block.tags, block.times[rows])
        if not found.points:
            return Removed()
        key = place.removed(f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}")
        body.seek(0)
        sides.bucket.upload(key, body)
    # First of all: interrupted in the midst of it, the load must not look done.
    forget_load(sides.bucket, place)
    for tags, span in found.deletes(sides.window):
        delete_points(sides.target, sides.held, sides.mapping.measurement, span, tags)
    return Removed(found.points, key)


def _extra_points(sides: Sides) -> Iterator[tuple[Block, Times]]:
    """Blocks of the bucket, and which of their points hold a value that the export has not."""
    batches = reader.batches(sides.target, sides.held, sides.mapping.measurement, sides.window)
    actual = read_points(batches, sides.window, ()).digest.record()
    for bins, keep in differing_parts(sides, sides.converted.expected, actual, []):
        expected, there = both_sides(sides, bins, [], keep)
        extra = there.table().join(expected.table(), on=["key", "time"], how="anti")
        for (part,), rows in extra.select("part", "row").unique().sort("part", "row").group_by("part"):
            yield there.block(int(str(part))), rows["row"].to_numpy()


@dataclass
class _Extras:
    """Times of the points that are too many, by series."""

    times: dict[tuple[tuple[str, str], ...], list[Times]] = field(default_factory=dict)
    points: int = 0

    def add(self, tags: dict[str, str], times: Times) -> None:
        self.times.setdefault(tuple(sorted(tags.items())), []).append(times)
        self.points += len(times)

    def deletes(self, window: Window) -> Iterator[tuple[dict[str, str], Window]]:
        """Series (none: all of the measurement) with the span to delete."""
        series = {tags: np.unique(np.concatenate(times)) for tags, times in self.times.items()}
        if self.points <= DELETES:
            for tags, times in series.items():
                yield from ((dict(tags), Window(time_ns, time_ns + 1, window.key)) for time_ns in times.tolist())
            return
        spans = {tags: Window(int(times[0]), int(times[-1]) + 1, window.key) for tags, times in series.items()}
        if len(spans) <= DELETES:
            yield from ((dict(tags), span) for tags, span in spans.items())
            return
        first, last = min(span.start_ns for span in spans.values()), max(span.end_ns for span in spans.values())
        yield {}, Window(first, last, window.key)


def _keep(lines: IO[bytes] | gzip.GzipFile, block: Block, rows: Times) -> None:
    """A line of JSON per point, all its fields with their types."""
    for row in rows.tolist():
        fields = [
            {"field": column.field, "type": column.kind.value, "value": _plain(column.values[row])}
            for column in block.columns
            if column.valid is None or column.valid[row]
        ]
        point = {
            "measurement": block.measurement,
            "tags": block.tags,
            "time_ns": int(block.times[row]),
            "fields": fields,
        }
        lines.write((json.dumps(point, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape"))


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
