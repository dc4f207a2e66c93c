"""The load stage: one window's line protocol members to the bucket, by a ledger, and its manifest last.

A window whose manifest still stands is left alone. How requests are sent and what answers mean is in `influxdb.writer`;
whether what came out is right is for the checks.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ts_migration.config import MigrationJob
from ts_migration.errors import Permanent, Refused, Transient
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.buckets import BucketInfo, ensure, require_room
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import FoundCopy, Ledger, LoadIntent, intent_key, read_intent
from ts_migration.influxdb.ownership import read_own_ranges, strange_parts
from ts_migration.influxdb.reader import batches, counts
from ts_migration.influxdb.refused import refused_bytes
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.influxdb.writer import Writer
from ts_migration.line_protocol.files import members_of, read_members
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.members import Member
from ts_migration.manifests import (
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    UntouchedRecord,
    fingerprint,
    read_manifest,
    require_manifest,
)
from ts_migration.objects import ExportBucket, TablePlace, WindowPlace
from ts_migration.stages.currency import window_range
from ts_migration.stages.found_points import copy_found, keep_untouched, not_copied
from ts_migration.stages.progress import Listener, Progress
from ts_migration.stages.rollback_record import require_no_rollback
from ts_migration.stages.target_types import require_types
from ts_migration.stages.trace import Sides
from ts_migration.windows import Window

STAGE = "load"


def load_settings(job: MigrationJob) -> str:
    """Fingerprint of what a load depends on beside its files: where the points go."""
    return fingerprint(STAGE, job.target_bucket, job.measurement)


def current_load(
    job: MigrationJob,
    place: TablePlace,
    window: Window,
    bucket: ExportBucket,
    org: str | None = None,
    bucket_id: str | None = None,
) -> LoadManifest | None:
    """The window's manifest where it still stands: same files, same target.

    `org` and `bucket_id` are compared where they are given.
    """
    own = place.window(window.key)
    found = read_manifest(LoadManifest, bucket, own.manifest(STAGE))
    if found is None or found.settings != load_settings(job) or (org is not None and found.org != org):
        return None
    if bucket_id is not None and found.bucket_id != bucket_id:
        return None
    converted = read_manifest(LineProtocolManifest, bucket, own.manifest("line_protocol"))
    return found if converted is not None and found.parent == converted.digest else None


def load_window(
    job: MigrationJob,
    place: TablePlace,
    window: Window,
    mapping: Mapping,
    bucket: ExportBucket,
    target: Target,
    *,
    policy: RetryPolicy | None = None,
    progress: Listener | None = None,
    journals: Path | None = None,
) -> LoadManifest:
    """Load one window, unless its manifest still stands. A killed load goes on with the members not yet acknowledged.

    Args:
        job: whose table it is.
        place: of the table's objects.
        window: of the job's grid, converted.
        mapping: that it was converted with.
        bucket: the export bucket.
        target: InfluxDB.
        policy: how requests are retried.
        progress: told after every member.
        journals: folder of this machine for `influxdb.journal`, so that a killed load repeats what was in flight only.

    Raises:
        Missing: the window is not converted, or its parts are gone.
        Refused: the range holds points that are not this job's; the bucket's retention would drop the window's points;
            the bucket holds a field with another type.
        Permanent: the token, the bucket or the mapping is wrong.
        Transient: InfluxDB or S3 failed for now, after all retries.
    """
    own = place.window(window.key)
    converted = _conversion(job, own, window, mapping, bucket)
    started = time.monotonic()
    chosen = policy or RetryPolicy()
    with ThreadPoolExecutor(1, thread_name_prefix="load-objects") as pool:
        allowed = pool.submit(require_no_rollback, bucket, place)
        info = retrying(lambda: ensure(target, job.target_bucket, job.shard_group_duration), chosen)
        current = current_load(job, place, window, bucket, target.org, info.id)
        if current is not None:
            return current
        allowed.result()
        require_room(target, info, window)
        index = pool.submit(_members, bucket, converted)
        ledger, intent = retrying(
            lambda: _begin(job, place, window, converted, mapping, bucket, target, info, journals), chosen
        )
    resumed = len(ledger.acknowledged)
    writer = _write(job, converted, index.result(), bucket, target, ledger, chosen, progress)
    _keep_refused(bucket, own, ledger)
    untouched = _keep_untouched(job, own, window, converted, mapping, bucket, target, intent)
    loaded = LoadManifest(
        database=job.source_database,
        table=job.source_table,
        window=window_range(window),
        parent=converted.digest,
        settings=load_settings(job),
        org=target.org,
        bucket=job.target_bucket,
        bucket_id=info.id,
        measurement=mapping.measurement,
        members=len(ledger.acknowledged),
        points=converted.points - len(ledger.refused),
        bytes=writer.counts.bytes,
        requests=writer.counts.requests,
        retries=writer.counts.retries,
        resumed_members=resumed,
        refused_lines=len(ledger.refused),
        connections=writer.level.highest,
        seconds=round(time.monotonic() - started, 3),
        untouched=untouched,
    ).write(bucket, own.manifest(STAGE))
    ledger.close()
    return loaded


def _conversion(
    job: MigrationJob, own: WindowPlace, window: Window, mapping: Mapping, bucket: ExportBucket
) -> LineProtocolManifest:
    next_step = f"convert the window {window.key} of {job.job_name} first"
    converted = require_manifest(LineProtocolManifest, bucket, own.manifest("line_protocol"), next_step)
    if converted.mapping_digest != mapping.digest or converted.window != window_range(window):
        raise Permanent(
            "the line protocol files were made with another mapping or of another range",
            where=f"job {job.job_name!r}, window {window}",
            next_step=next_step,
        )
    return converted


def _begin(
    job: MigrationJob,
    place: TablePlace,
    window: Window,
    converted: LineProtocolManifest,
    mapping: Mapping,
    bucket: ExportBucket,
    target: Target,
    info: BucketInfo,
    journals: Path | None,
) -> tuple[Ledger, LoadIntent]:
    """Look at what is there, refuse or copy what is mixed with, and leave the intent before the first byte."""
    own = place.window(window.key)
    with ThreadPoolExecutor(1, thread_name_prefix="influxdb-count") as pool:
        counted = pool.submit(counts, target, job.target_bucket, mapping.measurement, window)
        require_types(job, mapping, target, {field for field, values in converted.values.items() if values})
        found = sum(counted.result().values())
    intent = LoadIntent(
        job=job.job_name,
        org=target.org,
        bucket=job.target_bucket,
        bucket_id=info.id,
        measurement=mapping.measurement,
        found_values=found,
    )
    earlier = read_intent(bucket, own)
    known = earlier is not None and earlier.same_place(intent)
    parts = [window]
    if found and not known:
        # A table that was reset is begun anew over its own points, perhaps by other windows.
        parts = strange_parts(window, intent, read_own_ranges(bucket, place))
        strange = sum(sum(counts(target, job.target_bucket, mapping.measurement, part).values()) for part in parts)
        intent = intent.model_copy(update={"found_values": strange})
    if intent.found_values and not known and not job.allow_existing_data:
        raise Refused(
            f"the bucket {job.target_bucket!r} already holds {intent.found_values:,} values of "
            f"{mapping.measurement!r} in this window that this job did not write: mixed with them nothing could be "
            "proven",
            where=f"{target.url}, job {job.job_name!r}, window {window}",
            allowed="an empty range, or allow_existing_data: true for the job",
            next_step="choose another target_bucket or mapping.measurement, or delete those points",
        )
    if earlier is not None and known:
        intent = earlier
        # A window that had others' points and grew since: what lies in its new part is not the job's either.
        own_ranges = read_own_ranges(bucket, place) if earlier.found else ()
        grown = not_copied(window, earlier.found) if earlier.found else []
        parts = [strange for part in grown for strange in strange_parts(part, intent, own_ranges)]
    copies = _copies(bucket, own, target, intent, parts) if intent.found_values else ()
    if copies:
        held = intent.found if known else ()
        told = sum(copy.values for copy in (*held, *copies))
        intent = intent.model_copy(update={"found": (*held, *copies), "found_values": told})
    if intent != earlier:
        intent.write(bucket, intent_key(own))
    if earlier is None:
        # The intent is written first: without one nothing was ever acknowledged.
        return Ledger(bucket, own, converted.digest, info.id, journals), intent
    ledger = Ledger.open(bucket, own, converted.digest, info.id, journals)
    if ledger.acknowledged and not found:
        # Somebody deleted the points since: what was acknowledged is not there any more.
        ledger.forget()
    return ledger, intent


def _copies(
    bucket: ExportBucket, own: WindowPlace, target: Target, intent: LoadIntent, parts: Sequence[Window]
) -> tuple[FoundCopy, ...]:
    """Copies of what parts of a window hold, so that a rollback can put it back and the checks leave it out."""
    return tuple(
        copy_found(batches(target, intent.bucket, intent.measurement, part), bucket, own, intent.measurement, part)
        for part in parts
    )


def _keep_untouched(
    job: MigrationJob,
    own: WindowPlace,
    window: Window,
    converted: LineProtocolManifest,
    mapping: Mapping,
    bucket: ExportBucket,
    target: Target,
    intent: LoadIntent,
) -> UntouchedRecord | None:
    """Which of the points that were there the load has left as they were; asks the export, so only where any were."""
    if not intent.found:
        return None
    export = require_manifest(ExportManifest, bucket, own.manifest("export"), f"export the window {window.key} first")
    sides = Sides(window, mapping, export, converted, job.target_bucket, bucket, target)
    return keep_untouched(sides, intent.found, own)


def _members(bucket: ExportBucket, converted: LineProtocolManifest) -> tuple[Member, ...]:
    """The index of what is to be sent."""
    members = members_of(bucket, converted) if converted.points else ()
    lines = sum(member.lines for member in members)
    if lines != converted.points:
        raise Permanent(
            f"the index tells {lines:,} lines, the manifest {converted.points:,} points",
            where=bucket.uri(converted.members_key) if converted.members_key else f"window {converted.window.key}",
            next_step="run the conversion of this window again",
        )
    return members


def _write(
    job: MigrationJob,
    converted: LineProtocolManifest,
    members: Sequence[Member],
    bucket: ExportBucket,
    target: Target,
    ledger: Ledger,
    policy: RetryPolicy,
    progress: Listener | None,
) -> Writer:
    """Send every member that is not in the ledger; what was acknowledged is remembered whatever happens.

    A member with more lines than the job's batch_size now says is sent by several requests.
    """
    waiting = [(number, member) for number, member in enumerate(members) if number not in ledger.acknowledged]
    writer = Writer(
        target,
        job.target_bucket,
        job.write_connections,
        policy,
        batch_lines=job.batch_size,
        compressed=job.compression is not None,
    )
    done = sum(members[number].lines for number in ledger.acknowledged)

    def delivered(each: Delivered) -> None:
        nonlocal done
        ledger.add(each)
        done += each.lines
        if progress:
            progress(Progress(STAGE, converted.window.key, done, converted.points, writer.counts.bytes))

    ledger.begin(len(waiting))
    try:
        writer.write(_bodies(bucket, waiting, policy), delivered)
    except BaseException:
        ledger.write()
        raise
    return writer


def _bodies(bucket: ExportBucket, waiting: Sequence[tuple[int, Member]], policy: RetryPolicy) -> Iterator[Body]:
    """Members as they lie in their parts; a stream from S3 that breaks is begun again where it broke."""
    position, failures = 0, 0
    while position < len(waiting):
        rest = waiting[position:]
        try:
            for (number, wanted), (member, content) in zip(
                rest, read_members(bucket, [member for _, member in rest]), strict=True
            ):
                if member != wanted:
                    raise Permanent("members.json is not in the order of its parts", where=bucket.uri(member.part))
                yield Body(number, content, member.lines, member.text_bytes)
                position, failures = position + 1, 0
        except Transient:
            failures += 1
            if failures > policy.attempts:
                raise
            time.sleep(min(policy.base_s, 5.0))


def _keep_refused(bucket: ExportBucket, own: WindowPlace, ledger: Ledger) -> None:
    """The lines that the server refused, with its words, as NDJSON; none from an earlier load are left behind."""
    if not ledger.refused:
        bucket.delete(own.refused)
        return
    bucket.put(own.refused, refused_bytes(ledger.refused))
