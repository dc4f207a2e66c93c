"""Cells of different lengths as one array of bytes, and rows put together from columns without a loop over rows.

Only bytes and lengths: what a cell means is the writers'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Bytes = npt.NDArray[np.uint8]
Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Cells one after the other; `width` is their length where it is the same for all, else None."""

    data: Bytes
    lengths: Lengths
    width: int | None = None


def fixed(cells: Bytes) -> Ragged:
    """Cells of one width from a matrix with a row for each."""
    count, width = cells.shape
    return Ragged(cells.reshape(-1), np.full(count, width, np.int64), width)


def trimmed(cells: Bytes, lengths: Lengths) -> Ragged:
    """The first bytes of each row of a matrix."""
    if len(lengths) and (lengths == cells.shape[1]).all():
        return fixed(cells)
    return Ragged(cells[np.arange(cells.shape[1]) < lengths[:, None]], lengths)


def of_bytes(cells: Sequence[bytes]) -> Ragged:
    """Cells from Python's bytes: for the few, and for texts that are no UTF-8."""
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    return Ragged(np.frombuffer(b"".join(cells), np.uint8), lengths)


def of_series(texts: pl.Series) -> Ragged:
    """Cells from texts without nulls."""
    arrow = texts.to_arrow()
    _, offsets_buffer, data_buffer = arrow.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[arrow.offset : arrow.offset + len(arrow) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    return Ragged(data[offsets[0] : offsets[-1]], np.diff(offsets))


def repeated(cells: Sequence[bytes], counts: Lengths) -> Ragged:
    """Each cell as often as its count says."""
    if len(cells) == 1:
        return fixed(np.broadcast_to(np.frombuffer(cells[0], np.uint8), (int(counts[0]), len(cells[0]))))
    source = of_bytes(cells)
    starts = np.cumsum(source.lengths) - source.lengths
    lengths = np.repeat(source.lengths, counts)
    return Ragged(source.data[_positions(np.repeat(starts, counts), lengths)], lengths)


def _positions(starts: Lengths, lengths: Lengths) -> Lengths:
    """Places of all bytes of cells that begin at `starts`."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def interleave(parts: Sequence[Ragged | bytes], count: int) -> tuple[Bytes, Lengths]:
    """Rows of the parts in turn, bytes standing in every row; and where each row ends."""
    row_lengths = np.zeros(count, np.int64)
    for part in parts:
        row_lengths += len(part) if isinstance(part, bytes) else part.lengths
    ends = np.cumsum(row_lengths)
    out = np.empty(int(ends[-1]) if count else 0, np.uint8)
    at = ends - row_lengths
    for part in parts:
        if isinstance(part, bytes):
            for byte in part:
                out[at] = byte
                at = at + 1
            continue
        if part.width is not None:
            out[at[:, None] + np.arange(part.width)] = part.data.reshape(count, part.width)
        else:
            out[_positions(at, part.lengths)] = part.data
        at = at + part.lengths
    return out, ends


def utf8(values: npt.NDArray[Any]) -> pl.Series | None:
    """Texts as polars holds them; None where one of them is no UTF-8."""
    try:
        return pl.Series(values.tolist(), dtype=pl.String)
    except UnicodeEncodeError:
        return None
