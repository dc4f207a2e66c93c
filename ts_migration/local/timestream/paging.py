"""One query's way from rows to pages: sizes, empty pages, tokens, replays and cancellation.

Here belong the rules of the Query API's ``MaxRows`` and ``NextToken``. Which query a token belongs to, and idempotency
of whole requests, do not.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.local.timestream.answers import Answer
from ts_migration.local.timestream.refusals import ConflictError, QueryExecutionError, ServiceError, ValidationError

PAGE_BYTES = 1_000_000
"""Most bytes of rows in a page, column metadata included."""
_METADATA_ALLOWANCE = 2_000
TOKEN_USES = 5
MIN_METERED_BYTES = 10_000_000

INVALID_TOKEN = "Invalid pagination token."  # noqa: S105 - a message


class FirstPage(StrEnum):
    """When the first page is empty and only has a token."""

    LARGER = "larger"
    """If the result does not fit into one page, as the API's documentation says."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is answered; ``token`` asks for the next and is None on the last."""

    rows: tuple[bytes, ...]
    token: str | None
    progress: float
    bytes_scanned: int
    bytes_metered: int


class RowCutter:
    """Takes pages from a stream of rows and can give rows back."""

    def __init__(self, rows: Iterator[bytes], limit: int) -> None:
        self._rows = rows
        self._limit = limit
        self._pending: deque[bytes] = deque()

    def cut(self, max_rows: int | None) -> tuple[list[bytes], bool]:
        """The next page's rows, and whether they are the last.

        Raises:
            QueryExecutionError: a single row is larger than a page.
        """
        page: list[bytes] = []
        size = 0
        while max_rows is None or len(page) < max_rows:
            row = self._next()
            if row is None:
                return page, True
            if len(row) > self._limit:
                raise QueryExecutionError(
                    "Query aborted as max page response size has been exceeded by the output result row"
                )
            if size + len(row) > self._limit:
                self._pending.appendleft(row)
                return page, False
            page.append(row)
            size += len(row) + 1
        following = self._next()
        if following is None:
            return page, True
        self._pending.appendleft(following)
        return page, False

    def give_back(self, rows: list[bytes]) -> None:
        """Rows that were cut and not answered: the next page begins with them."""
        self._pending.extendleft(reversed(rows))

    def _next(self) -> bytes | None:
        return self._pending.popleft() if self._pending else next(self._rows, None)


Cut = tuple[list[bytes], bool]


class QueryRun:
    """A query under way. Its methods may be called from any thread; one page is made at a time.

    Args:
        answer: its rows; closed when the last page was made, or the run is closed.
        metadata_bytes: size of the column metadata in every page.
        wait_seconds: how long a call waits for rows before it answers with an empty page.
    """

    def __init__(
        self,
        query_id: str,
        answer: Answer,
        executor: Executor,
        *,
        metadata_bytes: int,
        first_page: FirstPage,
        wait_seconds: float,
    ) -> None:
        self.query_id = query_id
        self.answer = answer
        self.rows_given = 0
        self._executor = executor
        self._first_page = first_page
        self._wait = wait_seconds
        limit = max(PAGE_BYTES - metadata_bytes - _METADATA_ALLOWANCE, 1)
        self._cutter = RowCutter(answer.rows(), limit)
        self._lock = threading.Lock()
        self._work: Future[Cut] | None = None
        self._first: Page | None = None
        self._served: tuple[str, Page, int] | None = None
        self._next_token: str | None = None
        self._failure: ServiceError | None = None
        self._cancelled = False
        self._pages = 0

    @property
    def finished(self) -> bool:
        """Whether the last page has been made, or the query failed: all that can still come are repetitions."""
        if self._cancelled:
            return False
        return self._failure is not None or (self._next_token is None and self._first is not None)

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def first(self, max_rows: int | None) -> Page:
        """The answer to the first call; the same one for every repetition of that call."""
        with self._lock:
            if self._first is None:
                self._first = self._make_first(max_rows)
            return self._first

    def following(self, token: str, max_rows: int | None) -> Page:
        """The answer to a call with a token.

        Raises:
            ValidationError: the token is not the newest, or was used too often.
            ConflictError: the query was cancelled.
        """
        with self._lock:
            if self._served is not None and self._served[0] == token:
                _, page, uses = self._served
                if uses >= TOKEN_USES:
                    raise ValidationError(INVALID_TOKEN)
                self._served = (token, page, uses + 1)
                return page
            if token != self._next_token:
                raise ValidationError(INVALID_TOKEN)
            page = self._page(max_rows, self._wait)
            self._served = (token, page, 1)
            return page

    def cancel(self) -> bool:
        """End the query. False if it was cancelled before."""
        if self._cancelled:
            return False
        self._cancelled = True
        self.answer.interrupt()
        return True

    def close(self) -> None:
        """Stop the work and release the connection, once no call is in it."""
        self.answer.interrupt()
        with self._lock:
            if self._work is not None and not self._work.cancel():
                try:
                    self._work.exception(timeout=self._wait)
                except NotYetError:
                    return
            self.answer.close()

    def _make_first(self, max_rows: int | None) -> Page:
        if self._first_page is FirstPage.ALWAYS:
            self._start(max_rows)
            return self._empty()
        page = self._cut(max_rows, self._wait)
        if page is None:
            return self._empty()
        rows, last = page
        if not last and self._first_page is FirstPage.LARGER:
            self._cutter.give_back(rows)
            return self._empty()
        return self._full(rows, last)

    def _page(self, max_rows: int | None, wait: float) -> Page:
        cut = self._cut(max_rows, wait)
        return self._empty() if cut is None else self._full(*cut)

    def _start(self, max_rows: int | None) -> Future[Cut]:
        if self._work is None:
            self._work = self._executor.submit(self._cutter.cut, max_rows)
        return self._work

    def _cut(self, max_rows: int | None, wait: float) -> Cut | None:
        """The next rows, or None if they are not there yet."""
        if self._cancelled:
            raise ConflictError("The query was cancelled.")
        if self._failure is not None:
            raise self._failure
        work = self._start(max_rows)
        try:
            rows, last = work.result(timeout=wait)
        except NotYetError:
            return None
        except ServiceError as failure:
            self._failure = failure
            self.answer.close()
            if self._cancelled:
                raise ConflictError("The query was cancelled.") from failure
            raise
        self._work = None
        # The work may have begun for a call that allowed more rows.
        if max_rows is not None and len(rows) > max_rows:
            self._cutter.give_back(rows[max_rows:])
            return rows[:max_rows], False
        return rows, last

    def _empty(self) -> Page:
        self._next_token = secrets.token_urlsafe(48)
        return Page((), self._next_token, 0.0, 0, MIN_METERED_BYTES)

    def _full(self, rows: list[bytes], last: bool) -> Page:
        self.rows_given += len(rows)
        self._pages += 1
        self._next_token = None if last else secrets.token_urlsafe(48)
        # The end of a stream is not known before it is reached: progress only ever rises towards 100.
        progress = 100.0 if last else 100.0 * self._pages / (self._pages + 1)
        if last:
            self.answer.close()
        scanned = self.answer.bytes_scanned
        metered = 0 if scanned is None else max(scanned, MIN_METERED_BYTES)
        return Page(tuple(rows), self._next_token, progress, scanned or 0, metered)
