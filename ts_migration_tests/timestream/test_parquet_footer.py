"""A file is a whole Parquet file, of as many rows as were promised, or it is said what is wrong with it."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_migration.timestream.parquet_footer import NoFooter, footer_bytes, require_footer

ROWS = 1_000


def parquet(rows: int = ROWS) -> bytes:
    """A file of two row groups, with a dictionary and without."""
    body = io.BytesIO()
    table = pa.table(
        {"plant": [f"p{number % 7}" for number in range(rows)], "mw": [number / 7 for number in range(rows)]}
    )
    pq.write_table(table, body, row_group_size=max(1, rows // 2), use_dictionary=["plant"])
    return body.getvalue()


WHOLE = parquet()


def test_a_whole_file_is_accepted_by_its_footer_alone():
    footer = footer_bytes(WHOLE)
    assert footer < len(WHOLE) // 2
    require_footer(WHOLE[-footer:], len(WHOLE), ROWS)


def test_a_file_without_rows_is_accepted():
    body = parquet(0)
    require_footer(body, len(body), 0)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_off_anywhere_is_none(length):
    with pytest.raises(NoFooter):
        cut = WHOLE[:length]
        footer_bytes(cut)
        require_footer(cut, len(cut), ROWS)


@given(st.integers(4, 4 + footer_bytes(WHOLE)), st.integers(1, 2_000))
def test_a_file_that_lost_bytes_in_its_middle_is_none(start, lost):
    body = WHOLE[:start] + WHOLE[start + lost :]
    with pytest.raises(NoFooter):
        footer_bytes(body)
        require_footer(body, len(body), ROWS)


def test_other_rows_than_the_manifests_are_told_with_both_numbers():
    with pytest.raises(NoFooter, match="counts 1,000 rows, the manifest 1,001"):
        require_footer(WHOLE, len(WHOLE), ROWS + 1)


def test_a_footer_of_rubbish_is_told():
    body = b"PAR1" + b"x" * 100 + (50).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(NoFooter, match="cannot be read"):
        require_footer(body, len(body), ROWS)


@pytest.mark.parametrize("body", [b"", b"PAR1", b"x" * 12, b"<html>not here</html>"])
def test_what_does_not_end_as_parquet_ends_is_no_parquet(body):
    with pytest.raises(NoFooter):
        footer_bytes(body)
        require_footer(body, len(body), 0)
