"""Gathers what readiness is judged by, cheapest first: the event log, the manifests with the bucket's id, the source.

A step that finds something missing ends the look, unless all of it is wanted: a tick of a sensor must not scan tables
that are not even loaded. What the findings mean is in `cutover.readiness`, `check_reasons` and `operations.arrivals`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg

from ts_migration.config import MigrationConfig, MigrationJob
from ts_migration.cutover.readiness import (
    Lack,
    Readiness,
    Reason,
    arrival_reasons,
    expiry_reasons,
    notes_of,
    proof_digest,
    proof_reasons,
    validation_reasons,
)
from ts_migration.errors import MigrationError, Refused
from ts_migration.influxdb.connection import Target
from ts_migration.manifests import read_manifest
from ts_migration.objects import ExportBucket
from ts_migration.operations.arrivals import arrivals_of
from ts_migration.orchestration.check_reasons import check_reasons
from ts_migration.orchestration.window_run import retry_policy
from ts_migration.stages.placement import expires_before_ns, target_bucket_id
from ts_migration.stages.proof import TableProof, proof_of
from ts_migration.stages.roll_up import MigratedManifest
from ts_migration.stages.table import require_begun_alike
from ts_migration.timestream.description import describe
from ts_migration.timestream.query import TimestreamQuery

Table = tuple[MigrationJob, TableProof, MigratedManifest | None, int | None]
"""The last: the time, ns, before which the target bucket deletes points."""


@dataclass(frozen=True)
class Systems:
    """How the systems are reached, each made when it is first needed."""

    bucket: Callable[[], ExportBucket]
    target: Callable[[], Target]
    query: Callable[[], TimestreamQuery]


def look_at_readiness(
    instance: dg.DagsterInstance,
    config: MigrationConfig,
    systems: Systems,
    *,
    everything: bool = False,
    values: bool = False,
    over: Callable[[], bool] = lambda: False,
) -> Readiness:
    """Whether applications may switch, asked now.

    Args:
        instance: whose event log is read.
        config: all jobs of it count.
        systems: asked only as far as needed.
        everything: look at all of it, whatever is missing already: for people who want the whole list.
        values: read all values of the source again, too, where nothing else is missing: the last look before a switch.
        over: whether the cutover is done already, so that the source need not be asked; called when all else is green.
    """
    reasons = list(validation_reasons(config.migration_jobs))
    for job in config.migration_jobs:
        reasons += check_reasons(instance, config, job) if job.validation_enabled else ()
    if reasons and not everything:
        return Readiness(tuple(reasons))
    tables: list[Table] = []
    for job in config.migration_jobs:
        try:
            tables.append(_table(config, job, systems))
        except MigrationError as error:
            reasons.append(_not_asked(job, error))
    for job, proof, migrated, expires in tables:
        reasons += proof_reasons(config, job, proof, migrated) if job.validation_enabled else ()
        reasons += expiry_reasons(job, proof, expires)
    reasons = _once(reasons)
    whole = len(tables) == len(config.migration_jobs)
    digest = proof_digest([(job, proof) for job, proof, *_ in tables]) if whole else ""
    if (reasons or over()) and not everything:
        return Readiness(tuple(reasons), digest)
    notes: list[str] = []
    for job, proof, *_ in tables:
        found, told = _source(config, job, proof, systems, values=values and not reasons)
        reasons += found
        notes += told
    read = values and config.validation_rules.reread_source
    return Readiness(tuple(reasons), digest, tuple(notes), whole=whole, values_read=read)


def _once(reasons: list[Reason]) -> list[Reason]:
    """Without what is told twice: of a table's own checks Dagster and the roll-up's manifest say the same.

    The manifest, which comes later, also says what was expected and found.
    """
    twice = (Lack.TABLE_FAILED, Lack.TABLE_NOT_CHECKED)
    kept: dict[object, Reason] = {}
    for number, reason in enumerate(reasons):
        key = (reason.lack, reason.job) if reason.lack in twice else number
        known = kept.get(key)
        if known is None or reason.count >= known.count:
            kept[key] = reason
    return list(kept.values())


def _table(config: MigrationConfig, job: MigrationJob, systems: Systems) -> Table:
    bucket_id = target_bucket_id(job, systems.target(), retry_policy(config))
    bucket = systems.bucket()
    migrated = read_manifest(MigratedManifest, bucket, config.place(job).migrated)
    expires = expires_before_ns(job, systems.target(), retry_policy(config))
    return job, proof_of(config, job, bucket, bucket_id), migrated, expires


def _source(
    config: MigrationConfig, job: MigrationJob, proof: TableProof, systems: Systems, *, values: bool
) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
    since = config.cutover.dual_write_since
    try:
        query = systems.query()
        require_begun_alike(
            job, config.place(job), lambda: describe(query, job.source_database, job.source_table), systems.bucket()
        )
        arrivals = arrivals_of(config, job, proof, query, since, values_in=systems.bucket() if values else None)
    except Refused as error:
        return (Reason(Lack.BEGUN_OTHERWISE, job.slug, 1, error.what, error.next_step),), ()
    except MigrationError as error:
        return (_not_asked(job, error),), ()
    return arrival_reasons(arrivals, since), notes_of(arrivals)


def _not_asked(job: MigrationJob, error: MigrationError) -> Reason:
    where = f"{error.where}: " if error.where else ""
    return Reason(Lack.NOT_ASKED, job.slug, 1, f"{where}{error.what}", error.next_step or "try again")


def lines_of(readiness: Readiness) -> Iterator[str]:
    """What is missing and what is to be known, a line each."""
    yield from (str(reason) for reason in readiness.reasons)
    yield from readiness.notes
