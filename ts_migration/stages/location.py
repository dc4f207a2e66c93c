"""Where a failed window broke: suspects of every kind are found, looked for everywhere, and put into order.

Nothing is looked at where both sides agree and the sample has no fault.
"""

from dataclasses import dataclass, replace

from ts_migration.errors import Permanent
from ts_migration.stages.narrowing import source_suspects
from ts_migration.stages.trace import Places, trace
from ts_migration.validation.blame import NOT_LOOKED, Trails
from ts_migration.validation.differences import Differences
from ts_migration.validation.readings import Reading
from ts_migration.validation.sample import faults_of
from ts_migration.validation.trails import NOTHING, Kind, Place, Seen, Suspect
from ts_migration.validation.verdict import EVIDENCE_ROWS


@dataclass(frozen=True)
class Location:
    """What differs, its lines made from what every place has; and the trails."""

    differences: Differences | None
    trails: Trails = NOT_LOOKED


def locate(places: Places, reading: Reading, differences: Differences | None) -> Location:
    """Look for the first values that differ in every place.

    Args:
        places: of the window.
        reading: both sides of it.
        differences: between export and bucket, where there are any and they could be told.

    Raises:
        Transient: a place failed for now.
    """
    differing = differences.first if differences else ()
    sampled = _sample_suspects(reading)
    source = _source_suspects(places, reading)
    if not differing and not sampled and not source:
        return Location(differences)
    found = trace(places, [*differing, *sampled, *source])
    first, second = len(differing), len(differing) + len(sampled)
    trails = Trails(found[:first], found[first:second], found[second:])
    if differences is not None and trails.differing:
        heads = [line for line in differences.lines if line.split(": ")[0] not in tuple(Kind)]
        lines = [*heads, *(trail.line for trail in trails.differing)]
        differences = replace(differences, lines=tuple(lines[:EVIDENCE_ROWS]))
    return Location(differences, trails)


def _source_suspects(places: Places, reading: Reading) -> tuple[Suspect, ...]:
    """Where the counts of the source and the export disagree, and not by what was kept out."""
    source, export = reading.source, reading.export
    kept_out = export.quarantined + export.dropped
    fields = source.values.keys() | export.values.keys()
    off = [source.values.get(field, 0) - export.values.get(field, 0) for field in fields]
    if source.rows == export.rows and all(0 <= each <= kept_out for each in off):
        return ()
    try:
        return source_suspects(places)
    except Permanent:
        # The files are gone, or Timestream cannot tell: the counts stand, the rows cannot be named.
        return ()


def _sample_suspects(reading: Reading) -> tuple[Suspect, ...]:
    """The sample's faults in their order; Timestream was asked for them, the bucket was read."""
    suspects = []
    for fault in faults_of(reading)[:EVIDENCE_ROWS]:
        value, at = fault.value, (fault.value.key, fault.time_ns)
        held = reading.target.sample.get(at)
        known = {
            Place.SOURCE: Seen(value.bits, value.value),
            Place.BUCKET: Seen(*held) if held else NOTHING,
        }
        kind = Kind.CHANGED if held else Kind.MISSING
        suspects.append(Suspect(kind, value.key, fault.time_ns, value.point, value.tags, known))
    return tuple(suspects)
