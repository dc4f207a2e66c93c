"""Tables of a Flux stream: typed columns, a group key, and nothing that knows a function of Flux.

A column of one repeated value is a broadcast array (stride 0): it costs nothing to make and the CSV writer and the
aggregates see at a glance that it is constant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import total_ordering
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ts_migration.local.influxdb.flux.values import Time, UInt
from ts_migration.local.influxdb.points import FieldType

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class ColumnType(StrEnum):
    """The types a column can have, named as error messages of Flux name them."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    STRING = "string"
    TIME = "time"


DTYPES: Final[dict[ColumnType, Any]] = {
    ColumnType.BOOL: np.bool_,
    ColumnType.INT: np.int64,
    ColumnType.UINT: np.uint64,
    ColumnType.FLOAT: np.float64,
    ColumnType.STRING: object,
    ColumnType.TIME: np.int64,
}
OF_FIELD: Final = {
    FieldType.FLOAT: ColumnType.FLOAT,
    FieldType.INTEGER: ColumnType.INT,
    FieldType.UNSIGNED: ColumnType.UINT,
    FieldType.STRING: ColumnType.STRING,
    FieldType.BOOLEAN: ColumnType.BOOL,
}
STORAGE_NAMES: Final = {
    ColumnType.FLOAT: "float",
    ColumnType.INT: "integer",
    ColumnType.UINT: "unsigned",
    ColumnType.STRING: "string",
    ColumnType.BOOL: "boolean",
    ColumnType.TIME: "time",
}
_TYPE_ORDER: Final = {kind: place for place, kind in enumerate(ColumnType)}


@dataclass(frozen=True, slots=True)
class Column:
    """`values` has the dtype of `type` (times: int64 ns); `valid` is None where no row is null."""

    label: str
    type: ColumnType
    values: Array
    valid: Mask | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> "Column":
        """The rows at these positions, or under a mask."""
        if is_constant(self.values) and self.valid is None:
            count = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
            return Column(self.label, self.type, repeated(self.values, count))
        return Column(self.label, self.type, self.values[rows], None if self.valid is None else self.valid[rows])

    def slice(self, start: int, stop: int) -> "Column":
        valid = None if self.valid is None else self.valid[start:stop]
        return Column(self.label, self.type, self.values[start:stop], valid)

    def mask(self) -> Mask:
        """True where there is a value."""
        return np.ones(len(self), np.bool_) if self.valid is None else self.valid

    def value(self, row: int) -> object:
        """One value as the interpreter has it; None for null."""
        if self.valid is not None and not self.valid[row]:
            return None
        return scalar(self.type, self.values[row])


def scalar(kind: ColumnType, value: Any) -> object:
    """A value of a column as a value of the interpreter."""
    match kind:
        case ColumnType.TIME:
            return Time(int(value))
        case ColumnType.UINT:
            return UInt(value)
        case ColumnType.STRING:
            return str(value)
    return value.item() if hasattr(value, "item") else value


def is_constant(values: Array) -> bool:
    """Whether all rows show the same value by construction."""
    return len(values) > 0 and values.strides == (0,)


def repeated(one: Array, count: int) -> Array:
    """The first value of an array so many times, in the memory of one."""
    first = one if one.strides == (one.itemsize,) else np.array(one[:1])
    many: Array = np.ndarray((count,), one.dtype, first, 0, (0,))
    many.flags.writeable = False
    return many


def constant(label: str, kind: ColumnType, value: object, count: int) -> Column:
    """A column of one repeated value; None makes a column of nulls."""
    if value is None:
        return nulls(label, kind, count)
    raw = value.ns if isinstance(value, Time) else value
    one = np.empty(1, DTYPES[kind])
    one[0] = raw
    return Column(label, kind, repeated(one, count))


def nulls(label: str, kind: ColumnType, count: int) -> Column:
    """A column without any value."""
    filler = np.full(count, "", object) if kind is ColumnType.STRING else np.zeros(count, DTYPES[kind])
    return Column(label, kind, filler, np.zeros(count, np.bool_))


def type_of(value: object) -> ColumnType | None:
    """The type of the column that could hold a value of the interpreter; None where none could."""
    for python, kind in (
        (bool, ColumnType.BOOL),
        (UInt, ColumnType.UINT),
        (int, ColumnType.INT),
        (float, ColumnType.FLOAT),
        (str, ColumnType.STRING),
        (Time, ColumnType.TIME),
    ):
        if isinstance(value, python):
            return kind
    return None


@dataclass(frozen=True, slots=True)
class KeyColumn:
    label: str
    type: ColumnType
    value: object


@total_ordering
@dataclass(frozen=True, slots=True)
class GroupKey:
    """The columns whose values all rows of a table share, in the order the table got them.

    Equality and order ignore that order, as the server's do: labels are compared first (the key that lacks one is the
    smaller), then types, then values, null first.
    """

    columns: tuple[KeyColumn, ...] = ()

    def get(self, label: str) -> KeyColumn | None:
        return next((column for column in self.columns if column.label == label), None)

    def __contains__(self, label: str) -> bool:
        return self.get(label) is not None

    def _sorted(self) -> list[KeyColumn]:
        return sorted(self.columns, key=lambda column: column.label)

    def identity(self) -> tuple[tuple[str, ColumnType, object], ...]:
        return tuple((column.label, column.type, column.value) for column in self._sorted())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupKey) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.identity())

    def __lt__(self, other: "GroupKey") -> bool:
        mine, theirs = self._sorted(), other._sorted()
        for a, b in zip(mine, theirs, strict=False):
            if a.label != b.label:
                return a.label > b.label
            if a.type != b.type:
                return _TYPE_ORDER[a.type] < _TYPE_ORDER[b.type]
            if a.value == b.value:
                continue
            if a.value is None or b.value is None:
                return a.value is None
            if isinstance(a.value, str) and isinstance(b.value, str):
                return text_bytes(a.value) < text_bytes(b.value)
            return bool(a.value < b.value)  # type: ignore[operator]  # both are of one type of column
        return len(mine) < len(theirs)

    def without(self, labels: Sequence[str]) -> "GroupKey":
        return GroupKey(tuple(column for column in self.columns if column.label not in labels))

    def with_value(self, label: str, kind: ColumnType, value: object) -> "GroupKey":
        """The key with one column set, at its place where it was there already."""
        new = KeyColumn(label, kind, value)
        if label not in self:
            return GroupKey((*self.columns, new))
        return GroupKey(tuple(new if column.label == label else column for column in self.columns))


def text_bytes(text: str) -> bytes:
    """The bytes InfluxDB orders text by."""
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, in the order in which they are printed."""

    key: GroupKey
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def get(self, label: str) -> Column | None:
        return next((column for column in self.columns if column.label == label), None)

    def labels(self) -> list[str]:
        return [column.label for column in self.columns]

    def take(self, rows: Array) -> "Table":
        return Table(self.key, tuple(column.take(rows) for column in self.columns))

    def slice(self, start: int, stop: int) -> "Table":
        return Table(self.key, tuple(column.slice(start, stop) for column in self.columns))

    def with_column(self, column: Column) -> "Table":
        """The table with this column put in the place of the one of its label, or at the end."""
        if self.get(column.label) is None:
            return replace(self, columns=(*self.columns, column))
        return replace(self, columns=tuple(column if old.label == column.label else old for old in self.columns))


def key_columns(key: GroupKey, count: int) -> tuple[Column, ...]:
    """The columns of the group key, repeated for so many rows."""
    return tuple(constant(column.label, column.type, column.value, count) for column in key.columns)


def concatenate(columns: Sequence[Column], label: str) -> Column:
    """Columns of one type under each other."""
    if len(columns) == 1:
        return replace(columns[0], label=label)
    valid = None
    if any(column.valid is not None for column in columns):
        valid = np.concatenate([column.mask() for column in columns])
    return Column(label, columns[0].type, np.concatenate([column.values for column in columns]), valid)
