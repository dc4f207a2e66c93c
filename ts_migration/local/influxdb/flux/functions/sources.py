"""Where streams begin and end: from, range, filter, yield."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from ts_migration.local.influxdb.flux import reading, syntax
from ts_migration.local.influxdb.flux.errors import ValueProblem, unsupported
from ts_migration.local.influxdb.flux.evaluation import Function, Invocation, Row
from ts_migration.local.influxdb.flux.functions.declaring import Family, each_table, needed
from ts_migration.local.influxdb.flux.operators import truth
from ts_migration.local.influxdb.flux.pushdown import split
from ts_migration.local.influxdb.flux.reading import Read
from ts_migration.local.influxdb.flux.session import Session
from ts_migration.local.influxdb.flux.streams import Bounds, Origin, Stream
from ts_migration.local.influxdb.flux.tables import ColumnType, Table, constant
from ts_migration.local.influxdb.flux.values import Time

UNIVERSE = Family()


@UNIVERSE.function("from", optional="bucket bucketID host org orgID token")
def from_bucket(session: Session, call: Invocation) -> Stream:
    """A bucket by name or id; it waits for its range."""
    for name in ("host", "token", "org", "orgID"):
        if call.has(name):
            raise unsupported(call.place, f"from with {name}")
    if call.has("bucket") == call.has("bucketID"):
        raise ValueProblem('must specify exactly one of "bucket" or "bucketID"')
    bucket = call.get("bucket" if call.has("bucket") else "bucketID", str)

    def unbounded() -> Iterator[Table]:
        session.check([stream])
        yield from ()

    stream = Stream(unbounded, frozenset({Origin(bucket, None)}), bucket=bucket)
    return stream


def read_stream(session: Session, bucket: str, bounds: Bounds) -> Stream:
    """What `from |> range` gives."""
    read = Read(lambda: session.open(bucket), bounds)
    return from_read(read, frozenset({Origin(bucket, bounds)}))


def from_read(read: Read, origins: frozenset[Origin]) -> Stream:
    """The stream of what storage is asked for."""
    return Stream(lambda: reading.tables(read), origins, read.bounds, read)


@UNIVERSE.function("range", required="start", optional="stop", pipe="tables")
def range_of_time(session: Session, call: Invocation) -> Stream:
    """Bounds a `from`; over anything else it leaves rows out by `_time`."""
    stream = call.tables()
    bounds = Bounds(session.moment(call, "start").ns, session.moment(call, "stop", session.now()).ns)
    if stream.bucket is not None:
        return read_stream(session, stream.bucket, bounds)

    def cut(table: Table) -> Iterable[Table]:
        times = needed(table, "_time")
        if times.type is not ColumnType.TIME:
            raise ValueProblem(f"range error: provided column _time is not of type time, it is {times.type}")
        rows = (times.values >= bounds.start) & (times.values < bounds.stop) & times.mask()
        kept = table.take(rows)
        for label, ns in (("_start", bounds.start), ("_stop", bounds.stop)):
            kept = kept.with_column(constant(label, ColumnType.TIME, Time(ns), len(kept)))
            kept = replace(kept, key=kept.key.with_value(label, ColumnType.TIME, Time(ns)))
        return [kept] if len(kept) else []

    return replace(each_table(call, cut), bounds=bounds)


@UNIVERSE.function("filter", required="fn", optional="onEmpty", pipe="tables")
def filter_rows(session: Session, call: Invocation) -> Stream:
    """Leaves rows out; storage does what it can of it."""
    stream, function = call.tables(), call.get("fn", Function)
    on_empty = call.get("onEmpty", str, "drop")
    if on_empty not in ("keep", "drop"):
        raise ValueProblem('onEmpty must be keep or drop, was "' + on_empty + '"')
    if stream.read is not None and stream.read.plain and on_empty == "drop":
        pushed, rest = split(function.node, lambda name: function.scope.find(name)[1])
        if pushed is not None:
            stream = from_read(stream.read.where(pushed), stream.origins)
            if rest is None:
                return stream
            function = replace(function, node=syntax.FunctionNode(function.node.place, function.node.parameters, rest))
            call = replace(call, arguments={**call.arguments, "tables": stream})
    parameter = function.node.parameters[0].name if function.node.parameters else "r"

    def kept(table: Table) -> Iterable[Table]:
        verdict = truth(function.call({parameter: Row.of(table)}, call.place))
        if isinstance(verdict, bool):
            verdict = np.full(len(table), verdict)
        left = table if verdict.all() else table.take(verdict)
        return [left] if len(left) or on_empty == "keep" else []

    return each_table(call, kept)


@UNIVERSE.function("yield", optional="name", pipe="tables")
def yield_result(session: Session, call: Invocation) -> Stream:
    """Names a result."""
    stream = call.tables()
    session.results.append((call.get("name", str, "_result"), stream))
    return replace(stream, yielded=True)
