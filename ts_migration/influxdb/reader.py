"""Reading a bucket back by InfluxQL: chunked MessagePack, decoded as it streams, in bounded memory.

InfluxQL and not Flux: typed, exact in every byte of a string, and several times faster (facts of InfluxDB, sections 0
and 5). What the points are compared with is in `validation`.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
from urllib3.exceptions import HTTPError

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.quoting import identifier, in_window
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.windows import Window

CHUNK_POINTS = 10_000
"""Points in one piece of the answer: what the server gathers and the client decodes at a time."""

READ_BYTES = 1 << 18
_LONGEST_CHUNK = 1 << 30

_KINDS = {float: FieldType.FLOAT, int: FieldType.INTEGER, str: FieldType.STRING, bool: FieldType.BOOLEAN}
_DTYPES: dict[FieldType, Any] = {
    FieldType.FLOAT: np.float64,
    FieldType.INTEGER: np.int64,
    FieldType.BOOLEAN: np.bool_,
    FieldType.STRING: object,
}

Series = dict[str, Any]
"""One series of an answer: name, tags, columns, values (tuples)."""


def points(target: Target, bucket: str, measurement: str, window: Window) -> Iterator[Block]:
    """All points of a measurement in a window, series by series, times ascending within each.

    Raises:
        Transient: the connection broke or the server ended the answer early: nothing read so far is to be trusted.
        Permanent: the server reports an error inside the answer, or a value that this tool never writes.
    """
    text = f"SELECT * FROM {identifier(measurement)} WHERE {in_window(window)} GROUP BY *"  # noqa: S608 - quoted
    for series in query_series(target, bucket, text, chunk_points=CHUNK_POINTS):
        yield block_of(series)


def counts(target: Target, bucket: str, measurement: str, window: Window) -> dict[str, int]:
    """Values per field in a window, counted by the server. Fields without a value are left out."""
    text = f"SELECT count(*) FROM {identifier(measurement)} WHERE {in_window(window)}"  # noqa: S608 - quoted
    found: dict[str, int] = {}
    for series in query_series(target, bucket, text):
        for row in series["values"]:
            for name, value in zip(series["columns"], row, strict=True):
                if name != "time" and value:
                    found[name.removeprefix("count_")] = int(value)
    return dict(sorted(found.items()))


def field_types(target: Target, bucket: str, measurement: str) -> dict[str, tuple[str, ...]]:
    """Field keys of a measurement over all time with their types; several where shards differ."""
    found: dict[str, list[str]] = {}
    for key, kind in query_rows(target, bucket, f"SHOW FIELD KEYS FROM {identifier(measurement)}"):
        found.setdefault(str(key), []).append(str(kind))
    return {key: tuple(sorted(set(kinds))) for key, kinds in sorted(found.items())}


def tag_keys(target: Target, bucket: str, measurement: str) -> tuple[str, ...]:
    """Tag keys of a measurement over all time."""
    rows = query_rows(target, bucket, f"SHOW TAG KEYS FROM {identifier(measurement)}")
    return tuple(sorted(str(row[0]) for row in rows))


def series_cardinality(target: Target, bucket: str, measurement: str) -> int:
    """Series of a measurement over all time, exactly. Costs the server a walk over its index."""
    rows = query_rows(target, bucket, f"SHOW SERIES EXACT CARDINALITY FROM {identifier(measurement)}")
    return sum(int(row[0]) for row in rows)


def query_rows(target: Target, bucket: str, text: str) -> list[tuple[Any, ...]]:
    """All rows of a small InfluxQL answer, over all its series."""
    return [tuple(row) for series in query_series(target, bucket, text) for row in series["values"]]


def query_series(target: Target, bucket: str, text: str, *, chunk_points: int | None = None) -> Iterator[Series]:
    """The series of an InfluxQL answer as they stream in; a long one in several pieces when it is chunked.

    Raises:
        Transient: broken, ended early, or a 5xx.
        Permanent: refused, or an error inside the answer.
    """
    # A bucket is a database of its name; one named `a/b` is the retention policy b of the database a.
    database, _, retention_policy = bucket.partition("/")
    query = {"db": database, "org": target.org, "epoch": "ns", "q": text}
    if retention_policy:
        query["rp"] = retention_policy
    if chunk_points:
        query |= {"chunked": "true", "chunk_size": str(chunk_points)}
    response = target.open("GET", "/query", query, headers={"Accept": "application/x-msgpack"})
    finished = False
    try:
        if response.status != 200:
            raise target.error(Answer(response.status, response.headers, response.read()), "the query failed")
        unpacker = msgpack.Unpacker(
            raw=False,
            use_list=False,
            unicode_errors="surrogateescape",
            strict_map_key=False,
            max_buffer_size=_LONGEST_CHUNK,
        )
        more = True
        for piece in response.stream(READ_BYTES):
            unpacker.feed(piece)
            while True:
                with _collector_paused():
                    document = next(unpacker, None)
                if document is None:
                    break
                for result in _results(target, bucket, document):
                    more = bool(result.get("partial"))
                    yield from result.get("series", ())
        if more or unpacker.tell() == 0:
            raise Transient("InfluxDB ended an answer early", where=target.url)
        finished = True
    except (HTTPError, OSError) as error:
        raise target.broken(error) from None
    except (msgpack.UnpackException, ValueError) as error:
        raise Transient(f"an answer of InfluxDB is damaged: {error}", where=target.url) from None
    finally:
        # A connection with an answer that was not read to its end cannot be used again.
        if finished:
            response.release_conn()
        else:
            response.close()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Unpacking makes a tuple a point, none of them garbage: walking them would double the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _results(target: Target, bucket: str, document: Any) -> Sequence[dict[str, Any]]:
    """The results of one document; an error in it is raised: HTTP said 200 long before."""
    if not isinstance(document, dict):
        raise Permanent("an answer is not InfluxQL's", where=target.url)
    results: Sequence[dict[str, Any]] = document.get("results", ())
    for holder in (document, *results):
        told = holder.get("error")
        if told:
            words = target.clean(str(told))
            if "database not found" in words or "not authorized" in words.lower():
                raise Missing(
                    f"the bucket {bucket!r} cannot be read: {words}",
                    where=target.url,
                    next_step="check the bucket's name and that the token may read it",
                )
            if "timeout" in words or "killed" in words:
                raise Transient(f"the query ended: {words}", where=target.url)
            raise Permanent(f"the query failed: {words}", where=target.url)
    return results


def block_of(series: Series) -> Block:
    """Typed columns of one series of an answer.

    Raises:
        Permanent: an unsigned integer beyond int64, which this tool never writes.
    """
    names: Sequence[str] = series["columns"]
    with _collector_paused():
        columns: tuple[tuple[Any, ...], ...] = tuple(zip(*series["values"], strict=True))
    times = np.array(columns[names.index("time")], np.int64) if columns else np.empty(0, np.int64)
    fields: list[BlockColumn] = []
    for name, values in zip(names, columns, strict=False):
        if name != "time":
            fields += _typed_columns(name, values)
    tags = {str(key): str(value) for key, value in (series.get("tags") or {}).items() if value != ""}
    return Block(str(series["name"]), tags, times, tuple(fields))


def _typed_columns(name: str, values: tuple[Any, ...]) -> list[BlockColumn]:
    """One column for each type that is there (one, unless shards differ); none where every value is null."""
    types = set(map(type, values))
    if len(types) == 1:
        (only,) = types
        return [] if only is type(None) else [BlockColumn(name, kind_of(name, only), _array(name, values, only))]
    found = np.empty(len(values), object)
    found[:] = values
    result = []
    for each in sorted(types - {type(None)}, key=str):
        if len(types) == 2 and type(None) in types:
            valid: npt.NDArray[np.bool_] = found != None  # noqa: E711 - element by element
        else:
            valid = np.fromiter((type(value) is each for value in values), np.bool_, len(values))
        array = np.zeros(len(values), _DTYPES[kind_of(name, each)])
        array[valid] = _array(name, found[valid], each)
        result.append(BlockColumn(name, kind_of(name, each), array, valid))
    return result


def kind_of(name: str, python_type: type) -> FieldType:
    """The field type that values of a Python type in an answer have.

    Raises:
        Permanent: no field has such values.
    """
    kind = _KINDS.get(python_type)
    if kind is None:
        raise Permanent(f"the field {name!r} holds values of the type {python_type.__name__}, which no field can have")
    return kind


def _array(name: str, values: Any, python_type: type) -> npt.NDArray[Any]:
    if python_type is str:
        array = np.empty(len(values), object)
        array[:] = values
        return array
    try:
        return np.array(values, _DTYPES[kind_of(name, python_type)])
    except OverflowError:
        raise Permanent(
            f"the field {name!r} holds unsigned integers beyond 2^63 - 1, which this tool never writes"
        ) from None
