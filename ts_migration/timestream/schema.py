"""Columns of a Timestream table, as `DESCRIBE` and `SHOW MEASURES` tell them. Values only: no queries.

Rules: docs of DESCRIBE (`Column`, `Type`, `Timestream attribute type`) and the data model's limits.
"""

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """Types that a stored column can have, spelled as DESCRIBE spells them."""

    VARCHAR = "varchar"
    BIGINT = "bigint"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


class ColumnRole(StrEnum):
    """DESCRIBE's third column. MEASURE_VALUE is a single-measure value column, MULTI one of a multi-measure record."""

    DIMENSION = "DIMENSION"
    MEASURE_NAME = "MEASURE_NAME"
    TIMESTAMP = "TIMESTAMP"
    MULTI = "MULTI"
    MEASURE_VALUE = "MEASURE_VALUE"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: ColumnType
    role: ColumnRole


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of SHOW MEASURES: a measure_name with its type (`multi` for multi-measure records) and its dimensions."""

    name: str
    type: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table's columns in DESCRIBE's order, and its measures in SHOW MEASURES' order."""

    database: str
    table: str
    columns: tuple[Column, ...]
    measures: tuple[Measure, ...] = ()

    def with_role(self, role: ColumnRole) -> tuple[Column, ...]:
        """Columns of one role, in order."""
        return tuple(column for column in self.columns if column.role is role)

    @property
    def dimensions(self) -> tuple[Column, ...]:
        """Dimension columns, in order."""
        return self.with_role(ColumnRole.DIMENSION)
