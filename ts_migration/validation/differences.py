"""Which values differ between the export and the bucket: missing, extra or changed, with both values of the first ones.

Pure comparison of two tables of values; which part of a window they cover, and where they come from, is in
`stages.pinpoint`; what other places have of the first ones, in `trails`.
"""

from dataclasses import dataclass

import polars as pl

from ts_migration.validation.point_values import BlockPoints, FramePoints, NamedValue
from ts_migration.validation.trails import NOTHING, Kind, Place, Seen, Suspect
from ts_migration.validation.verdict import EVIDENCE_ROWS
from ts_migration.windows import iso


@dataclass(frozen=True)
class Differences:
    """Values that differ.

    Attributes:
        missing: in the export and not in the bucket.
        extra: in the bucket and not in the export.
        changed: in both with another value or type.
        lines: the first of them for people, at most 20.
        first: the first of each kind, at most 20 a kind, to be looked for elsewhere.
        complete: whether all of the window that differs was compared, not only the first part.
        extra_span: times of the first and the last extra value, ns; None where there is none.
    """

    missing: int = 0
    extra: int = 0
    changed: int = 0
    lines: tuple[str, ...] = ()
    complete: bool = True
    extra_span: tuple[int, int] | None = None
    first: tuple[Suspect, ...] = ()

    def __add__(self, other: "Differences") -> "Differences":
        spans = [span for span in (self.extra_span, other.extra_span) if span]
        return Differences(
            self.missing + other.missing,
            self.extra + other.extra,
            self.changed + other.changed,
            (self.lines + other.lines)[:EVIDENCE_ROWS],
            self.complete and other.complete,
            (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None,
            tuple(
                suspect
                for kind in Kind
                for suspect in [one for one in (*self.first, *other.first) if one.kind is kind][:EVIDENCE_ROWS]
            ),
        )

    @property
    def only_extra(self) -> bool:
        """All of what differs is too much: nothing is missing, nothing has another value."""
        return self.complete and self.extra > 0 and not self.missing and not self.changed

    @property
    def moved(self) -> bool:
        """Some of what differs is missing and some is too much: values of another time, series or field."""
        return self.missing > 0 and self.extra > 0

    @property
    def summary(self) -> str:
        """The three numbers in words."""
        words = f"{self.missing:,} missing, {self.extra:,} extra, {self.changed:,} changed values"
        return words if self.complete else f"at least {words}"


def compare(expected: FramePoints, actual: BlockPoints) -> Differences:
    """Compare two sets of values by series, field and time."""
    keys = ["key", "time"]
    left, right = expected.table(), actual.table()
    missing = left.join(right, on=keys, how="anti").sort("time")
    extra = right.join(left, on=keys, how="anti").sort("time")
    changed = left.join(right, on=keys, how="inner", suffix="_actual").filter(pl.col("bits") != pl.col("bits_actual"))
    changed = changed.sort("time")
    doubled = len(left) - len(left.unique(keys))
    first = [
        *_suspects(Kind.CHANGED, changed, expected, actual),
        *_suspects(Kind.MISSING, missing, expected, None),
        *_suspects(Kind.EXTRA, extra, None, actual),
    ]
    lines = [_line(suspect) for suspect in first]
    if doubled:
        lines.insert(0, f"{doubled:,} values of the export share series, field and time with another one")
    # Both are sorted by time.
    span = None if extra.is_empty() else (extra.item(0, "time"), extra.item(-1, "time"))
    told = tuple(lines[:EVIDENCE_ROWS])
    return Differences(len(missing), len(extra), len(changed), told, extra_span=span, first=tuple(first))


def _suspects(
    kind: Kind, table: pl.DataFrame, expected: FramePoints | None, actual: BlockPoints | None
) -> list[Suspect]:
    """The first values of a table with what either side has of them; None for a side that has nothing."""
    found = []
    other = "_actual" if expected else ""
    for row in table.head(EVIDENCE_ROWS).iter_rows(named=True):
        one = expected.named(row["part"], row["field"], row["row"]) if expected else None
        two = actual.named(row["part" + other], row["field" + other], row["row" + other]) if actual else None
        named = one or two
        assert named is not None  # noqa: S101 - one of the sides is given
        known = {
            Place.EXPORT: _seen(row["bits"], one),
            Place.BUCKET: _seen(row["bits" + other], two) if two else NOTHING,
        }
        found.append(Suspect(kind, row["key"], row["time"], named.point, named.tags, known))
    return found


def _seen(bits: int, named: NamedValue | None) -> Seen:
    return NOTHING if named is None else Seen(bits, named.value)


def _line(suspect: Suspect) -> str:
    """What the two sides that were compared have."""
    expected, actual = suspect.known[Place.EXPORT], suspect.known[Place.BUCKET]
    told = [f"expected {expected.text}"] * (expected != NOTHING) + [f"bucket has {actual.text}"] * (actual != NOTHING)
    return f"{suspect.kind.value}: {suspect.point} at {iso(suspect.time_ns)}: {', '.join(told)}"
