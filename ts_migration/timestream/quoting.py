"""Texts of Timestream's SQL: quoted names, literals, exact times. One place for the spelling; no queries belong here.

Rules: names in double quotes are case-sensitive and may hold any character, a quote is doubled (docs of the query
language); only from_nanoseconds(integer) is exact, and only a bare `time` lets partitions bed (facts of Timestream,
section 4).
"""

from collections.abc import Iterable

from ts_migration.errors import Refused
from ts_migration.windows import Window


def identifier(name: str) -> str:
    """A column, table or database name in double quotes.

    Raises:
        Refused: the name is empty or holds a NUL, which no spelling can say.
    """
    if not name or "\0" in name:
        raise Refused(f"{name!r} cannot be a name in a query")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A VARCHAR literal. A text of a query holds no NUL; the functions of strings make one."""
    if "\0" in text:
        return f"({' || chr(0) || '.join(map(literal, text.split(chr(0))))})"
    return "'" + text.replace("'", "''") + "'"


def table_name(database: str, table: str) -> str:
    """`"database"."table"`."""
    return f"{identifier(database)}.{identifier(table)}"


def moment(time_ns: int) -> str:
    """A TIMESTAMP, exact to the nanosecond."""
    return f"from_nanoseconds({time_ns:d})"


def in_window(window: Window) -> str:
    """Condition: the row's time lies in a half-open window."""
    return f'"time" >= {moment(window.start_ns)} AND "time" < {moment(window.end_ns)}'


def in_any(windows: Iterable[Window]) -> str:
    """Condition: the row's time lies in one of several windows. Windows that touch become one range, for pruning."""
    runs: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start_ns):
        if runs and runs[-1].end_ns >= window.start_ns:
            runs[-1] = Window(runs[-1].start_ns, max(runs[-1].end_ns, window.end_ns))
        else:
            runs.append(window)
    if not runs:
        raise ValueError("in_any needs a window")
    if len(runs) == 1:
        return in_window(runs[0])
    ranges = " OR ".join(f"({in_window(run)})" for run in runs)
    return f"{in_window(Window(runs[0].start_ns, runs[-1].end_ns))} AND ({ranges})"
