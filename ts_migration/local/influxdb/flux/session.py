"""One run of a query: the clock, the buckets it opened, the results it yielded.

Shared by the functions of one run and thrown away after it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ts_migration.local.influxdb.flux.errors import BucketNotFoundError, Location, PlanError
from ts_migration.local.influxdb.flux.evaluation import Invocation, Scope, apply
from ts_migration.local.influxdb.flux.streams import Bounds, Stream
from ts_migration.local.influxdb.flux.values import MAX_INT, MIN_INT, SECOND, Duration, Time
from ts_migration.local.influxdb.points import Points

NOWHERE = Location(1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class BucketRow:
    """What `buckets()` tells of one bucket; the retention in ns, 0 for ever."""

    name: str
    id: str
    organization_id: str
    retention_ns: int


@dataclass(slots=True)
class Session:
    """`source` gives the points of a bucket by name or id, None where there is no such bucket; `buckets` lists them."""

    source: Callable[[str], Points | None]
    now_ns: int
    buckets: Callable[[], Sequence[BucketRow]] | None = None
    scope: Scope = field(default_factory=Scope)
    results: list[tuple[str, Stream]] = field(default_factory=list)
    _opened: dict[str, Points] = field(default_factory=dict)

    def open(self, bucket: str) -> Points:
        """The bucket's points: one snapshot for the whole run. Raises BucketNotFoundError."""
        if bucket not in self._opened:
            points = self.source(bucket)
            if points is None:
                raise BucketNotFoundError(bucket)
            self._opened[bucket] = points
        return self._opened[bucket]

    def now(self) -> Time:
        """What `now()` gives, an option of the query included."""
        _, function = self.scope.find("now")
        value = apply(function, {}, NOWHERE)
        return value if isinstance(value, Time) else Time(self.now_ns)

    def moment(self, call: Invocation, name: str, default: Time | Duration | None = None) -> Time:
        """An argument that is a time, a duration from now, or whole seconds since 1970."""
        value = call.arguments.get(name, default)
        if isinstance(value, Time):
            return value
        if isinstance(value, Duration):
            ns = value.added_to(self.now().ns)
        elif isinstance(value, int) and not isinstance(value, bool):
            ns = value * SECOND
        else:
            raise call.mismatch(name, "time", value)
        return Time(max(MIN_INT, min(MAX_INT, ns)))

    def check(self, streams: Iterable[Stream]) -> None:
        """Whether the streams can be read at all, asked before the first byte: bounds first, then buckets."""
        origins = {origin for stream in streams for origin in stream.origins}
        for origin in sorted(origins, key=lambda origin: origin.bucket):
            if origin.bounds is None:
                raise PlanError(
                    f"cannot submit unbounded read to \"{origin.bucket}\"; try bounding 'from' with a call to 'range'"
                )
            if origin.bounds.stop <= origin.bounds.start:
                raise PlanError("cannot query an empty range")
        for origin in sorted(origins, key=lambda origin: origin.bucket):
            self.open(origin.bucket)


def joint_bounds(streams: Iterable[Stream]) -> Bounds | None:
    """The range that holds the ranges of all streams."""
    found = [stream.bounds for stream in streams if stream.bounds is not None]
    if not found:
        return None
    return Bounds(min(bounds.start for bounds in found), max(bounds.stop for bounds in found))
