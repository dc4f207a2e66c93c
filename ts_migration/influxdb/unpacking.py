"""Rows of an InfluxQL answer the plain way: a Python object a value. It defines what `row_columns` must give.

Taken for small answers, and wherever rows are not as they mostly are.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import Block, BlockColumn
from ts_migration.influxdb.documents import UNPACKING, Rows
from ts_migration.line_protocol.mapping import FieldType

_KINDS = {float: FieldType.FLOAT, int: FieldType.INTEGER, str: FieldType.STRING, bool: FieldType.BOOLEAN}
_DTYPES: dict[FieldType, Any] = {
    FieldType.FLOAT: np.float64,
    FieldType.INTEGER: np.int64,
    FieldType.BOOLEAN: np.bool_,
    FieldType.STRING: object,
}

Series = dict[str, Any]
"""One series of an answer: name, tags, columns, values (tuples)."""


def unpacked(raw: bytes, base: int, rows: Rows) -> Series:
    """A series with its rows as tuples; `raw` begins at offset `base` of the answer."""
    with _collector_paused():
        cells = array_of(rows.count, raw[rows.start - base : rows.end - base])
    return {"name": rows.measurement, "tags": rows.tags, "columns": rows.columns, "values": cells}


def array_of(count: int, cells: bytes) -> tuple[Any, ...]:
    """So many values that lie one behind the other."""
    values: tuple[Any, ...] = msgpack.unpackb(b"\xdd" + count.to_bytes(4, "big") + cells, **UNPACKING)
    return values


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Unpacking makes a tuple a point, none of them garbage: walking them would double the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def block_of(series: Series) -> Block:
    """Typed columns of one series of an answer.

    Raises:
        Permanent: an unsigned integer beyond int64, which this tool never writes.
    """
    names: Sequence[str] = series["columns"]
    with _collector_paused():
        columns: tuple[tuple[Any, ...], ...] = tuple(zip(*series["values"], strict=True))
    times = np.array(columns[names.index("time")], np.int64) if columns else np.empty(0, np.int64)
    fields: list[BlockColumn] = []
    for name, values in zip(names, columns, strict=False):
        if name != "time":
            fields += _typed_columns(name, values)
    return Block(str(series["name"]), tags_of(series.get("tags") or {}), times, tuple(fields))


def tags_of(told: dict[str, str]) -> dict[str, str]:
    """The tags that a series has: an answer tells those that it has not as empty."""
    return {key: value for key, value in told.items() if value != ""}


def _typed_columns(name: str, values: tuple[Any, ...]) -> list[BlockColumn]:
    """One column for each type that is there (one, unless shards differ); none where every value is null."""
    types = set(map(type, values))
    if len(types) == 1:
        (only,) = types
        return [] if only is type(None) else [BlockColumn(name, kind_of(name, only), _array(name, values, only))]
    found = np.empty(len(values), object)
    found[:] = values
    result = []
    for each in sorted(types - {type(None)}, key=str):
        if len(types) == 2 and type(None) in types:
            valid: npt.NDArray[np.bool_] = found != None  # noqa: E711 - element by element
        else:
            valid = np.fromiter((type(value) is each for value in values), np.bool_, len(values))
        array = np.zeros(len(values), _DTYPES[kind_of(name, each)])
        array[valid] = _array(name, found[valid], each)
        result.append(BlockColumn(name, kind_of(name, each), array, valid))
    return result


def kind_of(name: str, python_type: type) -> FieldType:
    """The field type that values of a Python type in an answer have.

    Raises:
        Permanent: no field has such values.
    """
    kind = _KINDS.get(python_type)
    if kind is None:
        raise Permanent(f"the field {name!r} holds values of the type {python_type.__name__}, which no field can have")
    return kind


def _array(name: str, values: Any, python_type: type) -> npt.NDArray[Any]:
    if python_type is str:
        array = np.empty(len(values), object)
        array[:] = values
        return array
    try:
        return np.array(values, _DTYPES[kind_of(name, python_type)])
    except OverflowError:
        raise Permanent(
            f"the field {name!r} holds unsigned integers beyond 2^63 - 1, which this tool never writes"
        ) from None
