"""Which values differ between the export and the bucket: missing, extra or changed, with both values of the first ones.

Pure comparison of two tables of values; which part of a window they cover, and where they come from, is in
`stages.check`.
"""

from dataclasses import dataclass

import polars as pl

from ts_migration.validation.point_values import BlockPoints, FramePoints
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
        complete: whether all of the window that differs was compared, not only the first part.
        extra_span: times of the first and the last extra value, ns; None where there is none.
    """

    missing: int = 0
    extra: int = 0
    changed: int = 0
    lines: tuple[str, ...] = ()
    complete: bool = True
    extra_span: tuple[int, int] | None = None

    def __add__(self, other: "Differences") -> "Differences":
        spans = [span for span in (self.extra_span, other.extra_span) if span]
        return Differences(
            self.missing + other.missing,
            self.extra + other.extra,
            self.changed + other.changed,
            (self.lines + other.lines)[:EVIDENCE_ROWS],
            self.complete and other.complete,
            (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None,
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
    lines = [
        f"changed: {named.point} at {iso(row['time'])}: expected {named.value}, bucket has {found.value}"
        for row in changed.head(EVIDENCE_ROWS).iter_rows(named=True)
        for named in [expected.named(row["part"], row["field"], row["row"])]
        for found in [actual.named(row["part_actual"], row["field_actual"], row["row_actual"])]
    ]
    lines += [
        f"missing: {named.point} at {iso(row['time'])}: expected {named.value}"
        for row in missing.head(EVIDENCE_ROWS).iter_rows(named=True)
        for named in [expected.named(row["part"], row["field"], row["row"])]
    ]
    lines += [
        f"extra: {named.point} at {iso(row['time'])}: bucket has {named.value}"
        for row in extra.head(EVIDENCE_ROWS).iter_rows(named=True)
        for named in [actual.named(row["part"], row["field"], row["row"])]
    ]
    if doubled:
        lines.insert(0, f"{doubled:,} values of the export share series, field and time with another one")
    # Both are sorted by time.
    span = None if extra.is_empty() else (extra.item(0, "time"), extra.item(-1, "time"))
    return Differences(len(missing), len(extra), len(changed), tuple(lines[:EVIDENCE_ROWS]), extra_span=span)
