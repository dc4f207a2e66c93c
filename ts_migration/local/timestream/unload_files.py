"""The data files of an UNLOAD: rows divided into partitions, files and row groups, with bounded memory.

Here belong Parquet with INT96 times, sizes, and the division into partitions. CSV text is ``unload_csv``; buckets are
not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import igzip

from ts_migration.local.timestream.catalog import ColumnInfo, ScalarType
from ts_migration.local.timestream.refusals import QueryExecutionError, ValidationError
from ts_migration.local.timestream.sql import Unload, UnloadCompression, UnloadFormat
from ts_migration.local.timestream.unload_csv import CsvDialect, csv_header, csv_lines

MAX_PARTITIONS = 100
ROW_GROUP_ROWS = 131_072
_ROW_GROUP_BYTES = 32 * 1024 * 1024
_BUFFERED_BYTES = 192 * 1024 * 1024
"""Rows held over all partitions of an UNLOAD, in bytes; beyond it the largest buffer is written early."""
_GZIP_LEVEL = 1
_WRITABLE = {
    ScalarType.VARCHAR: pa.string(),
    ScalarType.BOOLEAN: pa.bool_(),
    ScalarType.BIGINT: pa.int64(),
    ScalarType.INTEGER: pa.int32(),
    ScalarType.DOUBLE: pa.float64(),
    ScalarType.TIMESTAMP: pa.timestamp("ns"),
    ScalarType.DATE: pa.date32(),
}
# The characters that Hive, whose layout `column=value` is, escapes in a partition's path. A space is not among them.
_ESCAPED = frozenset("\"#%'*/:=?\\\x7f{[]^") | {chr(code) for code in range(32)}
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def refuse_unwritable(columns: tuple[ColumnInfo, ...]) -> None:
    """Refuse columns of types that are not written to files here."""
    for column in columns:
        if column.type not in _WRITABLE:
            raise ValidationError(
                f"The embedded Timestream server cannot UNLOAD column {column.name!r} of type {column.type}."
            )


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A complete data file on the local disk, and its name below the destination's folder."""

    path: Path
    name: str
    rows: int
    bytes: int


class DataFile(Protocol):
    """A file that takes rows."""

    def write(self, rows: pa.Table) -> None:
        """Append rows, as one row group where the format has them."""

    def size(self) -> int:
        """Bytes written so far, approximately."""

    def close(self) -> None:
        """Complete the file."""


class ParquetFile:
    """Parquet as the service writes it: times as INT96, GZIP or nothing as the columns' compression."""

    def __init__(self, path: Path, schema: pa.Schema, compression: UnloadCompression) -> None:
        gzip = compression is UnloadCompression.GZIP
        self._sink = path.open("wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="GZIP" if gzip else "NONE",
            compression_level=_GZIP_LEVEL if gzip else None,
            use_deprecated_int96_timestamps=True,
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            store_schema=False,
        )

    def write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows, row_group_size=len(rows))

    def size(self) -> int:
        return self._sink.tell()

    def close(self) -> None:
        self._writer.close()
        self._sink.close()


class CsvFile:
    """CSV as the service writes it, plain or as one gzip member."""

    def __init__(self, path: Path, schema: pa.Schema, dialect: CsvDialect, compression: UnloadCompression) -> None:
        self._raw = path.open("wb")
        self._text: IO[bytes] = self._raw
        if compression is UnloadCompression.GZIP:
            self._text = igzip.open(self._raw, mode="wb", compresslevel=_GZIP_LEVEL)  # type: ignore[no-untyped-call]
        self._dialect = dialect
        if dialect.header:
            self._text.write(csv_header(schema.names, dialect))

    def write(self, rows: pa.Table) -> None:
        for batch in rows.to_batches():
            self._text.write(csv_lines(batch, self._dialect))

    def size(self) -> int:
        return self._raw.tell()

    def close(self) -> None:
        if self._text is not self._raw:
            self._text.close()
        self._raw.close()


@dataclass(slots=True)
class _Partition:
    """Rows of one partition that are not in a file yet, and the file that is open."""

    folder: str
    batches: list[pa.RecordBatch] = field(default_factory=list)
    buffered_rows: int = 0
    buffered_bytes: int = 0
    file: DataFile | None = None
    path: Path | None = None
    name: str = ""
    rows: int = 0


class FileSet:
    """All data files of one UNLOAD.

    Args:
        folder: local, for files under way.
        new_name: from a partition's folder and a suffix to a name below the destination.
    """

    def __init__(self, unload: Unload, folder: Path, new_name: Callable[[str, str], str]) -> None:
        options, columns = unload.options, unload.select.columns
        self._options = options
        self._folder = folder
        self._new_name = new_name
        self._columns = columns
        self._kept = len(columns) - len(options.partitioned_by)
        self._schema = pa.schema([pa.field(c.name, _WRITABLE[_scalar(c)]) for c in columns[: self._kept]])
        self._dialect = CsvDialect(options.field_delimiter, options.escaped_by, options.include_header)
        self._open: dict[str, _Partition] = {}
        self._buffered_bytes = 0
        # A file exceeds the wanted size by a row group at most: small files need small row groups.
        self._group_bytes = min(_ROW_GROUP_BYTES, options.max_file_size // 4)
        self._made = 0

    @property
    def partitions(self) -> int:
        """How many partitions have rows."""
        return len(self._open) if self._options.partitioned_by else 0

    def write(self, batch: pa.RecordBatch) -> list[FinishedFile]:
        """Take rows; returns files that became complete.

        Raises:
            QueryExecutionError: the rows have more than 100 partitions.
        """
        finished: list[FinishedFile] = []
        rows = self._typed(batch)
        if self._options.partitioned_by:
            values = [batch.column(i) for i in range(self._kept, batch.num_columns)]
            parts = _divide(rows, values, self._columns[self._kept :])
        else:
            parts = [("", rows)]
        for folder, part in parts:
            partition = self._open.get(folder) or self._add(folder)
            partition.batches.append(part)
            partition.buffered_rows += part.num_rows
            partition.buffered_bytes += part.nbytes
            self._buffered_bytes += part.nbytes
            if partition.buffered_rows >= ROW_GROUP_ROWS or partition.buffered_bytes >= self._group_bytes:
                finished += self._flush(partition)
        while self._buffered_bytes > _BUFFERED_BYTES:
            finished += self._flush(max(self._open.values(), key=lambda each: each.buffered_bytes))
        return finished

    def finish(self) -> list[FinishedFile]:
        """Write what is left; returns the files that became complete."""
        finished: list[FinishedFile] = []
        for partition in self._open.values():
            if partition.buffered_rows:
                finished += self._flush(partition)
            if partition.file is not None:
                finished.append(self._complete(partition))
        return finished

    def _typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The written columns under their own names and types; times are BIGINT in DuckDB."""
        columns = [batch.column(i).cast(kind.type) for i, kind in enumerate(self._schema)]
        return pa.record_batch(columns, schema=self._schema)

    def _add(self, folder: str) -> _Partition:
        if len(self._open) >= MAX_PARTITIONS and self._options.partitioned_by:
            raise QueryExecutionError(f"Exceeded limit of {MAX_PARTITIONS} partitions per UNLOAD query.")
        self._open[folder] = _Partition(folder)
        return self._open[folder]

    def _flush(self, partition: _Partition) -> list[FinishedFile]:
        if partition.file is None:
            self._begin(partition)
        rows = pa.Table.from_batches(partition.batches)
        self._buffered_bytes -= partition.buffered_bytes
        partition.batches, partition.buffered_rows, partition.buffered_bytes = [], 0, 0
        partition.rows += len(rows)
        assert partition.file is not None  # noqa: S101 - begun above
        partition.file.write(rows)
        if partition.file.size() >= self._options.max_file_size:
            return [self._complete(partition)]
        return []

    def _begin(self, partition: _Partition) -> None:
        options = self._options
        self._made += 1
        partition.path = self._folder / f"{self._made}"
        if options.format is UnloadFormat.PARQUET:
            partition.file = ParquetFile(partition.path, self._schema, options.compression)
            suffix = ".parquet"
        else:
            partition.file = CsvFile(partition.path, self._schema, self._dialect, options.compression)
            suffix = ".gz" if options.compression is UnloadCompression.GZIP else ".csv"
        partition.name = self._new_name(partition.folder, suffix)
        partition.rows = 0

    def _complete(self, partition: _Partition) -> FinishedFile:
        assert partition.file is not None and partition.path is not None  # noqa: S101 - only open files complete
        partition.file.close()
        partition.file = None
        return FinishedFile(partition.path, partition.name, partition.rows, partition.path.stat().st_size)


def _scalar(column: ColumnInfo) -> ScalarType:
    if not isinstance(column.type, ScalarType):
        raise ValidationError(f"Column {column.name!r} of type {column.type} cannot be written.")
    return column.type


def _divide(
    rows: pa.RecordBatch, values: list[pa.Array], columns: tuple[ColumnInfo, ...]
) -> list[tuple[str, pa.RecordBatch]]:
    """The rows of each partition, with the partition's folder ``column=value/…/``."""
    texts = [_partition_text(value, column) for value, column in zip(values, columns, strict=True)]
    keys = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "/")
    encoded = keys.dictionary_encode()
    codes = encoded.indices.to_numpy()
    folders = [f"{text}/" for text in encoded.dictionary.to_pylist()]
    if len(folders) == 1:
        return [(folders[0], rows)]
    order = np.argsort(codes, kind="stable")
    sorted_rows = rows.take(pa.array(order))
    ends = np.cumsum(np.bincount(codes, minlength=len(folders)))
    starts = np.concatenate(([0], ends[:-1]))
    return [
        (folder, sorted_rows.slice(int(start), int(end - start)))
        for folder, start, end in zip(folders, starts, ends, strict=True)
    ]


def _partition_text(values: pa.Array, column: ColumnInfo) -> pa.Array:
    """``column=value`` of each row. Each distinct value is escaped once."""
    encoded = values.cast(_WRITABLE[_scalar(column)]).cast(pa.string()).dictionary_encode()
    distinct = [f"{column.name}={_escaped(value, column.name)}" for value in encoded.dictionary.to_pylist()]
    texts = pa.array(distinct, type=pa.string()).take(encoded.indices)
    return texts.fill_null(f"{column.name}={_NULL_PARTITION}")


def _escaped(value: str, column: str) -> str:
    if not value.isascii():
        raise QueryExecutionError(f"Values of the partition column {column!r} must be ASCII: {value!r}.")
    if not value:
        return _NULL_PARTITION
    return "".join(f"%{ord(character):02X}" if character in _ESCAPED else character for character in value)
