"""What to run next, by what the windows came to. Text only: nothing is run here."""

import shlex
from collections.abc import Mapping

from pydantic import Field

from ts_migration.reporting.values import ResultValue


class NextStep(ResultValue):
    """The one command that leads on, and why."""

    command: str | None = Field(description="To be run as it is; null where nothing is left to do.")
    why: str = Field(description="Why, in a sentence.")


def next_step(
    job: str, statuses: Mapping[str, int], kept_out: int, *, table_failed: bool, configuration: str | None = None
) -> NextStep:
    """The next step of one job's table.

    Args:
        job: its name.
        statuses: status -> windows.
        kept_out: rows and lines that the bucket does not hold as the source does.
        table_failed: whether a check of the whole table failed.
        configuration: path of the file, to be named in the command.
    """

    def run(*words: str) -> str:
        config = ("--config", configuration) if configuration else ()
        return shlex.join(["ts-migration", *words, *config, "--only", job])

    if failed := statuses["failed"]:
        return NextStep(command=run("execute"), why=f"does again what the checks of {windows(failed)} blame")
    if missing := statuses["missing"]:
        return NextStep(command=run("execute"), why=f"does what is left to do of {windows(missing)}")
    if stale := statuses["stale"]:
        return NextStep(command=run("execute"), why=f"does again what no longer holds of {windows(stale)}")
    if table_failed:
        return NextStep(command=run("validate"), why="reads both systems again: a check of the whole table failed")
    if statuses["passed"] and kept_out:
        why = f"shows the {kept_out:,} rows and lines that the bucket does not hold as the source does"
        return NextStep(command=run("quarantine", "list"), why=why)
    if passed := statuses["passed"]:
        return NextStep(command=run("validate"), why=f"a tolerance was used in {windows(passed)}: look at them again")
    return NextStep(command=None, why="every window is proven: nothing is left to do")


def windows(count: int) -> str:
    """`1 window`, `2 windows`."""
    return f"{count:,} window" + ("" if count == 1 else "s")
