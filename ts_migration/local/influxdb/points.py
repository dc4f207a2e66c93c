"""What the query languages see of a bucket: series, their fields and their points.

The contract between `storage` (which implements `Points`) and `influxql` and `flux`, which read through it; InfluxQL's
DELETE and DROP MEASUREMENT change through `Mutations`. No query semantics and no disk format belong here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

MIN_TIME_NS = -9223372036854775806
"""Earliest time a point can have; the two integers below it are reserved (seen on 2.7.11)."""
MAX_TIME_NS = 9223372036854775806
"""Latest time a point can have; the integer above it is reserved (seen on 2.7.11)."""


class FieldType(StrEnum):
    """The five value types of InfluxDB 2, named as `SHOW FIELD KEYS` prints them."""

    FLOAT = "float"
    INTEGER = "integer"
    UNSIGNED = "unsigned"
    STRING = "string"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Series:
    """A measurement with its tag set.

    Text is str; bytes that are not UTF-8 are carried by surrogateescape. Tags are sorted by the bytes of their keys.
    """

    measurement: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """One field of one series, aligned with its block's times.

    `values` has dtype float64, int64, uint64, bool or object (str, surrogateescape) by `type`. `valid` is None where
    every row has a value, else a bool mask; values under a False are arbitrary.
    """

    name: str
    type: FieldType
    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class SeriesBlock:
    """All points of one series in a time range: int64 ns times, ascending and unique, and one column per field.

    A field that has another type in another shard group appears as two columns of one name.
    """

    series: Series
    times: npt.NDArray[np.int64]
    columns: tuple[FieldColumn, ...]


class Points(Protocol):
    """A bucket as its readers see it: a consistent snapshot, last write wins already applied."""

    def measurements(self) -> list[str]:
        """Names of the measurements that hold points, in byte order."""

    def field_types(
        self, measurement: str, start_ns: int = MIN_TIME_NS, stop_ns: int = MAX_TIME_NS
    ) -> list[tuple[str, FieldType]]:
        """Field keys with their types, in byte order of the key; several rows where shard groups differ.

        Of the shard groups that overlap the range, both bounds inclusive: what lies elsewhere types no query.
        """

    def tag_keys(self, measurement: str) -> list[str]:
        """Tag keys of the measurement, in byte order."""

    def series(self, measurement: str | None = None) -> list[Series]:
        """Series of one or all measurements, in byte order of their series keys."""

    def blocks(
        self,
        measurement: str,
        start_ns: int = MIN_TIME_NS,
        stop_ns: int = MAX_TIME_NS,
        fields: frozenset[str] | None = None,
        where: Callable[[Mapping[str, str]], bool] | None = None,
    ) -> Iterator[SeriesBlock]:
        """Blocks of the series whose tags satisfy `where`, in byte order of series keys; both bounds inclusive.

        With `fields`, only those columns are read, and rows in which none of them has a value are left out. Series
        without a row in the range are left out, and so is a column without a value in its block.
        """


class Mutations(Protocol):
    """What a query may change: the server passes it to `influxql.execute`, bound to the rights of the token."""

    def delete(
        self,
        database: str,
        measurement: str | None,
        start_ns: int,
        stop_ns: int,
        where: Callable[[Mapping[str, str]], bool] | None,
    ) -> None:
        """Delete points of one or all measurements, both bounds inclusive, of the series whose tags satisfy `where`."""

    def drop_measurement(self, database: str, measurement: str) -> None:
        """Delete every point of the measurement, and with them its field types."""
