"""Reading a bucket back by InfluxQL: chunked MessagePack, decoded as it streams, in bounded memory.

InfluxQL and not Flux: typed, exact in every byte of a string, and several times faster (facts of InfluxDB, sections 0
and 5). What the points are compared with is in `validation`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgpack
from urllib3.exceptions import HTTPError

from ts_migration.errors import MigrationError, Missing, Permanent, Transient
from ts_migration.influxdb.blocks import Block, SeriesBatch
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.documents import Documents, EndedEarly, NoAnswer, Rows
from ts_migration.influxdb.quoting import identifier, in_window
from ts_migration.influxdb.row_columns import batches_of
from ts_migration.influxdb.unpacking import Series, unpacked
from ts_migration.windows import Window

CHUNK_POINTS = 10_000
"""Points in one piece of the answer: what the server gathers and the client decodes at a time."""

READ_BYTES = 1 << 18
ACCEPT = {"Accept": "application/x-msgpack"}
_BATCH_BYTES = 1 << 22
_TIMES_A_QUERY = 20


def points(target: Target, bucket: str, measurement: str, window: Window) -> Iterator[Block]:
    """All points of a measurement in a window, series by series, times ascending within each.

    Raises:
        Transient: the connection broke or the server ended the answer early: nothing read so far is to be trusted.
        Permanent: the server reports an error inside the answer, or a value that this tool never writes.
    """
    for batch in batches(target, bucket, measurement, window):
        yield from batch.blocks()


def batches(target: Target, bucket: str, measurement: str, window: Window) -> Iterator[SeriesBatch]:
    """The same points, many short series at a time. Errors as `points`."""
    with _documents(target, bucket, points_query(target, bucket, measurement, window)) as documents:
        for batch in _batches(documents.series()):
            base = batch[0].start
            yield from batches_of(documents.cut(base, batch[-1].end), base, batch)


def batches_at(target: Target, bucket: str, measurement: str, times: Sequence[int]) -> Iterator[SeriesBatch]:
    """All points of a measurement at some times, ns. Errors as `points`."""
    for start in range(0, len(times), _TIMES_A_QUERY):
        text = "; ".join(
            f"SELECT * FROM {identifier(measurement)} WHERE {in_window(Window(at, at + 1))} GROUP BY *"  # noqa: S608
            for at in times[start : start + _TIMES_A_QUERY]
        )
        query = _query(target, bucket, text) | {"chunked": "true", "chunk_size": str(CHUNK_POINTS)}
        with _documents(target, bucket, query) as documents:
            for batch in _batches(documents.series()):
                base = batch[0].start
                yield from batches_of(documents.cut(base, batch[-1].end), base, batch)


def points_query(target: Target, bucket: str, measurement: str, window: Window) -> dict[str, str]:
    """The request of `points`."""
    text = f"SELECT * FROM {identifier(measurement)} WHERE {in_window(window)} GROUP BY *"  # noqa: S608 - quoted
    return _query(target, bucket, text) | {"chunked": "true", "chunk_size": str(CHUNK_POINTS)}


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


@dataclass(frozen=True, slots=True)
class RangeCounts:
    """What a range of time holds: values per field, series, and series with their field keys."""

    counts: dict[str, int]
    series: int
    with_fields: int


def range_counts(target: Target, bucket: str, measurement: str, window: Window) -> RangeCounts:
    """Values and series of a range, counted by the server series by series and streamed: other ranges do not count."""
    text = f"SELECT count(*) FROM {identifier(measurement)} WHERE {in_window(window)} GROUP BY *"  # noqa: S608 - quoted
    query = _query(target, bucket, text) | {"chunked": "true", "chunk_size": str(CHUNK_POINTS)}
    found: Counter[str] = Counter()
    series_count = with_fields = 0
    with _documents(target, bucket, query) as documents:
        for rows in documents.series():
            series = unpacked(documents.cut(rows.start, rows.end), rows.start, rows)
            held = {
                name.removeprefix("count_"): int(value)
                for row in series["values"]
                for name, value in zip(series["columns"], row, strict=True)
                if name != "time" and value
            }
            found.update(held)
            series_count += bool(held)
            with_fields += len(held)
    return RangeCounts(dict(sorted(found.items())), series_count, with_fields)


def field_types(target: Target, bucket: str, measurement: str) -> dict[str, tuple[str, ...]]:
    """Field keys of a measurement over all time with their types; several where shards differ."""
    found: dict[str, list[str]] = {}
    for key, kind in query_rows(target, bucket, f"SHOW FIELD KEYS FROM {identifier(measurement)}"):
        found.setdefault(str(key), []).append(str(kind))
    return {key: tuple(sorted(set(kinds))) for key, kinds in sorted(found.items())}


def measurements(target: Target, bucket: str, limit: int) -> tuple[str, ...]:
    """Names of a bucket's measurements over all time, at most so many."""
    return tuple(str(row[0]) for row in query_rows(target, bucket, f"SHOW MEASUREMENTS LIMIT {limit}"))


def tag_keys(target: Target, bucket: str, measurement: str) -> tuple[str, ...]:
    """Tag keys of a measurement over all time."""
    rows = query_rows(target, bucket, f"SHOW TAG KEYS FROM {identifier(measurement)}")
    return tuple(sorted(str(row[0]) for row in rows))


def query_rows(target: Target, bucket: str, text: str) -> list[tuple[Any, ...]]:
    """All rows of a small InfluxQL answer, over all its series."""
    return [tuple(row) for series in query_series(target, bucket, text) for row in series["values"]]


def query_series(target: Target, bucket: str, text: str) -> Iterator[Series]:
    """The series of a small InfluxQL answer.

    Raises:
        Transient: broken, ended early, or a 5xx.
        Permanent: refused, or an error inside the answer.
    """
    with _documents(target, bucket, _query(target, bucket, text)) as documents:
        for rows in documents.series():
            yield unpacked(documents.cut(rows.start, rows.end), rows.start, rows)


def _query(target: Target, bucket: str, text: str) -> dict[str, str]:
    # A bucket is a database of its name; one named `a/b` is the retention policy b of the database a.
    database, _, retention_policy = bucket.partition("/")
    query = {"db": database, "org": target.org, "epoch": "ns", "q": text}
    if retention_policy:
        query["rp"] = retention_policy
    return query


@contextmanager
def _documents(target: Target, bucket: str, query: dict[str, str]) -> Iterator[Documents]:
    """The documents of an answer. What goes wrong while they are read becomes the product's errors."""
    response = target.open("GET", "/query", query, headers=ACCEPT)
    finished = False
    try:
        if response.status != 200:
            raise target.error(Answer(response.status, response.headers, response.read()), "the query failed")
        yield Documents(response.stream(READ_BYTES), lambda words: _refusal(target, bucket, target.clean(words)))
        finished = True
    except EndedEarly:
        raise Transient("InfluxDB ended an answer early", where=target.url) from None
    except NoAnswer:
        raise Permanent("an answer is not InfluxQL's", where=target.url) from None
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


def _batches(series: Iterable[Rows]) -> Iterator[list[Rows]]:
    """Series with the same columns that are decoded together, so many that what a call costs does not count."""
    batch: list[Rows] = []
    points = 0
    for rows in series:
        if batch and (
            points >= CHUNK_POINTS or rows.columns != batch[0].columns or rows.end - batch[0].start > _BATCH_BYTES
        ):
            yield batch
            batch, points = [], 0
        if rows.count:
            batch.append(rows)
            points += rows.count
    if batch:
        yield batch


def _refusal(target: Target, bucket: str, words: str) -> MigrationError:
    """What the words of an error inside an answer mean."""
    if "database not found" in words or "not authorized" in words.lower():
        return Missing(
            f"the bucket {bucket!r} cannot be read: {words}",
            where=target.url,
            next_step="check the bucket's name and that the token may read it",
        )
    # A shard that is restored is closed and opened again, and disabled meanwhile (influxdb#19510).
    if any(one in words for one in ("timeout", "killed", "disabled", "engine is closed")):
        return Transient(f"the query ended: {words}", where=target.url)
    return Permanent(f"the query failed: {words}", where=target.url)
