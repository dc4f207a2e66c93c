"""Pandera on every exported batch: columns, types, nulls and times as the export's manifest and the mapping promise.

Collected frames and vectorised checks only: on a LazyFrame pandera checks no values. Failures are capped rows of text,
kept in the conversion's manifest; the schema check of the loaded window reads them there.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from ts_migration.columns import is_pattern
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.manifests import ExportManifest, FramesRecord
from ts_migration.validation.frame_values import MEASURE_NAME, TIME_COLUMN
from ts_migration.validation.verdict import EVIDENCE_ROWS

if TYPE_CHECKING:
    # Imported where it is used: it takes 0.7 s, and Dagster loads definitions often.
    from pandera.polars import DataFrameSchema

_TYPES: dict[str, type[pl.DataType]] = {
    "varchar": pl.String,
    "bigint": pl.Int64,
    "double": pl.Float64,
    "boolean": pl.Boolean,
    "timestamp": pl.Int64,
}


def frame_schema(export: ExportManifest, mapping: Mapping) -> "DataFrameSchema":
    """The schema of a batch: the manifest's columns by type, dimensions as text, times inside the window."""
    import pandera.polars as pa

    columns: dict[str, Any] = {}
    for name, kind in export.columns.items():
        if name in (TIME_COLUMN, "time"):
            continue
        if name == MEASURE_NAME:
            known = pa.Check.isin(list(mapping.measure_names), error="measure_name is not one of the mapping's")
            columns[name] = pa.Column(pl.String, known, nullable=False)
        else:
            columns[_plain(name)] = pa.Column(_TYPES[kind.lower()], nullable=True)
    inside = pa.Check.in_range(
        export.window.start_ns, export.window.end_ns, include_max=False, error="time_ns lies outside the window"
    )
    columns[TIME_COLUMN] = pa.Column(pl.Int64, inside, nullable=False)
    return pa.DataFrameSchema(columns, strict=False)


def _plain(name: str) -> str:
    """A name that pandera reads as one: with a space behind it none is a pattern any more."""
    return f"{name} " if is_pattern(name) else name


class FrameChecks:
    """Checks batches as they pass and remembers what fails."""

    def __init__(self, export: ExportManifest, mapping: Mapping) -> None:
        self.export = export
        self.mapping = mapping
        self.batches = 0
        self.rows = 0
        self.failed = 0
        self.failures: list[str] = []

    @cached_property
    def _schema(self) -> "DataFrameSchema":
        return frame_schema(self.export, self.mapping)

    @cached_property
    def _odd(self) -> dict[str, str]:
        return {name: _plain(name) for name in self.export.columns if is_pattern(name)}

    def check(self, frame: pl.DataFrame) -> None:
        """Check one batch."""
        from pandera.errors import SchemaErrors

        try:
            self._schema.validate(frame.rename(self._odd), lazy=True)
        except SchemaErrors as error:
            self._remember(error.failure_cases)
        self.batches += 1
        self.rows += len(frame)

    def _remember(self, cases: pl.DataFrame) -> None:
        self.failed += len(cases)
        for case in cases.head(max(0, EVIDENCE_ROWS - len(self.failures))).iter_rows(named=True):
            index = case.get("index")
            where = f"batch {self.batches}" + (f", row {index}" if index is not None else "")
            self.failures.append(f"{where}: column {case['column']!r}: {case['check']}: {case['failure_case']!r}")

    @property
    def record(self) -> FramesRecord:
        """What was found, as the conversion's manifest keeps it."""
        return FramesRecord(rows=self.rows, failed=self.failed, failures=tuple(self.failures[:EVIDENCE_ROWS]))
