"""`migration_results_<time>.json`: what a validation or an execution came to, as documented values for programs.

The same values make the HTML report and the tables of the console. They are taken from the proof in S3; nothing is
judged here. A reader may rely on every field of `schema_version` 1; fields may be added.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ts_migration.manifests import VerdictRecord, now_text
from ts_migration.stages.proof import TableProof, WindowProof
from ts_migration.windows import iso

SCHEMA_VERSION = 1

Status = Literal["proven", "passed", "failed", "stale", "missing"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowResult(_Value):
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
    quarantined: int = Field(description="Rows that InfluxDB cannot hold exactly, kept in the quarantine.")
    refused: int = Field(description="Lines that the server refused, kept beside the quarantine.")
    bytes: int = Field(description="Compressed bytes sent.")
    seconds: dict[str, float] = Field(description="Stage -> seconds of its last work.")
    checks: tuple[VerdictRecord, ...] = Field(description="The verdicts of the five checks, latest.")

    @property
    def checks_passed(self) -> int:
        """How many of its checks passed."""
        return sum(check.passed for check in self.checks)


class TableResult(_Value):
    """One job's table."""

    job: str
    source: str = Field(description="Database and table in Timestream.")
    bucket: str
    measurement: str
    status: Status = Field(description="The worst of its windows and of the checks of the whole table.")
    statuses: dict[str, int] = Field(description="Status -> windows.")
    rows: int
    points: int
    values: int
    quarantined: int
    refused: int
    checks_passed: int
    checks: int = Field(description="Verdicts that there are; five for every checked window.")
    seconds: float = Field(description="Sum of all stages of all windows, not of the clock on the wall.")
    windows: tuple[WindowResult, ...]
    table_checks: tuple[VerdictRecord, ...] = Field(
        default=(), description="Verdicts of the whole table, if rolled up."
    )


class MigrationResults(_Value):
    """The whole file."""

    kind: Literal["validation", "execution"]
    schema_version: int = SCHEMA_VERSION
    generated_at: str = Field(default_factory=now_text, description="RFC 3339, UTC.")
    status: Status = Field(description="The worst of its tables.")
    job_id: str | None = Field(default=None, description="Which `execute` it was.")
    configuration: str | None = Field(default=None, description="Path of the configuration file.")
    tables: tuple[TableResult, ...]

    @property
    def file_name(self) -> str:
        """`migration_results_<time>.json`, by the time in it."""
        digits = "".join(character for character in self.generated_at if character.isalnum())
        return f"migration_results_{digits}.json"

    def to_bytes(self) -> bytes:
        """Indented JSON in UTF-8."""
        return (self.model_dump_json(indent=2) + "\n").encode()


_WORST: tuple[Status, ...] = ("failed", "missing", "stale", "passed", "proven")


def results_of(
    proofs: Sequence[TableProof],
    kind: Literal["validation", "execution"],
    *,
    table_checks: Mapping[str, tuple[VerdictRecord, ...]] | None = None,
    job_id: str | None = None,
    configuration: str | None = None,
) -> MigrationResults:
    """The results of tables.

    Args:
        proofs: one per job, in the order of the configuration.
        kind: what ran.
        table_checks: job name -> verdicts of its whole table.
        job_id: which `execute` it was.
        configuration: path of the file.
    """
    tables = tuple(table_result(proof, (table_checks or {}).get(proof.job, ())) for proof in proofs)
    there = {table.status for table in tables}
    return MigrationResults(
        kind=kind,
        status=next((status for status in _WORST if status in there), "missing"),
        job_id=job_id,
        configuration=configuration,
        tables=tables,
    )


def table_result(proof: TableProof, table_checks: tuple[VerdictRecord, ...] = ()) -> TableResult:
    """The result of one table."""
    windows = tuple(_window_result(window) for window in proof.windows)
    return TableResult(
        job=proof.job,
        source=proof.source,
        bucket=proof.bucket,
        measurement=proof.measurement,
        status=_with_table_checks(proof.status.value, table_checks),
        statuses=proof.statuses,
        rows=proof.rows,
        points=proof.points,
        values=proof.values,
        quarantined=sum(window.quarantined for window in windows),
        refused=sum(window.refused for window in windows),
        checks_passed=sum(window.checks_passed for window in windows),
        checks=sum(len(window.checks) for window in windows),
        seconds=round(sum(sum(window.seconds.values()) for window in windows), 3),
        windows=windows,
        table_checks=table_checks,
    )


def _with_table_checks(status: Status, checks: Sequence[VerdictRecord]) -> Status:
    """The worst of a table's windows and of its own checks: an error fails it, a warning leaves it passed."""
    failed = {check.severity for check in checks if not check.passed}
    if not failed:
        return status
    return min(status, "failed" if "ERROR" in failed else "passed", key=_WORST.index)


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
        quarantined=window.quarantined,
        refused=window.refused,
        bytes=window.bytes,
        seconds=dict(window.seconds),
        checks=window.verdicts,
    )
