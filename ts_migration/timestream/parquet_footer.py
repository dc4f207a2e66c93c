"""Whether the last bytes of a file are the footer of a whole Parquet file. Bytes in, a fault or none out; no requests.

A footer lies at a file's end and is written last: a file without one was cut off. Rows: `line_protocol.parquet`.
"""

import pyarrow as pa
import pyarrow.parquet as pq

TAIL_BYTES = 64 * 1024
"""Bytes of the end that hold most footers: about 100 bytes a column and row group."""

SMALLEST_BYTES = 12
"""Magic, footer's length, magic: no Parquet file is shorter."""

_MAGIC = b"PAR1"
_LENGTH_AND_MAGIC = 8


class NoFooter(ValueError):
    """The bytes are not the end of the Parquet file that was promised."""


def footer_bytes(tail: bytes) -> int:
    """Bytes of the footer, its length and the magic included, from the last 8 bytes of a file.

    Raises:
        NoFooter: the file does not end as Parquet ends.
    """
    if tail[-4:] != _MAGIC:
        raise NoFooter(
            f"its last bytes are {tail[-4:].hex(' ')} and not {_MAGIC.decode()}: it is no Parquet file, or was cut off"
        )
    return int.from_bytes(tail[-_LENGTH_AND_MAGIC:-4], "little") + _LENGTH_AND_MAGIC


def require_footer(tail: bytes, size: int, rows: int) -> None:
    """Compare the footer with what the manifest says of the file.

    Args:
        tail: the last bytes, at least `footer_bytes` of them.
        size: bytes of the whole file.
        rows: rows that the manifest counts.

    Raises:
        NoFooter: it cannot be read, counts other rows, or places a column where no bytes are.
    """
    try:
        footer = pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowInvalid, OSError) as error:
        raise NoFooter(f"its footer cannot be read: {error}") from error
    if footer.num_rows != rows:
        raise NoFooter(f"its footer counts {footer.num_rows:,} rows, the manifest {rows:,}")
    end = size - footer_bytes(tail)
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
            if start + column.total_compressed_size > end:
                raise NoFooter(
                    f"the column {column.path_in_schema!r} would end beyond its {end:,} bytes before the footer"
                )
