"""Values that were in a window before its load and that the load did not write: told from the job's by their hashes.

A hash is lane 0 of the digest of one value, so it stands for series, field, time, type and value: a value that was
changed since is not one of these any more, and counts as the window's. Why this is sound: docs/decisions/rollback.md.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ts_migration.errors import Permanent
from ts_migration.influxdb.blocks import SeriesBatch
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.validation.batch_hashes import BatchKeys
from ts_migration.validation.hashing import U64, StringHashes, point_hashes, typed, value_bits

VALUES_SCHEMA = {
    "key": pl.UInt64,
    "time": pl.Int64,
    "hash": pl.UInt64,
    "series": pl.UInt64,
    "field": pl.Categorical,
}
"""`key` is mix(k) of lane 0, as in `point_values`."""


def value_table(batches: Iterable[SeriesBatch]) -> pl.DataFrame:
    """All values of batches, a row each, by `VALUES_SCHEMA`."""
    strings = StringHashes()
    tables = [table for batch in batches for table in _tables(batch, strings)]
    return pl.concat(tables) if tables else pl.DataFrame(schema=VALUES_SCHEMA)


def _tables(batch: SeriesBatch, strings: StringHashes) -> Iterator[pl.DataFrame]:
    keys = BatchKeys.of(batch)
    for index, column in enumerate(batch.columns):
        rows = np.arange(len(batch.times)) if column.valid is None else np.flatnonzero(column.valid)
        own = keys.mixed[0, index][keys.owners[rows]]
        columns = {
            "key": own,
            "time": batch.times[rows],
            "hash": _hashes(batch, index, rows, own, strings),
            "series": keys.series[keys.owners[rows]],
        }
        yield pl.DataFrame(columns).select(
            "key", "time", "hash", "series", pl.lit(column.field, pl.Categorical).alias("field")
        )


def _hashes(batch: SeriesBatch, index: int, rows: npt.NDArray[np.int64], keys: U64, strings: StringHashes) -> U64:
    column = batch.columns[index]
    values = column.values[rows]
    bits = (
        typed(strings.of(values.tolist(), len(values)), column.kind)
        if column.kind is FieldType.STRING
        else value_bits(values, column.kind)
    )
    return point_hashes(keys, batch.times[rows].view(np.uint64), bits, 0)


@dataclass(frozen=True)
class Untouched:
    """The hashes of such values, ascending, eight bytes each; they stay in memory while a window is read."""

    hashes: U64

    @classmethod
    def of(cls, values: pl.DataFrame) -> "Untouched":
        """Of a table of values."""
        return cls(np.sort(values["hash"].to_numpy()))

    def to_bytes(self) -> bytes:
        """As an object: little-endian, one after the other."""
        return self.hashes.astype("<u8").tobytes()

    @classmethod
    def from_bytes(cls, body: bytes, values: int) -> "Untouched":
        """What `to_bytes` wrote of so many values.

        Raises:
            Permanent: it is damaged.
        """
        if len(body) != 8 * values:
            raise Permanent(f"the hashes of what was there before are damaged: {len(body):,} bytes, not {8 * values:,}")
        return cls(np.frombuffer(body, "<u8").astype(np.uint64))

    def without(self, batches: Iterable[SeriesBatch]) -> "Rest":
        """The other values of what is read back, and how many of these were among it once it was read to its end."""
        return Rest(self, batches)


class Rest:
    """Batches without the untouched values. To be read once; `met` is then how many of these there were."""

    def __init__(self, untouched: Untouched, batches: Iterable[SeriesBatch]) -> None:
        self._untouched = untouched
        self._batches = batches
        self._strings = StringHashes()
        self.met = 0

    def __iter__(self) -> Iterator[SeriesBatch]:
        for batch in self._batches:
            rest = self._without(batch)
            if len(rest.times):
                yield rest

    def _without(self, batch: SeriesBatch) -> SeriesBatch:
        keys = BatchKeys.of(batch)
        valid = np.zeros((len(batch.columns), len(batch.times)), np.bool_)
        met = 0
        for index, column in enumerate(batch.columns):
            rows = np.arange(len(batch.times)) if column.valid is None else np.flatnonzero(column.valid)
            own = keys.mixed[0, index][keys.owners[rows]]
            there = _among(self._untouched.hashes, _hashes(batch, index, rows, own, self._strings))
            valid[index, rows[~there]] = True
            met += int(np.count_nonzero(there))
        self.met += met
        if not met:
            return batch
        kept = np.flatnonzero(valid.any(axis=0))
        held = np.bincount(keys.owners[kept], minlength=len(batch.series))
        return SeriesBatch(
            tuple(one for one, points in zip(batch.series, held.tolist(), strict=True) if points),
            held[held > 0],
            batch.times[kept],
            tuple(
                replace(column, values=column.values[kept], valid=valid[index, kept])
                for index, column in enumerate(batch.columns)
                if valid[index].any()
            ),
        )


NONE = Untouched(np.empty(0, np.uint64))


def _among(ascending: U64, hashes: U64) -> npt.NDArray[np.bool_]:
    if not len(ascending):
        return np.zeros(len(hashes), np.bool_)
    at = np.minimum(np.searchsorted(ascending, hashes), len(ascending) - 1)
    return np.asarray(ascending[at] == hashes)
