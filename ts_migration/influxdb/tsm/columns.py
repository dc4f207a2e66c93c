"""What a TSM file holds, as columns: one type's values of many keys. Also the two ways in which it can be wrong."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ts_migration.errors import Permanent

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Booleans = npt.NDArray[np.bool_]

KEY_SEPARATOR = b"#!~#"
"""Stands between series key and field key."""


class FieldKind(Enum):
    """Types of fields, by the byte that stands for each in blocks and index."""

    FLOAT = 0
    INTEGER = 1
    BOOLEAN = 2
    STRING = 3
    UNSIGNED = 4


DTYPES: dict[FieldKind, Any] = {
    FieldKind.FLOAT: np.float64,
    FieldKind.INTEGER: np.int64,
    FieldKind.BOOLEAN: np.bool_,
    FieldKind.UNSIGNED: np.uint64,
}
"""Of a column's values; strings are a large binary array."""


@dataclass(frozen=True, eq=False, slots=True)
class TsmColumn:
    """Values of one type of many keys, key after key, each key's points by time.

    Attributes:
        kind: the type.
        keys: large binary: series key as line protocol writes it, `#!~#`, field key without escapes; each once.
        offsets: int64, one more than keys: where each key's points begin in `times` and `values`.
        times: int64 ns, ascending within a key, no time twice.
        values: an array of the kind's dtype (`DTYPES`); a large binary array for strings.
    """

    kind: FieldKind
    keys: pa.LargeBinaryArray
    offsets: Integers
    times: Integers
    values: npt.NDArray[Any] | pa.LargeBinaryArray

    @property
    def points(self) -> int:
        """Values of all keys together."""
        return len(self.times)


class TsmDamaged(Permanent):
    """A file that a reader cannot trust: the place is told as an offset in bytes, and the key where it is known."""


class TsmUnwritable(Permanent):
    """Columns that no TSM file can hold, or that a server would read as something else."""
