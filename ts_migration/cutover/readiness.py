"""Whether a cutover may begin: the one seam between the proof and the actions."""

from dataclasses import dataclass

from ts_migration.config import MigrationConfig
from ts_migration.manifests import fingerprint
from ts_migration.objects import ExportBucket
from ts_migration.stages.proof import proof_of


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether everything is proven, why not, and the digest of what is."""

    ready: bool
    reasons: tuple[str, ...]
    """What is missing, a line each."""
    proof: str


def readiness(config: MigrationConfig, bucket: ExportBucket) -> Readiness:
    """Ready once every window of every job is proven, by the manifests alone.

    Raises:
        MigrationError: S3 failed, or a manifest is damaged.
    """
    tables = [proof_of(config, job, bucket) for job in config.migration_jobs]
    reasons = []
    for table in tables:
        open_windows = [window for window in table.windows if window.status != "proven"]
        if open_windows:
            first = open_windows[0]
            reasons.append(
                f"job {table.job!r}: {len(open_windows):,} of {len(table.windows):,} windows are not proven, the first "
                f"is {first.key}: {first.reason}"
            )
    return Readiness(not reasons, tuple(reasons), fingerprint([(table.job, table.digest) for table in tables]))
