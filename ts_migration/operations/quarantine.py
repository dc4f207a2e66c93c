"""What was kept out of the bucket: rows that line protocol cannot say, lines that InfluxDB refused; and what ends that.

Reads the export bucket alone. Why a row is quarantined is decided in `line_protocol`; doing windows again is the
orchestrator's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.influxdb.refused import read_refused
from ts_migration.line_protocol.rejects import Reason, read_quarantine
from ts_migration.line_protocol.rewrites import RULE_OF
from ts_migration.objects import ExportBucket
from ts_migration.stages.proof import WindowProof, WindowStatus, proof_of

_CONVERSION = "line_protocol"
"""Stage that tells what is kept out."""


@dataclass(frozen=True)
class WindowQuarantine:
    """What one window kept out.

    Attributes:
        key: partition key.
        rows: rows quarantined; `reasons` are their reasons with counts.
        refused: lines that the server refused.
        rewritten: rule -> rows that were written as it says.
        place, refused_place: s3:// URIs of both objects, "" where there is none.
        outdated: rewrite rules were changed since: `execute` treats the window anew.
    """

    key: str
    rows: int
    reasons: dict[str, int]
    refused: int
    rewritten: dict[str, int]
    place: str
    refused_place: str
    outdated: bool


@dataclass(frozen=True)
class Entry:
    """A row or a line that is not in the bucket. `row` is the source row; None for a line that was refused."""

    window: str
    reason: str
    column: str
    row: dict[str, Any] | None
    line: str | None


@dataclass(frozen=True)
class Replay:
    """What a replay of a job would do.

    Attributes:
        rewritten: windows that changed rules treat anew.
        reloaded: windows whose refused lines are sent again.
        left: reason -> rows that would only come to the same again.
    """

    rewritten: tuple[str, ...]
    reloaded: tuple[str, ...]
    left: dict[str, int]

    @property
    def windows(self) -> tuple[str, ...]:
        """All windows that it works on."""
        return tuple(sorted({*self.rewritten, *self.reloaded}))


def quarantine_of(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, window: str | None = None
) -> list[WindowQuarantine]:
    """Windows of a job that kept anything out or rewrote it, in order of time.

    Raises:
        Missing: the job has no such window.
    """
    if window is not None:
        job.grid.between(window, window)
    place = config.place(job)
    found = []
    for one in proof_of(config, job, bucket).windows:
        kept = one.quarantined or one.refused or one.rewritten
        if not kept or window not in (None, one.key):
            continue
        own = place.window(one.key)
        found.append(
            WindowQuarantine(
                key=one.key,
                rows=one.quarantined,
                reasons=dict(one.reasons),
                refused=one.refused,
                rewritten=dict(one.rewritten),
                place=bucket.uri(own.quarantine) if one.quarantined else "",
                refused_place=bucket.uri(own.refused) if one.refused else "",
                outdated=_rules_changed(one),
            )
        )
    return found


def unconverted(config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, window: str | None = None) -> int:
    """Windows of a job that are not converted: what they will keep out is not known.

    Raises:
        Missing: the job has no such window.
    """
    if window is not None:
        job.grid.between(window, window)
    windows = proof_of(config, job, bucket).windows
    return sum(window in (None, one.key) and _CONVERSION not in one.seconds for one in windows)


def _rules_changed(one: WindowProof) -> bool:
    return one.status is WindowStatus.STALE and "mapping.rewrite" in one.reason


def entries(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, window: str | None = None
) -> Iterator[Entry]:
    """Everything that was kept out, window by window: rows first, then refused lines.

    Raises:
        Missing: the job has no such window, or an object of the quarantine is gone.
    """
    place = config.place(job)
    for one in quarantine_of(config, job, bucket, window):
        own = place.window(one.key)
        if one.rows:
            for entry in read_quarantine(bucket.get(own.quarantine)):
                yield Entry(one.key, entry["text"], entry["column"], entry["row"], None)
        if one.refused:
            for refused in read_refused(bucket.get(own.refused)):
                yield Entry(one.key, refused.reason, "", None, refused.line)


def replay_of(windows: list[WindowQuarantine]) -> Replay:
    """What a replay would do with these windows. Pure."""
    left: Counter[str] = Counter()
    for one in windows:
        if not one.outdated:
            left.update(one.reasons)
    return Replay(
        rewritten=tuple(one.key for one in windows if one.outdated),
        reloaded=tuple(one.key for one in windows if one.refused),
        left=dict(sorted(left.items())),
    )


def rule_for(reason: str) -> str:
    """The rewrite rule that would end a reason (by its name in the manifests), "" where there is none."""
    return RULE_OF.get(Reason[reason.upper()], "")
