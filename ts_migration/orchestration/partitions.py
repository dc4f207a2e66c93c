"""One time partition = one window. The only place that turns a grid into Dagster's partitions.

Dagster keeps whole windows only (a month from 15 January would start on 1 February), so partitions take the grid's
floored and ceiled edges and the assets clip each window to the job's range.
"""

from datetime import UTC, datetime
from functools import lru_cache

import dagster as dg

from ts_migration.errors import Permanent
from ts_migration.windows import Grid, Window


@lru_cache(maxsize=1024)
def partitions_of(grid: Grid) -> dg.TimeWindowPartitionsDefinition:
    """Partitions with the grid's keys, windows that are not over yet included. One value per grid and process.

    Without an offset Dagster has no partition of a window before its end: the month that a table is still written to
    could not be migrated. An offset costs time with every window it covers, so it is no larger than needed.
    """
    now = datetime.now(UTC)
    not_over = sum(edge > now for edge in grid.edges[1:])
    return dg.TimeWindowPartitionsDefinition(
        start=grid.edges[0],
        end=grid.edges[-1],
        cron_schedule=grid.cron,
        fmt=grid.key_format,
        timezone="UTC",
        end_offset=not_over,
    )


def window_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, grid: Grid) -> Window:
    """The clipped window of a run.

    Raises:
        Permanent: the run spans a range of partitions. Checks of such a run would be stored without a partition and
            every window would read as skipped, so it is refused before anything is read.
    """
    if not context.has_partition_key:
        raise Permanent(
            "this run spans several windows or none",
            allowed="one window a run",
            next_step="launch a backfill over the range: it makes one run per window",
        )
    return grid.window(context.partition_key)
