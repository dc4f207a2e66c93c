"""Which segments are worth merging, and how a long run is cut into pieces that a reader of one window can skip."""

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.storage.runs import Run, merge
from ts_migration.local.influxdb.storage.segments import Segment

SLICE_ROWS = 500_000
"""Rows a segment should have at least before its run is cut by time."""
MERGE_AT = 4
"""Segments of one measurement that overlap in time before they are merged."""
MERGE_ROWS = 8_000_000
"""Rows above which overlapping segments are left as they are: merging would take too much memory."""


def sliced(run: Run, rank: npt.NDArray[np.int64]) -> list[Run]:
    """The run cut by time into pieces of about SLICE_ROWS rows, none overlapping another."""
    pieces = run.rows // SLICE_ROWS
    if pieces < 2 or run.min_time == run.max_time:
        return [run]
    places = np.linspace(0, run.rows - 1, pieces + 1).astype(np.int64)[1:-1]
    bounds = np.unique(np.partition(run.times, places)[places])
    starts = [run.min_time, *(int(bound) for bound in bounds if bound > run.min_time)]
    stops = [start - 1 for start in starts[1:]] + [run.max_time]
    parts = [run.part(slice(None), start, stop, None) for start, stop in zip(starts, stops, strict=True)]
    cut = [merge([part], rank) for part in parts if part is not None]
    return [piece for piece in cut if piece is not None]


def overlapping(segments: list[Segment]) -> list[list[Segment]]:
    """Groups of segments of one measurement that overlap in time and are worth merging, oldest first in each."""
    order = {id(segment): n for n, segment in enumerate(segments)}
    groups: list[list[Segment]] = []
    for measurement in dict.fromkeys(segment.measurement for segment in segments):
        mine = sorted((s for s in segments if s.measurement == measurement), key=lambda s: s.run.min_time)
        group: list[Segment] = []
        end = mine[0].run.min_time - 1
        for segment in mine:
            if segment.run.min_time > end:
                groups.append(group)
                group = []
            group.append(segment)
            end = max(end, segment.run.max_time)
        groups.append(group)
    chosen = [g for g in groups if len(g) > MERGE_AT and sum(segment.run.rows for segment in g) <= MERGE_ROWS]
    return [sorted(group, key=lambda segment: order[id(segment)]) for group in chosen]
