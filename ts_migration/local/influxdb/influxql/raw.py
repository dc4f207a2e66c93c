"""SELECT without functions: rows as they are stored, streamed series by series or merged by time.

Among rows of one time InfluxDB orders by leading tag and text columns and else leaves the order open; here it is that
of the leading tag columns, then of the series.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.batches import Batch, portions
from ts_migration.local.influxdb.influxql.expressions import evaluate
from ts_migration.local.influxdb.influxql.frames import Column, Frame, Segment, Tags, nulls
from ts_migration.local.influxdb.influxql.grouping import Groups, blocks_of, groups_of
from ts_migration.local.influxdb.influxql.plan import Plan
from ts_migration.local.influxdb.influxql.schema import key_order
from ts_migration.local.influxdb.influxql.syntax import VarRef
from ts_migration.local.influxdb.points import SeriesBlock

_ROWS = 20_000


def rows(plan: Plan, chunk: int) -> Iterator[Frame]:
    """The frames of a raw query; a series longer than `chunk` rows is cut at multiples of it."""
    driving = [VarRef(name, type_.value) for name, type_ in plan.driving.items()]
    if not driving:
        return
    for points, measurement in plan.sources if plan.ascending else reversed(plan.sources):
        groups = groups_of(plan, points, measurement)
        blocks = blocks_of(plan, points, measurement, groups)
        if groups.alone:
            yield from _streamed(plan, measurement, groups, blocks, driving, chunk)
        else:
            yield from _merged(plan, measurement, groups, blocks, driving, chunk)


def _streamed(
    plan: Plan,
    measurement: str,
    groups: Groups,
    blocks: Iterator[SeriesBlock],
    driving: Sequence[VarRef],
    chunk: int,
) -> Iterator[Frame]:
    """Every group is one series."""
    if not groups.in_order or not plan.ascending:
        ordered = sorted(blocks, key=lambda block: groups.places[groups.of(block.series)], reverse=not plan.ascending)
        blocks = iter(ordered)
    for portion in portions(blocks, max(_ROWS, chunk)):
        batch = Batch(portion)
        kept = batch.rows(plan, driving)
        lengths = batch.lengths
        order: npt.NDArray[np.int64] | None = None if kept is None else np.flatnonzero(kept)
        if kept is not None:
            ends = np.cumsum(kept)[np.cumsum(batch.lengths) - 1]
            lengths = np.diff(ends, prepend=0)
        if not plan.ascending:
            order = _backwards(lengths, np.arange(batch.count) if order is None else order)
        if plan.limit or plan.offset:
            order, lengths = _limited(plan, lengths, np.arange(batch.count) if order is None else order)
        tags = [groups.of(block.series) for block in portion]
        yield from _frames(plan, measurement, batch, order, tags, lengths, chunk)


def _merged(
    plan: Plan,
    measurement: str,
    groups: Groups,
    blocks: Iterator[SeriesBlock],
    driving: Sequence[VarRef],
    chunk: int,
) -> Iterator[Frame]:
    """A group is several series: its rows are merged by time."""
    members: dict[Tags, list[SeriesBlock]] = {}
    for block in blocks:
        members.setdefault(groups.of(block.series), []).append(block)
    for tags in sorted(members, key=groups.places.__getitem__, reverse=not plan.ascending):
        found = _ranked(plan, members.pop(tags))
        batch = Batch(found)
        kept = batch.rows(plan, driving)
        order = np.arange(batch.count) if kept is None else np.flatnonzero(kept)
        times = batch.times[order]
        if len(found) > 1 or not plan.ascending:
            order = order[np.argsort(times if plan.ascending else -times, kind="stable")]
        if plan.limit or plan.offset:
            order = order[plan.offset : plan.offset + plan.limit if plan.limit else None]
        yield from _frames(plan, measurement, batch, order, [tags], np.array([len(order)]), chunk)


def _ranked(plan: Plan, blocks: list[SeriesBlock]) -> list[SeriesBlock]:
    """Blocks in the order that their rows of one time are answered in."""
    leading: list[str] = []
    for reference in sorted(plan.references, key=lambda one: key_order(one.name)):
        if reference.type != "tag":
            break
        leading.append(reference.name)
    if not leading:
        return blocks
    return sorted(
        blocks,
        key=lambda block: [key_order(dict(block.series.tags).get(key, "")) for key in leading],
        reverse=not plan.ascending,
    )


def _backwards(lengths: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    ends = np.cumsum(lengths)
    series = np.repeat(np.arange(len(lengths)), lengths)
    mirrored = (ends - 1)[series] - (np.arange(len(order)) - (ends - lengths)[series])
    return np.asarray(order[mirrored], np.int64)


def _limited(
    plan: Plan, lengths: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    ends = np.cumsum(lengths)
    place = np.arange(len(order)) - np.repeat(ends - lengths, lengths)
    kept = place >= plan.offset
    if plan.limit:
        kept &= place < plan.offset + plan.limit
    left = np.clip(lengths - plan.offset, 0, plan.limit or None)
    return order[kept], left


def _frames(
    plan: Plan,
    measurement: str,
    batch: Batch,
    order: npt.NDArray[np.int64] | None,
    tags: Sequence[Tags],
    lengths: npt.NDArray[np.int64],
    chunk: int,
) -> Iterator[Frame]:
    """The chosen rows as frames that end where a piece of the answer may end."""
    columns = [_value(plan, batch, number) for number in range(len(plan.fields))]
    times = batch.times
    if order is not None:
        columns = [column.take(order) for column in columns]
        times = times[order]
    stops = np.cumsum(lengths)
    if len(lengths) == 1:
        total = int(stops[0])
        for start in range(0, total, chunk):
            stop = min(start + chunk, total)
            rows = slice(start, stop)
            segment = Segment(measurement, tags[0], 0, stop - start, stop < total)
            yield Frame(plan.names, times[rows], tuple(column.take(rows) for column in columns), (segment,))
        return
    segments = tuple(
        Segment(measurement, key, stop - length, stop)
        for key, length, stop in zip(tags, lengths.tolist(), stops.tolist(), strict=True)
        if length
    )
    if segments:
        yield Frame(plan.names, times, tuple(columns), segments)


def _value(plan: Plan, batch: Batch, number: int) -> Column:
    column = evaluate(plan.fields[number], batch.column, batch.count)
    return nulls(batch.count) if column is None else column
