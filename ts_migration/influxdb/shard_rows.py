"""Accepted rows as the columns of a TSM file: every field of every series, by time, without a Python loop over rows.

The same values under the same names as the encoder's lines: series keys are the lines' own heads. Which rows can be
said is told by `line_protocol.accepted_rows`; how columns become bytes, by `tsm`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ts_migration.columns import named
from ts_migration.influxdb.tsm.columns import DTYPES, KEY_SEPARATOR, FieldKind, TsmColumn
from ts_migration.line_protocol.accepted_rows import TIME, AcceptedRows, told_value
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.line_protocol.series import HEAD, RANK, Lane

Integers = npt.NDArray[np.int64]

KINDS = {
    FieldType.FLOAT: FieldKind.FLOAT,
    FieldType.INTEGER: FieldKind.INTEGER,
    FieldType.BOOLEAN: FieldKind.BOOLEAN,
    FieldType.STRING: FieldKind.STRING,
}


@dataclass(frozen=True)
class ShardRows:
    """Rows of one shard as they wait to be written: what the columns are made of and nothing else.

    Attributes:
        heads: series keys with the space behind them, in byte order.
        series: for each row the position of its series in `heads`.
        values: `time_ns`, and each lane's values and field position under the names that `_value`, `_field` give.
    """

    heads: pl.Series
    series: npt.NDArray[np.int32]
    values: pl.DataFrame
    lanes: tuple[Lane, ...]

    @classmethod
    def of(cls, accepted: AcceptedRows, within: pl.Expr | None = None) -> "ShardRows":
        """The rows of a batch, or those of them within a shard."""
        rows = accepted.rows if within is None else accepted.rows.filter(within)
        series = rows.select(RANK, HEAD).unique(RANK).sort(RANK)
        position = np.zeros(int(series[RANK].max() or 0) + 1, np.int32)  # type: ignore[arg-type]
        position[series[RANK].to_numpy()] = np.arange(len(series), dtype=np.int32)
        wanted = [pl.col(TIME)]
        for number, lane in enumerate(accepted.lanes):
            wanted.append(told_value(lane).alias(_value(number)))
            if lane.gated:
                wanted.append(pl.col(lane.field).alias(_field(number)))
        return cls(series[HEAD], position[rows[RANK].to_numpy()], rows.select(wanted), accepted.lanes)

    def __len__(self) -> int:
        return len(self.values)


def tsm_columns(parts: Sequence[ShardRows]) -> list[TsmColumn]:
    """The columns of a file, one a type, of rows of one mapping; of two values of one field and time the later one.

    Args:
        parts: in the order in which the rows came; at least one.
    """
    heads, series = _united(parts)
    values = pl.concat([part.values for part in parts], how="vertical")
    times = values[TIME].to_numpy()
    order = _by_series_and_time(series, times)
    if order is not None:
        series, times, values = series[order], times[order], values[order]
    by_type: dict[FieldType, list[_Field]] = {}
    for field in _fields(values, parts[0].lanes):
        by_type.setdefault(field.type, []).append(field)
    return [_column(kind, fields, heads, series, times) for kind, fields in by_type.items()]


@dataclass(frozen=True)
class _Field:
    """Values of one field key, of rows in order; `rows` None: of all of them."""

    key: str
    type: FieldType
    rows: Integers | None
    values: Any


def _value(lane: int) -> str:
    return f"value {lane}"


def _field(lane: int) -> str:
    return f"field {lane}"


def _united(parts: Sequence[ShardRows]) -> tuple[pl.Series, npt.NDArray[np.int32]]:
    """All series of the parts in byte order, and each row's position among them."""
    if len(parts) == 1:
        return parts[0].heads, parts[0].series
    heads = pl.concat([part.heads for part in parts]).unique().sort()
    places = pl.DataFrame({HEAD: heads}).with_row_index("at")
    series = []
    for part in parts:
        at = part.heads.to_frame(HEAD).join(places, on=HEAD, how="left", maintain_order="left")["at"].to_numpy()
        series.append(at.astype(np.int32)[part.series])
    return heads, np.concatenate(series)


def _by_series_and_time(series: npt.NDArray[np.int32], times: Integers) -> Integers | None:
    """The rows' order by series and time, equal ones as they came; None where that is their order."""
    step = np.diff(series)
    if bool(((step > 0) | ((step == 0) & (times[1:] >= times[:-1]))).all()):
        return None
    by_time = None if bool(np.all(times[1:] >= times[:-1])) else np.argsort(times, kind="stable")
    # Up to 16 bits numpy's stable sort is a radix sort.
    small: npt.NDArray[Any] = series.astype(np.uint16) if int(series.max()) < 2**16 else series
    by_series = np.argsort(small if by_time is None else small[by_time], kind="stable")
    return by_series if by_time is None else by_time[by_series]


def _fields(values: pl.DataFrame, lanes: Sequence[Lane]) -> Iterator[_Field]:
    """Every field with its values: of a lane whose field depends on the row's measure_name, each field apart."""
    for number, lane in enumerate(lanes):
        found = values[_value(number)]
        if found.null_count() == len(found):
            continue
        if not lane.gated:
            rows = None if not found.null_count() else found.is_not_null().arg_true().to_numpy().astype(np.int64)
            yield _Field(lane.sources[0].field, lane.type, rows, _taken(found, rows, lane.type))
            continue
        there = values.select(found.is_not_null().alias("there") & pl.col(_field(number)).is_not_null())
        rows = there.to_series().arg_true().to_numpy().astype(np.int64)
        positions = values[_field(number)].gather(rows).to_numpy()
        for position in np.unique(positions).tolist():
            own = rows[positions == position]
            yield _Field(lane.sources[position].field, lane.type, own, _taken(found, own, lane.type))


def _taken(found: pl.Series, rows: Integers | None, kind: FieldType) -> Any:
    """The values at some rows, as TSM columns have them."""
    chosen = found if rows is None else found.gather(rows)
    if kind is FieldType.STRING:
        return _binary(chosen)
    return chosen.to_numpy().astype(DTYPES[KINDS[kind]], copy=False)


def _binary(texts: pl.Series) -> pa.LargeBinaryArray:
    """Strings as Arrow's large binary, which is how they lie in memory already."""
    found = texts.cast(pl.String).rechunk().to_arrow()
    return found.cast(pa.large_string()).cast(pa.large_binary())


@dataclass(frozen=True)
class _Points:
    """The points of one field key, series after series: the series that have any, and where each begins."""

    series: Integers
    starts: Integers
    times: Integers
    values: Any

    @classmethod
    def of(cls, series: npt.NDArray[np.int32], times: Integers, values: Any) -> "_Points":
        """Of rows by series and time; of two values of one time the last stays."""
        new = series[1:] != series[:-1]
        repeated = ~new & (times[1:] == times[:-1])
        if repeated.any():
            kept = np.flatnonzero(np.append(~repeated, True))
            series, times, values = series[kept], times[kept], _at(values, kept)
            new = series[1:] != series[:-1]
        starts = np.concatenate(([0], np.flatnonzero(new) + 1))
        return cls(series[starts].astype(np.int64), starts, times, values)


def _column(
    kind: FieldType, fields: Sequence[_Field], heads: pl.Series, series: npt.NDArray[np.int32], times: Integers
) -> TsmColumn:
    """The column of a type: field after field, series after series."""
    by_key: dict[str, list[_Field]] = {}
    for field in fields:
        by_key.setdefault(field.key, []).append(field)
    found = {key: _points(by_key[key], series, times) for key in sorted(by_key, key=str.encode)}
    lengths = np.concatenate([np.diff(each.starts, append=len(each.times)) for each in found.values()])
    values = [each.values for each in found.values()]
    return TsmColumn(
        KINDS[kind],
        _keys({key: each.series for key, each in found.items()}, heads),
        np.concatenate(([0], np.cumsum(lengths))),
        np.concatenate([each.times for each in found.values()]),
        pa.concat_arrays(values) if kind is FieldType.STRING else np.concatenate(values),
    )


def _points(fields: Sequence[_Field], series: npt.NDArray[np.int32], times: Integers) -> _Points:
    """The points of one field key, which several columns may be written to."""
    owners = [series if field.rows is None else series[field.rows] for field in fields]
    at = [times if field.rows is None else times[field.rows] for field in fields]
    if len(fields) == 1:
        return _Points.of(owners[0], at[0], fields[0].values)
    values = [field.values for field in fields]
    told = pa.concat_arrays(values) if isinstance(values[0], pa.Array) else np.concatenate(values)
    owner, time = np.concatenate(owners), np.concatenate(at)
    order = np.lexsort((time, owner))
    return _Points.of(owner[order], time[order], _at(told, order))


def _keys(held: Mapping[str, Integers], heads: pl.Series) -> pa.LargeBinaryArray:
    """TSM keys: a series key, the separator, the field's name without escapes."""
    series = heads.str.head(-1)  # a head ends in the space before the fields
    separator = KEY_SEPARATOR.decode()
    return _binary(pl.concat([series.gather(own) + (separator + key) for key, own in held.items()]))


def _at(values: Any, rows: Integers) -> Any:
    return values.take(pa.array(rows)) if isinstance(values, pa.Array) else values[rows]


def within(start_ns: int, end_ns: int) -> pl.Expr:
    """Test of rows for a time in a half-open stretch."""
    return named(TIME).is_between(start_ns, end_ns, closed="left")
