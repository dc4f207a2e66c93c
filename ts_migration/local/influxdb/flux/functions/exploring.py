"""Packages that tell what a bucket holds: influxdata/influxdb/schema, its older name …/v1, and influxdata/influxdb.

Each answers one table with one column `_value`, also where there is nothing to tell; `buckets` has its own columns.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ts_migration.local.influxdb.flux import reading
from ts_migration.local.influxdb.flux.errors import unsupported
from ts_migration.local.influxdb.flux.evaluation import Function, Invocation
from ts_migration.local.influxdb.flux.functions.declaring import Family
from ts_migration.local.influxdb.flux.functions.sources import read_stream
from ts_migration.local.influxdb.flux.pushdown import FIELD, MEASUREMENT, Comparison, Predicate, split
from ts_migration.local.influxdb.flux.reading import FieldSeries, Read
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Bounds, Stream
from ts_migration.local.influxdb.flux.syntax import Literal
from ts_migration.local.influxdb.flux.tables import Column, ColumnType, GroupKey, KeyColumn, Table, constant, text_bytes
from ts_migration.local.influxdb.flux.values import Duration

UNIVERSE = Family()
SCHEMA = Family("influxdata/influxdb/schema")
INFLUXDB = Family("influxdata/influxdb")
THIRTY_DAYS = -Duration(0, 30 * 86_400 * 10**9)

Tell = Callable[[Iterable[FieldSeries]], Iterable[str]]


def _told(session: Session, call: Invocation, predicate: Predicate | None, tell: Tell) -> Stream:
    stream, read = _reading(session, call, predicate)

    def tables() -> Iterator[Table]:
        texts = np.array(list(tell(reading.field_series(read))), object)
        yield Table(GroupKey(), (Column("_value", ColumnType.STRING, texts),))

    return stream.then(tables)


def _reading(session: Session, call: Invocation, predicate: Predicate | None) -> tuple[Stream, Read]:
    for name in ("host", "org", "orgID", "token", "bucketID"):
        if call.has(name):
            raise unsupported(call.place, f"{call.function.name} with {name}")
    bounds = Bounds(session.moment(call, "start", THIRTY_DAYS).ns, session.moment(call, "stop", session.now()).ns)
    stream = read_stream(session, call.get("bucket", str), bounds)
    read = stream.read if stream.read is not None else Read(lambda: session.open(""), bounds)
    return stream, read if predicate is None else read.where(predicate)


def _asked(call: Invocation) -> Predicate | None:
    """The argument `predicate`, as far as storage can decide it; anything else is refused."""
    if not call.has("predicate"):
        return None
    function = call.get("predicate", Function)
    pushed, rest = split(function.node, lambda name: function.scope.find(name)[1])
    if rest is not None and not (isinstance(rest, Literal) and rest.value is True):
        raise unsupported(rest.place, f"this predicate of {call.function.name}")
    return pushed


def _of_measurement(call: Invocation) -> Predicate:
    return Comparison(MEASUREMENT, "==", call.get("measurement", str))


def _values(tag: str) -> Tell:
    def tell(series: Iterable[FieldSeries]) -> Iterable[str]:
        found = {dict(one.tags).get(tag, "") for one in series}
        return sorted(found - {""}, key=text_bytes)

    return tell


def _tag_keys(series: Iterable[FieldSeries]) -> Iterable[str]:
    found = {name for one in series for name, _ in one.tags}
    return ["_start", "_stop", *sorted(found, key=text_bytes)]


@SCHEMA.function("measurements", required="bucket", optional="start stop")
def measurements(session: Session, call: Invocation) -> Stream:
    """Measurements with points in the range (the last 30 days unless told otherwise)."""
    return _told(session, call, None, _values(MEASUREMENT))


@SCHEMA.function("measurementFieldKeys", required="bucket measurement", optional="start stop")
def measurement_field_keys(session: Session, call: Invocation) -> Stream:
    """Fields of a measurement."""
    return _told(session, call, _of_measurement(call), _values(FIELD))


@SCHEMA.function("measurementTagKeys", required="bucket measurement", optional="start stop")
def measurement_tag_keys(session: Session, call: Invocation) -> Stream:
    """Group key columns of a measurement's tables."""
    return _told(session, call, _of_measurement(call), _tag_keys)


@SCHEMA.function("measurementTagValues", required="bucket measurement tag", optional="start stop")
def measurement_tag_values(session: Session, call: Invocation) -> Stream:
    """Values of a tag within a measurement."""
    return _told(session, call, _of_measurement(call), _values(call.get("tag", str)))


@SCHEMA.function("fieldKeys", required="bucket", optional="predicate start stop")
def field_keys(session: Session, call: Invocation) -> Stream:
    """Fields of all series that a predicate leaves."""
    return _told(session, call, _asked(call), _values(FIELD))


@SCHEMA.function("tagKeys", required="bucket", optional="predicate start stop")
def tag_keys(session: Session, call: Invocation) -> Stream:
    """Group key columns of all tables that a predicate leaves."""
    return _told(session, call, _asked(call), _tag_keys)


@SCHEMA.function("tagValues", required="bucket tag", optional="predicate start stop")
def tag_values(session: Session, call: Invocation) -> Stream:
    """Values of a tag within all series that a predicate leaves."""
    return _told(session, call, _asked(call), _values(call.get("tag", str)))


@UNIVERSE.function("buckets", optional="host org orgID token")
def buckets(session: Session, call: Invocation) -> Stream:
    """The buckets of the organization, as the server's `buckets()` lays them out."""
    if session.buckets is None or call.arguments:
        raise unsupported(call.place, "buckets with arguments" if call.arguments else "buckets")
    rows = session.buckets()

    def tables() -> Iterator[Table]:
        text = ColumnType.STRING
        for owner in sorted({row.organization_id for row in rows}):
            own = [row for row in rows if row.organization_id == owner]
            yield Table(
                GroupKey((KeyColumn("organizationID", text, owner),)),
                (
                    Column("name", text, np.array([row.name for row in own], object)),
                    Column("id", text, np.array([row.id for row in own], object)),
                    constant("organizationID", text, owner, len(own)),
                    constant("retentionPolicy", text, "", len(own)),
                    Column("retentionPeriod", ColumnType.INT, np.array([row.retention_ns for row in own], np.int64)),
                ),
            )

    return Stream(tables)


@INFLUXDB.function("cardinality", required="start", optional="bucket bucketID org orgID host token stop predicate")
def cardinality(session: Session, call: Invocation) -> Stream:
    """How many series (measurement and tags, fields not counted) have points in the range."""
    stream, read = _reading(session, call, _asked(call))

    def tables() -> Iterator[Table]:
        keys = {tuple(tag for tag in one.tags if tag[0] != FIELD) for one in reading.field_series(read)}
        yield Table(GroupKey(), (Column("_value", ColumnType.INT, np.array([len(keys)], np.int64)),))

    return replace(stream.then(tables), bounds=read.bounds)
