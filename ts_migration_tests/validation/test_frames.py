"""Pandera on exported batches: what it catches, and that it is told in capped rows."""

import polars as pl
import pytest

from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping
from ts_migration.manifests import ExportManifest, FramesRecord, WindowRange
from ts_migration.validation.frames import FrameChecks
from ts_migration.validation.verdict import EVIDENCE_ROWS

EXPORT = ExportManifest(
    database="d", table="t", window=WindowRange(key="k", start_ns=100, end_ns=200), rows=0, bytes=0, files=(), queries=(), aws_manifests=(),
    columns={"plant": "varchar", "measure_name": "varchar", "time": "timestamp", "load": "double", "time_ns": "bigint"},
    settings="0" * 64, seconds=0,
)  # fmt: skip
MAPPING = Mapping("t", (), (FieldSource("load", "load", FieldType.FLOAT),), ("metrics",), ("plant",), True)
GOOD = pl.DataFrame({"plant": ["a", None], "measure_name": ["metrics"] * 2, "load": [1.5, None], "time_ns": [100, 199]})


def found(*frames: pl.DataFrame) -> FrameChecks:
    checks = FrameChecks(EXPORT, MAPPING)
    for frame in frames:
        checks.check(frame)
    return checks


def test_batches_as_promised_leave_nothing_to_tell() -> None:
    assert found(GOOD, GOOD).record == FramesRecord(rows=4, failed=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("time_ns") + 1, "time_ns lies outside the window"),
        (pl.lit(None, pl.Int64).alias("time_ns"), "time_ns"),
        (pl.lit("other").alias("measure_name"), "measure_name is not one of the mapping's"),
        (pl.col("load").cast(pl.Int64), "column 'load'"),
    ],
)
def test_a_batch_that_breaks_its_promise_is_told(change: pl.Expr, words: str) -> None:
    checks = found(GOOD, GOOD.with_columns(change))
    assert checks.failed >= 1
    assert words in checks.failures[0]
    assert checks.failures[0].startswith("batch 1")


def test_a_column_that_is_not_there_is_told() -> None:
    assert "plant" in found(GOOD.drop("plant")).failures[0]


def test_thousands_of_failures_are_counted_and_capped() -> None:
    many = pl.concat([GOOD.with_columns(pl.col("time_ns") + 500)] * 1000)
    checks = found(many)
    assert checks.failed == 2000
    assert len(checks.failures) == EVIDENCE_ROWS


@pytest.mark.parametrize("name", ["*", "^load$", "^plant"])
def test_a_column_named_like_a_pattern_is_looked_at_by_its_name(name: str) -> None:
    export = EXPORT.model_copy(update={"columns": {**EXPORT.columns, name: "bigint"}})
    checks = FrameChecks(export, MAPPING)
    checks.check(GOOD.with_columns(pl.Series(name, [1, None], pl.Int64)))
    assert checks.failures == []
    checks.check(GOOD.with_columns(pl.Series(name, ["a", None], pl.String)))
    assert checks.failed == 1
