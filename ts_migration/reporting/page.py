"""The parts of the HTML report as values: the grid of windows, the windows to look at, their checks and points.

Decides what is shown and how much of it, so that the page stays small; how it looks is in `templates/`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from ts_migration.manifests import VerdictRecord
from ts_migration.reporting.points import PointDifference, split_evidence
from ts_migration.reporting.results import WORST, MigrationResults, Status, TableResult, WindowResult
from ts_migration.reporting.visible import shortened
from ts_migration.validation.verdict import blame_text

SHOWN_WINDOWS = 100
"""Windows of a table that are shown with their checks; a report of a whole failed table must still open."""
SHOWN_FIRST = 8
"""Windows that the summary leads to."""
SHOWN_LINES = 2_000
"""Lines of evidence of the whole page; shared out evenly among the checks that failed."""
LISTED_WINDOWS = 2_000
"""Windows of a table that are listed with their times, and shown as squares of their own."""
_ROW_LENGTH = 60
_POINT_LENGTH, _LINE_LENGTH = 200, 400


@dataclass(frozen=True, slots=True)
class GridRow:
    """Windows of one year, month or day, in order of time."""

    label: str
    windows: tuple[tuple[int, WindowResult], ...]
    """With their number in the table."""

    @property
    def worst(self) -> Status:
        """The worst status in the row."""
        there = {window.status for _, window in self.windows}
        return next(status for status in WORST if status in there)


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A check with the evidence that is shown."""

    record: VerdictRecord
    points: tuple[PointDifference, ...]
    lines: tuple[str, ...]
    more: int
    """Lines of evidence that only the JSON has."""

    @classmethod
    def of(cls, check: VerdictRecord, limit: int) -> "ShownCheck":
        """A check with at most so many lines of its evidence, long ones shortened."""
        shown = check.evidence[:limit]
        points, lines = split_evidence(shown)
        return cls(
            record=check,
            points=tuple(
                replace(
                    point,
                    point=shortened(point.point, _POINT_LENGTH),
                    expected=shortened(point.expected, _POINT_LENGTH),
                    actual=shortened(point.actual, _POINT_LENGTH),
                    trail=shortened(point.trail, _LINE_LENGTH),
                )
                for point in points
            ),
            lines=tuple(shortened(line, _LINE_LENGTH) for line in lines),
            more=len(check.evidence) - len(shown),
        )

    @property
    def status(self) -> Status:
        """As windows are coloured."""
        if not self.record.passed and self.record.severity == "ERROR":
            return "failed"
        return "passed" if self.record.severity == "WARN" else "proven"

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.record.passed and self.status == "passed":
            return "not passed"
        return {"failed": "failed", "passed": "passed with a remark", "proven": "passed"}[self.status]


@dataclass(frozen=True, slots=True)
class ShownWindow:
    """A window that somebody should look at."""

    number: int
    window: WindowResult
    checks: tuple[ShownCheck, ...]
    table: int
    job: str

    @property
    def blamed(self) -> str:
        """What broke it, in words, where a check can tell."""
        return next((blame_text(check.record.stage) for check in self.checks if check.record.stage), "")

    @property
    def gist(self) -> str:
        """What differs, in a few words: of the first check that names points, else of the first."""
        named = [check.record.difference for check in self.checks if check.points]
        return next(iter([*named, *(check.record.difference for check in self.checks)]), self.window.reason)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Windows that are not done or no longer hold for one reason."""

    status: Status
    reason: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TablePage:
    """One table's section."""

    number: int
    table: TableResult
    grid: tuple[GridRow, ...]
    crowded: bool
    """Rows of the grid that are all of one status are one square."""
    shown: tuple[ShownWindow, ...]
    left_out: int
    waiting: tuple[Waiting, ...]
    table_checks: tuple[ShownCheck, ...]
    listed: tuple[tuple[int, WindowResult], ...] = field(repr=False)


def pages(results: MigrationResults) -> tuple[TablePage, ...]:
    """A section per table."""
    chosen = [_to_look_at(table) for table in results.tables]
    failed = sum(len(_told(window)) for windows in chosen for _, window in windows[:SHOWN_WINDOWS])
    limit = max(2, min(20, SHOWN_LINES // max(failed, 1)))
    return tuple(
        _page(number, table, windows, limit)
        for number, (table, windows) in enumerate(zip(results.tables, chosen, strict=True), 1)
    )


def first_to_look_at(sections: Sequence[TablePage]) -> tuple[ShownWindow, ...]:
    """The windows that the summary leads to, of every table some: failed ones, else those that passed with a remark."""
    ranked = sorted(
        ((rank, each) for page in sections for rank, each in enumerate(page.shown)), key=lambda entry: entry[0]
    )
    failed = [each for _, each in ranked if each.window.status == "failed"]
    chosen = (failed or [each for _, each in ranked if not each.window.accepted])[:SHOWN_FIRST]
    return tuple(sorted(chosen, key=lambda each: (each.table, each.number)))


def _page(number: int, table: TableResult, chosen: list[tuple[int, WindowResult]], limit: int) -> TablePage:
    numbered = tuple(enumerate(table.windows, 1))
    return TablePage(
        number=number,
        table=table,
        grid=tuple(_grid(numbered)),
        crowded=len(numbered) > LISTED_WINDOWS,
        shown=tuple(
            ShownWindow(place, window, tuple(ShownCheck.of(check, limit) for check in _told(window)), number, table.job)
            for place, window in chosen[:SHOWN_WINDOWS]
        ),
        left_out=max(0, len(chosen) - SHOWN_WINDOWS),
        waiting=tuple(_waiting(table.windows)),
        table_checks=tuple(ShownCheck.of(check, limit) for check in table.table_checks),
        listed=numbered[:LISTED_WINDOWS],
    )


def _to_look_at(table: TableResult) -> list[tuple[int, WindowResult]]:
    """Failed windows, then those that passed with a remark, each in order of time."""
    numbered = list(enumerate(table.windows, 1))
    return [
        entry for status in ("failed", "passed") for entry in numbered if entry[1].status == status and entry[1].checks
    ]


def _told(window: WindowResult) -> list[VerdictRecord]:
    return [check for check in window.checks if not check.passed or check.severity == "WARN"]


def _waiting(windows: Sequence[WindowResult]) -> Iterator[Waiting]:
    open_windows = [window for window in windows if window.status in ("missing", "stale")]
    reasons = dict.fromkeys((window.status, window.reason) for window in open_windows)
    for status, reason in reasons:
        keys = tuple(window.key for window in open_windows if (window.status, window.reason) == (status, reason))
        yield Waiting(status, reason, keys)


def _grid(numbered: Sequence[tuple[int, WindowResult]]) -> Iterator[GridRow]:
    """Rows by year, by month or by day: the coarsest that keeps a row short."""
    for length in (4, 7, 10):
        rows = [
            GridRow(label, tuple(row)) for label, row in groupby(numbered, key=lambda entry: entry[1].start[:length])
        ]
        if max((len(row.windows) for row in rows), default=0) <= _ROW_LENGTH or length == 10:
            yield from rows
            return
