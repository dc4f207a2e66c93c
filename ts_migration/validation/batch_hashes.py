"""The digest's hashes of points read back, many series and all their fields at a time.

The arithmetic is that of `hashing`; here are only the order of the work and the arrays. What is summed is in `digest`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ts_migration.influxdb.blocks import SeriesBatch
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.validation.hashing import (
    I64,
    U64,
    StringHashes,
    canonical_field,
    canonical_series,
    key_hash,
    mix_lanes_in_place,
    series_hash,
    typed,
    value_bits,
)

_HASHES = 16_384
"""Hashes made at a time: three buffers of 128 KiB stay in a core's second-level cache."""


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """Hashes of the series of a batch, and of each with each field.

    `series` by series; `mixed` is mix(k) by lane, column and series; `owners` is the series of each point.
    """

    series: U64
    mixed: U64
    owners: I64

    @classmethod
    def of(cls, batch: SeriesBatch) -> "BatchKeys":
        """Made once a batch."""
        canonical = [canonical_series(series.measurement, series.tags) for series in batch.series]
        fields = [canonical_field(column.field) for column in batch.columns]
        keys = np.array([[key_hash(series, field) for series in canonical] for field in fields], np.uint64)
        mixed = np.stack([keys, keys]).reshape(2, len(fields), len(canonical))
        mix_lanes_in_place(mixed, np.empty_like(mixed))
        hashes = np.array([series_hash(series) for series in canonical], np.uint64)
        return cls(hashes, mixed, np.repeat(np.arange(len(canonical)), batch.lengths))


def batch_sums(batch: SeriesBatch, keys: BatchKeys, strings: StringHashes) -> tuple[U64, I64]:
    """For each point: the sum modulo 2^64 of the hashes of its values, by lane, and how many values it has."""
    points = len(batch.times)
    times = batch.times.view(np.uint64)
    sums, per_point = np.zeros((2, points), np.uint64), np.zeros(points, np.int64)
    whole = [index for index, column in enumerate(batch.columns) if column.valid is None]
    if whole:
        bits = np.stack([_bits(batch.columns[index].values, batch.columns[index].kind, strings) for index in whole])
        _add_hashes(sums, np.take(keys.mixed, whole, axis=1), keys.owners, times, bits)
        per_point += len(whole)
    for index, column in enumerate(batch.columns):
        if column.valid is not None:
            rows = np.flatnonzero(column.valid)
            part = np.zeros((2, len(rows)), np.uint64)
            bits = _bits(column.values[rows], column.kind, strings)[None]
            _add_hashes(part, np.take(keys.mixed, [index], axis=1), keys.owners[rows], times[rows], bits)
            sums[:, rows] += part
            per_point[rows] += 1
    return sums, per_point


def _add_hashes(sums: U64, mixed: U64, owners: I64, times: U64, bits: U64) -> None:
    """Add to each point's sums the hashes of its values: `bits` by field and point, `mixed` by lane, field, series."""
    fields, points = bits.shape
    step = max(64, _HASHES // (2 * fields))
    alone = mixed.shape[2] == 1
    made, scratch = (np.empty((2, fields, min(step, points)), np.uint64) for _ in range(2))
    for start in range(0, points, step):
        part = slice(start, start + step)
        at = times[part]
        hashes, rest = made[:, :, : len(at)], scratch[:, :, : len(at)]
        if alone:
            np.bitwise_xor(mixed, at, out=hashes)
        else:
            np.take(mixed, owners[part], axis=2, out=hashes, mode="clip")
            np.bitwise_xor(hashes, at, out=hashes)
        mix_lanes_in_place(hashes, rest)
        np.bitwise_xor(hashes, bits[:, part], out=hashes)
        mix_lanes_in_place(hashes, rest)
        sums[:, part] += np.add.reduce(hashes, axis=1)


def _bits(values: npt.NDArray[np.generic], kind: FieldType, strings: StringHashes) -> U64:
    if kind is FieldType.STRING:
        return typed(strings.of(values.tolist(), len(values)), kind)
    return value_bits(values, kind)
