"""Result values in the Query API's wire form (Datum, Row, ColumnInfo)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ts_migration.local.timestream.catalog import ColumnInfo, DataType


def column_info(column: ColumnInfo) -> dict[str, Any]:
    """A column in the form of the Query API's ``ColumnInfo``: ``{"Name": …, "Type": {…}}``."""
    raise NotImplementedError


def render(value: object, data_type: DataType) -> dict[str, Any]:
    """One value (in the physical representation of ``catalog``) as a Datum."""
    raise NotImplementedError


def render_rows(table: pa.Table, columns: Sequence[ColumnInfo]) -> list[dict[str, Any]]:
    """An Arrow table of a ``Select``'s result as Row dicts: ``{"Data": [datum, …]}``."""
    raise NotImplementedError
