"""Answers as JSON, in the order of keys and with the escapes of Go's encoding/json."""

import re
from functools import lru_cache

import numpy as np
import polars as pl

from ts_migration.local.influxdb.influxql.errors import StatementError
from ts_migration.local.influxdb.influxql.frames import Column, Frame, Tags
from ts_migration.local.influxdb.influxql.writing import numerals
from ts_migration.local.influxdb.influxql.writing.pieces import Outcome, Piece, cut_up
from ts_migration.local.influxdb.influxql.writing.ragged import Ragged, interleave, of_bytes, of_series, utf8
from ts_migration.local.influxdb.points import FieldType

_SPECIAL = r'[\x00-\x1f"\\<>&\u2028\u2029]'
_FOR_POLARS = r'[\x00-\x1f"\\<>&\x{2028}\x{2029}]'
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ANY_SPECIAL = re.compile(_SPECIAL + "|[\udc80-\udcff]")


def quoted(text: str) -> str:
    """A text as a JSON string; bytes that are no UTF-8 become U+FFFD each."""
    return f'"{text}"' if _ANY_SPECIAL.search(text) is None else f'"{_ANY_SPECIAL.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if "\udc80" <= char <= "\udcff":
        return "\\ufffd"
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


class JsonFormat:
    """Writes one JSON document after the other, each on its line."""

    content_type = "application/json"

    def __init__(self, epoch: str | None) -> None:
        self._epoch = epoch

    def pieces(self, frame: Frame) -> list[Piece]:
        """The frame's segments, encoded."""
        count = len(frame.columns[0]) if frame.times is None else len(frame.times)
        cells = [] if frame.times is None else [self._times(frame)]
        cells += [_cells(column) for column in frame.columns]
        parts: list[Ragged | bytes] = [b"["]
        for cell in cells:
            parts += [cell, b","]
        parts[-1] = b"],"
        return cut_up(frame, *interleave(parts, count), separator=1)

    def _times(self, frame: Frame) -> Ragged:
        times = np.empty(0, np.int64) if frame.times is None else frame.times
        if self._epoch is not None:
            return of_series(numerals.integers(numerals.epoch_times(times, self._epoch)))
        return of_series('"' + numerals.rfc3339(times) + '"')

    def document(self, outcomes: list[Outcome]) -> bytes:
        """A document of outcomes."""
        if not outcomes:
            return b"{}\n"
        return b'{"results":[' + b",".join(map(_outcome, outcomes)) + b"]}\n"


def _outcome(outcome: Outcome) -> bytes:
    parts = [f'{{"statement_id":{outcome.statement}'.encode()]
    if outcome.pieces:
        parts.append(b',"series":[' + b",".join(map(_piece, outcome.pieces)) + b"]")
    if outcome.partial:
        parts.append(b',"partial":true')
    if outcome.error is not None:
        parts.append(b',"error":' + quoted(outcome.error).encode())
    return b"".join(parts) + b"}"


def _piece(piece: Piece) -> bytes:
    parts = []
    if piece.name:
        parts.append('"name":' + quoted(piece.name))
    if piece.tags:
        parts.append(f'"tags":{_tags(piece.tags)}')
    parts.append(_columns(piece.columns))
    head = ",".join(parts).encode()
    values = b',"values":[' + b",".join(piece.rows) + b"]" if piece.count else b""
    return b"{" + head + values + (b',"partial":true}' if piece.partial else b"}")


@lru_cache(maxsize=16)
def _columns(names: tuple[str, ...]) -> str:
    return '"columns":[' + ",".join(map(quoted, names)) + "]"


def _tags(tags: Tags) -> str:
    return "{" + ",".join(f"{quoted(key)}:{quoted(value)}" for key, value in tags) + "}"


def _cells(column: Column) -> Ragged:
    if column.type is FieldType.STRING:
        return _texts(column)
    values = column.values
    match column.type:
        case FieldType.FLOAT:
            valid = column.mask
            if not np.isfinite(values[valid]).all():
                unwritable = values[valid][~np.isfinite(values[valid])][0]
                shown = "NaN" if np.isnan(unwritable) else "+Inf" if unwritable > 0 else "-Inf"
                raise StatementError(f"json: unsupported value: {shown}")
            texts = numerals.floats(np.where(valid, values, 0.0), exponents=True)
        case FieldType.BOOLEAN:
            texts = pl.Series(values).cast(pl.String)
        case _:
            texts = numerals.integers(values)
    if column.valid is not None:
        texts = pl.select(pl.when(pl.Series(column.valid)).then(texts).otherwise(pl.lit("null"))).to_series()
    return of_series(texts)


def _texts(column: Column) -> Ragged:
    values = column.values if column.valid is None else np.where(column.valid, column.values, "")
    texts = utf8(values)
    if texts is None:
        cells = [quoted(text).encode() for text in values.tolist()]
        if column.valid is not None:
            cells = [cell if valid else b"null" for cell, valid in zip(cells, column.valid.tolist(), strict=True)]
        return of_bytes(cells)
    special = texts.str.contains(_FOR_POLARS)
    if special.any():
        rows = special.arg_true()
        texts = texts.scatter(rows, [quoted(text)[1:-1] for text in texts.gather(rows).to_list()])
    texts = '"' + texts + '"'
    if column.valid is not None:
        texts = pl.select(pl.when(pl.Series(column.valid)).then(texts).otherwise(pl.lit("null"))).to_series()
    return of_series(texts)
