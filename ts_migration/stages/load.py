"""The load stage: one window's members to the bucket, by a ledger, and its manifest last.

A window whose manifest still stands is left alone. How members are sent is the affair of the window's way
(`load_ways`); whether what came out is right is for the checks.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ts_migration.config import MigrationJob
from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.influxdb.bodies import Delivered
from ts_migration.influxdb.buckets import BucketInfo, require_room
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.ledger import FoundCopy, Ledger, LoadIntent, intent_key, read_intent
from ts_migration.influxdb.ownership import read_own_ranges, strange_parts
from ts_migration.influxdb.reader import batches, counts
from ts_migration.influxdb.refused import refused_bytes
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.line_protocol.mapping import Mapping
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
from ts_migration.stages.load_ways import Load, LoadWay, Sent, Shipment
from ts_migration.stages.mending import forget_conversion
from ts_migration.stages.progress import Listener, Progress
from ts_migration.stages.rollback_record import require_no_rollback
from ts_migration.stages.target_types import require_types
from ts_migration.stages.trace import Sides
from ts_migration.stages.ways import way_made
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
        Permanent: the token, the bucket or the mapping is wrong; or converted files are not what was written any more,
            and the window is to be converted again.
        Transient: InfluxDB or S3 failed for now, after all retries.
    """
    own = place.window(window.key)
    converted = _conversion(job, own, window, mapping, bucket)
    started = time.monotonic()
    chosen = policy or RetryPolicy()
    with ThreadPoolExecutor(1, thread_name_prefix="load-objects") as pool:
        allowed = pool.submit(require_no_rollback, bucket, place)
        way = way_made(converted)
        info = retrying(lambda: way.ensure_bucket(job, bucket, target), chosen)
        current = current_load(job, place, window, bucket, target.org, info.id)
        if current is not None:
            return current
        allowed.result()
        require_room(target, info, window)
        load = Load(job, own, window, converted, bucket, target, info, chosen)
        shipment = pool.submit(way.shipment, load)
        ledger, intent, held = retrying(
            lambda: _begin(job, place, window, converted, mapping, bucket, target, info, journals), chosen
        )
    resumed = len(ledger.acknowledged)
    try:
        sent = _send(load, shipment.result(), ledger, progress, held=held)
    except Permanent as error:
        raise _files_at_fault(error, way, converted, own, bucket) from error
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
        bytes=sent.bytes,
        requests=sent.requests,
        retries=sent.retries,
        resumed_members=resumed,
        refused_lines=len(ledger.refused),
        connections=sent.connections,
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
) -> tuple[Ledger, LoadIntent, bool]:
    """Look at what is there, refuse or copy what is mixed with, and leave the intent before the first byte.

    Returns:
        The ledger, the intent, and whether the window holds points now.
    """
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
        return Ledger(bucket, own, converted.digest, info.id, journals), intent, bool(found)
    ledger = Ledger.open(bucket, own, converted.digest, info.id, journals)
    if ledger.acknowledged and not found:
        # Somebody deleted the points since: what was acknowledged is not there any more.
        ledger.forget()
    return ledger, intent, bool(found)


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


def _files_at_fault(
    error: Permanent, way: LoadWay, converted: LineProtocolManifest, own: WindowPlace, bucket: ExportBucket
) -> Permanent:
    """What a load failed for. Where its files are not what was written, the window is to be converted again."""
    if not way.spoiled(bucket, converted):
        return error
    forget_conversion(bucket, own)
    return Missing(
        f"{error.what}; the window's converted files count no longer",
        where=error.where,
        next_step="`ts-migration execute` converts the window again, from its export",
    )


def _send(load: Load, shipment: Shipment, ledger: Ledger, progress: Listener | None, *, held: bool) -> Sent:
    """Send every member that is not in the ledger; what was acknowledged is remembered whatever happens."""
    waiting = [number for number in range(len(shipment.lines)) if number not in ledger.acknowledged]
    done = sum(shipment.lines[number] for number in ledger.acknowledged)
    window, points = load.converted.window.key, load.converted.points

    def delivered(each: Delivered) -> None:
        nonlocal done
        ledger.add(each)
        if shipment.keeps_each:
            ledger.write()
        done += each.lines
        if progress:
            progress(Progress(STAGE, window, done, points, shipment.sent_bytes))

    ledger.begin(len(waiting))
    try:
        return shipment.send(waiting, ledger, delivered, held=held)
    except BaseException:
        ledger.write()
        raise


def _keep_refused(bucket: ExportBucket, own: WindowPlace, ledger: Ledger) -> None:
    """The lines that the server refused, with its words, as NDJSON; none from an earlier load are left behind."""
    if not ledger.refused:
        bucket.delete(own.refused)
        return
    bucket.put(own.refused, refused_bytes(ledger.refused))
