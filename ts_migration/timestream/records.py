"""Rows of an export as records of WriteRecords: dimensions, measure name, exact time and values as text. Values only.

A multi-measure row becomes a MULTI record of the values that it has; a single-measure row one record. Sending is in
`ingestion`. Rules: API reference, Record; TIMESTAMP values are in the record's TimeUnit, here always nanoseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars import selectors

from ts_migration.errors import Permanent

TIME_NS = "time_ns"
MEASURE_NAME = "measure_name"
NOT_VALUES = ("time", TIME_NS, MEASURE_NAME)
SINGLE_VALUE = "measure_value::"
"""Begins the names of the columns that hold the values of single-measure records; no other column's name may."""

Record = dict[str, Any]


@dataclass(frozen=True)
class RecordShape:
    """Which columns of an export are what.

    Attributes:
        dimensions: of type VARCHAR.
        multi: columns of multi-measure records, with Timestream's types in lower case.
        single: value columns of single-measure records, likewise.
    """

    dimensions: tuple[str, ...]
    multi: Mapping[str, str]
    single: Mapping[str, str]

    @classmethod
    def of(cls, columns: Mapping[str, str], dimensions: Sequence[str]) -> "RecordShape":
        """The shape of an export's columns, of which some are dimensions."""
        values = {name: kind for name, kind in columns.items() if name not in (*NOT_VALUES, *dimensions)}
        single = {name: kind for name, kind in values.items() if name.startswith(SINGLE_VALUE)}
        multi = {name: kind for name, kind in values.items() if name not in single}
        return cls(tuple(name for name in dimensions if name in columns), multi, single)

    @property
    def values(self) -> dict[str, str]:
        """All value columns."""
        return {**self.multi, **self.single}


def records_of(frame: pl.DataFrame, shape: RecordShape) -> list[Record]:
    """A record for each row, in no particular order. NULL dimensions and values are left out.

    Raises:
        Permanent: a row holds no value, or values of a single-measure and of a multi-measure record: it cannot be
            written as it was.
    """
    kinds = {name: _exact(name).is_not_null() for name in shape.single}
    is_multi = pl.any_horizontal(_exact(name).is_not_null() for name in shape.multi) if shape.multi else pl.lit(False)
    values = sum((kind.cast(pl.UInt32) for kind in kinds.values()), start=is_multi.cast(pl.UInt32))
    if wrong := int(frame.select((values != 1).sum()).item() or 0):
        raise Permanent(f"{wrong:,} rows are no records of Timestream: they hold no value, or values of several kinds")
    found: list[Record] = []
    if shape.multi:
        found += _records(frame.filter(is_multi), shape, _multi_values(shape))
    for name, there in kinds.items():
        value = [_text(name).alias("MeasureValue"), pl.lit(shape.single[name].upper()).alias("MeasureValueType")]
        found += _records(frame.filter(there), shape, value)
    return found


def _records(frame: pl.DataFrame, shape: RecordShape, values: Sequence[pl.Expr]) -> list[Record]:
    if frame.is_empty():
        return []
    columns = [pl.col(MEASURE_NAME).alias("MeasureName"), pl.col(TIME_NS).cast(pl.String).alias("Time"), *values]
    if shape.dimensions:
        entries = pl.concat_list([_entry(name, {}) for name in shape.dimensions]).list.drop_nulls()
        columns.append(entries.alias("Dimensions"))
    return frame.select(columns).to_dicts()


def _multi_values(shape: RecordShape) -> list[pl.Expr]:
    entries = [_entry(name, {"Type": kind.upper()}) for name, kind in shape.multi.items()]
    return [
        pl.lit("MULTI").alias("MeasureValueType"),
        pl.concat_list(entries).list.drop_nulls().alias("MeasureValues"),
    ]


def _entry(name: str, more: Mapping[str, str]) -> pl.Expr:
    """Name and value of a column as the API has them; NULL where it is."""
    told = [pl.lit(value).alias(key) for key, value in more.items()]
    parts = pl.struct(pl.lit(name).alias("Name"), _text(name).alias("Value"), *told)
    return pl.when(_exact(name).is_not_null()).then(parts)


def _text(name: str) -> pl.Expr:
    """A value as text: of a DOUBLE the shortest that reads back as the same, of a BOOLEAN true or false."""
    return _exact(name).cast(pl.String)


def _exact(name: str) -> pl.Expr:
    """The one column of this name, which `pl.col` may take for a pattern."""
    return selectors.by_name(name).as_expr()
