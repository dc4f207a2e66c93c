"""Blocks of many series side by side in columns, so that a hundred thousand small series cost no more than one large.

Reads through `points` only; what is done with the columns is the caller's.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.influxql.conditions import decided_by_tags
from ts_migration.local.influxdb.influxql.expressions import holds
from ts_migration.local.influxdb.influxql.frames import Column, Mask, nulls
from ts_migration.local.influxdb.influxql.plan import Plan
from ts_migration.local.influxdb.influxql.schema import pick
from ts_migration.local.influxdb.influxql.syntax import Expr, VarRef
from ts_migration.local.influxdb.points import FieldColumn, FieldType, SeriesBlock


class Batch:
    """Blocks one below the other; their columns are joined when they are asked for."""

    def __init__(self, blocks: Sequence[SeriesBlock]) -> None:
        self.blocks = blocks
        self.lengths = np.fromiter((len(block.times) for block in blocks), np.int64, len(blocks))
        self.count = int(self.lengths.sum())
        self._known: dict[VarRef, Column | None] = {}

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """Times of all rows."""
        return self.blocks[0].times if len(self.blocks) == 1 else np.concatenate([b.times for b in self.blocks])

    def column(self, reference: Expr) -> Column | None:
        """A field or a tag; None where no row has it."""
        if not isinstance(reference, VarRef):
            raise TypeError(f"{reference!r} is no column")
        if reference not in self._known:
            found = None
            if reference.type == "tag":
                found = self._tag(reference.name)
            elif reference.type is not None:
                found = self._field(reference.name, FieldType(reference.type))
            self._known[reference] = found
        return self._known[reference]

    def _tag(self, key: str) -> Column:
        values = np.empty(len(self.blocks), object)
        valid = np.ones(len(self.blocks), np.bool_)
        for number, block in enumerate(self.blocks):
            text = next((value for name, value in block.series.tags if name == key), None)
            values[number] = text
            valid[number] = text is not None
        repeated = np.repeat(values, self.lengths)
        return Column(FieldType.STRING, repeated, None if valid.all() else np.repeat(valid, self.lengths))

    def _field(self, name: str, type_: FieldType) -> Column | None:
        if len(self.blocks) == 1:
            return pick(self.blocks[0].columns, name, type_, self.count)
        place = next((at for at, column in enumerate(self.blocks[0].columns) if column.name == name), 0)
        values: list[npt.NDArray[Any]] = []
        masks: dict[int, Mask] = {}
        for number, block in enumerate(self.blocks):
            column = _whole(block, place, name, type_)
            if column is None:
                count = len(block.times)
                made = pick(block.columns, name, type_, count) or nulls(count, type_)
                if made.valid is not None:
                    masks[number] = made.valid
                values.append(made.values)
            else:
                values.append(column.values)
        if not masks:
            return Column(type_, np.concatenate(values))
        valid = [
            masks[number] if number in masks else np.ones(len(part), np.bool_) for number, part in enumerate(values)
        ]
        return Column(type_, np.concatenate(values), np.concatenate(valid))

    def rows(self, plan: Plan, driving: Iterable[VarRef]) -> Mask | None:
        """Rows that the condition lets through and in which a selected field has a value; None for all."""
        kept: Mask | None = None
        masks: list[Mask] = []
        for reference in driving:
            column = self.column(reference)
            if column is None:
                continue
            if column.valid is None:
                masks = []
                break
            masks.append(column.valid)
        else:
            kept = np.logical_or.reduce(masks) if masks else np.zeros(self.count, np.bool_)
        if plan.condition is not None and not decided_by_tags(plan.condition, plan.schema.fields):
            true = holds(plan.condition, lambda expr: self._of_condition(expr, plan), self.count)
            kept = true if kept is None else kept & true
        return None if kept is None or kept.all() else kept

    def _of_condition(self, expr: Expr, plan: Plan) -> Column | None:
        if not isinstance(expr, VarRef):
            return None
        type_ = plan.schema.fields.get(expr.name)
        if expr.type == "tag" or type_ is None:
            column = self._tag(expr.name)
            if column.valid is not None:
                column.values[~column.valid] = ""
            return Column(FieldType.STRING, column.values)
        return self.column(VarRef(expr.name, type_.value))


def _whole(block: SeriesBlock, place: int, name: str, type_: FieldType) -> FieldColumn | None:
    """The column where neighbouring series have it, if it is of the type, without nulls and alone under its name."""
    columns = block.columns
    if place >= len(columns):
        return None
    column = columns[place]
    if column.name != name or column.type is not type_ or column.valid is not None:
        return None
    if (place and columns[place - 1].name == name) or (place + 1 < len(columns) and columns[place + 1].name == name):
        return None
    return column


def portions(blocks: Iterable[SeriesBlock], rows: int) -> Iterator[list[SeriesBlock]]:
    """Neighbouring blocks in lists of about so many rows."""
    portion: list[SeriesBlock] = []
    held = 0
    for block in blocks:
        portion.append(block)
        held += len(block.times)
        if held >= rows:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion
