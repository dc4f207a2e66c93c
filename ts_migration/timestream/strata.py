"""The strata of a sample: which series and which times of a window rows are drawn at, and the SQL that asks for them.

Texts and draws only, all of them from a seed; `readings.sample_rows` asks. Series are numbered by Timestream itself and
every n-th is taken, so that the middle of a hundred thousand is drawn as often as the ends of their names.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ts_migration.timestream.quoting import identifier, in_window, literal, moment
from ts_migration.windows import Window

SERIES_A_SAMPLE = 100
"""Series that one sample is drawn from, at most: each is named in the queries that follow."""
QUERY_TEXT = 64_000
"""Characters of conditions in one query, a quarter of what Timestream takes: long names need several queries."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of a window: its dimensions and measure name, None for NULL; its rows, first and last time, ns."""

    identity: tuple[str | None, ...]
    rows: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Draw:
    """The first row of a series at or after a random time is drawn."""

    number: int
    series: Series
    offset_ns: int


def series_query(table: str, columns: Sequence[str], window: Window, count: int, draw: random.Random) -> str:
    """SQL of every n-th series of a window, the first one random, at most `count`: s0, s1, … and its figures."""
    names = [f"s{at}" for at in range(len(columns))]
    keys = ", ".join(identifier(column) for column in columns)
    selected = ", ".join(f"{identifier(column)} AS {name}" for column, name in zip(columns, names, strict=True))
    grouped = (
        f'SELECT {selected}, count(*) AS row_count, to_nanoseconds(min("time")) AS first_ns, '
        f'to_nanoseconds(max("time")) AS last_ns FROM {table} WHERE {in_window(window)} GROUP BY {keys}'
    )
    listed = ", ".join([*names, "row_count", "first_ns", "last_ns"])
    numbered = (
        f"SELECT {listed}, row_number() OVER (ORDER BY {', '.join(names)}) AS series_number, "
        f"count(*) OVER () AS series_count FROM ({grouped})"
    )
    taken = min(count, SERIES_A_SAMPLE)
    step = f"(series_count + {taken - 1}) / {taken}"
    return f"SELECT {listed} FROM ({numbered}) WHERE mod(series_number + {draw.randrange(2**31)}, {step}) = 0"


def draws_of(series: Sequence[Series], count: int, draw: random.Random) -> list[Draw]:
    """`count` draws over series and time, fewer where there are not so many rows.

    The draws are dealt to the series in turn, no more to one than it has rows. The time of all of them is cut into as
    many stretches as there are draws; each draw has one of them, those of a series evenly far apart, and a random time
    in it. Where its series has no row from there on, or none before, the time is random within the life of the series.
    """
    dealt = Counter(_dealt(series, count, draw))
    if not dealt:
        return []
    first, last, total = min(one.first_ns for one in dealt), max(one.last_ns for one in dealt), dealt.total()
    places: list[tuple[float, Series]] = []
    for one, number in dealt.items():
        phase = draw.random()
        places += [((index + phase) / number, one) for index in range(number)]
    places.sort(key=lambda place: place[0])
    found = []
    for stretch, (_, one) in enumerate(places):
        start = first + (last + 1 - first) * stretch // total
        end = max(start + 1, first + (last + 1 - first) * (stretch + 1) // total)
        offset = draw.randrange(start, end)
        if not one.first_ns <= offset <= one.last_ns:
            offset = draw.randrange(one.first_ns, one.last_ns + 1)
        found.append((one, offset))
    found.sort(key=lambda each: (each[0].first_ns, str(each[0].identity), each[1]))
    return [Draw(number, one, offset) for number, (one, offset) in enumerate(found)]


def _dealt(series: Sequence[Series], count: int, draw: random.Random) -> list[Series]:
    """A series for each draw."""
    left = {one: one.rows for one in series}
    dealt: list[Series] = []
    while left and len(dealt) < count:
        turn = list(left)
        draw.shuffle(turn)
        for one in turn[: count - len(dealt)]:
            dealt.append(one)
            left[one] -= 1
            if not left[one]:
                del left[one]
    return dealt


def times_queries(table: str, columns: Sequence[str], window: Window, draws: Sequence[Draw]) -> list[str]:
    """SQL of the time of each draw's row: columns draw, time_ns. A draw that meets the next one's row has none."""
    queries = []
    for portion in _portions(columns, draws):
        branches = []
        for one, own in groupby(portion, key=lambda each: each.series):
            latest_first = sorted(own, key=lambda each: each.offset_ns, reverse=True)
            times = " ".join(f'WHEN "time" >= {moment(each.offset_ns)} THEN {each.number}' for each in latest_first)
            branches.append(f"WHEN {_is(columns, one)} THEN CASE {times} END")
        part = Window(min(each.offset_ns for each in portion), window.end_ns)
        inner = (
            f'SELECT "time" AS row_time, CASE {" ".join(branches)} END AS draw FROM {table} '
            f"WHERE {in_window(part)}{_among(columns, portion)}"
        )
        queries.append(
            f"SELECT draw, to_nanoseconds(min(row_time)) AS time_ns FROM ({inner}) WHERE draw IS NOT NULL GROUP BY draw"
        )
    return queries


def rows_conditions(columns: Sequence[str], draws: Sequence[Draw], times: dict[int, int]) -> list[str]:
    """Conditions that the drawn rows, and no others, meet: the series and the time of each."""
    conditions = []
    for portion in _portions(columns, [each for each in draws if each.number in times]):
        found = [times[each.number] for each in portion]
        each_series = []
        for one, own in groupby(portion, key=lambda each: each.series):
            moments = ", ".join(moment(time) for time in sorted({times[each.number] for each in own}))
            each_series.append(f'({_is(columns, one)} AND "time" IN ({moments}))')
        whole = Window(min(found), max(found) + 1)
        conditions.append(f"{in_window(whole)}{_among(columns, portion)} AND ({' OR '.join(each_series)})")
    return conditions


def _portions(columns: Sequence[str], draws: Sequence[Draw]) -> list[list[Draw]]:
    """The draws in portions whose conditions fit one query; all of a series in one, for they bound each other."""
    portions: list[list[Draw]] = []
    size = 0
    for one, group in groupby(draws, key=lambda each: each.series):
        own = list(group)
        # A series is named, its values may be listed for pruning, and every draw has a time.
        weight = 2 * len(_is(columns, one)) + 70 * len(own)
        if not portions or size + weight > QUERY_TEXT:
            portions.append([])
            size = 0
        portions[-1] += own
        size += weight
    return portions


def _is(columns: Sequence[str], series: Series) -> str:
    return " AND ".join(
        f"{identifier(column)} IS NULL" if value is None else f"{identifier(column)} = {literal(value)}"
        for column, value in zip(columns, series.identity, strict=True)
    )


def _among(columns: Sequence[str], draws: Sequence[Draw]) -> str:
    """The column that tells most of the series apart, as a condition by which Timestream prunes its partitions."""
    best: set[str] = set()
    name = ""
    for column, values in zip(columns, zip(*{each.series.identity for each in draws}, strict=True), strict=True):
        if None not in values and len(set(values)) > len(best):
            best, name = {value for value in values if value is not None}, column
    return f" AND {identifier(name)} IN ({', '.join(literal(value) for value in sorted(best))})" if best else ""
