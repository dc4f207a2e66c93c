"""What a check says, and what the five verdicts of a window come to together. Values only: no reading, no Dagster."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.manifests import VerdictRecord


class Check(StrEnum):
    """The five checks of a window. One place for their names."""

    RECORD_COUNT = "record_count"
    CHECKSUM = "checksum"
    SAMPLE = "sample"
    SCHEMA = "schema"
    COVERAGE = "coverage"


class Severity(StrEnum):
    """ERROR blocks; WARN is a pass that used a tolerance."""

    ERROR = "ERROR"
    WARN = "WARN"


class Stage(StrEnum):
    """Where a difference came in. SOURCE: Timestream itself changed after the export."""

    SOURCE = "source"
    EXPORT = "export"
    CONVERSION = "conversion"
    LOAD = "load"


STAGES = tuple(Stage)
"""In the order of the flow."""


def blame_text(stage: str) -> str:
    """What a stage has to do with a failed check, in words."""
    return "the source changed after the export" if stage == Stage.SOURCE else f"broken by the {stage}"


class Status(StrEnum):
    """What a window's verdicts come to."""

    PROVEN = "proven"
    PASSED = "passed"
    FAILED = "failed"


EVIDENCE_ROWS = 20
"""At most this many points or lines of evidence in a verdict: metadata is stored per event."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's verdict.

    `expected`, `actual`, `difference` and `tolerance` are short texts with their units; `evidence` are lines for
    people, the first differing points with both values.
    """

    check: Check
    passed: bool
    expected: str
    actual: str
    difference: str = "0"
    tolerance: str = "0"
    severity: Severity = Severity.ERROR
    stage: Stage | None = None
    evidence: tuple[str, ...] = ()

    @property
    def record(self) -> VerdictRecord:
        """As manifests keep it."""
        return VerdictRecord(
            check=self.check.value,
            passed=self.passed,
            severity=self.severity.value,
            expected=self.expected,
            actual=self.actual,
            difference=self.difference,
            tolerance=self.tolerance,
            stage=self.stage.value if self.stage else None,
            evidence=self.evidence[:EVIDENCE_ROWS],
        )


def status_of(verdicts: Sequence[Verdict], kept_out: int) -> Status:
    """Proven only where all five checks are there and passed without a tolerance, and every row is there as it was.

    `kept_out` counts rows that are in the quarantine, refused by the server or rewritten by a rule.

    A check that did not run is not a pass.
    """
    if {verdict.check for verdict in verdicts} != set(Check) or not all(verdict.passed for verdict in verdicts):
        return Status.FAILED
    tolerated = any(verdict.severity is Severity.WARN for verdict in verdicts)
    return Status.PASSED if tolerated or kept_out else Status.PROVEN
