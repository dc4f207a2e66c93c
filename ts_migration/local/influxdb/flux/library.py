"""All names that a query can use: what is built in, what can be imported, and what exists in Flux but not here."""

from collections.abc import Iterable
from typing import Final

from ts_migration.local.influxdb.flux.evaluation import Builtin, Package
from ts_migration.local.influxdb.flux.functions import (
    aggregating,
    conversions,
    exploring,
    extracting,
    mapping,
    pivoting,
    selecting,
    shaping,
    sources,
    windowing,
)
from ts_migration.local.influxdb.flux.functions.declaring import Family
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.values import MAX_INT, Duration, Time

_UNIVERSE: Final[tuple[Family, ...]] = (
    sources.UNIVERSE,
    aggregating.UNIVERSE,
    selecting.UNIVERSE,
    windowing.UNIVERSE,
    shaping.UNIVERSE,
    pivoting.UNIVERSE,
    mapping.UNIVERSE,
    conversions.UNIVERSE,
    extracting.UNIVERSE,
    exploring.UNIVERSE,
)
_PACKAGES: Final[dict[str, tuple[Family, ...]]] = {
    "influxdata/influxdb/schema": (exploring.SCHEMA,),
    "influxdata/influxdb/v1": (exploring.SCHEMA,),
    "influxdata/influxdb": (exploring.INFLUXDB,),
    "strings": (conversions.STRINGS,),
    "math": (conversions.MATH,),
}
NOT_HERE: Final = frozenset(
    [
        "chandeMomentumOscillator",
        "covariance",
        "cov",
        "pearsonr",
        "die",
        "display",
        "doubleEMA",
        "exponentialMovingAverage",
        "histogram",
        "histogramQuantile",
        "holtWinters",
        "hourSelection",
        "increase",
        "integral",
        "join",
        "kaufmansAMA",
        "kaufmansER",
        "linearBins",
        "logarithmicBins",
        "mode",
        "movingAverage",
        "reduce",
        "relativeStrengthIndex",
        "sample",
        "skew",
        "stateCount",
        "stateDuration",
        "stateTracking",
        "timedMovingAverage",
        "timeShift",
        "timeWeightedAvg",
        "toHours",
        "toMinutes",
        "toSeconds",
        "tripleEMA",
        "to",
        "wideTo",
        "tripleExponentialDerivative",
        "truncateTimeColumn",
        "bytes",
        "highestMax",
        "highestAverage",
        "highestCurrent",
        "lowestMin",
        "lowestAverage",
        "lowestCurrent",
    ]
)
_PACKAGES_NOT_HERE: Final = frozenset(
    [
        "array",
        "bitwise",
        "csv",
        "date",
        "date/boundaries",
        "dict",
        "generate",
        "http",
        "http/requests",
        "interpolate",
        "join",
        "json",
        "runtime",
        "regexp",
        "sampledata",
        "slack",
        "sql",
        "system",
        "timezone",
        "types",
        "universe",
        "pagerduty",
        "profiler",
        "testing",
        "planner",
        "influxdata/influxdb/monitor",
        "influxdata/influxdb/sample",
        "influxdata/influxdb/secrets",
        "influxdata/influxdb/tasks",
    ]
)


def universe(session: Session) -> dict[str, object]:
    """The names that need no import, for one run."""
    names = _installed(_UNIVERSE, session)
    names["now"] = Builtin("now", {}, lambda call: Time(session.now_ns))
    names["inf"] = Duration(0, MAX_INT)
    names["task"] = {}
    return names


def package(path: str, session: Session) -> Package | None:
    """What an import gives; None where this server has no such package."""
    families = _PACKAGES.get(path)
    return None if families is None else Package(path, _installed(families, session))


def is_known(path: str) -> bool:
    """Whether Flux has a package of this path, be it supported here or not."""
    return (
        path in _PACKAGES or path in _PACKAGES_NOT_HERE or path.split("/")[0] in ("contrib", "experimental", "internal")
    )


def _installed(families: Iterable[Family], session: Session) -> dict[str, object]:
    names: dict[str, object] = {}
    for family in families:
        names.update(family.installed(session))
    return names
