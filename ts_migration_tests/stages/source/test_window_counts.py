"""Rows per window and after a time, on the embedded Timestream, against what was written to it."""

import pytest

from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.window_counts import TailCount, rows_from, window_rows
from ts_migration.windows import Window
from ts_migration_tests.stages.source.tables import HOUR, START, Source, day, multi


@pytest.fixture
def table(source: Source) -> Source:
    source.put([multi(index) for index in range(100)])
    return source


class Counting:
    """Timestream, with the texts that it was asked."""

    def __init__(self, query: TimestreamQuery) -> None:
        self.query = query
        self.texts: list[str] = []

    def rows(self, sql: str) -> object:
        self.texts.append(sql)
        return self.query.rows(sql)


def test_rows_are_counted_per_window_in_the_order_of_the_windows(table: Source) -> None:
    windows = [day(number) for number in (5, 1, 2, 3, 4, 11)]
    assert window_rows(table.query, table.database, table.table, windows) == (4, 24, 24, 24, 24, 0)


def test_a_row_belongs_to_the_window_that_begins_with_it(table: Source) -> None:
    edge = START + HOUR + 1
    windows = [Window(START, edge), Window(edge, edge + 1), Window(edge + 1, edge + HOUR)]
    assert window_rows(table.query, table.database, table.table, windows) == (1, 1, 0)


def test_a_thousand_windows_are_counted_by_few_queries_of_bounded_length(table: Source) -> None:
    counting = Counting(table.query)
    windows = [Window(START + index * HOUR, START + (index + 1) * HOUR, str(index)) for index in range(1_000)]
    found = window_rows(counting, table.database, table.table, windows)  # type: ignore[arg-type]
    assert found == (1,) * 100 + (0,) * 900
    assert len(counting.texts) == 10
    assert max(map(len, counting.texts)) < 20_000


def test_no_window_asks_nothing_and_windows_that_overlap_are_refused(table: Source) -> None:
    assert window_rows(None, table.database, table.table, []) == ()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overlap"):
        window_rows(table.query, table.database, table.table, [day(2), Window(day(1).start_ns, day(2).start_ns + 1)])


def test_rows_at_and_after_a_time_are_counted_with_the_first_and_the_last(table: Source) -> None:
    first, last = START + 98 * HOUR + 98, START + 99 * HOUR + 99
    assert rows_from(table.query, table.database, table.table, first) == TailCount(2, first, last)
    assert rows_from(table.query, table.database, table.table, first + 1) == TailCount(1, last, last)
    assert rows_from(table.query, table.database, table.table, last + 1) == TailCount(0, None, None)
