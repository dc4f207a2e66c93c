"""Result values in the Query API's wire form: Datum, Row and ColumnInfo. Which rows make a page is decided elsewhere.

Columns are rendered one after the other, each by the one function its type needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from ts_migration.local.timestream.catalog import (
    ArrayType,
    ColumnInfo,
    DataType,
    RowType,
    ScalarType,
    TimeSeriesType,
)
from ts_migration.local.timestream.sql import moments

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def java_double(value: float) -> str:
    """A double as Java's Double.toString writes it: 35.5, 1.0E-5, 1.6554878837710001E9, NaN, Infinity."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    shortest = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return shortest
    if (
        abs(value) <= 1e-322
    ):  # Java wants two digits where it can have them, which only shows among the very last doubles
        shortest = f"{value:.1e}"
    sign = "-" if shortest.startswith("-") else ""
    mantissa, _, written = shortest.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(written or 0) + (len(whole) - 1 if whole != "0" else len(digits) - len(fraction) - 1)
    digits = digits.rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def column_info(column: ColumnInfo) -> dict[str, Any]:
    """A column in the form of the Query API's ``ColumnInfo``: ``{"Name": …, "Type": {…}}``."""
    return {"Name": column.name, "Type": _type_info(column.type)}


def _type_info(data_type: DataType) -> dict[str, Any]:
    match data_type:
        case ScalarType():
            return {"ScalarType": data_type.value}
        case ArrayType(element):
            return {"ArrayColumnInfo": {"Type": _type_info(element)}}
        case TimeSeriesType(value):
            return {"TimeSeriesMeasureValueColumnInfo": {"Type": _type_info(value)}}
        case RowType(fields):
            named = [({"Name": f.name} if f.name is not None else {}) | {"Type": _type_info(f.type)} for f in fields]
            return {"RowColumnInfo": named}


def render(value: object, data_type: DataType) -> dict[str, Any]:
    """One value (in the physical representation of ``catalog``) as a Datum."""
    return _renderer(data_type)(value)


def render_rows(table: pa.Table, columns: Sequence[ColumnInfo]) -> list[dict[str, Any]]:
    """An Arrow table of a ``Select``'s result as Row dicts: ``{"Data": [datum, …]}``."""
    if table.num_columns != len(columns):
        raise ValueError(f"{table.num_columns} columns in the result, {len(columns)} in the statement")
    rendered = [list(map(_renderer(column.type), table.column(i).to_pylist())) for i, column in enumerate(columns)]
    return [{"Data": list(row)} for row in zip(*rendered, strict=True)]


_Renderer = Callable[[Any], dict[str, Any]]


def _renderer(data_type: DataType) -> _Renderer:
    match data_type:
        case ScalarType():
            return _scalar(_SCALARS[data_type])
        case ArrayType(element):
            return _array(_renderer(element))
        case TimeSeriesType(value):
            return _series(_renderer(value))
        case RowType(fields):
            return _row([_renderer(field.type) for field in fields])


def _scalar(write: Callable[[Any], str]) -> _Renderer:
    return lambda value: {"NullValue": True} if value is None else {"ScalarValue": write(value)}


def _array(element: _Renderer) -> _Renderer:
    return lambda value: {"NullValue": True} if value is None else {"ArrayValue": [element(item) for item in value]}


def _row(fields: list[_Renderer]) -> _Renderer:
    def row(value: dict[str, Any] | None) -> dict[str, Any]:
        if value is None:
            return {"NullValue": True}
        pairs = zip(fields, value.values(), strict=True)
        return {"RowValue": {"Data": [field(item) for field, item in pairs]}}

    return row


def _series(element: _Renderer) -> _Renderer:
    def series(value: list[dict[str, Any]] | None) -> dict[str, Any]:
        if value is None:
            return {"NullValue": True}
        points = [
            {"Time": moments.format_timestamp(point["time"]), "Value": element(point["value"])} for point in value
        ]
        return {"TimeSeriesValue": points}

    return series


def _date(value: date) -> str:
    return moments.format_date(value.toordinal() - _EPOCH_ORDINAL)


_SCALARS: dict[ScalarType, Callable[[Any], str]] = {
    ScalarType.VARCHAR: str,
    ScalarType.BOOLEAN: lambda value: "true" if value else "false",
    ScalarType.BIGINT: str,
    ScalarType.INTEGER: str,
    ScalarType.UNKNOWN: str,
    ScalarType.DOUBLE: java_double,
    ScalarType.TIMESTAMP: moments.format_timestamp,
    ScalarType.DATE: _date,
    ScalarType.TIME: moments.format_clock,
    ScalarType.INTERVAL_DAY_TO_SECOND: moments.format_interval,
    ScalarType.INTERVAL_YEAR_TO_MONTH: moments.format_months,
}
