"""Results as tables on a terminal: jobs, and the checks of windows that are not proven.

Draws; prints nothing itself.
"""

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ts_migration.manifests import VerdictRecord
from ts_migration.reporting.html import duration_text
from ts_migration.reporting.results import MigrationResults, TableResult

STYLES = {"proven": "bold green", "passed": "yellow", "failed": "bold red", "stale": "yellow", "missing": "dim"}
"""Status -> style; the word itself is always there, for logs and for people who see no colours."""

SHOWN_WINDOWS = 10
SHOWN_EVIDENCE = 3


def summary_table(results: MigrationResults) -> Table:
    """A row per job: windows, rows, points, checks passed, seconds."""
    drawn = _table("Job", "Source", "Bucket", "Status")
    for column in ("Windows", "Rows", "Points", "Values", "Checks passed", "Seconds"):
        drawn.add_column(column, justify="right")
    for table in results.tables:
        drawn.add_row(
            Text(table.job),
            Text(table.source),
            Text(table.bucket),
            status_text(table.status),
            f"{table.statuses['proven']:,} of {len(table.windows):,} proven",
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
            Text(window.key),
            status_text(window.status),
            Text(window.reason),
            f"{window.rows:,}",
            f"{window.points:,}",
            f"{window.checks_passed} of {len(window.checks)}",
            duration_text(sum(window.seconds.values())),
        )
    return drawn


def verdicts_table(checks: Iterable[VerdictRecord]) -> Table:
    """Checks of one window or table with the first of their evidence."""
    drawn = _table("Check", "Verdict", "Expected", "Actual", "Difference")
    for check in checks:
        word = "failed" if not check.passed else ("passed" if check.severity == "WARN" else "proven")
        verdict = "failed" if not check.passed else ("by tolerance" if check.severity == "WARN" else "passed")
        difference = check.difference + (f", broken by the {check.stage}" if check.stage else "")
        shown = check.evidence[:SHOWN_EVIDENCE] if word != "proven" else ()
        lines = [difference, *shown]
        if len(check.evidence) > len(shown) and shown:
            lines.append(f"and {len(check.evidence) - len(shown)} more")
        drawn.add_row(
            check.check,
            Text(verdict, style=STYLES[word]),
            Text(check.expected),
            Text(check.actual),
            Text("\n".join(lines)),
        )
    return drawn


def report(results: MigrationResults) -> Group:
    """The summary, then what failed of whole tables and the windows that are not proven, with their checks."""
    return Group(summary_table(results), *_open_windows(results))


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STYLES.get(status, ""))


def _open_windows(results: MigrationResults) -> Iterator[Text | Table]:
    for table in results.tables:
        if failed := [check for check in table.table_checks if not check.passed]:
            yield Text(f"\n{table.job}, whole table", style=STYLES[table.status])
            yield verdicts_table(failed)
        judged = [window for window in table.windows if window.status in ("failed", "passed") and window.checks]
        for window in judged[:SHOWN_WINDOWS]:
            yield Text(f"\n{table.job}, window {window.key}: {window.reason}", style=STYLES[window.status])
            yield verdicts_table(window.checks)
        left = len(judged) - SHOWN_WINDOWS
        if left > 0:
            yield Text(f"{table.job}: {left:,} more windows are not proven; the report has them all", style="dim")
        undone = [window for window in table.windows if window.status in ("missing", "stale")]
        if undone:
            first = "; ".join(f"{window.key}: {window.reason}" for window in undone[:3])
            yield Text(f"{table.job}: {len(undone):,} windows are not proven yet: {first}", style=STYLES["stale"])


def _table(*columns: str) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    return drawn
