"""A small window on both sides, and readings of it: what the tests of the checks spoil in one place at a time."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import polars as pl

from ts_migration.influxdb.blocks import Block, BlockColumn, SeriesBatch
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.stages.check import judge
from ts_migration.validation.differences import compare
from ts_migration.validation.digest import PointDigest
from ts_migration.validation.point_values import BlockPoints, FramePoints
from ts_migration.validation.readings import ExportReading, Reading, SourceReading, TargetReading
from ts_migration.validation.sample import SampleLookup, sampled_rows
from ts_migration.validation.verdict import Verdict
from ts_migration.windows import Window
from ts_migration_tests.validation.reference import Value

HOUR = 3_600_000_000_000
WINDOW = Window(1_672_531_200_000_000_000, 1_675_209_600_000_000_000, "2023-01-01")
MAPPING = Mapping(
    "balance",
    (TagSource("measure_name", "measure_name"), TagSource("plant", "plant")),
    (
        FieldSource("load", "load", FieldType.FLOAT),
        FieldSource("note", "note", FieldType.STRING),
        FieldSource("on", "on", FieldType.BOOLEAN),
        FieldSource("units", "units", FieldType.INTEGER),
    ),
    ("metrics",),
    ("plant",),
    True,
)
SCHEMA = {
    "plant": pl.String, "measure_name": pl.String, "time_ns": pl.Int64, "load": pl.Float64, "note": pl.String, "on": pl.Boolean,
    "units": pl.Int64,
}  # fmt: skip


def rows(hours: int = 96, plants: tuple[str, ...] = ("Itaipu", "Belo Monte", "Angra 1")) -> list[dict]:
    """One row per plant and seventh hour; every third has no note."""
    return [
        {
            "plant": plant,
            "measure_name": "metrics",
            "time_ns": WINDOW.start_ns + hour * 7 * HOUR,
            "load": 100.0 * position - hour / 8,
            "note": None if hour % 3 == 0 else f"{plant} at {hour}",
            "on": hour % 2 == 0,
            "units": hour - 40,
        }
        for hour in range(hours)
        for position, plant in enumerate(plants)
    ]


def frame_of(found: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(found, schema=SCHEMA)


def values_of(found: Iterable[dict]) -> list[Value]:
    return [
        Value("balance", tuple((tag.tag, row[tag.column]) for tag in MAPPING.tags if row[tag.column]), field.field, row["time_ns"], field.type.value, row[field.column])
        for row in found
        for field in MAPPING.fields
        if row[field.column] is not None
    ]  # fmt: skip


def blocks_of(values: Iterable[Value]) -> list[Block]:
    """As a bucket gives values back: the last of two values of one series, field and time."""
    blocks = []
    ordered = sorted(
        {(v.tags, v.field, v.time_ns): v for v in values}.values(), key=lambda v: (v.tags, v.field, v.kind)
    )
    for series, of_series in groupby(ordered, key=lambda v: v.tags):
        points = list(of_series)
        times = np.array(sorted({value.time_ns for value in points}), np.int64)
        columns = []
        for (field, kind), of_field in groupby(points, key=lambda v: (v.field, v.kind)):
            dtype = {"float": np.float64, "integer": np.int64, "boolean": np.bool_, "string": object}[kind]
            array, valid = np.zeros(len(times), dtype), np.zeros(len(times), np.bool_)
            for value in of_field:
                where = int(np.searchsorted(times, value.time_ns))
                array[where], valid[where] = value.value, True
            columns.append(BlockColumn(field, FieldType(kind), array, None if valid.all() else valid))
        blocks.append(Block("balance", dict(series), times, tuple(columns)))
    return blocks


def counts_of(values: Iterable[Value]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value.field] = found.get(value.field, 0) + 1
    return dict(sorted(found.items()))


def reading_of(
    source: list[dict],
    export: list[dict] | None = None,
    bucket: list[Value] | None = None,
    *,
    count_tolerance: float = 0.0,
    sample_threshold: float = 1.0,
    sample: int = 40,
) -> Reading:
    """A reading of a source, of what was exported of it and of what is in the bucket (by default the same)."""
    export = source if export is None else export
    bucket = values_of(export) if bucket is None else bucket
    expected = PointDigest(WINDOW.start_ns, WINDOW.end_ns)
    expected.add_frame(frame_of(export), MAPPING)
    actual = PointDigest(WINDOW.start_ns, WINDOW.end_ns)
    blocks = blocks_of(bucket)
    actual.add_blocks(blocks)
    chosen = frame_of(source).sample(min(sample, len(source)), seed=7)
    sampled = sampled_rows(chosen, MAPPING)
    lookup = SampleLookup(sampled)
    for block in blocks:
        lookup.look(SeriesBatch.of(block))
    kinds: dict[str, set[str]] = {}
    for value in bucket:
        kinds.setdefault(value.field, set()).add(value.kind)
    types = {field: tuple(sorted(found)) for field, found in sorted(kinds.items())}
    times = [row["time_ns"] for row in source]
    return Reading(
        SourceReading(
            len(source), counts_of(values_of(source)), min(times, default=None), max(times, default=None), sampled
        ),
        ExportReading(
            len(export), len(export), 0, 0, counts_of(values_of(export)), expected.record(), expected.coverage, expected.series, ()
        ),
        TargetReading(
            sum_counts(blocks), actual.record(), actual.coverage, actual.series, types, types,
            tuple(sorted({tag for block in blocks for tag in block.tags})), sample=lookup.found,
        ),
        count_tolerance,
        sample_threshold,
    )  # fmt: skip


def sum_counts(blocks: list[Block]) -> dict[str, int]:
    found: dict[str, int] = {}
    for block in blocks:
        for column in block.columns:
            found[column.field] = found.get(column.field, 0) + column.count
    return dict(sorted(found.items()))


def verdicts_of(reading: Reading, export: list[dict], bucket: list[Value]) -> dict[str, Verdict]:
    """The five verdicts, with the differing points named as `stages.check` would."""
    differences = None
    if reading.export.expected.lanes != reading.target.digest.lanes:
        expected, actual = FramePoints(MAPPING), BlockPoints()
        expected.add(frame_of(export))
        actual.add(blocks_of(bucket))
        differences = compare(expected, actual)
    return {verdict.check.value: verdict for verdict in judge(reading, MAPPING, WINDOW, differences)}
