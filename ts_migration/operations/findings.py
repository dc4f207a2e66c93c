"""What a look at one component found: values only. Who looks is in `prerequisites`; who prints, in the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.errors import MigrationError, Refused, Transient


class FindingStatus(StrEnum):
    """How a component was found, in the words that commands print."""

    ACCESSIBLE = "accessible"
    NOT_CONFIGURED = "not configured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One component: its name as people know it, how it was found, what was seen, and what to do where it failed."""

    name: str
    status: FindingStatus
    detail: str = ""
    next_step: str = ""

    @property
    def ok(self) -> bool:
        """Nothing stands in the way of a migration here."""
        return self.status is not FindingStatus.FAILED

    def __str__(self) -> str:
        text = f"{self.name}: {self.detail or self.status.value}"
        return f"{text}{'' if text.endswith('.') else '.'} Next: {self.next_step}." if self.next_step else text


def accessible(name: str, detail: str = "") -> Finding:
    """A component that was really used."""
    return Finding(name, FindingStatus.ACCESSIBLE, detail)


def failed(name: str, error: MigrationError, next_step: str = "") -> Finding:
    """A component that refused, with the error's own words. `next_step` is for one that refuses for good."""
    word = "allowed" if isinstance(error, Refused) else "there is"
    allowed = f" ({word}: {error.allowed})" if error.allowed else ""
    # No permission mends a service that is busy or broken.
    advice = "it may pass: try again" if isinstance(error, Transient) else next_step
    return Finding(name, FindingStatus.FAILED, f"{error.what}{allowed}", error.next_step or advice)


def failures(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stand in the way."""
    return tuple(finding for finding in findings if not finding.ok)
