"""Results on a terminal: jobs, the checks of windows that are not proven, failed ones first, and what to run next.

Draws; prints nothing itself. On a narrow terminal tables become lists: a column of four letters helps nobody. Every
status is a word too, for logs and for people who see no colours.
"""

import shlex
from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ts_migration.reporting.figures import duration_text
from ts_migration.reporting.next_steps import NextStep
from ts_migration.reporting.page import ShownCheck
from ts_migration.reporting.results import WORST, MigrationResults, TableResult, WindowResult
from ts_migration.reporting.visible import visible
from ts_migration.reporting.words import summary
from ts_migration.validation.verdict import blame_text

STYLES = {"proven": "bold green", "passed": "yellow", "failed": "bold red", "stale": "yellow", "missing": "dim"}

SHOWN_WINDOWS, SHOWN_WINDOWS_NARROW = 10, 3
"""Windows of a table with their checks; the report has them all."""
SHOWN_EVIDENCE = 3
NARROW = 110
"""Columns below which tables become lists."""


class Report:
    """The whole report, laid out for the width of where it is printed."""

    def __init__(self, results: MigrationResults) -> None:
        self.results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        narrow = options.max_width < NARROW
        yield _summary_list(self.results) if narrow else summary_table(self.results)
        told = summary(self.results)
        yield Text(f"\n{told.headline}. {told.found}", style=STYLES[self.results.status])
        yield from _open_windows(self.results, narrow=narrow)
        yield from _table_checks(self.results, narrow=narrow)
        if self.results.next_step is not None:
            yield from _next_step(self.results.next_step, options.max_width)


def report(results: MigrationResults) -> Report:
    """The summary, the windows that are not proven with their checks, and the next command."""
    return Report(results)


def summary_table(results: MigrationResults) -> Table:
    """A row per job: windows, rows, points, checks passed, seconds."""
    drawn = _table("Job", "Source", "Bucket", "Status")
    for column in ("Windows", "Rows", "Points", "Values", "Checks passed", "Seconds"):
        drawn.add_column(column, justify="right")
    for table in results.tables:
        drawn.add_row(
            _plain(table.job),
            _plain(table.source),
            _plain(table.bucket),
            status_text(table.status),
            f"{table.statuses['proven']:,} of {len(table.windows):,} proven"
            + (f", {table.accepted:,} accepted" if table.accepted else ""),
            f"{table.rows:,}",
            f"{table.points:,}",
            f"{table.values:,}",
            f"{table.checks_passed:,} of {table.checks:,}",
            f"{table.seconds:,.1f}",
        )
    return drawn


def windows_table(table: TableResult, *, limit: int | None = None) -> Table:
    """A row per window, those that are not proven first."""
    drawn = _table("Window", "Status", "Reason")
    for column in ("Rows", "Points", "Checks", "Work"):
        drawn.add_column(column, justify="right")
    ordered = sorted(table.windows, key=lambda window: (window.status == "proven", window.start))
    for window in ordered[:limit]:
        drawn.add_row(
            _plain(window.key),
            status_text(window.status),
            _plain(window.reason),
            f"{window.rows:,}",
            f"{window.points:,}",
            f"{window.checks_passed} of {len(window.checks)}",
            duration_text(sum(window.seconds.values())),
        )
    return drawn


def verdicts_table(checks: tuple[ShownCheck, ...]) -> Table:
    """Checks with the first of their evidence."""
    drawn = _table("Check", "Verdict", "Expected", "Actual", "Difference")
    for check in checks:
        drawn.add_row(
            check.record.check,
            _verdict(check),
            _plain(check.record.expected),
            _plain(check.record.actual),
            Text("\n".join(_findings(check))),
        )
    return drawn


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STYLES.get(status, ""))


def _open_windows(results: MigrationResults, *, narrow: bool) -> Iterator[RenderableType]:
    limit = SHOWN_WINDOWS_NARROW if narrow else SHOWN_WINDOWS
    for status in ("failed", "passed"):
        for table in results.tables:
            judged = [window for window in table.windows if window.status == status and window.checks]
            for window in judged[:limit]:
                yield Text(f"\n{visible(f'{table.job}, window {window.key}: {window.reason}')}", style=STYLES[status])
                yield _checks(_window_checks(window), narrow=narrow)
            left = len(judged) - limit
            if left > 0:
                more = (
                    f"1 more window {status}; the report has it"
                    if left == 1
                    else f"{left:,} more windows {status}; the report has them all"
                )
                text = f"{visible(table.job)}: {more}"
                yield Text(text, style="dim")
    for table in results.tables:
        undone = [window for window in table.windows if window.status in ("missing", "stale")]
        if undone:
            first = "; ".join(f"{window.key}: {window.reason}" for window in undone[:3])
            are = "1 window is" if len(undone) == 1 else f"{len(undone):,} windows are"
            text = visible(f"{table.job}: {are} not proven yet: {first}")
            yield Text(f"\n{text}", style=STYLES["stale"])


def _table_checks(results: MigrationResults, *, narrow: bool) -> Iterator[RenderableType]:
    """Checks of whole tables, where one failed or has a remark."""
    for table in results.tables:
        shown = tuple(ShownCheck.of(check, SHOWN_EVIDENCE) for check in table.table_checks)
        worst = next((status for status in WORST if any(check.status == status for check in shown)), "proven")
        if worst != "proven":
            yield Text(f"\n{visible(table.job)}, the whole table:", style=STYLES[worst])
            yield _checks(shown, narrow=narrow)


def _checks(checks: tuple[ShownCheck, ...], *, narrow: bool) -> RenderableType:
    if not narrow:
        return verdicts_table(checks)
    told: list[RenderableType] = []
    for check in checks:
        if check.status != "proven":
            told.append(Text.assemble(check.record.check, " ", _verdict(check)))
            numbers = (f"expected {check.record.expected}", f"found {check.record.actual}")
            told += [Padding.indent(Text(visible(line)), 2) for line in (*numbers, *_findings(check))]
    passed = sum(check.status == "proven" for check in checks)
    return Group(*told, Text(f"{passed:,} other checks passed", style="dim") if passed else "")


def _summary_list(results: MigrationResults) -> Group:
    """A few lines per job."""
    told: list[RenderableType] = []
    for table in results.tables:
        told.append(Text.assemble(_plain(table.job), ": ", status_text(table.status)))
        lines = (
            f"{table.source} to {table.bucket}",
            f"{table.statuses['proven']:,} of {len(table.windows):,} proven",
            f"{table.points:,} points, {table.values:,} values",
            f"{table.checks_passed:,} of {table.checks:,} checks passed",
        )
        told += [Padding.indent(_plain(line), 2) for line in lines]
    return Group(*told)


def _next_step(step: NextStep, width: int) -> Iterator[Text]:
    """Why, and the command; where it is too long for a line, with the shell's own sign that it goes on."""
    if step.command is None:
        return
    yield Text(f"\nNext: {step.why}")
    lines = ["  "]
    for word in map(shlex.quote, shlex.split(step.command)):
        if len(lines[-1]) + len(word) + len("  \\") > width and lines[-1].strip():
            lines[-1] += " \\"
            lines.append("    ")
        lines[-1] += f"{'' if lines[-1].isspace() else ' '}{word}"
    yield from (Text(visible(line), style="bold") for line in lines)


def _window_checks(window: WindowResult) -> tuple[ShownCheck, ...]:
    return tuple(ShownCheck.of(check, SHOWN_EVIDENCE) for check in window.checks)


def _verdict(check: ShownCheck) -> Text:
    words = {"failed": "failed", "passed": "by tolerance" if check.record.passed else "not passed", "proven": "passed"}
    return Text(words[check.status], style=STYLES[check.status])


def _findings(check: ShownCheck) -> list[str]:
    """What differs, and the first of the evidence of a check that has something to tell."""
    record = check.record
    told = [record.difference + (f", {blame_text(record.stage)}" if record.stage else "")]
    if check.status != "proven":
        told += record.evidence[: len(check.points) + len(check.lines)]
        if check.more:
            told.append(f"and {check.more} more")
    return [visible(line) for line in told]


def _plain(text: str) -> Text:
    return Text(visible(text))


def _table(*columns: str) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    return drawn
