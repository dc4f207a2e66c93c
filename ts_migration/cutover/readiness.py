"""Whether applications may switch: what is missing, how much of it, the first of it, and the command to run next.

Pure judgement of values that others gather: manifests (`stages.proof`), source (`operations.arrivals`); what Dagster's
event log says is judged in `orchestration.check_reasons`. Anything that is not known is missing.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.manifests import fingerprint
from ts_migration.operations.arrivals import Arrivals
from ts_migration.stages.proof import TableProof, WindowProof, WindowStatus
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration.validation.table import TableCheck
from ts_migration.windows import iso


class Lack(StrEnum):
    """What can be missing, in the words that people read."""

    NOT_VALIDATED = "jobs with validation_enabled: false, of which nothing is proven"
    NOT_MIGRATED = "windows that are not migrated"
    MADE_AGAIN = "windows that were made again after their checks"
    NOT_CHECKED = "checks of windows that have not run"
    NO_VERDICT = "checks of windows that were begun and came to no verdict (skipped, broken off, or still running)"
    OUTDATED = "checks of windows that judged an older materialisation"
    FAILED = "checks of windows that failed"
    NOT_ROLLED_UP = "tables that are not rolled up since their newest check"
    TABLE_NOT_CHECKED = "checks of the whole table that have not run on its newest roll-up"
    TABLE_FAILED = "checks of the whole table that failed"
    OPEN = "windows that are open by their manifests"
    STALE = "windows of which something changed after they were judged"
    NOT_PROVEN = "windows that passed and are neither proven nor accepted"
    EXPIRING = "buckets whose retention deletes points that were migrated"
    ROLL_UP_STALE = "roll-ups that judged other windows than there are now"
    LATE_ROWS = "rows that came to proven windows after their export"
    REWRITTEN_ROWS = "windows of which rows were written again with other values after their export"
    ROWS_AFTER_END = "rows at or after end_time in the source"
    BEGUN_OTHERWISE = "tables that were begun with another grid or mapping than the configuration has"
    NOT_ASKED = "systems that could not be asked"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is missing of one job: how many, the first of them, and the command to run next."""

    lack: Lack
    job: str
    count: int
    first: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.job}: {self.lack.value}: {self.count:,}, the first: {self.first}. Next: {self.next_step}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is missing, and which proof this speaks of."""

    reasons: tuple[Reason, ...]
    proof: str = ""
    """Fingerprint of the proof of all tables; "" where it was not looked at."""
    notes: tuple[str, ...] = ()
    """What somebody should know and what keeps nothing shut."""
    whole: bool = False
    """All of it was looked at, the source last: what was not asked may be missing."""
    values_read: bool = False
    """All values of the source were read again; else its rows were counted."""

    @property
    def ready(self) -> bool:
        """Nothing is missing, and all of it was looked at."""
        return self.whole and not self.reasons

    @property
    def text(self) -> str:
        """All of it in one line: what a sensor's skipped tick says."""
        if self.ready:
            how = "by all of its values" if self.values_read else "by its numbers of rows"
            return f"ready: everything is proven, and the source is still, {how} (proof {self.proof[:16]})"
        return "not ready: " + "; ".join(str(reason) for reason in self.reasons)


def command(name: str, job: MigrationJob) -> str:
    """A command about one job, as it is typed."""
    return f"ts-migration {name} --only {shlex.quote(job.slug)}"


def mending(check: str, job: MigrationJob) -> str:
    """The command that mends what a check of the whole table found, or shows it."""
    if check in (TableCheck.QUERY_EQUIVALENCE, TableCheck.QUERY_PERFORMANCE):
        return f"{command('queries', job)} shows it; once that is right, {command('validate', job)}"
    return command("catch-up" if check == TableCheck.LATE_ARRIVALS else "validate", job)


def validation_reasons(jobs: Iterable[MigrationJob]) -> tuple[Reason, ...]:
    """Jobs that are never ready."""
    return tuple(
        Reason(
            Lack.NOT_VALIDATED,
            job.slug,
            1,
            job.source,
            f"set validation_enabled: true for it, then {command('validate', job)}",
        )
        for job in jobs
        if not job.validation_enabled
    )


def proof_reasons(
    config: MigrationConfig, job: MigrationJob, proof: TableProof, migrated: MigratedManifest | None
) -> tuple[Reason, ...]:
    """What the manifests of a table leave open.

    Args:
        config: its `queries` must be those that were asked.
        job: whose table it is.
        proof: with the id of the target bucket as InfluxDB has it now: points in a bucket that is gone prove nothing.
        migrated: the manifest of the roll-up, if there is one.
    """
    stale = [window for window in proof.windows if window.status is WindowStatus.STALE]
    unproven = [window for window in proof.windows if window.status is WindowStatus.PASSED and not window.cleared]
    rest = [window for window in proof.windows if window.status in (WindowStatus.MISSING, WindowStatus.FAILED)]
    accept = f'ts-migration accept {shlex.quote(job.slug)} --reason "…"'
    reasons = [
        *_windows(Lack.OPEN, job, rest, command("execute", job)),
        *_windows(Lack.STALE, job, stale, command("execute", job)),
        *_windows(Lack.NOT_PROVEN, job, unproven, f"{accept}, after {command('quarantine list', job)}"),
    ]
    if reasons:
        return tuple(reasons)
    return (*_roll_up_reasons(config, job, proof, migrated),)


def expiry_reasons(job: MigrationJob, proof: TableProof, expires_before_ns: int | None) -> tuple[Reason, ...]:
    """What the target bucket's retention, which may have been set since the proof, takes away.

    Args:
        job: whose table it is.
        proof: of its windows.
        expires_before_ns: the bucket deletes points before it; None: it keeps all.
    """
    first = next((window.window for window in proof.windows if window.rows), None)
    if first is None or expires_before_ns is None or first.start_ns >= expires_before_ns:
        return ()
    what = f"{job.target_bucket}: points before {iso(expires_before_ns)}, and they begin at {iso(first.start_ns)}"
    mended = f"set the bucket's retention to one that reaches back to there, then {command('validate', job)}"
    return (Reason(Lack.EXPIRING, job.slug, 1, what, mended),)


def arrival_reasons(arrivals: Arrivals, dual_write_since_ns: int | None) -> tuple[Reason, ...]:
    """What the source holds that the proof does not know."""
    job, tail = arrivals.job, arrivals.after_end
    reasons = []
    if arrivals.late:
        first = arrivals.late[0]
        reasons.append(
            Reason(
                Lack.LATE_ROWS,
                job.slug,
                arrivals.late_rows,
                f"window {first.key}, {first.exported:,} rows exported and {first.now:,} there now",
                command("catch-up", job),
            )
        )
    if arrivals.rewritten:
        first = arrivals.rewritten[0]
        fewer = "as exported" if first.now == first.exported else f"of {first.exported:,} exported ones"
        told = f"window {first.key}, {first.now:,} rows {fewer}, and other values"
        reasons.append(Reason(Lack.REWRITTEN_ROWS, job.slug, len(arrivals.rewritten), told, command("catch-up", job)))
    if arrivals.new_end_ns is not None:
        since = "" if tail.first_ns is None else f"{iso(tail.first_ns)}"
        written = (
            ""
            if dual_write_since_ns is None
            else f" (applications write to both since {iso(dual_write_since_ns)} only, after end_time)"
        )
        reasons.append(
            Reason(
                Lack.ROWS_AFTER_END,
                job.slug,
                tail.rows,
                f"{since}, end_time is {iso(job.end_time)}{written}",
                command("catch-up", job),
            )
        )
    return tuple(reasons)


def notes_of(arrivals: Arrivals) -> tuple[str, ...]:
    """What keeps nothing shut: rows that have expired in the source, rows that applications write to both."""
    job, notes = arrivals.job, []
    if arrivals.expired:
        first, count = arrivals.expired[0], len(arrivals.expired)
        hold = "1 window holds" if count == 1 else f"{count:,} windows hold"
        notes.append(
            f"{job.slug}: {hold} fewer rows in the source than were exported (expired there, kept here), the first: "
            f"{first.key}, {first.exported:,} exported, {first.now:,} there now"
        )
    if arrivals.after_end.rows and arrivals.new_end_ns is None:
        notes.append(
            f"{job.slug}: {arrivals.after_end.rows:,} rows at or after end_time are left to cutover.dual_write_since"
        )
    return tuple(notes)


def proof_digest(proofs: Sequence[tuple[MigrationJob, TableProof]]) -> str:
    """Which proof of all tables there is: another window, verdict, acceptance or range is another proof."""
    return fingerprint(
        [
            {
                "job": job.slug,
                "from": job.source,
                "to": [job.target_bucket, job.measurement],
                "range": [job.start_time, job.end_time],
                "windows": proof.digest,
            }
            for job, proof in proofs
        ]
    )


def _windows(lack: Lack, job: MigrationJob, windows: Sequence[WindowProof], next_step: str) -> list[Reason]:
    if not windows:
        return []
    return [Reason(lack, job.slug, len(windows), f"window {windows[0].key}: {windows[0].reason}", next_step)]


def _roll_up_reasons(
    config: MigrationConfig, job: MigrationJob, proof: TableProof, migrated: MigratedManifest | None
) -> list[Reason]:
    if migrated is None or migrated.proof != proof.digest:
        found = "there is no roll-up" if migrated is None else f"rolled up at {migrated.written_at}"
        return [Reason(Lack.ROLL_UP_STALE, job.slug, 1, found, command("validate", job))]
    now = migrated.verdicts_now(config, job)
    changed = [verdict for verdict in now if verdict not in migrated.verdicts]
    if changed:
        first = f"{changed[0].check}: `queries` was changed since they were asked"
        return [Reason(Lack.TABLE_NOT_CHECKED, job.slug, len(changed), first, command("validate", job))]
    failed = [verdict for verdict in now if not verdict.passed and verdict.severity == "ERROR"]
    if failed:
        first = f"{failed[0].check}: expected {failed[0].expected}, found {failed[0].actual}"
        return [Reason(Lack.TABLE_FAILED, job.slug, len(failed), first, mending(failed[0].check, job))]
    return []
