"""Rows of an answer in columns: what execution hands to the writers.

No query semantics and no output format belong here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.points import FieldType

Tags = tuple[tuple[str, str], ...]
Mask = npt.NDArray[np.bool_]

DTYPES: dict[FieldType, Any] = {
    FieldType.FLOAT: np.float64,
    FieldType.INTEGER: np.int64,
    FieldType.UNSIGNED: np.uint64,
    FieldType.STRING: object,
    FieldType.BOOLEAN: np.bool_,
}


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one type; `valid` is None where every row has one, else False marks a null."""

    type: FieldType
    values: npt.NDArray[Any]
    valid: Mask | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | npt.NDArray[Any]) -> "Column":
        """Some of the rows, by a slice, a mask or positions."""
        return Column(self.type, self.values[rows], None if self.valid is None else self.valid[rows])

    @property
    def mask(self) -> Mask:
        """Which rows have a value."""
        return np.ones(len(self.values), np.bool_) if self.valid is None else self.valid


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows [start, stop) of a frame: one series of the answer, or a piece of it that `partial` says goes on."""

    name: str
    tags: Tags
    start: int
    stop: int
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows of one or several series. `names` begin with that of the time where `times` (int64 ns) is not None."""

    names: tuple[str, ...]
    times: npt.NDArray[np.int64] | None
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer of one statement; `chained` results say that another of the same statement follows."""

    frames: Iterator[Frame]
    chained: bool = True


def nulls(count: int, type_: FieldType = FieldType.FLOAT) -> Column:
    """A column without values."""
    return Column(type_, np.zeros(count, DTYPES[type_]), np.zeros(count, np.bool_))


def constant(value: str, count: int) -> Column:
    """A column of one text."""
    values = np.empty(count, object)
    values[:] = value
    return Column(FieldType.STRING, values)


def texts(values: Sequence[str]) -> Column:
    """A column of texts."""
    found = np.empty(len(values), object)
    found[:] = values
    return Column(FieldType.STRING, found)


def joined(columns: Sequence[Column]) -> Column:
    """Columns of one type, one below the other."""
    if len(columns) == 1:
        return columns[0]
    values = np.concatenate([column.values for column in columns])
    if all(column.valid is None for column in columns):
        return Column(columns[0].type, values)
    return Column(columns[0].type, values, np.concatenate([column.mask for column in columns]))


def cut(frame: Frame, chunk: int) -> Frame:
    """The frame with its segments cut into pieces of at most `chunk` rows, all but the last of each partial."""
    if all(segment.stop - segment.start <= chunk for segment in frame.segments):
        return frame
    pieces = [
        Segment(
            segment.name,
            segment.tags,
            start,
            min(start + chunk, segment.stop),
            segment.partial or start + chunk < segment.stop,
        )
        for segment in frame.segments
        for start in range(segment.start, segment.stop, chunk)
    ]
    return Frame(frame.names, frame.times, frame.columns, tuple(pieces))


def table(names: Sequence[str], columns: Sequence[Column], name: str = "") -> Frame:
    """A frame of one series without times, as SHOW answers."""
    count = len(columns[0]) if columns else 0
    return Frame(tuple(names), None, tuple(columns), (Segment(name, (), 0, count),))
