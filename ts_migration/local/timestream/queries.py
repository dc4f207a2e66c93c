"""The query API: Query with its tokens and idempotency, CancelQuery and PrepareQuery.

Here belong which request belongs to which running query, and the limits on requests. Pages of one query are
``paging``; the work of UNLOAD is ``unload``.
"""

# ruff: noqa: S608 - identifiers cannot be parameters of SQL; every one is quoted by naming.quoted

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ts_migration.local.timestream.answers import Answer, LookupAnswer, SelectAnswer, lookup_columns, service_error
from ts_migration.local.timestream.catalog import ColumnInfo
from ts_migration.local.timestream.paging import INVALID_TOKEN, FirstPage, Page, QueryRun
from ts_migration.local.timestream.refusals import ThrottlingError, ValidationError
from ts_migration.local.timestream.sql import Select, SqlRefused, Statement, Unload, column_info, parse
from ts_migration.local.timestream.storage import Storage
from ts_migration.local.timestream.stored_catalog import StoredCatalog
from ts_migration.local.timestream.unload import UNLOAD_COLUMNS, ExportBucket, UnloadAnswer, UnloadStore
from ts_migration.local.timestream.wire import Caller

Members = dict[str, Any]

_TOKEN_SECONDS = 3600.0
_SAME_REQUEST_SECONDS = 5 * 60.0
_FORGOTTEN_SECONDS = 4 * 3600.0
_MAX_RUNS = 256
"""Queries remembered; one that is never fetched to its end holds a snapshot of the tables."""
_MAX_ENDED = 64
"""Ended queries remembered, each with its last page, for repeated requests."""
_WORKERS = 32
_ID_PREFIX = "AEDACAOAWR"
_ID_LENGTH = 63


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What the command line decides about queries.

    Attributes:
        s3_endpoint: where UNLOAD writes; None: UNLOAD is refused. Credentials come from the environment.
        unloads_per_second: how many UNLOADs may start in any second (AWS: 1); 0 is no limit.
        wait_seconds: how long a call waits for rows before it answers with an empty page.
        store: what an UNLOAD, by its text, writes to in place of the bucket: faults are injected here.
    """

    s3_endpoint: str | None = None
    unloads_per_second: int = 1
    first_page: FirstPage = FirstPage.LARGER
    wait_seconds: float = 20.0
    store: Callable[[UnloadStore, str], UnloadStore] = lambda bucket, _text: bucket


@dataclass(slots=True)
class _Entry:
    """A run and the request that began it."""

    run: QueryRun
    text: str
    access_key: str
    metadata: str
    insights: bool
    used: float


@dataclass(slots=True)
class _Request:
    """What a ClientToken stands for, from its first request on."""

    fingerprint: str
    query_id: str | None = None
    begun: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)


class RateLimit:
    """At most so many starts in any one second; 0 is no limit."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._starts: deque[float] = deque(maxlen=per_second or None)
        self._lock = threading.Lock()

    def start(self, what: str) -> None:
        """Count a start, or refuse it.

        Raises:
            ThrottlingError: the second is used up.
        """
        if not self._per_second:
            return
        with self._lock:
            now = time.monotonic()
            if len(self._starts) == self._per_second and now - self._starts[0] < 1.0:
                raise ThrottlingError(f"Rate exceeded: at most {self._per_second} {what} may start in a second.")
            self._starts.append(now)


class QueryEngine:
    """Runs statements and keeps those whose pages are still being fetched.

    Args:
        clock: nanoseconds since the epoch; what ``now()`` in a query is.
    """

    def __init__(self, storage: Storage, options: QueryOptions, clock: Callable[[], int]) -> None:
        self._storage = storage
        self._options = options
        self._clock = clock
        self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="query")
        self._bucket = ExportBucket(options.s3_endpoint) if options.s3_endpoint else None
        self._unload_rate = RateLimit(options.unloads_per_second)
        self._insight_rate = RateLimit(1)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._tokens: dict[str, str] = {}
        self._requests: dict[tuple[str, str], _Request] = {}

    def query(self, request: Members, caller: Caller) -> bytes:
        """Query: a new statement, a repetition of one, or its next page."""
        max_rows = request.get("MaxRows")
        token = request.get("NextToken")
        if token is not None:
            entry = self._entry_of(token, request["QueryString"], caller)
            return self._answer(entry, entry.run.following(token, max_rows))
        entry = self._begin(request, caller)
        return self._answer(entry, entry.run.first(max_rows))

    def cancel(self, request: Members, _caller: Caller) -> Members:
        """CancelQuery: idempotent; a second request for the same query gets a message."""
        query_id = request["QueryId"]
        with self._lock:
            entry = self._entries.get(query_id)
        if entry is None or entry.run.finished:
            raise ValidationError(f"The query {query_id} does not exist or has completed.")
        if entry.run.cancel():
            return {}
        return {"CancellationMessage": f"The query {query_id} has already been cancelled."}

    def prepare(self, request: Members, _caller: Caller) -> Members:
        """PrepareQuery: the columns that a statement would have; nothing is run or kept."""
        if not request.get("ValidateOnly"):
            raise ValidationError("PrepareQuery is only supported with ValidateOnly set to true.")
        text = request["QueryString"]
        columns = [column_info(column) for column in _columns(self._parse(text))]
        return {"QueryString": text, "Columns": columns, "Parameters": []}

    def close(self) -> None:
        """End all queries."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            entry.run.close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _parse(self, text: str) -> Statement:
        try:
            return parse(text, StoredCatalog(self._storage), now_ns=self._clock())
        except SqlRefused as refused:
            raise service_error(refused) from refused

    def _begin(self, request: Members, caller: Caller) -> _Entry:
        """The running query of this request: the one that an identical request began, or a new one."""
        client_token = request.get("ClientToken")
        if client_token is None:
            return self._start(request, caller)
        fingerprint = json.dumps({key: value for key, value in request.items() if key != "ClientToken"}, sort_keys=True)
        with self._lock:
            known = self._requests.setdefault((caller.access_key, client_token), _Request(fingerprint))
        # A repetition that overtakes its first waits here: it must not start a second UNLOAD.
        with known.lock:
            age = time.monotonic() - known.begun
            if known.fingerprint != fingerprint or _SAME_REQUEST_SECONDS <= age < _FORGOTTEN_SECONDS:
                raise ValidationError(
                    "The ClientToken was used for another request, or outside the 5-minute idempotency window."
                )
            entry = self._entries.get(known.query_id or "")
            if entry is None or age >= _FORGOTTEN_SECONDS:
                entry = self._start(request, caller)
                known.query_id, known.begun = entry.run.query_id, time.monotonic()
            return entry

    def _start(self, request: Members, caller: Caller) -> _Entry:
        text = request["QueryString"]
        statement = self._parse(text)
        insights = (request.get("QueryInsights") or {}).get("Mode") == "ENABLED_WITH_RATE_CONTROL"
        if insights:
            self._insight_rate.start("queries with QueryInsights")
        query_id = new_query_id()
        answer = self._open(statement, text, query_id)
        metadata = json.dumps([column_info(column) for column in answer.columns], ensure_ascii=False)
        first_page = FirstPage.ALWAYS if isinstance(statement, Unload) else self._options.first_page
        run = QueryRun(
            query_id,
            answer,
            self._executor,
            metadata_bytes=len(metadata.encode()),
            first_page=first_page if isinstance(statement, Select | Unload) else FirstPage.LARGER,
            wait_seconds=self._options.wait_seconds,
        )
        entry = _Entry(run, text, caller.access_key, metadata, insights, time.monotonic())
        with self._lock:
            self._keep(entry)
        return entry

    def _keep(self, entry: _Entry) -> None:
        """Remember a run; forget those whose tokens have expired, and the longest unused beyond the limits."""
        now = time.monotonic()
        by_use = sorted(self._entries.items(), key=lambda each: each[1].used)
        expired = {key for key, old in by_use if now - old.used > _TOKEN_SECONDS}
        ended = [key for key, old in by_use if old.run.finished or old.run.cancelled]
        expired.update(ended[: max(len(ended) - _MAX_ENDED, 0)])
        expired.update(key for key, _ in by_use[: max(len(by_use) - _MAX_RUNS, 0)])
        for key in expired:
            self._executor.submit(self._entries.pop(key).run.close)
        if expired:
            self._tokens = {token: key for token, key in self._tokens.items() if key in self._entries}
            self._requests = {
                key: known for key, known in self._requests.items() if now - known.begun < _FORGOTTEN_SECONDS
            }
        self._entries[entry.run.query_id] = entry

    def _open(self, statement: Statement, text: str, query_id: str) -> Answer:
        if isinstance(statement, Select):
            connection = self._storage.reading()
            return SelectAnswer(connection, statement, self._scanned(connection, statement.duckdb_sql))
        if isinstance(statement, Unload):
            if self._bucket is None:
                raise ValidationError("This embedded Timestream server was started without --s3-endpoint: no UNLOAD.")
            self._unload_rate.start("UNLOAD queries")
            self._bucket.check(statement.destination)
            connection = self._storage.reading()
            scanned = self._scanned(connection, statement.select.duckdb_sql)
            store = self._options.store(self._bucket, text)
            return UnloadAnswer(connection, statement, query_id, store, self._storage.spool, scanned)
        return LookupAnswer(statement, StoredCatalog(self._storage))

    def _scanned(self, connection: duckdb.DuckDBPyConnection, sql: str) -> int:
        """Bytes that a query reads, estimated as 8 per column and row of its tables; pruning is not accounted for."""
        # DuckDB names the tables under the views.
        known = {table.records.replace('"', ""): table for table in self._storage.registry.tables.values()}
        names = (name.replace('"', "") for name in connection.get_table_names(sql, qualified=True))
        tables = [known[name] for name in names if name in known]
        total = 0
        for table in tables:
            ((rows,),) = connection.execute(f"SELECT count(*) FROM {table.records}").fetchall()
            total += rows * 8 * len(table.schema.columns)
        return total

    def _entry_of(self, token: str, text: str, caller: Caller) -> _Entry:
        with self._lock:
            entry = self._entries.get(self._tokens.get(token, ""))
            now = time.monotonic()
            if (
                entry is None
                or entry.text != text
                or entry.access_key != caller.access_key
                or now - entry.used > _TOKEN_SECONDS
            ):
                raise ValidationError(INVALID_TOKEN)
            entry.used = now
            return entry

    def _answer(self, entry: _Entry, page: Page) -> bytes:
        status = {
            "ProgressPercentage": page.progress,
            "CumulativeBytesScanned": page.bytes_scanned,
            "CumulativeBytesMetered": page.bytes_metered,
        }
        members: Members = {"QueryId": entry.run.query_id, "QueryStatus": status}
        if page.token is not None:
            members["NextToken"] = page.token
            with self._lock:
                self._tokens[page.token] = entry.run.query_id
        elif entry.insights:
            members["QueryInsightsResponse"] = _insights(entry)
        # Rows are JSON already: they are joined, not parsed again.
        head = json.dumps(members, ensure_ascii=False)[:-1].encode()
        return b"".join(
            (head, b', "ColumnInfo": ', entry.metadata.encode(), b', "Rows": [', b",".join(page.rows), b"]}")
        )


def new_query_id() -> str:
    """A query id of the service's shape: 63 characters of A-Z and 2-7."""
    random = base64.b32encode(secrets.token_bytes(40)).decode()
    return (_ID_PREFIX + random)[:_ID_LENGTH]


def _columns(statement: Statement) -> tuple[ColumnInfo, ...]:
    if isinstance(statement, Select):
        return statement.columns
    return UNLOAD_COLUMNS if isinstance(statement, Unload) else lookup_columns(statement)


def _insights(entry: _Entry) -> Members:
    answer = entry.run.answer
    insights: Members = {"OutputRows": entry.run.rows_given}
    if isinstance(answer, UnloadAnswer) and answer.result is not None:
        insights |= {
            "UnloadPartitionCount": answer.result.partitions,
            "UnloadWrittenRows": answer.result.rows,
            "UnloadWrittenBytes": answer.result.bytes,
        }
    return insights
