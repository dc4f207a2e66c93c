"""The quarantine keeps rows whole and exact, whatever JSON can or cannot say."""

import io
import math

import polars as pl

from ts_migration.line_protocol.rejects import QuarantineWriter, Reason, Rejects, read_quarantine


def test_the_quarantine_keeps_every_value_exactly() -> None:
    rows = pl.DataFrame(
        {
            "reason": ["a dimension of this name", 'x\n"\\', None],
            "i": [2**63 - 1, -(2**63), None],
            "f": [math.nan, -math.inf, 0.1],
            "b": [True, None, False],
        }
    )
    reasons = [Reason.FLOAT_NOT_FINITE, Reason.TAG_HOLDS_LINE_FEED, Reason.KEY_TOO_LONG]
    target = io.BytesIO()
    writer = QuarantineWriter(target)
    writer.add(Rejects(rows, pl.Series([reason.value for reason in reasons]), pl.Series(["f", "reason", ""])))
    writer.close()
    entries = list(read_quarantine(target.getvalue()))
    assert writer.rows == 3
    assert [entry["reason"] for entry in entries] == ["float_not_finite", "tag_holds_line_feed", "key_too_long"]
    assert [entry["column"] for entry in entries] == ["f", "reason", ""]
    assert [entry["row"] for entry in entries] == [
        {"reason": "a dimension of this name", "i": 2**63 - 1, "f": "NaN", "b": True},
        {"reason": 'x\n"\\', "i": -(2**63), "f": "-Infinity", "b": None},
        {"reason": None, "i": None, "f": 0.1, "b": False},
    ]
