"""What a look at one component found: values only. Who looks is in `prerequisites`; who prints, in the command line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.errors import MigrationError, Refused


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
    """A component that refused, with the error's own words."""
    word = "allowed" if isinstance(error, Refused) else "there is"
    allowed = f" ({word}: {error.allowed})" if error.allowed else ""
    return Finding(name, FindingStatus.FAILED, f"{error.what}{allowed}", error.next_step or next_step)


def failures(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stand in the way."""
    return tuple(finding for finding in findings if not finding.ok)
