"""GROUP BY tags: which series belong together, in which order the groups are answered, and which of them SLIMIT keeps.

Groups are ordered by the values of their keys, a missing tag being the empty text; a series that has no row in the
range counts for SLIMIT as it does in InfluxDB, whose index knows no times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ts_migration.local.influxdb.influxql.frames import Tags
from ts_migration.local.influxdb.influxql.plan import Plan, series_filter
from ts_migration.local.influxdb.influxql.schema import key_order
from ts_migration.local.influxdb.points import Points, Series, SeriesBlock


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one measurement in ascending order, each with the tags it is answered under."""

    dimensions: tuple[str, ...]
    places: dict[Tags, int]
    in_order: bool
    alone: bool
    """`in_order`: series by their keys are groups in order; `alone`: every group is one series."""

    def of(self, series: Series) -> Tags:
        """The group of a series."""
        if tuple(key for key, _ in series.tags) == self.dimensions:
            return series.tags
        tags = dict(series.tags)
        return tuple((key, tags.get(key, "")) for key in self.dimensions)

    def __contains__(self, series: Series) -> bool:
        return self.of(series) in self.places


def groups_of(plan: Plan, points: Points, measurement: str) -> Groups:
    """The groups of a measurement's series that the condition leaves a chance."""
    if not plan.dimensions:
        return Groups((), {(): 0}, in_order=True, alone=False)
    empty = Groups(plan.dimensions, {}, in_order=True, alone=True)
    where = series_filter(plan)
    found = [empty.of(one) for one in points.series(measurement) if where is None or where(dict(one.tags))]
    keys = [tuple(key_order(value) for _, value in tags) for tags in found]
    in_order = all(before <= after for before, after in pairwise(keys))
    unique = dict(zip(keys, found, strict=True))
    ordered = [unique[key] for key in (unique if in_order else sorted(unique))]
    if plan.series_limit or plan.series_offset:
        stop = plan.series_offset + plan.series_limit if plan.series_limit else None
        ordered = ordered[plan.series_offset : stop]
    places = {tags: number for number, tags in enumerate(ordered)}
    return Groups(plan.dimensions, places, in_order, alone=len(unique) == len(found))


def blocks_of(plan: Plan, points: Points, measurement: str, groups: Groups) -> Iterator[SeriesBlock]:
    """The blocks that a plan reads, of the groups that are left."""
    if plan.start > plan.stop:
        return
    wanted = plan.wanted_fields
    everything = wanted >= plan.schema.fields.keys()
    found = points.blocks(measurement, plan.start, plan.stop, None if everything else wanted, series_filter(plan))
    whole = not (plan.series_limit or plan.series_offset)
    for block in found:
        if whole or block.series in groups:
            yield block
