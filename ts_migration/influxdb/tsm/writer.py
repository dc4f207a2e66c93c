"""Columns to a TSM file: blocks are made a stretch at a time, those of each column together, and lie in key order.

How blocks and index are encoded is in `blocks` and `index`; what is refused, in `layout`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from ts_migration.influxdb.tsm import blocks
from ts_migration.influxdb.tsm.columns import Integers, TsmColumn
from ts_migration.influxdb.tsm.index import ENTRY, FOOTER_BYTES, HEADER, Index, index_bytes
from ts_migration.influxdb.tsm.layout import Layout, laid_out
from ts_migration.influxdb.tsm.ragged import content_of, merged, offsets_in, offsets_of


def tsm_file(columns: Sequence[TsmColumn]) -> Iterator[bytes]:
    """A whole TSM file in pieces of some MB: header, blocks, index, footer.

    Args:
        columns: any number of each kind, every key in one of them. Values are copied where keys do not ascend.

    Raises:
        TsmUnwritable: at once, before the first piece: nothing to write, a key twice, times that do not ascend, NaN, a
            key or a number of points that the format cannot hold.
    """
    return _pieces(columns, laid_out(columns))


def _pieces(columns: Sequence[TsmColumn], layout: Layout) -> Iterator[bytes]:
    yield HEADER
    at = len(HEADER)
    entries = np.empty(len(layout.starts), ENTRY)
    entries["first"], entries["last"] = layout.firsts, layout.lasts
    for stretch in layout.stretches():
        made = _blocks(columns, layout, stretch)
        bounds = offsets_in(made)
        entries["offset"][stretch] = bounds[:-1] + at
        entries["size"][stretch] = np.diff(bounds)
        piece = content_of(made)[: bounds[-1]].tobytes()
        at += len(piece)
        yield piece
    yield index_bytes(Index(layout.keys, layout.kinds, layout.counts, entries))
    yield at.to_bytes(FOOTER_BYTES, "big")


def _blocks(columns: Sequence[TsmColumn], layout: Layout, stretch: slice) -> pa.LargeBinaryArray:
    """The blocks of a stretch, made column by column and put in order."""
    of, starts, lengths = layout.columns[stretch], layout.starts[stretch], layout.lengths[stretch]
    groups = []
    for number in np.unique(of).tolist():
        own = np.flatnonzero(of == number)
        groups.append((own, _of_column(columns[number], starts[own], lengths[own])))
    return merged(groups, len(of))


def _of_column(column: TsmColumn, starts: Integers, lengths: Integers) -> pa.LargeBinaryArray:
    if (starts[1:] == (starts + lengths)[:-1]).all():
        points = slice(int(starts[0]), int(starts[-1] + lengths[-1]))
        return blocks.encoded(column.kind, column.times[points], column.values[points], lengths)
    begins = offsets_of(lengths)[:-1]
    order = np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))
    values = column.values.take(pa.array(order)) if isinstance(column.values, pa.Array) else column.values[order]
    return blocks.encoded(column.kind, column.times[order], values, lengths)
