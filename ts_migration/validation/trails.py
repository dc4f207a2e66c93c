"""What every place has of one value that is suspected, and which stage broke it: the first link where it changes.

Values and rules only: how the places are looked at is in `stages.trace`, what verdicts make of it in `blame`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from ts_migration.validation.verdict import STAGES, Stage
from ts_migration.windows import iso


class Place(StrEnum):
    """Where a value is looked for, in the order of the flow."""

    SOURCE = "Timestream"
    EXPORT = "export"
    LINE_PROTOCOL = "line protocol"
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one place has of a value: its typed bits and its text, nothing (no bits), or why it was not looked at."""

    bits: int | None = None
    text: str = ""
    unseen: str = ""

    @property
    def words(self) -> str:
        """For people, after the name of the place."""
        if self.unseen:
            return f"not looked at ({self.unseen})"
        return "has nothing" if self.bits is None else f"has {self.text}"


NOTHING = Seen()


class Kind(StrEnum):
    """How a value differs, as seen from the side that comes first in the flow."""

    CHANGED = "changed"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A value that two places disagree about.

    Attributes:
        kind: how.
        key: mix(k) of lane 0, see `point_values`.
        time_ns: of the point.
        point: series and field for people.
        tags: of the series.
        known: what is known of it already.
    """

    kind: Kind
    key: int
    time_ns: int
    point: str
    tags: Mapping[str, str]
    known: Mapping[Place, Seen]

    @property
    def at(self) -> tuple[int, int]:
        """What tells it from every other value of a window."""
        return self.key, self.time_ns


@dataclass(frozen=True)
class Trail:
    """A suspect with what each place has of it.

    `intact` tells whether the export is what UNLOAD's own manifest says; None where that cannot be told. `files` is
    what people call what the export was converted to.
    """

    suspect: Suspect
    seen: Mapping[Place, Seen] = field(default_factory=dict)
    intact: bool | None = None
    files: str = Place.LINE_PROTOCOL.value

    @property
    def stage(self) -> Stage | None:
        """The first link where the value changes; None where no two neighbours that were looked at differ."""
        return next(iter(self._links), None)

    @property
    def _links(self) -> list[Stage | None]:
        """Every link where the value changes; None for one that spans a place that was not looked at."""
        places = [place for place in Place if place in self.seen and not self.seen[place].unseen]
        links: list[Stage | None] = []
        for one, other in pairwise(places):
            if self.seen[one].bits == self.seen[other].bits:
                continue
            match one, other:
                case Place.SOURCE, Place.EXPORT:
                    links.append(Stage.SOURCE if self.intact else Stage.EXPORT)
                case Place.EXPORT, Place.LINE_PROTOCOL:
                    links.append(Stage.CONVERSION)
                case Place.LINE_PROTOCOL, Place.BUCKET:
                    links.append(Stage.LOAD)
                case _:
                    links.append(None)
        return links

    @property
    def _as_well(self) -> str:
        """Further links that broke it; none where the bucket has what Timestream has: applications wrote to both."""
        if self.seen[Place.BUCKET].bits == self.seen[Place.SOURCE].bits:
            return ""
        return "".join(f", and by the {stage.value} as well" for stage in self._links[1:] if stage)

    @property
    def verdict(self) -> str:
        """The blame in words, "" where none can be told."""
        return self._first_blame + self._as_well if self.stage else ""

    @property
    def _first_blame(self) -> str:
        match self.stage:
            case None:
                return ""
            case Stage.SOURCE:
                return f"; the source changed after the export ({self._change}): the files are as UNLOAD wrote them"
            case Stage.EXPORT if self.intact is None:
                return "; broken by the export, or the source changed after it: UNLOAD's own manifest is not kept"
            case stage:
                return f"; broken by the {stage.value}"

    @property
    def _change(self) -> str:
        if self.seen[Place.EXPORT].bits is None:
            return "a late arrival"
        return "expired or deleted" if self.seen[Place.SOURCE].bits is None else "another version of the row"

    @property
    def line(self) -> str:
        """One line of evidence: the point, its time, the value at every place, and the blame."""
        names = {place: place.value for place in Place} | {Place.LINE_PROTOCOL: self.files}
        told = ", ".join(f"{names[place]} {self.seen[place].words}" for place in Place if place in self.seen)
        return f"{self.suspect.kind.value}: {self.suspect.point} at {iso(self.suspect.time_ns)}: {told}{self.verdict}"


def earliest(stages: Iterable[Stage | None]) -> Stage | None:
    """The one that comes first in the flow."""
    return min((stage for stage in stages if stage), key=STAGES.index, default=None)
