"""What a failed window has to do again: the stage that the checks blame and everything after it, nothing before it.

Without this a window whose bucket was spoiled would stay failed for ever: its load manifest still stands, so running it
again would do nothing. Points are written again, never deleted: what is too many in the bucket is somebody's to judge.
Neither is an export: it may be the only copy of rows that the source no longer holds. `stages.export` replaces it.
"""

from ts_migration.influxdb.ledger import intent_key
from ts_migration.manifests import ExportManifest, LineProtocolManifest, VerdictsManifest, read_manifest
from ts_migration.objects import ExportBucket, WindowPlace
from ts_migration.stages.currency import files_are_there, parts_are_there
from ts_migration.validation.verdict import STAGES, Check, Stage, Status

_STAGES = {Stage.EXPORT: "export", Stage.CONVERSION: "line_protocol", Stage.LOAD: "load"}
"""Stage -> name of its manifest, in the order of the flow. A source that changed is exported anew."""


def forget_broken_stages(bucket: ExportBucket, place: WindowPlace, since: Stage) -> Stage | None:
    """Drop the manifests of the earliest stage that failed verdicts blame and of those after it, the export excepted.

    A check that blames none is taken to blame the export. Where that is blamed (or the source, which changed), or the
    files that the blamed stage reads are gone, nothing is dropped: the caller exports anew, and what was made from the
    old export falls with it, by its parent's digest. Verdicts about an export that was replaced since blame nothing.

    Args:
        bucket: the export bucket.
        place: of the window.
        since: the stage that runs now; where an earlier one is blamed nothing is dropped, for it would not run.

    Returns:
        The earliest stage to be done again; None where there is none.
    """
    first = first_to_be_done(bucket, place)
    order = list(_STAGES)
    if first is None or order.index(first) < order.index(since):
        return None
    if first is Stage.EXPORT:
        return first
    _forget_from(first, bucket, place)
    return first


def forget_what_follows_the_export(bucket: ExportBucket, place: WindowPlace) -> Stage | None:
    """Have a window converted and loaded again from the export that there is, because a new one was refused.

    Where rows have expired in the source the export is their only copy; a bucket that is not what it says can still be
    made so.

    Returns:
        The stage to begin with; None where the bucket is what the export says, or the files are gone.
    """
    verdicts = read_manifest(VerdictsManifest, bucket, place.verdicts)
    export = read_manifest(ExportManifest, bucket, place.manifest(_STAGES[Stage.EXPORT]))
    failed = {each.check for each in verdicts.verdicts if not each.passed} if verdicts else set()
    if export is None or Check.CHECKSUM not in failed:
        return None
    begins = next((each for each in (Stage.CONVERSION, Stage.LOAD) if _can_begin_at(each, bucket, place, export)), None)
    if begins is not None:
        _forget_from(begins, bucket, place)
    return begins


def first_to_be_done(bucket: ExportBucket, place: WindowPlace) -> Stage | None:
    """The first stage that has to be done again: the earliest that failed verdicts blame and whose files are there.

    None where no check has failed, or what was judged was replaced since.
    """
    verdicts = read_manifest(VerdictsManifest, bucket, place.verdicts)
    if verdicts is None or verdicts.status != Status.FAILED.value:
        return None
    export = read_manifest(ExportManifest, bucket, place.manifest(_STAGES[Stage.EXPORT]))
    if export is None or export.digest != verdicts.export:
        return None
    blamed = [Stage(each.stage) if each.stage else Stage.EXPORT for each in verdicts.verdicts if not each.passed]
    first = min(blamed, key=STAGES.index, default=Stage.EXPORT)
    return first if _can_begin_at(first, bucket, place, export) else Stage.EXPORT


def _can_begin_at(stage: Stage, bucket: ExportBucket, place: WindowPlace, export: ExportManifest) -> bool:
    """Whether the files that a stage reads are still there: after the final cleanup only a new export gives them."""
    if stage in (Stage.SOURCE, Stage.EXPORT):
        return False
    if stage is Stage.CONVERSION:
        return files_are_there(bucket, export)
    converted = read_manifest(LineProtocolManifest, bucket, place.manifest(_STAGES[Stage.CONVERSION]))
    return converted is not None and parts_are_there(bucket, place, converted)


def forget_conversion(bucket: ExportBucket, place: WindowPlace) -> None:
    """Have a window converted, loaded and checked again from its export: what lies converted cannot be sent."""
    _forget_from(Stage.CONVERSION, bucket, place)


def forget_load(bucket: ExportBucket, place: WindowPlace) -> None:
    """Have a window loaded and checked again, though its load stands: what the server refused then it may take now."""
    bucket.delete(place.verdicts)
    bucket.delete(place.manifest(_STAGES[Stage.LOAD]))
    _forget_acknowledgements(bucket, place)


def _forget_from(first: Stage, bucket: ExportBucket, place: WindowPlace) -> None:
    order = list(_STAGES)
    for stage in order[order.index(first) :]:
        bucket.delete(place.manifest(_STAGES[stage]))
    _forget_acknowledgements(bucket, place)
    bucket.delete(place.verdicts)


def _forget_acknowledgements(bucket: ExportBucket, place: WindowPlace) -> None:
    """Empty the ledger but for the intent, which knows that the range was this job's from the beginning."""
    for found in list(bucket.list(place.ledger)):
        if found.key != intent_key(place):
            bucket.delete(found.key)
