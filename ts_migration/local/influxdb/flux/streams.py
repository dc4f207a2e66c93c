"""A stream of tables and what the planner of Flux would know of it: where it reads, its bounds, what storage does.

No function of Flux is here; functions make new streams out of old ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ts_migration.local.influxdb.flux.tables import Table

if TYPE_CHECKING:
    from ts_migration.local.influxdb.flux.reading import Read


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range of time: ns, start inclusive, stop exclusive."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Origin:
    """A `from` that a stream reads, with what keeps it from being read: no bounds, or empty ones."""

    bucket: str
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Tables made anew each time they are asked for.

    `read` is set while the stream is exactly what storage would be asked for (from, range, pushable filters, group):
    functions that storage can do itself look there, because what it gives differs from what Flux would make. `bucket`
    is set on a bare `from`, which waits for its range."""

    tables: Callable[[], Iterator[Table]]
    origins: frozenset[Origin] = frozenset()
    bounds: Bounds | None = None
    read: "Read | None" = None
    bucket: str | None = None
    yielded: bool = False
    flux_type: str = field(default="stream", repr=False)

    def then(self, tables: Callable[[], Iterator[Table]]) -> "Stream":
        """A stream made of this one, which storage cannot do."""
        return replace(self, tables=tables, read=None, bucket=None, yielded=False)
