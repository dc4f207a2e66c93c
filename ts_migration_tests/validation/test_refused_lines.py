"""Refused lines as points: read by the same rules as the encoder writes them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_migration.errors import Permanent
from ts_migration.line_protocol.encoder import encode
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.refused_lines import refused_blocks
from ts_migration_tests.validation.windows import MAPPING, SCHEMA, WINDOW

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
found = st.fixed_dictionaries(
    {
        "plant": texts | st.sampled_from(["a b", "a,b=c", "a\\b", 'q"', "é\t"]),
        "measure_name": st.just("metrics"),
        "time_ns": st.integers(WINDOW.start_ns, WINDOW.end_ns - 1),
        "load": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "note": st.none() | texts | st.sampled_from(['say "x"', "a\\", "\\\\n", "a\nb", "x,y=1 2"]),
        "on": st.none() | st.booleans(),
        "units": st.none() | st.integers(-(2**63), 2**63 - 1),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(found, min_size=1, max_size=4))
def test_what_the_encoder_writes_is_read_back_with_the_same_digest(rows: list[dict]) -> None:
    encoded = encode(pl.DataFrame(rows, schema=SCHEMA), MAPPING)
    text, offsets = bytes(encoded.text), encoded.offsets
    lines = [text[int(offsets[n]) : int(offsets[n + 1])].decode().removesuffix("\n") for n in range(encoded.points)]
    expected = PointDigest(WINDOW.start_ns, WINDOW.end_ns)
    expected.add_frame(encoded.accepted, MAPPING)
    actual = PointDigest(WINDOW.start_ns, WINDOW.end_ns)
    actual.add_blocks(refused_blocks(lines))
    assert actual.record() == expected.record()
    assert np.array_equal(actual.coverage, expected.coverage)


@pytest.mark.parametrize(
    "line", ["m", "m f=1", "m f 1", "m f=x 1", "m,a f=1 1", 'm f="x 1', "m f=1 1 2", "m f=99999999999999999999i 1"]
)
def test_a_line_that_is_not_one_of_ours_is_refused(line: str) -> None:
    with pytest.raises(Permanent, match="cannot be read at character"):
        refused_blocks([line])
