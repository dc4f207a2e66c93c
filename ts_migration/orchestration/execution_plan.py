"""What an execution has to do for a job: the windows that are not proven yet, those exported together in one group."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.influxdb.connection import Target
from ts_migration.manifests import read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.orchestration.check_state import TableState, failed_table_checks, table_state
from ts_migration.orchestration.execution_result import JobResult
from ts_migration.orchestration.names import TableNames
from ts_migration.orchestration.schedule import Group
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.placement import target_bucket_id
from ts_migration.stages.proof import TableProof, proof_of
from ts_migration.stages.queries import queries_fingerprint
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration.stages.table import begin_table
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import TableSchema
from ts_migration.timestream.window_counts import window_rows
from ts_migration.windows import Window

GROUP_ROWS = 500_000
"""Windows are exported together while their rows stay below this: UNLOAD starts once a second, small ones queue."""
GROUP_WINDOWS = 50
"""UNLOAD allows 100 partitions; half of it lets two workers share a table's windows early."""


@dataclass
class JobPlan:
    """What is to be done for one job."""

    job: MigrationJob
    groups: list[Group]
    result: JobResult
    completes: bool
    """Whether the call leaves no window of the table open."""
    began: float = field(default_factory=time.monotonic)
    ended: bool = False

    @property
    def windows_to_do(self) -> int:
        """Windows that the call is to migrate."""
        return sum(len(group.keys) for group in self.groups)

    @property
    def left(self) -> int:
        """Windows that it has not come to."""
        return self.windows_to_do - self.result.ran


def wanted_windows(job: MigrationJob, keys: tuple[str, str] | None, chosen: Collection[str] | None) -> list[Window]:
    """The windows of a job that a call is about."""
    windows = job.grid.between(*keys) if keys else list(job.grid)
    return [window for window in windows if chosen is None or window.key in chosen]


def plan_job(
    config: MigrationConfig,
    job: MigrationJob,
    schema: TableSchema,
    bucket: ExportBucket,
    query: TimestreamQuery,
    instance: dg.DagsterInstance,
    wanted: list[Window],
    target: Target,
    again: frozenset[str],
) -> JobPlan:
    """Freeze grid and mapping, and find the windows that are not proven or that Dagster does not know as green."""
    place = config.place(job)
    begin_table(job, place, schema, bucket)
    proof = proof_of(config, job, bucket, target_bucket_id(job, target, retry_policy(config)))
    names = TableNames.of(config, job)
    state = table_state(instance, names, job.grid.keys)
    finished = finished_windows(job, proof, state) - again
    todo = [window for window in wanted if window.key not in finished]
    completes = len(todo) == len(job.grid) - len(finished)
    rolled_up = state.rolled_up and _stands(config, job, bucket, proof)
    result = JobResult(
        job.slug,
        job.source,
        job.target_bucket,
        windows=len(job.grid),
        skipped=len(wanted) - len(todo),
        rolled_up=rolled_up,
    )
    # A check of the whole table that failed is asked again: what it failed for may be over.
    due = bool(todo) or not rolled_up or bool(failed_table_checks(instance, names))
    return JobPlan(job, groups_of(job, todo, proof, query, again), result, completes=completes and due)


def _stands(config: MigrationConfig, job: MigrationJob, bucket: ExportBucket, proof: TableProof) -> bool:
    """Whether the roll-up need not be made again: it is there, of these verdicts and queries, and did not fail."""
    migrated = read_manifest(MigratedManifest, bucket, config.place(job).migrated)
    return (
        migrated is not None
        and migrated.status != "failed"
        and migrated.proof == proof.digest
        and migrated.queries == queries_fingerprint(config, job)
    )


def finished_windows(job: MigrationJob, proof: TableProof, state: TableState) -> set[str]:
    """Windows with nothing left to do: proven by their manifests and known to Dagster as materialised and green."""
    settled = {window.key for window in proof.windows if window.settled}
    return settled & (state.green if job.validation_enabled else state.materialized)


def groups_of(
    job: MigrationJob,
    todo: list[Window],
    proof: TableProof,
    query: TimestreamQuery,
    again: frozenset[str] = frozenset(),
) -> list[Group]:
    """Runs of neighbouring windows that are not exported yet and small enough to share an UNLOAD; others alone."""
    exported = {window.key for window in proof.windows if window.exported}
    open_windows = [window for window in todo if window.key not in exported]
    counts = window_rows(query, job.source_database, job.source_table, open_windows) if len(open_windows) > 1 else ()
    rows = dict(zip((window.key for window in open_windows), counts, strict=False))
    groups: list[Group] = []
    pending: list[str] = []
    pending_rows = 0

    def flush() -> None:
        nonlocal pending, pending_rows
        if pending:
            groups.append(Group(tuple(pending), export_ahead=len(pending) > 1))
        pending, pending_rows = [], 0

    for window in todo:
        if window.key in exported:
            flush()
            groups.append(Group((window.key,), export_ahead=False, export_again=window.key in again))
            continue
        count = rows.get(window.key, 0)
        if pending and (pending_rows + count > GROUP_ROWS or len(pending) >= GROUP_WINDOWS):
            flush()
        pending.append(window.key)
        pending_rows += count
    flush()
    return groups
