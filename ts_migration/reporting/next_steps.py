"""What to run next, by what the windows came to. Text only: nothing is run here."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from ts_migration.reporting.values import ResultValue


class NextStep(ResultValue):
    """The one command that leads on, and why."""

    command: str | None = Field(description="To be run as it is; null where nothing is left to do.")
    why: str = Field(description="Why, in a sentence.")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one job's table stands, or several together.

    Attributes:
        statuses: status -> windows.
        accepted: windows that passed and were accepted.
        kept_out: rows and lines that the bucket does not hold as the source does.
        table_failed: whether a check of a whole table did not pass.
        queries_failed: whether nothing but the queries is in the way of the whole table.
        table_unchecked: whether one is due and was not made.
        validated: whether the job is checked at all.
        job: its name; None for all jobs of the configuration.
    """

    statuses: Mapping[str, int]
    accepted: int = 0
    kept_out: int = 0
    table_failed: bool = False
    queries_failed: bool = False
    table_unchecked: bool = False
    validated: bool = True
    job: str | None = None

    @property
    def open(self) -> bool:
        """Whether something is left to do."""
        done = self.statuses["proven"] + self.accepted
        return self.table_failed or self.table_unchecked or done < sum(self.statuses.values())


def together(standings: Sequence[Standing]) -> Standing:
    """Those that are open, as one; one alone keeps its job."""
    left = [standing for standing in standings if standing.open]
    if len(left) == 1:
        return left[0]
    statuses = Counter(dict.fromkeys(("proven", "passed", "failed", "stale", "missing"), 0))
    for standing in left:
        statuses.update(standing.statuses)
    return Standing(
        statuses=statuses,
        accepted=sum(standing.accepted for standing in left),
        kept_out=sum(standing.kept_out for standing in left),
        table_failed=any(standing.table_failed for standing in left),
        queries_failed=all(standing.queries_failed for standing in left if standing.table_failed),
        table_unchecked=any(standing.table_unchecked for standing in left),
        validated=all(standing.validated for standing in left),
    )


def next_step(standing: Standing, configuration: str | None = None) -> NextStep:
    """The command that leads on.

    Args:
        standing: where the tables stand.
        configuration: path of the file, to be named in the command.
    """
    where = [
        *(("--config", configuration) if configuration else ()),
        *(("--only", standing.job) if standing.job else ()),
    ]

    def run(why: str, *words: str) -> NextStep:
        return NextStep(command=shlex.join(["ts-migration", *words, *where]), why=why)

    statuses = standing.statuses
    if failed := statuses["failed"]:
        if standing.job:
            config = ("--config", configuration) if configuration else ()
            command = shlex.join(["ts-migration", "repair", *config, "--table", standing.job])
            return NextStep(command=command, why=f"mends what broke {windows(failed)}, and checks again")
        return run(f"does again what the checks of {windows(failed)} blame", "execute")
    if missing := statuses["missing"]:
        first = "" if standing.validated else "where validation_enabled is true, and only there, "
        return run(f"{first}does what is left to do of {windows(missing)}", "execute")
    if stale := statuses["stale"]:
        return run(f"does again what no longer holds of {windows(stale)}", "execute")
    if standing.table_failed and standing.queries_failed:
        again = shlex.join(["ts-migration", "validate", *where])
        return run(f"shows which query differs, or is too slow; once that is right: {again}", "queries")
    if standing.table_failed:
        return run("reads both systems again, once what the checks of the whole table name is mended", "validate")
    if standing.table_unchecked and standing.validated:
        return run("makes the checks of whole tables, which were not made since their windows were done", "execute")
    if passed := statuses["passed"] - standing.accepted:
        accept = "where that may be: ts-migration accept JOB --reason TEXT"
        if standing.kept_out:
            found = f"shows {standing.kept_out:,} rows and lines that the bucket does not hold as the source does"
            return run(f"{found}; {accept}", "quarantine", "list")
        return run(f"checks again: a tolerance was used in {windows(passed)}; {accept}", "validate")
    every = "proven, or passed and accepted" if standing.accepted else "proven"
    return NextStep(command=None, why=f"every window is {every}: nothing is left to do")


def windows(count: int) -> str:
    """`1 window`, `2 windows`."""
    return f"{count:,} window" + ("" if count == 1 else "s")
