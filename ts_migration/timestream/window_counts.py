"""Rows that Timestream holds now per window, and at or after a time: what plans, late arrivals and catch-up ask.

Small answers to scans of the time column alone. Counts per measure and column of one window are in `readings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ts_migration.timestream.query import TimestreamQuery, Value
from ts_migration.timestream.quoting import in_any, in_window, moment, table_name
from ts_migration.windows import Window

WINDOWS_A_QUERY = 100
"""Windows counted by one SELECT: its text stays below 20 kB, far from the service's limit of 256 kB."""


@dataclass(frozen=True)
class TailCount:
    """Rows at or after a time, with the first and the last time of them, ns; None where there is none."""

    rows: int
    first_ns: int | None
    last_ns: int | None


def window_rows(query: TimestreamQuery, database: str, table: str, windows: Sequence[Window]) -> tuple[int, ...]:
    """Rows that Timestream holds now in each of some windows, in the order given; 0 where it has none.

    One SELECT for every hundred windows, neighbours together, so that each scans its own stretch of time.

    Raises:
        ValueError: two of the windows overlap; a row is counted once.
    """
    order = sorted(range(len(windows)), key=lambda index: windows[index].start_ns)
    for index, following in pairwise(order):
        if windows[index].end_ns > windows[following].start_ns:
            raise ValueError(f"the windows {windows[index]} and {windows[following]} overlap")
    found = [0] * len(windows)
    for start in range(0, len(order), WINDOWS_A_QUERY):
        stretch = order[start : start + WINDOWS_A_QUERY]
        branches = " ".join(f"WHEN {in_window(windows[index])} THEN {index}" for index in stretch)
        sql = (
            f"SELECT window_index, count(*) AS row_count FROM (SELECT CASE {branches} END AS window_index "
            f"FROM {table_name(database, table)} WHERE {in_any(windows[index] for index in stretch)}) "
            "GROUP BY window_index"
        )
        for row in query.rows(sql):
            found[_integer(row["window_index"])] = _integer(row["row_count"])
    return tuple(found)


def rows_from(query: TimestreamQuery, database: str, table: str, start_ns: int) -> TailCount:
    """Rows that Timestream holds now at or after a time, ns: what a cutover at that time would leave behind."""
    sql = (
        'SELECT count(*) AS row_count, to_nanoseconds(min("time")) AS first_ns, '
        f'to_nanoseconds(max("time")) AS last_ns FROM {table_name(database, table)} WHERE "time" >= {moment(start_ns)}'
    )
    row = next(iter(query.rows(sql)))
    return TailCount(_integer(row["row_count"]), _time(row["first_ns"]), _time(row["last_ns"]))


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a count or time of Timestream is a whole number, not {value!r}")
    return value


def _time(value: Value) -> int | None:
    return None if value is None else _integer(value)
