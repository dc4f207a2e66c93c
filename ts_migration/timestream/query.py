"""One query of Timestream: paging, retries, errors that teach, and rows with exact types.

Knows the wire (facts of Timestream, section 3) and no SQL: the texts are in `quoting`, `description`, `unload` and
`readings`.
"""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.errors import MigrationError, Missing, Permanent, Transient
from ts_migration.objects import aws_error
from ts_migration.windows import to_ns

if TYPE_CHECKING:
    from mypy_boto3_timestream_query import TimestreamQueryClient

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
"""A typed value of a result: BIGINT and INTEGER are int, TIMESTAMP is int (ns), arrays are lists, rows are dicts."""

MAX_QUERY_CHARS = 262_144
"""Longest query text the service takes [API reference, Query]."""

_PATIENCE_S = 60.0
"""Longest pause between two attempts, seconds."""


class QueryTooLarge(Permanent):
    """The query asks for more memory or time than Timestream gives; a smaller range of time may pass."""


class PagesGone(Transient):
    """The rest of an answer is not to be had any more; the query asked anew gives all of it."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a transient failure is tried again.

    `attempts` counts the retries after the first call; the pause before retry n is random below `delay_s` x 2^(n-1), at
    most 60 s (full jitter), or what the server asked for.
    """

    attempts: int = 3
    delay_s: float = 2.0

    def pause(self, retry: int, error: Transient, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait before the given retry (1 is the first)."""
        if error.retry_after_s is not None:
            return min(error.retry_after_s, _PATIENCE_S)
        return draw() * min(self.delay_s * 2.0 ** (retry - 1), _PATIENCE_S)


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result: its name and its Type as the API gives it."""

    name: str
    type: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer; `rows` may be empty on any page but carries typed values in the order of `columns`."""

    query_id: str
    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    bytes_scanned: int = 0


@dataclass
class TimestreamQuery:
    """Timestream's query API through a boto3 client.

    Every error is the product's own: throttling, internal errors and broken connections are retried and then Transient;
    a missing database or table is Missing; too much memory or time is QueryTooLarge; all else Permanent.

    Args:
        client: a `timestream-query` client with a read timeout above 60 s (a call may hold for 60 s).
        retries: attempts and delay.
        where: put before every message, such as the name of the job.
        sleep: waits; tests pass their own.
    """

    client: "TimestreamQueryClient"
    retries: Retries = field(default_factory=Retries)
    where: str = "Timestream"
    sleep: Callable[[float], None] = time.sleep

    def pages(self, sql: str) -> Iterator[Page]:
        """All pages of a query, empty ones included. A query left before its end is cancelled.

        Raises:
            QueryTooLarge, Missing, Permanent, Transient: see the class.
            PagesGone: a token was refused, which it is after five calls; another call would not change that.
        """
        if len(sql) > MAX_QUERY_CHARS:
            raise Permanent(
                f"the query has {len(sql):,} characters: {_excerpt(sql)}",
                where=self.where,
                allowed=f"at most {MAX_QUERY_CHARS:,}",
            )
        # One token for the first call and its retries: the service then knows a repeated call for the same query.
        request: dict[str, Any] = {"QueryString": sql, "ClientToken": uuid.uuid4().hex}
        query_id, finished = "", False
        try:
            while not finished:
                answer = self._call(request, sql)
                query_id = answer["QueryId"]
                columns = tuple(ResultColumn(info.get("Name") or "", info["Type"]) for info in answer["ColumnInfo"])
                rows = tuple(_typed_row(row["Data"], columns) for row in answer["Rows"])
                token = answer.get("NextToken")
                finished = not token
                yield Page(query_id, columns, rows, answer.get("QueryStatus", {}).get("CumulativeBytesScanned", 0))
                request = {"QueryString": sql, "NextToken": token}
        finally:
            if query_id and not finished:
                self._cancel(query_id)

    def rows(self, sql: str) -> Iterator[dict[str, Value]]:
        """Rows of a query as column name -> value, page by page."""
        for page in self.pages(sql):
            names = [column.name for column in page.columns]
            for row in page.rows:
                yield dict(zip(names, row, strict=True))

    def scalar(self, sql: str) -> Value:
        """The only value of a query that gives one row of one column.

        Raises:
            Permanent: it gave another shape.
        """
        rows = list(self.rows(sql))
        if len(rows) != 1 or len(rows[0]) != 1:
            raise Permanent(f"expected one value and got {len(rows)} rows: {_excerpt(sql)}", where=self.where)
        return next(iter(rows[0].values()))

    def integer(self, sql: str) -> int:
        """The only value of a query, which must be a whole number and not NULL."""
        value = self.scalar(sql)
        if not isinstance(value, int):
            raise Permanent(f"expected a whole number and got {value!r}: {_excerpt(sql)}", where=self.where)
        return value

    def frame(self, sql: str) -> pl.DataFrame:
        """The answer as a frame: VARCHAR String, BIGINT and TIMESTAMP Int64 (ns), DOUBLE Float64, BOOLEAN Boolean."""
        columns: tuple[ResultColumn, ...] = ()
        rows: list[tuple[Value, ...]] = []
        for page in self.pages(sql):
            columns = columns or page.columns
            rows.extend(page.rows)
        schema = {column.name: _frame_type(column, self.where) for column in columns}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _call(self, request: dict[str, Any], sql: str) -> Any:
        retry = 0
        while True:
            try:
                return _whole(self.client.query(**request), self.where)
            except (ClientError, BotoCoreError, Transient, KeyError) as error:
                mapped = self._mapped(error, sql)
                if "NextToken" in request and type(mapped) is Permanent and _is_refusal(error):
                    raise PagesGone(mapped.what, where=self.where) from error
                if not isinstance(mapped, Transient):
                    raise mapped from error
                if retry >= self.retries.attempts:
                    mapped.exhausted = True
                    raise mapped from error
            retry += 1
            self.sleep(self.retries.pause(retry, mapped))

    def _mapped(self, error: ClientError | BotoCoreError | Transient | KeyError, sql: str) -> MigrationError:
        if isinstance(error, KeyError):
            # botocore asks DescribeEndpoints by itself, and reads an answer that was cut off as one without members.
            return Transient(f"an answer of Timestream is incomplete: it has no {error}", where=self.where)
        return error if isinstance(error, Transient) else query_error(error, self.where, sql)

    def _cancel(self, query_id: str) -> None:
        try:
            self.client.cancel_query(QueryId=query_id)
        except (ClientError, BotoCoreError):
            # The query may have ended meanwhile; the reason for leaving it is the error the caller should see.
            return


def _is_refusal(error: Exception) -> bool:
    """Of a page whose query was taken: a token lasts for 5 calls or an hour (facts of Timestream, section 3)."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "ValidationException"


def _whole(answer: Any, where: str) -> Any:
    """The answer, unless its connection ended in the middle: botocore reads half a JSON as one without members.

    Raises:
        Transient: it has not what every answer has.
    """
    if absent := [member for member in ("QueryId", "ColumnInfo", "Rows") if member not in answer]:
        raise Transient(f"an answer of Timestream is incomplete: it has no {', '.join(absent)}", where=where)
    return answer


_TOO_LARGE = re.compile(
    r"exceed\w*\s.{0,40}\b(memory|time)|out of memory|timed?[ -]?out|exceeded the maximum (run|execution)",
    re.IGNORECASE,
)
_MORE_ROOM = "use a shorter `window` for the job, or give Timestream more compute (MaxQueryTCU of the account)"
_NO_TABLE = re.compile(
    r"\b(table|database|schema)\b[^,;]*?\b(does not exist|not found|doesn't exist)|no such (table|database)",
    re.IGNORECASE,
)


def query_error(error: ClientError | BotoCoreError, where: str, sql: str) -> MigrationError:
    """The product's error for a failed query.

    The codes of a missing table and of a memory failure are not documented, so their texts are read too (facts of
    Timestream, section 8).
    """
    mapped = aws_error(error, where)
    if isinstance(mapped, Transient) or not isinstance(error, ClientError):
        return mapped
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code not in ("ValidationException", "QueryExecutionException", "ResourceNotFoundException"):
        return mapped
    if _TOO_LARGE.search(mapped.what):
        return QueryTooLarge(mapped.what, where=where, next_step=_MORE_ROOM)
    if _NO_TABLE.search(mapped.what):
        return Missing(mapped.what, where=where, next_step="check source_database and source_table")
    what = "the query was refused" if code == "ValidationException" else "the query failed"
    return Permanent(f"{mapped.what} ({what}: {_excerpt(sql)})", where=where)


def _excerpt(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= 300 else text[:297] + "..."


def _typed_row(data: Sequence[Mapping[str, Any]], columns: Sequence[ResultColumn]) -> tuple[Value, ...]:
    return tuple(typed_value(datum, column.type) for datum, column in zip(data, columns, strict=True))


def typed_value(datum: Mapping[str, Any], kind: Mapping[str, Any]) -> Value:
    """A Datum of the API by its Type.

    Raises:
        Permanent: its shape or type is one that no query of this product asks for.
    """
    if datum.get("NullValue"):
        return None
    if (text := datum.get("ScalarValue")) is not None and kind.get("ScalarType"):
        return _scalar(text, kind["ScalarType"])
    if (entries := datum.get("ArrayValue")) is not None and kind.get("ArrayColumnInfo"):
        return [typed_value(entry, kind["ArrayColumnInfo"]["Type"]) for entry in entries]
    if (row := datum.get("RowValue")) is not None and kind.get("RowColumnInfo"):
        return {
            column.get("Name") or f"_{position}": typed_value(entry, column["Type"])
            for position, (entry, column) in enumerate(zip(row["Data"], kind["RowColumnInfo"], strict=True))
        }
    raise Permanent(f"Timestream answered a value of an unexpected shape: {dict(datum)!r} of type {dict(kind)!r}")


def _scalar(text: str, kind: str) -> Value:
    if kind in ("BIGINT", "INTEGER"):
        return int(text)
    if kind == "DOUBLE":
        return float(text)
    if kind == "BOOLEAN":
        return text == "true"
    if kind == "TIMESTAMP":
        return timestamp_ns(text)
    return text


def timestamp_ns(text: str) -> int:
    """Nanoseconds of a TIMESTAMP as the API writes it, `2022-06-17 08:04:05.000000000`, UTC, exactly."""
    whole, _, fraction = text.partition(".")
    seconds = to_ns(datetime.fromisoformat(whole).replace(tzinfo=UTC))
    if len(fraction) > 9 or not (fraction or "0").isdigit():
        raise Permanent(f"Timestream answered the time {text!r}", allowed="at most nine digits after the point")
    nanoseconds = int(fraction.ljust(9, "0") or 0)
    return seconds + nanoseconds


_FRAME_TYPES: dict[str, type[pl.DataType]] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "INTEGER": pl.Int64,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "TIMESTAMP": pl.Int64,
    "UNKNOWN": pl.Null,
}


def _frame_type(column: ResultColumn, where: str) -> type[pl.DataType]:
    kind = column.type.get("ScalarType")
    if kind not in _FRAME_TYPES:
        raise Permanent(f"no frame can hold column {column.name!r} of type {dict(column.type)!r}", where=where)
    return _FRAME_TYPES[kind]
