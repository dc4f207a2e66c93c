"""`migration_results_<time>.json`: what a validation or an execution came to, as documented values for programs.

The same values make the HTML report and the tables of the console. They are taken from the proof in S3; nothing is
judged here. A reader may rely on every field of `schema_version` 1 (`docs/results.schema.json`); fields may be added.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from ts_migration.manifests import VerdictRecord, now_text
from ts_migration.reporting.next_steps import NextStep, Standing, next_step, together
from ts_migration.reporting.surroundings import Setting
from ts_migration.reporting.throughput import StageResult, stage_results
from ts_migration.reporting.values import ResultValue
from ts_migration.stages.proof import TableProof, WindowProof
from ts_migration.validation.table import TableCheck
from ts_migration.windows import iso

SCHEMA_VERSION = 1

Status = Literal["proven", "passed", "failed", "stale", "missing"]
Kind = Literal["validation", "execution"]


class WindowResult(ResultValue):
    """One window of a table."""

    key: str = Field(description="Partition key.")
    start: str = Field(description="Start, RFC 3339, included.")
    end: str = Field(description="End, RFC 3339, excluded.")
    status: Status
    reason: str = Field(description="Why it has this status, in a line.")
    rows: int = Field(description="Rows exported from Timestream.")
    points: int = Field(description="Lines written to InfluxDB and not refused.")
    values: int = Field(description="Field values encoded.")
    series: int = Field(description="Distinct series.")
    merged: int = Field(default=0, description="Rows that became one line with another row.")
    empty: int = Field(default=0, description="Rows without a single value: no point can be made of them.")
    quarantined: int = Field(description="Rows that InfluxDB cannot hold exactly, kept in the quarantine.")
    quarantined_by_reason: dict[str, int] = Field(default_factory=dict, description="Reason -> rows quarantined.")
    rewritten_by_rule: dict[str, int] = Field(
        default_factory=dict, description="Rule of mapping.rewrite -> rows that are written as it says."
    )
    refused: int = Field(description="Lines that the server refused, kept beside the quarantine.")
    bytes: int = Field(description="Compressed bytes sent.")
    seconds: dict[str, float] = Field(description="Stage -> seconds of its last work.")
    stages: tuple[StageResult, ...] = Field(default=(), description="The same with counts, bytes and rates.")
    checks: tuple[VerdictRecord, ...] = Field(description="The verdicts of the five checks, latest.")
    digest: str = Field(default="", description="Digest of the verdicts' manifest; empty where there is none.")
    accepted: str | None = Field(
        default=None, description="Who accepted it, when and why, where it passed and is not proven; null where nobody."
    )

    @property
    def cleared(self) -> bool:
        """Proven, or passed and accepted."""
        return self.status == "proven" or self.accepted is not None

    @property
    def checks_passed(self) -> int:
        """How many of its checks passed."""
        return sum(check.passed for check in self.checks)


class TableResult(ResultValue):
    """One job's table."""

    job: str
    source: str = Field(description="Database and table in Timestream.")
    bucket: str
    measurement: str
    start: str | None = Field(default=None, description="Start of its first window, RFC 3339, included.")
    end: str | None = Field(default=None, description="End of its last window, RFC 3339, excluded.")
    status: Status = Field(description="The worst of its windows and of the checks of the whole table.")
    statuses: dict[str, int] = Field(description="Status -> windows.")
    rows: int
    points: int
    values: int
    quarantined: int
    quarantined_by_reason: dict[str, int] = Field(default_factory=dict, description="Reason -> rows quarantined.")
    rewritten_by_rule: dict[str, int] = Field(default_factory=dict, description="Rule -> rows rewritten.")
    refused: int
    bytes: int = Field(default=0, description="Compressed bytes sent.")
    checks_passed: int
    checks: int = Field(description="Verdicts that there are; five for every checked window.")
    seconds: float = Field(description="Sum of all stages of all windows, not of the clock on the wall.")
    stages: tuple[StageResult, ...] = Field(default=(), description="Per stage, the sum of all windows.")
    windows: tuple[WindowResult, ...]
    table_checks: tuple[VerdictRecord, ...] = Field(
        default=(), description="Verdicts of the whole table, if rolled up."
    )
    settings: dict[str, Setting] = Field(
        default_factory=dict, description="Key of the job in the configuration -> value, defaults included."
    )
    next_step: NextStep | None = Field(
        default=None, description="What to run next for this table; null where it is of no configuration."
    )
    accepted: int = Field(default=0, description="Windows that are not proven and were accepted.")
    unchecked: tuple[str, ...] = Field(
        default=(), description="Checks of the whole table that are due, as every window is done, and were not made."
    )

    @property
    def cleared(self) -> bool:
        """Every window is proven or accepted, and every check of the whole table was made and passed."""
        return (
            not self.unchecked
            and all(window.cleared for window in self.windows)
            and all(check.passed for check in self.table_checks)
        )


class MigrationResults(ResultValue):
    """The whole file."""

    kind: Kind
    schema_version: int = SCHEMA_VERSION
    generated_at: str = Field(default_factory=now_text, description="RFC 3339, UTC.")
    status: Status = Field(description="The worst of its tables.")
    job_id: str | None = Field(default=None, description="Which `execute` it was.")
    configuration: str | None = Field(default=None, description="Path of the configuration file.")
    settings: dict[str, Setting] = Field(
        default_factory=dict, description="Keys of migration_settings and validation_rules -> value."
    )
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables that say where the systems are; URLs without credentials."
    )
    versions: dict[str, str] = Field(default_factory=dict, description="Program or package -> version.")
    next_step: NextStep | None = Field(default=None, description="What to run next; null as that of a table.")
    tables: tuple[TableResult, ...]

    @property
    def cleared(self) -> bool:
        """Everything is proven or accepted."""
        return all(table.cleared for table in self.tables)

    @property
    def file_name(self) -> str:
        """`migration_results_<time>.json`, by the time in it."""
        digits = "".join(character for character in self.generated_at if character.isalnum())
        return f"migration_results_{digits}.json"

    def to_bytes(self) -> bytes:
        """Indented JSON in UTF-8."""
        return (self.model_dump_json(indent=2) + "\n").encode()


WORST: tuple[Status, ...] = ("failed", "missing", "stale", "passed", "proven")
"""Statuses, the worst first."""


def results_of(
    proofs: Sequence[TableProof],
    kind: Kind,
    *,
    table_checks: Mapping[str, tuple[VerdictRecord, ...]] | None = None,
    job_settings: Mapping[str, dict[str, Setting]] | None = None,
    settings: Mapping[str, Setting] | None = None,
    environment: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
    job_id: str | None = None,
    configuration: str | None = None,
) -> MigrationResults:
    """The results of tables.

    Args:
        proofs: one per job, in the order of the configuration.
        kind: what ran.
        table_checks: job name -> verdicts of its whole table; None where the windows are all that is judged.
        job_settings: job name -> its keys; a table without them is of no configuration.
        settings: keys that apply to all jobs.
        environment: where the systems are, without secrets.
        versions: of what ran.
        job_id: which `execute` it was.
        configuration: path of the file.
    """
    tables = tuple(
        table_result(
            proof,
            (table_checks or {}).get(proof.job, ()),
            (job_settings or {}).get(proof.job),
            configuration,
            as_a_whole=table_checks is not None,
        )
        for proof in proofs
    )
    worst = min(tables, key=lambda table: WORST.index(table.status), default=None)
    return MigrationResults(
        kind=kind,
        status=worst.status if worst else "missing",
        job_id=job_id,
        configuration=configuration,
        settings=dict(settings or {}),
        environment=dict(environment or {}),
        versions=dict(versions or {}),
        next_step=next_step(together([_standing(table) for table in tables]), configuration) if job_settings else None,
        tables=tables,
    )


def table_result(
    proof: TableProof,
    table_checks: tuple[VerdictRecord, ...] = (),
    settings: Mapping[str, Setting] | None = None,
    configuration: str | None = None,
    *,
    as_a_whole: bool = False,
) -> TableResult:
    """The result of one table; `as_a_whole` where it is to be judged by the checks of the whole table too."""
    windows = tuple(_window_result(window) for window in proof.windows)
    made = {check.check for check in table_checks}
    due = [check.value for check in TableCheck] if as_a_whole and proof.complete else []
    unchecked = tuple(name for name in due if name not in made)
    result = TableResult(
        job=proof.job,
        source=proof.source,
        bucket=proof.bucket,
        measurement=proof.measurement,
        start=windows[0].start if windows else None,
        end=windows[-1].end if windows else None,
        status=_with_table_checks(proof.status.value, table_checks, unchecked),
        statuses=proof.statuses,
        rows=proof.rows,
        points=proof.points,
        values=proof.values,
        quarantined=sum(window.quarantined for window in windows),
        quarantined_by_reason=_sums(window.quarantined_by_reason for window in windows),
        rewritten_by_rule=_sums(window.rewritten_by_rule for window in windows),
        refused=sum(window.refused for window in windows),
        bytes=sum(window.bytes for window in windows),
        checks_passed=sum(window.checks_passed for window in windows),
        checks=sum(len(window.checks) for window in windows),
        seconds=round(sum(sum(window.seconds.values()) for window in windows), 3),
        stages=stage_results([work for window in proof.windows for work in window.works]),
        windows=windows,
        table_checks=table_checks,
        settings=dict(settings or {}),
        accepted=len(proof.accepted),
        unchecked=unchecked,
    )
    if settings is None:
        return result
    return result.model_copy(update={"next_step": next_step(_standing(result), configuration)})


_OF_QUERIES = (TableCheck.QUERY_EQUIVALENCE, TableCheck.QUERY_PERFORMANCE)


def _standing(table: TableResult) -> Standing:
    """Where a table stands. While windows wait to be accepted, warnings of the whole table may be theirs."""
    own = [check for check in table.table_checks if not check.passed and check.check != TableCheck.ALL_WINDOWS_PROVEN]
    waiting = table.statuses["passed"] > table.accepted
    return Standing(
        statuses=table.statuses,
        accepted=table.accepted,
        kept_out=table.quarantined + table.refused + sum(table.rewritten_by_rule.values()),
        table_failed=any(check.severity == "ERROR" or not waiting for check in own),
        queries_failed=bool(own) and all(check.check in _OF_QUERIES for check in own),
        table_unchecked=bool(table.unchecked),
        validated=table.settings.get("validation_enabled") is not False,
        job=table.job,
    )


def _with_table_checks(status: Status, checks: Sequence[VerdictRecord], unchecked: Sequence[str]) -> Status:
    """The worst of a table's windows and of its own checks.

    An error fails it, a warning leaves it passed; one that was not made leaves it missing.
    """
    by_severity: dict[str, Status] = {"ERROR": "failed", "WARN": "passed"}
    found: list[Status] = [status, *(by_severity[check.severity] for check in checks if not check.passed)]
    if unchecked:
        found.append("missing")
    return min(found, key=WORST.index)


def _window_result(window: WindowProof) -> WindowResult:
    return WindowResult(
        key=window.key,
        start=iso(window.window.start_ns),
        end=iso(window.window.end_ns),
        status=window.status.value,
        reason=window.reason,
        rows=window.rows,
        points=window.points,
        values=sum(window.values.values()),
        series=window.series,
        merged=window.merged,
        empty=window.empty,
        quarantined=window.quarantined,
        quarantined_by_reason=dict(window.reasons),
        rewritten_by_rule=dict(window.rewritten),
        refused=window.refused,
        bytes=window.bytes,
        seconds=dict(window.seconds),
        stages=stage_results(window.works),
        checks=window.verdicts,
        digest=window.digest,
        accepted=window.accepted,
    )


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sums by key, the largest first."""
    sums: dict[str, int] = {}
    for each in counts:
        for key, count in each.items():
            sums[key] = sums.get(key, 0) + count
    return dict(sorted(sums.items(), key=lambda entry: -entry[1]))
