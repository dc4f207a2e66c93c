"""`accept`: somebody answers for windows that passed and are not proven; the digests of their verdicts are kept.

An acceptance is of these verdicts alone: `stages.proof` lets it go once they are others. Only what passed can be
accepted. Telling Dagster is `orchestration.acceptance`'s affair.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.errors import Refused
from ts_migration.manifests import AcceptanceManifest
from ts_migration.objects import ExportBucket
from ts_migration.stages.currency import window_range
from ts_migration.stages.proof import WindowProof, WindowStatus, proof_of

_WRITERS = 16
_NAMED = 3


@dataclass(frozen=True)
class Acceptable:
    """The windows that a call is about.

    Attributes:
        passed: not proven and not accepted yet.
        accepted: accepted already, with these verdicts.
        proven: need nobody to accept them.
        unacceptable: failed, stale or missing: nobody can accept those.
    """

    passed: tuple[WindowProof, ...]
    accepted: tuple[WindowProof, ...]
    proven: tuple[WindowProof, ...]
    unacceptable: tuple[WindowProof, ...]


def look_at_passed(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    windows: tuple[str, str] | None = None,
    bucket_id: str | None = None,
) -> Acceptable:
    """What of a job's windows, or of a range of them (both ends included), can be accepted.

    Args:
        config: the rules of the checks, and the place of the objects.
        job: whose table it is.
        bucket: the export bucket.
        windows: first and last partition key.
        bucket_id: of the target bucket as InfluxDB has it now, see `stages.proof`.

    Raises:
        Missing: the job has no such window.
        Refused: the job is not checked at all.
    """
    _require_checks(job)
    keys = {window.key for window in (job.grid.between(*windows) if windows else job.grid)}
    found = [window for window in proof_of(config, job, bucket, bucket_id).windows if window.key in keys]
    passed = [window for window in found if window.status is WindowStatus.PASSED]
    return Acceptable(
        passed=tuple(window for window in passed if not window.acceptance),
        accepted=tuple(window for window in passed if window.acceptance),
        proven=tuple(window for window in found if window.status is WindowStatus.PROVEN),
        unacceptable=tuple(
            window for window in found if window.status not in (WindowStatus.PASSED, WindowStatus.PROVEN)
        ),
    )


def accept(
    config: MigrationConfig,
    job: MigrationJob,
    bucket: ExportBucket,
    windows: tuple[WindowProof, ...],
    *,
    reason: str,
    accepted_by: str,
) -> tuple[AcceptanceManifest, ...]:
    """Write down who accepted which windows, and why.

    Raises:
        Refused: a window did not pass, there is no reason, or the job is not checked at all.
    """
    _require_checks(job)
    require_reason(reason)
    wrong = [window for window in windows if window.status is not WindowStatus.PASSED]
    if wrong:
        raise Refused(
            f"{told(wrong)}: only windows that passed every check can be accepted", where=f"job {job.job_name!r}"
        )
    place = config.place(job)
    manifests = [
        AcceptanceManifest(
            database=job.source_database,
            table=job.source_table,
            job=job.job_name,
            window=window_range(window.window),
            verdicts=window.digest,
            found=window.finding,
            reason=" ".join(reason.split()),
            accepted_by=accepted_by,
        )
        for window in windows
    ]
    with ThreadPoolExecutor(_WRITERS) as pool:
        return tuple(pool.map(lambda one: one.write(bucket, place.window(one.window.key).acceptance), manifests))


def revoke(
    config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, windows: tuple[str, str] | None = None
) -> tuple[str, ...]:
    """Take back what was accepted of a job's windows, or of a range of them; which windows it was.

    Acceptances that hold no more go, too.

    Raises:
        Missing: the job has no such window.
    """
    place = config.place(job)
    chosen = job.grid.between(*windows) if windows else list(job.grid)
    there = {found.key for found in bucket.list(place.proof)}
    accepted = [window.key for window in chosen if place.window(window.key).acceptance in there]
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda key: bucket.delete(place.window(key).acceptance), accepted))
    return tuple(accepted)


def require_reason(reason: str) -> None:
    """Refuse an empty one.

    Raises:
        Refused: there is nothing in it.
    """
    if not reason.strip():
        raise Refused("an acceptance needs a reason", next_step='--reason "why these windows may count as they are"')


def told(windows: tuple[WindowProof, ...] | list[WindowProof]) -> str:
    """How many windows, and what the first of them are."""
    first = "; ".join(f"{window.key}: {window.status.value}: {window.reason}" for window in windows[:_NAMED])
    return f"{len(windows):,} window{'s' if len(windows) > 1 else ''} ({first}{' …' if len(windows) > _NAMED else ''})"


def _require_checks(job: MigrationJob) -> None:
    if not job.validation_enabled:
        raise Refused(
            "validation_enabled is false: nothing was checked, so there is nothing that could be accepted",
            where=f"job {job.job_name!r}",
            next_step="set validation_enabled: true and run `ts-migration execute`, which checks what is loaded",
        )
