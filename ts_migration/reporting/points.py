"""The differing points of a check's evidence as rows of a table. The lines are made in `validation`.

For people only: where a line is not one of a point, or has changed its words, it is shown as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_LINE = re.compile(rf"(?:(changed|missing|extra): )?(.+?) at ({_TIME}): (.+)", re.DOTALL)
_PLACES = "Timestream|export|line protocol|shard file|bucket"
_NEXT_PLACE = re.compile(rf"(?<=[)g]), (?=(?:{_PLACES}) (?:has |not looked at ))")
"""Behind `1.5 (float)` or `nothing`: a comma inside of a string is none of ours."""
_BLAME = re.compile(r"; (?=broken by |the source changed)")
_AT_A_PLACE = re.compile(rf"({_PLACES}) (?:has (.+)|(not looked at .+))", re.DOTALL)
_EXPECTED = "expected "
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PointDifference:
    """One value that differs.

    Attributes:
        kind: changed, missing or extra.
        point: its series and field.
        time: of the point, RFC 3339.
        expected: what should be there; "" for nothing.
        actual: what the bucket has; "" for nothing.
        trail: what each place has, where more than two were looked at, and what that tells.
    """

    kind: str
    point: str
    time: str
    expected: str
    actual: str
    trail: str = ""


def point_difference(line: str) -> PointDifference | None:
    """The point that a line of evidence tells of, or None where it is another kind of line."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    kind, point, time, told = found.groups()
    values, *blame = _BLAME.split(told)
    expected, places = _values(values)
    if expected is None and "bucket" not in places:
        return None
    # The first place that was looked at and is not the bucket is what the bucket is held against.
    first = next((value for place, value in places.items() if place != "bucket" and not _unseen(value)), "")
    wanted, actual = expected or first, places.get("bucket", "")
    return PointDifference(
        kind=kind or ("changed" if actual else "missing"),
        point=point,
        time=time,
        expected=wanted,
        actual=actual,
        trail=told if len(places) > 2 else "; ".join(blame),
    )


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


def _values(text: str) -> tuple[str | None, dict[str, str]]:
    """What was expected, where the text says so, and place -> what it has, "" for nothing."""
    expected = None
    places: dict[str, str] = {}
    for part in _NEXT_PLACE.split(text):
        if part.startswith(_EXPECTED) and not places and expected is None:
            expected = part.removeprefix(_EXPECTED)
        elif at := _AT_A_PLACE.fullmatch(part):
            place, value, unseen = at.groups()
            places[place] = unseen or ("" if value == _NOTHING else value)
    return expected, places


def _unseen(value: str) -> bool:
    return value.startswith("not looked at")
