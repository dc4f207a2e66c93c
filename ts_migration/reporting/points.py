"""The differing points of a check's evidence as rows of a table. The lines are made in `validation`.

For people only: where a line is not one of a point, or has changed its words, it is shown as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["changed", "missing", "extra"]

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_CHECKSUM = (
    ("changed", re.compile(rf"changed: (.+?) at ({_TIME}): expected (.+), bucket has (.+)", re.S)),
    ("missing", re.compile(rf"missing: (.+?) at ({_TIME}): expected (.+)()", re.S)),
    ("extra", re.compile(rf"extra: (.+?) at ({_TIME}): ()bucket has (.+)", re.S)),
)
_SAMPLE = re.compile(rf"(.+?) at ({_TIME}): Timestream has (.+), bucket has (.+)", re.S)
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PointDifference:
    """One value that differs: its series and field, its time, and what both sides hold ("" for nothing)."""

    kind: Kind
    point: str
    time: str
    expected: str
    actual: str


def point_difference(line: str) -> PointDifference | None:
    """The point that a line of evidence tells of, or None where it is another kind of line."""
    for kind, pattern in _CHECKSUM:
        if found := pattern.fullmatch(line):
            return PointDifference(kind, *found.groups())  # type: ignore[arg-type]
    if found := _SAMPLE.fullmatch(line):
        point, time, expected, actual = found.groups()
        gone = actual == _NOTHING
        return PointDifference("missing" if gone else "changed", point, time, expected, "" if gone else actual)
    return None


def split_evidence(lines: Sequence[str]) -> tuple[tuple[PointDifference, ...], tuple[str, ...]]:
    """The points that lines of evidence tell of, and the other lines."""
    points, others = [], []
    for line in lines:
        point = point_difference(line)
        if point:
            points.append(point)
        else:
            others.append(line)
    return tuple(points), tuple(others)
