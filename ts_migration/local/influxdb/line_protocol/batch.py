"""The points of one write request in columns: what the parsers hand to storage, nothing about types pinned or kept."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.local.influxdb.points import FieldType

Values: TypeAlias = Any
"""A numpy array by type (float64, int64, uint64, bool), or a pyarrow large_binary array for strings."""


class LineProtocolError(ValueError):
    """A body with lines that the server refuses; the text names every one of them, as influxd's answer does."""


@dataclass(frozen=True, slots=True)
class BatchColumn:
    """The values of one field key with one type. `rows` may name a row twice: the later value counts."""

    name: bytes
    type: FieldType
    rows: npt.NDArray[np.int64]
    values: Values


@dataclass(frozen=True, slots=True)
class Batch:
    """Points in the order of their lines.

    `keys` are distinct series keys (escaped, tags sorted), `series` their index per point, `times` in ns, `lines` the
    start and end of each point's line in `body`. `poison` names, per row, the words with which the storage engine of a
    real server fails over a value that its parser let pass.
    """

    keys: list[bytes]
    series: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    columns: list[BatchColumn]
    body: bytes
    lines: npt.NDArray[np.int64]
    poison: dict[int, str] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """How many points there are, one a line."""
        return len(self.times)


def numpy_type(type_: FieldType) -> npt.DTypeLike:
    """The dtype of a column of this type; strings live in pyarrow arrays and have none."""
    return {
        FieldType.FLOAT: np.float64,
        FieldType.INTEGER: np.int64,
        FieldType.UNSIGNED: np.uint64,
        FieldType.BOOLEAN: np.bool_,
    }[type_]


def make_values(values: list[Any], type_: FieldType) -> Values:
    """A column from Python values: bytes for strings."""
    if type_ is FieldType.STRING:
        return pa.array(values, type=pa.large_binary())
    return np.array(values, dtype=numpy_type(type_))


def take(values: Values, index: npt.NDArray[np.int64]) -> Values:
    """The values at these positions."""
    return values[index] if isinstance(values, np.ndarray) else values.take(pa.array(index))


def concat(parts: list[Values]) -> Values:
    """Columns of one type, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pa.concat_arrays(parts)
