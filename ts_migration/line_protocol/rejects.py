"""Rows that InfluxDB 2 cannot hold exactly: why, and the quarantine they are kept in, whole and to the last digit.

A row is never altered in silence. Which rows these are is decided in `encoder` and, for what the server refuses, by the
loader; the place of the object is in `objects`.
"""

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

import polars as pl
import xxhash

from ts_migration.line_protocol.names import KEY_SEPARATOR

MAX_STRING_BYTES = 1_048_576
"""Longest string field, bytes [influxdb 2.7.11, tsdb/field_validator.go]."""
MAX_KEY_BYTES = 65_535
"""Longest series key with four bytes and the field key [models/points.go]."""
MIN_POINT_TIME_NS = -(2**63) + 2
MAX_POINT_TIME_NS = 2**63 - 2
"""Times that InfluxDB keeps for itself lie outside [models/time.go]."""


class Reason(StrEnum):
    """Why a row cannot be written exactly. One place for the words."""

    TAG_ENDS_IN_BACKSLASH = "a tag value ends in a backslash, which no spelling of line protocol can say"
    TAG_HOLDS_LINE_FEED = "a tag value holds a line feed, which ends the line"
    TAGS_MISREAD = "backslashes before a space and before a later comma or equals sign make the server misread the line"
    TAG_HOLDS_SEPARATOR = f"a tag value holds {KEY_SEPARATOR}, at which InfluxDB's files cut the series key"
    KEY_TOO_LONG = f"measurement, tags and a field key are longer than {MAX_KEY_BYTES:,} bytes"
    FLOAT_NOT_FINITE = "a float is NaN or infinite, which line protocol cannot say"
    STRING_TOO_LONG = f"a string is longer than {MAX_STRING_BYTES:,} bytes"
    INTEGER_NOT_EXACT = "an integer that `types` turns into a float has no exact float"
    TIME_OUT_OF_RANGE = "the time is one of the three that InfluxDB keeps for itself"
    REFUSED_BY_SERVER = "the server refused the line"


@dataclass(frozen=True)
class Rejects:
    """Rows that were not encoded: the whole source rows, and for each the reason and the column it was found in."""

    rows: pl.DataFrame
    reasons: pl.Series
    columns: pl.Series

    def __len__(self) -> int:
        return len(self.rows)


class QuarantineWriter:
    """Writes rejected rows as gzipped NDJSON, one `{"reason", "column", "row"}` a line, into an open file.

    Values are exact: integers as they are, floats as their shortest text, NaN and infinities as the strings "NaN",
    "Infinity" and "-Infinity" (JSON has no such numbers), times as integer nanoseconds.
    """

    def __init__(self, target: IO[bytes]) -> None:
        # mtime 0: the same rows give the same bytes.
        self._gzip = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0)
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        """Reason, by its name in the file -> rows."""

    def add(self, rejects: Rejects) -> None:
        """Append rows."""
        reasons = zip(rejects.reasons.to_list(), rejects.columns.to_list(), strict=True)
        for row, (reason, column) in zip(rejects.rows.iter_rows(named=True), reasons, strict=True):
            self._gzip.write(quarantine_line(row, Reason(reason), column))
            self.reasons[Reason(reason).name.lower()] += 1
        self.rows += len(rejects)

    def close(self) -> None:
        """End the gzip stream; the file stays open."""
        self._gzip.close()


def quarantine_line(row: dict[str, Any], reason: Reason, column: str) -> bytes:
    """One line of the quarantine."""
    exact = {name: _exact(value) for name, value in row.items()}
    entry = {"reason": reason.name.lower(), "text": reason.value, "column": column, "row": exact}
    return (json.dumps(entry, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


def rejects_digest(rejects: Rejects) -> int:
    """Sum modulo 2^64 of the rows' hashes, whatever their order and reasons: other rows have another.

    A hash is the xxh3 of the row as the quarantine keeps it, its columns sorted by name and without NULLs.
    """
    total = 0
    for row in rejects.rows.iter_rows(named=True):
        told = {name: _exact(row[name]) for name in sorted(row) if row[name] is not None}
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        total += xxhash.xxh3_64_intdigest(text.encode())
    return total % 2**64


def read_quarantine(body: bytes) -> Iterator[dict[str, Any]]:
    """Entries of a quarantine object, in the order they were written."""
    for line in gzip.decompress(body).splitlines():
        yield json.loads(line)


def read_quarantine_head(head: bytes) -> Iterator[dict[str, Any]]:
    """Entries that are whole within the first bytes of a quarantine object."""
    text = zlib.decompressobj(wbits=31).decompress(head)
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        yield json.loads(line)


def _exact(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
