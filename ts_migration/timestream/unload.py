"""UNLOAD: a table's rows of one window, or of several, as Parquet files in the export bucket, checked to the byte.

Here: the SQL, its pace, the reading of AWS's manifest and the splitting of what is too large. Which windows are
exported and what is kept of it is in `stages.export`. Rules: facts of Timestream, section 1.
"""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote

from ts_migration.errors import Missing, Permanent, Transient
from ts_migration.manifests import ExportFile
from ts_migration.objects import ExportBucket
from ts_migration.timestream.parquet_footer import (
    SMALLEST_BYTES,
    TAIL_BYTES,
    NoFooter,
    footer_bytes,
    require_footer,
)
from ts_migration.timestream.query import Page, PagesGone, QueryTooLarge, TimestreamQuery
from ts_migration.timestream.quoting import identifier, in_any, in_window, literal, moment, table_name
from ts_migration.timestream.schema import Column, TableSchema
from ts_migration.windows import NS_PER_S, Window

MAX_GROUP = 99
"""Most windows of one UNLOAD: it takes at most 100 partitions [docs, UNLOAD limits], and AWS's own tools stop at 99."""

_LOOKS = 8
"""Files looked at side by side once an UNLOAD has ended; one or two requests each."""

Answer = TypeVar("Answer")

TIME_NS = "time_ns"
"""Column of an export that carries the time in ns, exactly. A table with a column of that name has no mapping."""

_SMALLEST_NS = NS_PER_S
"""A window is not halved below one second: what is still too large there is not a matter of time."""


_INCOMPLETE = (
    "look whether something else deletes or rewrites objects under timestream-export/ (a lifecycle rule, a cleanup), "
    "then run the same command again: every attempt has a fresh folder, and nothing of this one is converted"
)


class IncompleteUnload(Transient):
    """UNLOAD said that it ended, and its manifest, counts or files do not bear that out. A fresh attempt may."""


@dataclass(frozen=True, slots=True)
class UnloadOptions:
    """How files are written.

    `compression` NONE or GZIP: AWS advises none for Parquet that is read once. `max_file_size` bounds the temporary
    disk that a conversion needs; UNLOAD takes 16MB to 78GB and treats it as approximate.
    """

    compression: str = "NONE"
    max_file_size: str = "256MB"

    def text(self, partitioned_by: str | None = None) -> str:
        """The WITH clause's inside."""
        options = [
            f"format = {literal('PARQUET')}",
            f"compression = {literal(self.compression)}",
            f"max_file_size = {literal(self.max_file_size)}",
        ]
        if partitioned_by:
            options.append(f"partitioned_by = ARRAY[{literal(partitioned_by)}]")
        return ", ".join(options)


@dataclass(frozen=True, slots=True)
class AwsManifest:
    """UNLOAD's own manifest, as it was read: its file name and bytes."""

    name: str
    body: bytes


@dataclass(frozen=True)
class Unloaded:
    """What one window's UNLOAD (or several, where it was split) left behind: values for an `ExportManifest`."""

    window: Window
    columns: dict[str, str]
    files: tuple[ExportFile, ...]
    queries: tuple[str, ...]
    manifests: tuple[AwsManifest, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


class Pace:
    """At most one start in each interval, for all threads of the process: UNLOAD takes one start a second."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the caller may start."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self.interval_s
        time.sleep(max(0.0, start - now))


PACE = Pace(1.0)
"""The process's pace of UNLOAD starts (limit per account and Region, section 1.6); other processes meet throttling."""


@dataclass(frozen=True)
class Unloader:
    """Runs UNLOADs of one table into one bucket.

    Args:
        query: asks Timestream; its retries also bound how often an incomplete UNLOAD is tried again.
        bucket: the export bucket, of the same account and Region.
        schema: the table.
        options: how files are written.
        pace: keeps starts apart.
        on_page: told of every page, empty ones too, while an UNLOAD runs.
    """

    query: TimestreamQuery
    bucket: ExportBucket
    schema: TableSchema
    options: UnloadOptions = field(default_factory=UnloadOptions)
    pace: Pace = PACE
    on_page: Callable[[Page], None] | None = None

    def window(self, window: Window, fresh_folder: Callable[[], str]) -> Unloaded:
        """Export one window; halves of it, and so on, where it is too large for one query.

        Args:
            window: the rows wanted.
            fresh_folder: gives a folder's key that nothing was ever written to: a failed UNLOAD leaves files behind.

        Raises:
            QueryTooLarge: even a window of one second is; halves are no way out of it any more.
            IncompleteUnload, Transient, Missing, Permanent: see `TimestreamQuery`.
        """
        try:
            return self._complete(lambda: self._window(window, fresh_folder()))
        except QueryTooLarge as error:
            if window.end_ns - window.start_ns <= _SMALLEST_NS:
                raise _too_large_for_good(error) from error
        first, second = window.halves()
        return _joined(window, [self.window(first, fresh_folder), self.window(second, fresh_folder)])

    def group(
        self, windows: Sequence[Window], fresh_folder: Callable[[], str], own_folder: Callable[[Window], str]
    ) -> list[Unloaded]:
        """Export several windows by one UNLOAD, partitioned by window; fewer at a time where that is too large.

        Args:
            windows: 1 to 99 windows with different keys.
            fresh_folder: as for `window`, for what several windows share.
            own_folder: the same for a window that has to be exported alone.

        Returns:
            One value a window, in the order given; a window without rows has no files.

        Raises:
            See `window`.
        """
        keys = {window.key for window in windows}
        if not 1 <= len(windows) <= MAX_GROUP or len(keys) != len(windows) or "" in keys:
            raise ValueError(f"a group has 1 to {MAX_GROUP} windows with keys of their own, not {len(windows)}")
        if len(windows) == 1:
            return [self.window(windows[0], lambda: own_folder(windows[0]))]
        try:
            return self._complete(lambda: self._group(windows, fresh_folder()))
        except QueryTooLarge:
            middle = len(windows) // 2
            return [
                *self.group(windows[:middle], fresh_folder, own_folder),
                *self.group(windows[middle:], fresh_folder, own_folder),
            ]

    def _complete(self, attempt: Callable[[], Answer]) -> Answer:
        """Run an attempt again, in a fresh folder, where its UNLOAD was not complete.

        Every attempt scans the source and is paid for, so that nobody above may begin with them anew.
        """
        retries, retry = self.query.retries, 0
        while True:
            try:
                return attempt()
            except IncompleteUnload as error:
                if retry >= retries.attempts:
                    error.exhausted = True
                    error.next_step = error.next_step or _INCOMPLETE
                    raise
                retry += 1
                self.query.sleep(retries.pause(retry, error))

    def _window(self, window: Window, folder: str) -> Unloaded:
        sql = unload_sql(self.schema, window, self.bucket.uri(folder), self.options)
        run = self._run(sql, in_window(window))
        return Unloaded(window, unload_columns(self.schema), run.files, (run.query_id,), run.manifests)

    def _group(self, windows: Sequence[Window], folder: str) -> list[Unloaded]:
        sql = group_sql(self.schema, windows, self.bucket.uri(folder), self.options)
        run = self._run(sql, in_any(windows))
        by_key: dict[str, list[ExportFile]] = {window.key: [] for window in windows}
        partition = _free_name(self.schema, "window_key")
        for file in run.files:
            key = _partition_value(file.key, partition)
            if key not in by_key:
                raise Permanent(f"UNLOAD wrote a partition that was not asked for: {self.bucket.uri(file.key)}")
            by_key[key].append(file)
        columns = unload_columns(self.schema)
        return [
            Unloaded(window, columns, tuple(by_key[window.key]), (run.query_id,), run.manifests) for window in windows
        ]

    def _run(self, sql: str, condition: str) -> "_Run":
        """Start one UNLOAD, follow it to its end and check what it left behind."""
        self.pace.wait()
        query_id, answer = "", []
        try:
            for page in self.query.pages(sql):
                query_id = page.query_id
                answer += [dict(zip((column.name for column in page.columns), row, strict=True)) for row in page.rows]
                if self.on_page:
                    self.on_page(page)
        except PagesGone as error:
            raise IncompleteUnload(
                f"the end of UNLOAD {query_id} is not known: {error.what}", where=error.where
            ) from error
        if len(answer) != 1 or not isinstance(answer[0].get("rows"), int):
            raise IncompleteUnload(f"UNLOAD {query_id} ended without its result row", where=self.query.where)
        rows, uri = answer[0]["rows"], answer[0].get("manifestFile")
        if not uri:
            return self._run_without_rows(query_id, rows, condition)
        key = self.bucket.key_of(str(uri))
        try:
            body = self.bucket.get(key)
        except Missing as error:
            raise IncompleteUnload(f"UNLOAD {query_id} named a manifest that is not there", where=str(uri)) from error
        files = self._checked(body, str(uri), rows)
        return _Run(query_id, files, (AwsManifest(key.rsplit("/", 1)[-1], body),))

    def _run_without_rows(self, query_id: str, rows: object, condition: str) -> "_Run":
        """An UNLOAD that names no manifest: sound only where the source holds no row (not documented either way)."""
        table = table_name(self.schema.database, self.schema.table)
        count = self.query.integer(f"SELECT count(*) FROM {table} WHERE {condition}")
        if rows == 0 and count == 0:
            return _Run(query_id, (), ())
        raise IncompleteUnload(
            f"UNLOAD {query_id} names no manifest and reports {rows} rows; the source holds {count:,}",
            where=self.query.where,
        )

    def _checked(self, body: bytes, uri: str, rows: object) -> tuple[ExportFile, ...]:
        """Files of a manifest, each as large as it says and with its footer, together with the rows of the result."""
        files = manifest_files(body, uri, self.bucket)
        total = sum(file.rows for file in files)
        if total != rows:
            raise IncompleteUnload(f"the manifest names {total:,} rows and the result row {rows:,}", where=uri)
        if files:
            with ThreadPoolExecutor(min(_LOOKS, len(files)), thread_name_prefix="export-look") as pool:
                list(pool.map(self._look_at, files))
        return files

    def _look_at(self, file: ExportFile) -> None:
        """A file is there, has the manifest's size, and ends with the footer of as many rows."""
        where = self.bucket.uri(file.key)
        tail_bytes = min(TAIL_BYTES, max(file.bytes, SMALLEST_BYTES))
        try:
            tail, size = self.bucket.span(file.key, max(0, file.bytes - tail_bytes), tail_bytes)
            if size != file.bytes:
                raise IncompleteUnload(f"the file has {size:,} bytes, the manifest says {file.bytes:,}", where=where)
            footer = footer_bytes(tail)
            if len(tail) < footer <= size:
                tail, _ = self.bucket.span(file.key, size - footer, footer)
            require_footer(tail, size, file.rows)
        except Missing as error:
            raise IncompleteUnload("the manifest names a file that is not there", where=where) from error
        except NoFooter as error:
            raise IncompleteUnload(f"the file is not what the manifest promises: {error}", where=where) from error


@dataclass(frozen=True)
class _Run:
    query_id: str
    files: tuple[ExportFile, ...]
    manifests: tuple[AwsManifest, ...]


def attempt_name() -> str:
    """A name for one attempt's folder: the time, to be read, and chance, to be fresh."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"


def unload_columns(schema: TableSchema) -> dict[str, str]:
    """Columns of an export in order, name -> Timestream type: the table's own, then the time in ns."""
    return {**{column.name: column.type.value for column in schema.columns}, TIME_NS: "bigint"}


def select_list(columns: Sequence[Column]) -> str:
    """Columns by name, and the time as an exact integer: readers of INT96 may lose its last digits."""
    names = ", ".join(identifier(column.name) for column in columns)
    return f'{names}, to_nanoseconds("time") AS {TIME_NS}'


def unload_sql(schema: TableSchema, window: Window, uri: str, options: UnloadOptions) -> str:
    """The UNLOAD of one window into a folder's s3:// URI."""
    select = (
        f"SELECT {select_list(schema.columns)} "
        f"FROM {table_name(schema.database, schema.table)} WHERE {in_window(window)}"
    )
    return f"UNLOAD ({select}) TO {literal(uri)} WITH ({options.text()})"


def group_sql(schema: TableSchema, windows: Sequence[Window], uri: str, options: UnloadOptions) -> str:
    """The UNLOAD of several windows, partitioned by a last column that holds each row's window key."""
    partition = _free_name(schema, "window_key")
    branches = " ".join(
        f'WHEN "time" >= {moment(window.start_ns)} AND "time" < {moment(window.end_ns)} THEN {literal(window.key)}'
        for window in windows
    )
    select = (
        f"SELECT {select_list(schema.columns)}, CASE {branches} END AS {identifier(partition)} "
        f"FROM {table_name(schema.database, schema.table)} WHERE {in_any(windows)}"
    )
    return f"UNLOAD ({select}) TO {literal(uri)} WITH ({options.text(partitioned_by=partition)})"


def manifest_files(body: bytes, uri: str, bucket: ExportBucket) -> tuple[ExportFile, ...]:
    """Files that UNLOAD's manifest names, in its order. Real ones total `total_content_length_in_bytes`, the docs' not.

    Raises:
        IncompleteUnload: it cannot be read, or its totals are not those of its files.
    """
    try:
        content = json.loads(body)
        files = tuple(
            ExportFile(
                key=bucket.key_of(file["url"]),
                bytes=file["file_metadata"]["content_length_in_bytes"],
                rows=file["file_metadata"]["row_count"],
            )
            for file in content["result_files"] or ()
        )
        totals = content["query_metadata"]
    except (ValueError, KeyError, TypeError) as error:
        raise IncompleteUnload(f"UNLOAD's manifest cannot be read: {error!r}", where=uri) from error
    found = {"rows": sum(file.rows for file in files), "bytes": sum(file.bytes for file in files)}
    stated = {
        "rows": totals.get("total_row_count"),
        "bytes": totals.get("total_content_length_in_bytes", totals.get("content_length_in_bytes")),
    }
    for unit, total in stated.items():
        if total is not None and total != found[unit]:
            raise IncompleteUnload(f"the manifest totals {total:,} {unit}, its files {found[unit]:,}", where=uri)
    return files


def _too_large_for_good(error: QueryTooLarge) -> QueryTooLarge:
    """The error of a window that was halved down to one second: a shorter `window` would be halved no further."""
    return QueryTooLarge(
        f"{error.what}, even for one second of the window, down to which it was halved",
        where=error.where,
        next_step="give Timestream more compute (MaxQueryTCU of the account), or try again when it has less to do; "
        "a shorter `window` is of no use",
    )


def _free_name(schema: TableSchema, wanted: str) -> str:
    taken = {column.name for column in schema.columns}
    while wanted in taken:
        wanted += "_"
    return wanted


def _partition_value(key: str, partition: str) -> str:
    found = re.search(rf"/{re.escape(partition)}=([^/]+)/", key)
    return unquote(found[1]) if found else ""


def _joined(window: Window, parts: Sequence[Unloaded]) -> Unloaded:
    return Unloaded(
        window,
        parts[0].columns,
        tuple(file for part in parts for file in part.files),
        tuple(query for part in parts for query in part.queries),
        tuple(manifest for part in parts for manifest in part.manifests),
    )
