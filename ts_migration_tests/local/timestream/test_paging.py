"""Pages, tokens, replays and cancellation of one query, on rows that need no SQL."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.local.timestream.catalog import ColumnInfo, ScalarType
from ts_migration.local.timestream.paging import FirstPage, Page, QueryRun, RowCutter
from ts_migration.local.timestream.refusals import ConflictError, QueryExecutionError, ServiceError, ValidationError


class ListedAnswer:
    """Rows that are known, or that a test makes."""

    columns = (ColumnInfo("n", ScalarType.BIGINT),)
    bytes_scanned = 123

    def __init__(self, rows: Iterator[bytes], stopped: Callable[[], None] = lambda: None) -> None:
        self._rows = rows
        self.stopped = stopped
        self.closed = False

    def rows(self) -> Iterator[bytes]:
        return self._rows

    def interrupt(self) -> None:
        self.stopped()

    def close(self) -> None:
        self.closed = True


def rows(count: int, width: int = 0) -> Iterator[bytes]:
    return (json.dumps([number, "x" * width]).encode() for number in range(count))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def run(
    executor: ThreadPoolExecutor, made: Iterator[bytes], first_page: FirstPage = FirstPage.LARGER, wait: float = 10.0
) -> QueryRun:
    return QueryRun("Q", ListedAnswer(made), executor, metadata_bytes=100, first_page=first_page, wait_seconds=wait)


def numbers(page: Page) -> list[int]:
    return [json.loads(row)[0] for row in page.rows]


def test_a_result_that_fits_into_one_page_comes_at_once(executor: ThreadPoolExecutor) -> None:
    page = run(executor, rows(3)).first(3)
    assert numbers(page) == [0, 1, 2]
    assert page.token is None
    assert page.progress == 100.0
    assert page.bytes_metered == 10_000_000


def test_a_larger_result_begins_with_an_empty_page_and_a_token(executor: ThreadPoolExecutor) -> None:
    query = run(executor, rows(4))
    first = query.first(3)
    assert (first.rows, first.progress) == ((), 0.0)
    assert first.token is not None
    second = query.following(first.token, 3)
    assert numbers(second) == [0, 1, 2]
    assert second.token is not None
    third = query.following(second.token, 3)
    assert numbers(third) == [3]
    assert third.token is None


def test_the_same_token_gives_the_same_rows_five_times(executor: ThreadPoolExecutor) -> None:
    query = run(executor, rows(10))
    token = query.first(3).token
    assert token is not None
    pages = [query.following(token, 3) for _ in range(5)]
    assert pages == [pages[0]] * 5
    with pytest.raises(ValidationError, match="Invalid pagination token"):
        query.following(token, 3)


def test_a_token_dies_when_the_next_one_is_used(executor: ThreadPoolExecutor) -> None:
    query = run(executor, rows(10))
    older = query.first(3).token
    assert older is not None
    newer = query.following(older, 3).token
    assert newer is not None
    assert query.following(older, 3).token == newer
    query.following(newer, 3)
    with pytest.raises(ValidationError, match="Invalid pagination token"):
        query.following(older, 3)


def test_an_invented_token_is_refused(executor: ThreadPoolExecutor) -> None:
    query = run(executor, rows(10))
    query.first(3)
    with pytest.raises(ValidationError):
        query.following("invented", 3)


def test_a_page_holds_less_than_a_megabyte(executor: ThreadPoolExecutor) -> None:
    query = run(executor, rows(30, width=100_000), FirstPage.NEVER)
    page = query.first(None)
    seen = numbers(page)
    while page.token is not None:
        assert sum(len(row) for row in page.rows) < 1_000_000
        page = query.following(page.token, None)
        seen += numbers(page)
    assert seen == list(range(30))


def test_a_row_above_a_megabyte_fails_in_the_services_words(executor: ThreadPoolExecutor) -> None:
    with pytest.raises(QueryExecutionError, match="max page response size has been exceeded by the output result row"):
        run(executor, rows(1, width=1_000_000)).first(None)


def test_a_slow_query_answers_with_empty_pages_until_its_rows_are_there(executor: ThreadPoolExecutor) -> None:
    ready = threading.Event()

    def slow() -> Iterator[bytes]:
        ready.wait(10)
        yield b"[7]"

    query = run(executor, slow(), wait=0.05)
    first = query.first(None)
    assert first.rows == ()
    assert first.token is not None
    second = query.following(first.token, None)
    assert second.rows == ()
    ready.set()
    page = second
    while page.token is not None:
        page = query.following(page.token, None)
    assert numbers(page) == [7]


def test_a_cancelled_query_conflicts_when_polled(executor: ThreadPoolExecutor) -> None:
    stopped = threading.Event()

    def endless() -> Iterator[bytes]:
        stopped.wait(10)
        raise QueryExecutionError("interrupted")
        yield b""

    query = QueryRun(
        "Q",
        ListedAnswer(endless(), stopped.set),
        executor,
        metadata_bytes=0,
        first_page=FirstPage.ALWAYS,
        wait_seconds=5,
    )
    token = query.first(None).token
    assert token is not None
    assert query.cancel()
    assert not query.cancel()
    with pytest.raises(ConflictError):
        query.following(token, None)


def test_a_failure_is_the_answer_to_every_later_call(executor: ThreadPoolExecutor) -> None:
    def failing() -> Iterator[bytes]:
        raise QueryExecutionError("division by zero")
        yield b""

    query = run(executor, failing(), FirstPage.ALWAYS)
    token = query.first(None).token
    assert token is not None
    for _ in range(2):
        with pytest.raises(ServiceError, match="division by zero"):
            query.following(token, None)


@given(st.lists(st.integers(1, 40), max_size=60), st.lists(st.none() | st.integers(1, 7), min_size=1, max_size=20))
def test_pages_neither_lose_nor_repeat_nor_reorder_rows(widths: list[int], limits: list[int | None]) -> None:
    made = [bytes([65 + position % 26]) * width for position, width in enumerate(widths)]
    cutter = RowCutter(iter(made), 100)
    seen: list[bytes] = []
    for call in range(1000):
        limit = limits[call % len(limits)]
        page, last = cutter.cut(limit)
        assert limit is None or len(page) <= limit
        assert sum(map(len, page)) <= 100
        seen += page
        if last:
            break
    assert seen == made
