"""Which rows of a frame can be said in InfluxDB exactly, and what of the others: before any of them is written.

Pure, and the same for every form that rows are loaded in: what is quarantined and what is counted does not depend on
it. Lines are made in `encoder`, arrays of shard files in `field_columns`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from ts_migration.columns import named
from ts_migration.line_protocol.mapping import FieldType, Mapping
from ts_migration.line_protocol.rejects import (
    MAX_POINT_TIME_NS,
    MAX_STRING_BYTES,
    MIN_POINT_TIME_NS,
    Reason,
    Rejects,
)
from ts_migration.line_protocol.series import (
    REASON,
    REASON_COLUMN,
    Lane,
    distinct_series,
    drift,
    identity,
    lanes,
    long_keys,
)

TIME = "time_ns"
"""Column of a frame that holds the time, Int64 ns. Frames of `parquet` and of `timestream.readings` name it so."""


@dataclass(frozen=True)
class Sayable(ABC):
    """A batch of rows, told apart into those that can be said and the others, in the form that they are written in.

    Attributes:
        counts: field key -> values.
        accepted: the source rows without the rejects, in their own order; empty rows are among them, so that whoever
            counts values apart from this sees for itself that they have none.
        rejects: the source rows that cannot be said, with their reasons.
        empty: rows without a single field.
    """

    counts: dict[str, int]
    accepted: pl.DataFrame
    rejects: Rejects
    empty: int

    @property
    @abstractmethod
    def points(self) -> int:
        """Rows that become a point."""


@dataclass(frozen=True)
class AcceptedRows(Sayable):
    """The same as rows, for files that are written by columns.

    Attributes:
        rows: those with at least one field, in the frame's order, with the columns of their series (`series`).
        lanes: the fields that columns are written to.
    """

    rows: pl.DataFrame
    lanes: tuple[Lane, ...]

    @property
    def points(self) -> int:
        """As of `Sayable`."""
        return len(self.rows)


def accept(frame: pl.DataFrame, mapping: Mapping) -> AcceptedRows:
    """Tell the rows that can be said from the others.

    Args:
        frame: rows with the mapping's columns: tags String, DOUBLE Float64, BIGINT and TIMESTAMP Int64 (ns), BOOLEAN
            Boolean, VARCHAR String, and `time_ns` Int64 without NULL.
        mapping: which columns become what.

    Raises:
        Permanent: a row holds a measure that the mapping does not know.
    """
    all_lanes = lanes(mapping)
    series = distinct_series(frame, mapping, all_lanes)
    keys = [named(name) for name in identity(mapping)]
    rows = frame.join(series, on=keys, how="left", nulls_equal=True, maintain_order="left", coalesce=True)
    _require_known(rows, all_lanes)
    accepted, rejects = _without_rejects(frame, rows, series, all_lanes)
    if rejects is not None:
        rows = rows.filter(accepted)
        frame = frame.filter(accepted)
    filled = _any_field(rows, all_lanes)
    empty = len(rows) - int(filled.sum())
    if empty:
        rows = rows.filter(filled)
    counts = _counts(rows, all_lanes)
    return AcceptedRows(counts, frame, rejects or _no_rejects(frame), empty, rows, all_lanes)


def _require_known(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> None:
    """A value in a row of a measure_name that had no value of this type when the mapping was made would be dropped."""
    columns: dict[str, list[Lane]] = {}
    for lane in all_lanes:
        columns.setdefault(lane.column, []).append(lane)
    tests = {
        column: named(column).is_not_null() & pl.all_horizontal(pl.col(lane.key).is_null() for lane in group)
        for column, group in columns.items()
        if all(lane.gated for lane in group)
    }
    if not tests:
        return
    found = rows.select(test.any().alias(column) for column, test in tests.items()).row(0, named=True)
    for column, unknown in found.items():
        if unknown:
            name = rows.filter(tests[column])["measure_name"][0]
            raise drift(f"the export holds a value of the measure_name {name!r} in the column {column!r}")


def present(lane: Lane) -> pl.Expr:
    """Test of rows for a value of a lane."""
    there = named(lane.column).is_not_null()
    return there & pl.col(lane.key).is_not_null() if lane.gated else there


def told_value(lane: Lane) -> pl.Expr:
    """A lane's values as they are written, typed as its field, NULL where NULL."""
    value = named(lane.column)
    if lane.rfc3339:
        text = value.cast(pl.Datetime("ns")).dt.strftime("%Y-%m-%dT%H:%M:%S%.9f")
        return text.str.strip_chars_end("0").str.strip_chars_end(".") + "Z"
    return value.cast(pl.Float64) if lane.type is FieldType.FLOAT else value


def _any_field(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> pl.Series:
    if any(not lane.gated and rows[lane.column].null_count() == 0 for lane in all_lanes):
        return pl.repeat(True, len(rows), dtype=pl.Boolean, eager=True)
    return rows.select(pl.any_horizontal(present(lane) for lane in all_lanes)).to_series()


def _faults(all_lanes: Sequence[Lane]) -> Iterable[tuple[Reason, str, pl.Expr]]:
    """Tests of rows' values: reason, column, condition (NULL is no fault)."""
    yield Reason.TIME_OUT_OF_RANGE, TIME, ~pl.col(TIME).is_between(MIN_POINT_TIME_NS, MAX_POINT_TIME_NS)
    for lane in all_lanes:
        value = named(lane.column)
        speaks = pl.col(lane.key).is_not_null() if lane.gated else pl.lit(True)
        if lane.type is FieldType.STRING and not lane.rfc3339:
            yield Reason.STRING_TOO_LONG, lane.column, speaks & (value.str.len_bytes() > MAX_STRING_BYTES)
        elif lane.type is FieldType.FLOAT:
            yield Reason.FLOAT_NOT_FINITE, lane.column, speaks & ~value.cast(pl.Float64).is_finite()


def _inexact(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> Iterable[tuple[Reason, str, pl.Expr]]:
    """Tests of integers that become floats."""
    for lane in all_lanes:
        if lane.type is FieldType.FLOAT and rows.schema[lane.column] == pl.Int64:
            value = named(lane.column)
            # 2^63 - 1 becomes 2^63, which is no int64: NULL, and so not the value it was.
            back = value.cast(pl.Float64).cast(pl.Int64, strict=False)
            speaks = pl.col(lane.key).is_not_null() if lane.gated else pl.lit(True)
            yield Reason.INTEGER_NOT_EXACT, lane.column, speaks & back.ne_missing(value)


def _without_rejects(
    source: pl.DataFrame, rows: pl.DataFrame, series: pl.DataFrame, all_lanes: Sequence[Lane]
) -> tuple[pl.Series, Rejects | None]:
    """Mask of the rows that can be said, and the others. The common batch has none and pays for one pass of tests."""
    tests = [*_faults(all_lanes), *_inexact(rows, all_lanes)]
    if (long := long_keys(series, all_lanes)) is not None:
        tests.insert(0, (Reason.KEY_TOO_LONG, "", long))
    found = rows.select(test.any().alias(str(position)) for position, (_, _, test) in enumerate(tests)).row(0)
    failed = [test for test, any_row in zip(tests, found, strict=True) if any_row]
    if not failed and series[REASON].null_count() == len(series):
        return pl.Series([], dtype=pl.Boolean), None
    whens = [(reason, column, pl.when(test.fill_null(False))) for reason, column, test in failed]
    marked = rows.select(
        pl.coalesce(pl.col(REASON), *(when.then(pl.lit(reason.value)) for reason, _, when in whens)).alias(REASON),
        pl.coalesce(pl.col(REASON_COLUMN), *(when.then(pl.lit(column)) for _, column, when in whens)).alias(
            REASON_COLUMN
        ),
    )
    accepted = marked[REASON].is_null()
    refused = marked.filter(~accepted)
    return accepted, Rejects(source.filter(~accepted), refused[REASON], refused[REASON_COLUMN])


def _no_rejects(frame: pl.DataFrame) -> Rejects:
    none = pl.Series([], dtype=pl.String)
    return Rejects(frame.clear(), none, none)


def _counts(rows: pl.DataFrame, all_lanes: Sequence[Lane]) -> dict[str, int]:
    """Values written per field key."""
    counts: dict[str, int] = {}
    for lane in all_lanes:
        if lane.gated:
            by_source = rows.group_by(lane.field).agg(named(lane.column).count().alias("count"))
            found = [(lane.sources[int(at)], count) for at, count in by_source.iter_rows() if at is not None]
        else:
            found = [(lane.sources[0], len(rows) - rows[lane.column].null_count())]
        for source, count in found:
            if count:
                counts[source.field] = counts.get(source.field, 0) + count
    return counts
