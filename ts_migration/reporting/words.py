"""What results mean, in words for people who run no commands: one headline and two or three sentences."""

from dataclasses import dataclass

from ts_migration.reporting.next_steps import windows
from ts_migration.reporting.results import MigrationResults, Status

HEADLINES: dict[Status, str] = {
    "proven": "Proven",
    "passed": "Passed, not proven",
    "failed": "Not proven: the two sides differ",
    "stale": "No longer proven",
    "missing": "Not finished",
}
MEANINGS: dict[Status, str] = {
    "proven": "InfluxDB holds exactly what Timestream holds, value by value, and nothing was left out",
    "passed": "every check passed, but a tolerance was used, or rows were kept out or rewritten",
    "failed": "a check failed: what differs and the stage that broke it are named",
    "stale": "something was changed after the checks, which no longer speak of what is there",
    "missing": "not migrated or not checked yet",
}
SIGNS: dict[Status, str] = {"proven": "✓", "passed": "~", "failed": "✕", "stale": "!", "missing": "○"}
"""A sign per status, for people who see no colours and for paper."""

_WORDS: dict[Status, tuple[str, str]] = {
    "failed": (
        "differs between Timestream and InfluxDB, or could not be compared",
        "differ between Timestream and InfluxDB, or could not be compared",
    ),
    "missing": ("is not migrated or not checked yet", "are not migrated or not checked yet"),
    "stale": ("was changed after it was checked", "were changed after they were checked"),
    "passed": ("passed every check, but with a remark", "passed every check, but with a remark"),
}
"""What is said of one window and of several."""

_MEANS: dict[Status, str] = {
    "proven": (
        "As far as this range of time goes, applications can be switched over; the cutover asks the source once more "
        "whether something newer has come."
    ),
    "passed": "Applications must wait until somebody has looked at what was kept out or tolerated and accepted it.",
    "failed": "Applications must not be switched over. What differs is named below, point by point.",
    "stale": "Applications must wait until the windows are checked again.",
    "missing": "Applications must wait until the migration has finished and is proven.",
}
"""What a status means for the applications."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The overall status for a manager: a headline, what was found, and what that means for the applications."""

    headline: str
    found: str
    meaning: str


def summary(results: MigrationResults) -> Summary:
    """The overall status in words."""
    found = " ".join(filter(None, (_found(results), _others(results))))
    if results.status == "passed" and results.cleared:
        accepted = sum(table.accepted for table in results.tables)
        text = f"{found} Somebody has accepted {'it' if accepted == 1 else 'them'}, by name and with a reason."
        return Summary("Passed and accepted", text, _MEANS["proven"])
    return Summary(HEADLINES[results.status], found, _MEANS[results.status])


def counted(results: MigrationResults) -> dict[Status, int]:
    """Status -> windows of all tables."""
    return {status: sum(table.statuses.get(status, 0) for table in results.tables) for status in HEADLINES}


def _found(results: MigrationResults) -> str:
    counts, total = counted(results), sum(len(table.windows) for table in results.tables)
    if results.status == "proven":
        values = sum(table.values for table in results.tables)
        hold = "The one window holds" if total == 1 else f"All {windows(total)} of {_tables(len(results.tables))} hold"
        compared = "1 value was" if values == 1 else f"{values:,} values were"
        return f"{hold} in InfluxDB exactly what Timestream holds: {compared} compared and nothing was left out."
    if not counts[results.status] and results.status == "missing":
        jobs = ", ".join(table.job for table in results.tables if table.unchecked)
        return f"Every window was checked, but whole tables were not, or not since: {jobs}."
    if not counts[results.status]:
        return f"No single window is the cause, but checks of whole tables did not pass: {_open_checks(results)}."
    where = sum(bool(table.statuses.get(results.status)) for table in results.tables)
    one, several = _WORDS[results.status]
    count = counts[results.status]
    return f"{count:,} of {windows(total)}, in {_tables(where)}, {one if count == 1 else several}."


def _open_checks(results: MigrationResults) -> str:
    """Tables with the names of their own checks that did not pass."""
    found = {table.job: [check.check for check in table.table_checks if not check.passed] for table in results.tables}
    return "; ".join(f"{job} ({', '.join(names)})" for job, names in found.items() if names)


def _others(results: MigrationResults) -> str:
    """The windows that are not what the headline is about."""
    counts = counted(results)
    words: dict[Status, str] = {
        "proven": "proven",
        "passed": "passed with a remark",
        "stale": "changed after their checks",
        "missing": "not done yet",
    }
    others = [
        f"{counts[status]:,} {text}" for status, text in words.items() if counts[status] and status != results.status
    ]
    return f"The others: {', '.join(others)}." if others else ""


def _tables(count: int) -> str:
    return f"{count:,} table" + ("" if count == 1 else "s")
