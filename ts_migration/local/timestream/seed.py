"""Bulk seeding, the caller's side: how a frame's columns become Timestream records, and the call that sends it.

Here belong the specification, the report and the HTTP client. What the server does with them is ``seeding``; this
module needs no DuckDB, so that anything can seed a running server.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal, Self, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import urllib3
from pydantic import BaseModel, ConfigDict, Field, model_validator

SEED_PATH = "/_embedded/seed"
SPEC_HEADER = "X-Seed-Spec"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
_TIMEOUT_SECONDS = 600.0

Frame: TypeAlias = pl.DataFrame | pl.LazyFrame | pa.Table | pa.RecordBatchReader | Iterable[pa.Table]


class SeedSpec(BaseModel):
    """Which columns of a frame are what.

    Types follow the frame: floats are DOUBLE, integers BIGINT, booleans BOOLEAN, strings VARCHAR and timestamps
    TIMESTAMP measures. The time column is a timestamp or integer nanoseconds since the epoch.

    ``kind="multi"``: a row is one record, each measure column a measure of it. ``kind="single"``: without a measure
    name, a row is one record per measure column, which gives the measure name; with the constant ``measure_name``
    there is one measure column; with ``measure_name_column`` each row has its value in one of the measure columns.
    A NULL measure is no value; a row without any is no record, and is counted in the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    table: str
    kind: Literal["single", "multi"]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...] = Field(min_length=1)
    measure_name: str | None = None
    measure_name_column: str | None = None
    time: str = "time"
    memory_hours: int = Field(default=24, ge=1, le=8766)
    magnetic_days: int = Field(default=73_000, ge=1, le=73_000)

    @model_validator(mode="after")
    def _one_measure_name(self) -> Self:
        if self.measure_name is not None and self.measure_name_column is not None:
            raise ValueError("give measure_name or measure_name_column, not both")
        if self.kind == "multi" and self.measure_name is None and self.measure_name_column is None:
            raise ValueError("a multi-measure table needs measure_name or measure_name_column")
        if self.kind == "single" and self.measure_name is not None and len(self.measures) != 1:
            raise ValueError("one constant measure_name names one measure column")
        return self


class SeedReport(BaseModel):
    """What became of a frame: rows read, records stored, repetitions of stored records, rows without any value."""

    model_config = ConfigDict(frozen=True)

    rows_read: int
    records_stored: int
    repetitions: int
    rows_without_value: int


class SeedRefusedError(Exception):
    """The server refused the frame as a whole; nothing of it is stored. The message says why."""


def seed(url: str, spec: SeedSpec, frame: Frame) -> SeedReport:
    """Store a frame in a running embedded server; the database and table are made if they do not exist.

    Args:
        url: of the server, ``http://127.0.0.1:PORT``.
        frame: rows as ``spec`` describes them; an iterable of Arrow tables is sent without being held as a whole.

    Raises:
        SeedRefusedError: the frame does not fit the specification, the table or Timestream's limits.
    """
    with tempfile.TemporaryFile() as body:
        _write_stream(body, _tables(frame))
        body.seek(0)
        return _post(url, spec, body, ARROW_STREAM)


def seed_parquet(url: str, spec: SeedSpec, path: Path) -> SeedReport:
    """Store a Parquet file in a running embedded server, as it is."""
    with path.open("rb") as body:
        return _post(url, spec, body, PARQUET)


def read_csv(path: Path, *, separator: str = ",") -> pl.DataFrame:
    """A CSV file, plain or compressed, as a frame to seed: dates and times are recognised, empty fields are NULL."""
    return pl.read_csv(path, separator=separator, try_parse_dates=True, infer_schema_length=None)


def _post(url: str, spec: SeedSpec, body: IO[bytes], content_type: str) -> SeedReport:
    length = body.seek(0, 2)
    body.seek(0)
    headers = {
        "Content-Type": content_type,
        "Content-Length": str(length),
        # JSON escapes every character beyond ASCII: a header may hold any column name.
        SPEC_HEADER: json.dumps(spec.model_dump(mode="json")),
    }
    response = urllib3.request(
        "POST", url.rstrip("/") + SEED_PATH, body=body, headers=headers, timeout=_TIMEOUT_SECONDS, retries=False
    )
    if response.status != 200:
        raise SeedRefusedError(f"{spec.database}.{spec.table}: {response.data.decode(errors='replace')}")
    return SeedReport.model_validate_json(response.data)


def _tables(frame: Frame) -> Iterator[pa.Table]:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        yield frame.to_arrow()
    elif isinstance(frame, pa.Table):
        yield frame
    elif isinstance(frame, pa.RecordBatchReader):
        for batch in frame:
            yield pa.Table.from_batches([batch])
    else:
        yield from frame


def _write_stream(sink: IO[bytes], tables: Iterator[pa.Table]) -> None:
    first = next(tables, None)
    if first is None:
        raise SeedRefusedError("There is no table to seed: the iterable is empty.")
    with pa.ipc.new_stream(sink, first.schema) as stream:
        stream.write_table(first, max_chunksize=131_072)
        for table in tables:
            stream.write_table(table, max_chunksize=131_072)
