"""Answers as CSV: as Go's encoding/csv quotes it, lines ending in LF, one block of columns a statement.

As on the real server errors are not printed, null and the empty text look alike, and times are ns without an epoch too.
"""

import re

import numpy as np
import polars as pl

from ts_migration.local.influxdb.influxql.frames import Column, Frame, Segment, Tags
from ts_migration.local.influxdb.influxql.writing import numerals
from ts_migration.local.influxdb.influxql.writing.pieces import Outcome, Piece, cut_up
from ts_migration.local.influxdb.influxql.writing.ragged import (
    Ragged,
    interleave,
    of_bytes,
    of_series,
    repeated,
    utf8,
)
from ts_migration.local.influxdb.points import FieldType

_QUOTED_IN_POLARS = r'[",\r\n]|^\s|^\\\.$'
_QUOTED = re.compile(r'[",\r\n]|^\s|^\\\.\Z')
_BYTES = "surrogateescape"


def field(text: str) -> bytes:
    """One cell."""
    if _QUOTED.search(text):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode("utf-8", _BYTES)


def _hash_key(tags: Tags) -> str:
    """Tags as a series key has them; a tag without a value is left out."""
    return ",".join(f"{_escaped(key)}={_escaped(value)}" for key, value in tags if value)


def _escaped(text: str) -> str:
    return text.replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")


class CsvFormat:
    """Writes blocks of lines; remembers which statement the last header belongs to."""

    def __init__(self, epoch: str | None, content_type: str) -> None:
        self.content_type = content_type
        self._epoch = epoch
        self._statement = -1

    def pieces(self, frame: Frame) -> list[Piece]:
        """The frame's segments, encoded."""
        count = len(frame.columns[0]) if frame.times is None else len(frame.times)
        counts = np.array([segment.stop - segment.start for segment in frame.segments], np.int64)
        cells = [] if frame.times is None else [self._times(frame)]
        cells += [_cells(column) for column in frame.columns]
        parts: list[Ragged | bytes] = [repeated([_prefix(segment) for segment in frame.segments], counts)]
        for cell in cells:
            parts += [cell, b","]
        parts[-1] = b"\n"
        return cut_up(frame, *interleave(parts, count))

    def _times(self, frame: Frame) -> Ragged:
        times = np.empty(0, np.int64) if frame.times is None else frame.times
        return of_series(numerals.integers(numerals.epoch_times(times, self._epoch or "ns")))

    def document(self, outcomes: list[Outcome]) -> bytes:
        """The lines of outcomes; a header before the first of each statement, an empty line between statements."""
        out: list[bytes] = []
        for outcome in outcomes:
            if outcome.statement != self._statement and outcome.pieces:
                if self._statement >= 0:
                    out.append(b"\n")
                self._statement = outcome.statement
                names = ("name", "tags", *outcome.pieces[0].columns)
                out.append(b",".join(map(field, names)) + b"\n")
            for piece in outcome.pieces:
                out += piece.rows
        return b"".join(out)


def _prefix(segment: Segment) -> bytes:
    return field(segment.name) + b"," + field(_hash_key(segment.tags)) + b","


def _cells(column: Column) -> Ragged:
    values = column.values
    match column.type:
        case FieldType.STRING:
            return _texts(column)
        case FieldType.FLOAT:
            texts = numerals.floats(np.where(np.isfinite(values), values, 0.0), exponents=False)
        case FieldType.BOOLEAN:
            texts = pl.Series(values).cast(pl.String)
        case _:
            texts = numerals.integers(values)
    if column.valid is not None:
        texts = pl.select(pl.when(pl.Series(column.valid)).then(texts).otherwise(pl.lit(""))).to_series()
    return of_series(texts)


def _texts(column: Column) -> Ragged:
    values = column.values if column.valid is None else np.where(column.valid, column.values, "")
    texts = utf8(values)
    if texts is None:
        return of_bytes([field(text) for text in values.tolist()])
    special = texts.str.contains(_QUOTED_IN_POLARS)
    if special.any():
        rows = special.arg_true()
        texts = texts.scatter(rows, ['"' + text.replace('"', '""') + '"' for text in texts.gather(rows).to_list()])
    return of_series(texts)
