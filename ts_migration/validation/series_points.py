"""Points of a bucket by series, and the small changes of them that an audit of the checks needs. Values only.

Which changes are made is in `mutations`.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.line_protocol.mapping import FieldType

Points = tuple[Block, ...]
"""One block a series, times ascending."""

_DTYPES: dict[FieldType, Any] = {
    FieldType.FLOAT: np.float64,
    FieldType.INTEGER: np.int64,
    FieldType.BOOLEAN: np.bool_,
    FieldType.STRING: object,
}


def whole_series(blocks: Iterable[Block]) -> Points:
    """Blocks as they were read, those of one series joined."""
    return tuple(_joined(list(group)) for _, group in groupby(blocks, key=lambda block: sorted(block.tags.items())))


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    kinds = {column.field: column.kind for block in blocks for column in block.columns}
    columns = []
    for field, kind in kinds.items():
        parts = [column_of(block, field, kind) for block in blocks]
        values = np.concatenate([part.values for part in parts])
        columns.append(BlockColumn(field, kind, values, np.concatenate([mask(part) for part in parts])))
    times = np.concatenate([block.times for block in blocks])
    return Block(blocks[0].measurement, blocks[0].tags, times, tuple(columns))


def column_of(block: Block, field: str, kind: FieldType) -> BlockColumn:
    """A field of a series; one without a single value where the series has none."""
    for column in block.columns:
        if column.field == field:
            return column
    size = len(block.times)
    return BlockColumn(field, kind, np.zeros(size, _DTYPES[kind]), np.zeros(size, np.bool_))


def mask(column: BlockColumn) -> npt.NDArray[np.bool_]:
    """Which points have a value."""
    return np.ones(len(column.values), np.bool_) if column.valid is None else column.valid


def only(block: Block, rows: npt.NDArray[Any] | slice) -> Block:
    """Some points of a series, by their positions or a mask."""
    columns = tuple(
        replace(column, values=column.values[rows], valid=None if column.valid is None else column.valid[rows])
        for column in block.columns
    )
    return replace(block, times=block.times[rows], columns=columns)


def without(block: Block, row: int) -> Block:
    """A series without one point."""
    return only(block, np.arange(len(block.times)) != row)


def with_column(block: Block, column: BlockColumn) -> Block:
    """A series with a field changed or added."""
    others = [each for each in block.columns if each.field != column.field]
    return replace(block, columns=(*others, column))


def with_value(block: Block, column: BlockColumn, row: int, value: Any) -> Block:
    """A series with one value of one field changed or added."""
    values, valid = column.values.copy(), mask(column).copy()
    values[row], valid[row] = value, True
    return with_column(block, replace(column, values=values, valid=valid))


def replaced(points: Points, old: Block, *new: Block) -> Points:
    """All series, one of them replaced."""
    return tuple(each for block in points for each in (new if block is old else (block,)))


def point_text(block: Block, row: int) -> tuple[tuple[str, str, str], ...]:
    """The values of one point, comparable."""
    return tuple(
        sorted(
            (column.field, column.kind.value, repr(column.values[row])) for column in block.columns if mask(column)[row]
        )
    )
