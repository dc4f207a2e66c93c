"""The five checks: green where both sides hold the same, and each way to spoil a window is caught by a named check."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ts_migration.stages.check import judge
from ts_migration.validation.differences import Differences
from ts_migration.validation.digest import bin_width
from ts_migration.validation.readings import Reading
from ts_migration.validation.verdict import Severity, Stage, Status, Verdict, status_of
from ts_migration_tests.validation.reference import Value
from ts_migration_tests.validation.windows import HOUR, MAPPING, WINDOW, reading_of, rows, values_of, verdicts_of

ROWS = rows()
BUCKET = values_of(ROWS)


def judged(
    source: list[dict] = ROWS, export: list[dict] | None = None, bucket: list[Value] | None = None, **options: float
) -> dict[str, Verdict]:
    export = source if export is None else export
    bucket = values_of(export) if bucket is None else bucket
    return verdicts_of(reading_of(source, export, bucket, **options), export, bucket)


def failed(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if not verdict.passed}


def test_a_window_that_is_the_same_on_both_sides_is_proven() -> None:
    verdicts = judged()
    assert failed(verdicts) == set()
    assert {verdict.difference for verdict in verdicts.values()} == {"0"}
    assert status_of(list(verdicts.values()), 0) is Status.PROVEN


def test_a_window_without_rows_is_proven() -> None:
    verdicts = judged([])
    assert failed(verdicts) == set()
    assert status_of(list(verdicts.values()), 0) is Status.PROVEN


def at(position: int, **change: object) -> Callable[[list[Value]], list[Value]]:
    def spoil(values: list[Value]) -> list[Value]:
        return [*values[:position], replace(values[position], **change), *values[position + 1 :]]

    return spoil


def swap(values: list[Value]) -> list[Value]:
    loads = [index for index, value in enumerate(values) if value.field == "load"][:2]
    result = list(values)
    result[loads[0]] = replace(values[loads[0]], value=values[loads[1]].value)
    result[loads[1]] = replace(values[loads[1]], value=values[loads[0]].value)
    return result


LOADS = [index for index, value in enumerate(BUCKET) if value.field == "load"]
UNITS = [index for index, value in enumerate(BUCKET) if value.field == "units"]

SPOILED_BUCKETS: dict[str, tuple[Callable[[list[Value]], list[Value]], set[str]]] = {
    "a value lost": (lambda v: v[1:], {"record_count", "checksum", "coverage"}),
    "all points of a day lost": (
        lambda v: [each for each in v if not WINDOW.start_ns + 24 * HOUR <= each.time_ns < WINDOW.start_ns + 48 * HOUR],
        {"record_count", "checksum", "coverage"},
    ),
    "a series lost": (lambda v: [each for each in v if ("plant", "Itaipu") not in each.tags], {"record_count", "checksum", "coverage"}),
    "a point too many": (
        lambda v: [*v, replace(v[0], time_ns=v[0].time_ns + 1)],
        {"record_count", "checksum", "coverage"},
    ),
    "the lowest bit of a float": (at(LOADS[5], value=math.nextafter(BUCKET[LOADS[5]].value, math.inf)), {"checksum"}),
    "two values swapped": (swap, {"checksum"}),
    "a time moved by one nanosecond": (
        lambda v: [replace(each, time_ns=each.time_ns + 1) if each.time_ns == v[100].time_ns and each.tags == v[100].tags else each for each in v],
        {"checksum"},
    ),
    "a series renamed": (
        lambda v: [replace(each, tags=(*each.tags[:1], ("plant", "Itaipú"))) if ("plant", "Itaipu") in each.tags else each for each in v],
        {"checksum", "coverage"},
    ),
    "a tag added": (lambda v: [replace(v[0], tags=(*v[0].tags, ("zone", "1"))), *v[1:]], {"checksum", "coverage", "schema"}),
    "integers written as floats": (
        lambda v: [replace(each, kind="float", value=float(each.value)) if each.field == "units" else each for each in v],
        {"checksum", "schema"},
    ),
    "a field renamed": (
        lambda v: [replace(each, field="Load") if each.field == "load" else each for each in v],
        {"record_count", "checksum", "schema"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED_BUCKETS)
def test_a_spoiled_bucket_is_caught_by_name_and_laid_to_the_load(name: str) -> None:
    spoil, expected = SPOILED_BUCKETS[name]
    verdicts = judged(bucket=spoil(BUCKET))
    assert expected <= failed(verdicts)
    for check in expected:
        assert verdicts[check].stage is Stage.LOAD, check
        assert verdicts[check].evidence
        assert verdicts[check].difference != "0"
    assert status_of(list(verdicts.values()), 0) is Status.FAILED


def test_a_changed_value_is_shown_with_both_values() -> None:
    verdicts = judged(bucket=at(LOADS[5], value=12345.5)(BUCKET))
    (line, *_) = verdicts["checksum"].evidence
    assert "changed: balance,measure_name=metrics,plant=" in line
    assert f"expected {BUCKET[LOADS[5]].value!r} (float), bucket has 12345.5 (float)" in line
    assert verdicts["checksum"].difference == "0 missing, 0 extra, 1 changed values"


def test_a_missing_and_an_extra_point_are_named() -> None:
    bucket = [*BUCKET[1:], replace(BUCKET[0], time_ns=BUCKET[0].time_ns + 5)]
    lines = judged(bucket=bucket)["checksum"].evidence
    assert any(line.startswith("missing: balance,") for line in lines)
    assert any(line.startswith("extra: balance,") and "00:00:00.000000005Z" in line for line in lines)


def test_the_gap_of_a_lost_day_is_named_with_its_edges() -> None:
    bucket = [
        each for each in BUCKET if not WINDOW.start_ns + 240 * HOUR <= each.time_ns < WINDOW.start_ns + 264 * HOUR
    ]
    (line, *_) = judged(bucket=bucket)["coverage"].evidence
    assert line.startswith("2023-01-11T")
    assert "values missing" in line


def test_a_row_lost_by_the_export_is_laid_to_the_export() -> None:
    verdicts = judged(ROWS, ROWS[3:])
    assert failed(verdicts) >= {"record_count", "coverage"}
    assert verdicts["record_count"].stage is Stage.EXPORT
    assert verdicts["coverage"].stage is Stage.EXPORT
    assert verdicts["checksum"].passed


def test_a_value_changed_by_the_export_is_found_by_the_sample_alone() -> None:
    changed = [{**row, "load": row["load"] + 1.0} for row in ROWS]
    verdicts = judged(ROWS, changed)
    assert failed(verdicts) == {"sample"}
    assert verdicts["sample"].stage is Stage.EXPORT
    assert "Timestream has" in verdicts["sample"].evidence[0]


def test_values_that_the_conversion_lost_are_laid_to_the_conversion() -> None:
    reading = reading_of(ROWS)
    counts = {**reading.export.values, "load": reading.export.values["load"] - 2}
    bucket = [value for index, value in enumerate(BUCKET) if index not in LOADS[:2]]
    target = reading_of(ROWS, bucket=bucket).target
    reading = replace(reading, export=replace(reading.export, values=counts), target=target)
    verdicts = verdicts_of(reading, ROWS, bucket)
    assert verdicts["record_count"].stage is Stage.CONVERSION
    assert verdicts["checksum"].stage is Stage.CONVERSION


def test_rows_that_the_conversion_cannot_account_for_fail_whatever_the_tolerance() -> None:
    reading = reading_of(ROWS, count_tolerance=0.5)
    reading = replace(reading, export=replace(reading.export, accounted_rows=len(ROWS) - 1))
    assert not verdicts_of(reading, ROWS, BUCKET)["record_count"].passed


def test_a_missing_point_within_the_tolerance_passes_with_a_warning_and_is_not_proven() -> None:
    verdicts = judged(bucket=BUCKET[1:], count_tolerance=0.01, sample_threshold=0.9)
    assert failed(verdicts) == set()
    for check in ("record_count", "checksum", "coverage"):
        assert verdicts[check].severity is Severity.WARN
        assert verdicts[check].difference != "0"
    assert status_of(list(verdicts.values()), 0) is Status.PASSED


def test_values_that_the_export_moved_are_not_excused_by_tolerated_ones_of_another_field() -> None:
    """Export and bucket agree, no count of the field is off: only the sample can meet them."""
    notes = {(row["plant"], row["time_ns"]): row["note"] for row in ROWS}
    step = 7 * HOUR
    moved = [
        {**row, "note": notes.get((row["plant"], row["time_ns"] + (step if row["note"] is None else -step)))}
        if (row["time_ns"] - WINDOW.start_ns) // step % 3 < 2
        else row
        for row in ROWS
    ]
    bucket = [value for index, value in enumerate(values_of(moved)) if value.field != "load" or index % 5]

    verdicts = judged(ROWS, moved, bucket, count_tolerance=0.3)

    assert verdicts["record_count"].passed and verdicts["record_count"].severity is Severity.WARN
    assert "sample" in failed(verdicts)


def test_rows_in_the_quarantine_excuse_no_value_that_the_sample_misses() -> None:
    """Two fields: of one a value is missing within the tolerance, the other lacks what is in the quarantine alone."""
    reading = reading_of(ROWS, bucket=[value for index, value in enumerate(BUCKET) if index != UNITS[0]])
    reading = replace(reading, count_tolerance=0.1)
    sampled = {value.key for row in reading.source.sample for value in row.values if value.point.endswith(" load")}
    lost = next(spot for spot in reading.target.sample if spot[0] in sampled)
    held = {spot: value for spot, value in reading.target.sample.items() if spot != lost}
    counts = {**reading.target.counts, "load": reading.target.counts["load"] - 3}
    encoded = {**reading.export.values, "load": reading.export.values["load"] - 3}
    reading = replace(
        reading,
        target=replace(reading.target, sample=held, counts=counts),
        export=replace(reading.export, values=encoded, quarantined=3),
    )

    assert "sample" in failed(verdicts_of(reading, ROWS, BUCKET))


def test_a_changed_value_fails_whatever_the_tolerance() -> None:
    bucket = at(LOADS[5], value=-1.0)(BUCKET)[1:]
    verdicts = judged(bucket=bucket, count_tolerance=0.5, sample_threshold=0.5)
    assert "checksum" in failed(verdicts)


@pytest.mark.parametrize("by", [{"time_ns": BUCKET[0].time_ns + 1}, {"tags": (("measure_name", "metrics"),)}])
def test_a_value_that_moved_to_another_time_or_series_fails_whatever_the_tolerance(by: dict[str, object]) -> None:
    """No count is off: it is missing at one place and too much at another."""
    verdicts = judged(bucket=at(0, **by)(BUCKET), count_tolerance=0.5, sample_threshold=0.5)
    assert "checksum" in failed(verdicts)
    assert ("coverage" in failed(verdicts)) == ("tags" in by), (
        "another time of the same bin is seen by the checksum alone"
    )
    assert verdicts["record_count"].passed and verdicts["record_count"].severity is Severity.ERROR
    assert "they moved" in verdicts["checksum"].evidence[0]


def test_a_digest_that_differs_though_no_value_does_fails_whatever_the_tolerance() -> None:
    reading = reading_of(ROWS, bucket=BUCKET[1:], count_tolerance=0.5)
    verdict = judge(reading, MAPPING, WINDOW, Differences())[1]
    assert not verdict.passed


def without(values: list[Value], first_hour: int, last_hour: int) -> list[Value]:
    start, end = WINDOW.start_ns + first_hour * HOUR, WINDOW.start_ns + last_hour * HOUR
    return [value for value in values if not start <= value.time_ns < end]


def test_gaps_of_the_source_and_of_the_migration_are_told_apart_and_both_named_where_the_check_fails() -> None:
    found = [row for row in ROWS if not 100 <= (row["time_ns"] - WINDOW.start_ns) // HOUR < 200]
    passed, broken = judged(found)["coverage"], judged(found, bucket=without(values_of(found), 300, 400))["coverage"]
    (source_gap,) = passed.evidence
    assert source_gap.startswith("a gap of the source: no values on either side from 2023-01-05T")
    assert not broken.passed
    assert broken.evidence[-1] == source_gap
    assert broken.evidence[1].startswith("a gap of the migration: 2023-01-13T")
    assert broken.evidence[1].endswith("the export has values, the bucket has none")


def test_a_gap_that_the_export_has_and_the_source_has_not_is_none_of_the_source() -> None:
    exported = [row for row in ROWS if not 100 <= (row["time_ns"] - WINDOW.start_ns) // HOUR < 200]
    reading = reading_of(ROWS, exported)
    bins = np.bincount([(row["time_ns"] - WINDOW.start_ns) // bin_width(WINDOW) for row in ROWS], minlength=64)
    reading = replace(reading, source=replace(reading.source, bin_rows=tuple(bins.tolist())))
    verdict = verdicts_of(reading, exported, values_of(exported))["coverage"]
    assert (verdict.passed, verdict.stage) == (False, Stage.EXPORT)
    (line,) = verdict.evidence
    assert line.startswith("a gap of the export: 2023-01-05T")
    assert "Timestream has 42 rows now, the export none" in line


def test_a_bucket_whose_retention_reaches_the_window_fails_the_schema() -> None:
    def keeping(expires_ns: int | None) -> Verdict:
        return schema_of(lambda reading: replace(reading, target=replace(reading.target, expires_before_ns=expires_ns)))

    assert keeping(WINDOW.start_ns).passed and keeping(None).passed
    verdict = keeping(WINDOW.start_ns + 1)
    assert (verdict.passed, verdict.stage) == (False, Stage.LOAD)
    assert "the bucket's retention deletes points before 2023-01-01T00:00:00.000000001Z" in verdict.evidence[0]


def test_more_missing_than_the_tolerance_fails() -> None:
    verdicts = judged(bucket=BUCKET[40:], count_tolerance=0.01)
    assert failed(verdicts) >= {"record_count", "checksum", "coverage"}


def test_the_checksum_says_when_the_points_can_no_longer_be_named() -> None:
    reading = reading_of(ROWS, bucket=BUCKET[1:], count_tolerance=0.5)
    verdict = judge(reading, MAPPING, WINDOW, None)[1]
    assert not verdict.passed
    assert "can no longer be told" in verdict.evidence[0]
    assert "time bins differ" in verdict.difference


def test_the_sample_passes_at_its_threshold_with_a_warning() -> None:
    wrong = {value.time_ns for value in BUCKET[:60]}
    bucket = [replace(v, value=-7.0) if v.field == "load" and v.time_ns in wrong else v for v in BUCKET]
    verdict = judged(bucket=bucket, sample_threshold=0.5)["sample"]
    assert verdict.passed
    assert verdict.severity is Severity.WARN
    assert not judged(bucket=bucket)["sample"].passed


def test_a_sample_that_came_back_empty_from_a_table_with_rows_fails() -> None:
    reading = reading_of(ROWS)
    reading = replace(reading, source=replace(reading.source, sample=()))
    assert not verdicts_of(reading, ROWS, BUCKET)["sample"].passed


def schema_of(change: Callable[[Reading], Reading]) -> Verdict:
    return verdicts_of(change(reading_of(ROWS)), ROWS, BUCKET)["schema"]


def test_a_field_with_two_types_in_the_bucket_fails_the_schema() -> None:
    def change(reading: Reading) -> Reading:
        types = {**reading.target.field_types, "units": ("float", "integer")}
        return replace(reading, target=replace(reading.target, field_types=types))

    verdict = schema_of(change)
    assert not verdict.passed
    assert "mapped to integer, the bucket holds float and integer" in verdict.evidence[0]


def test_batches_that_pandera_did_not_look_at_fail_the_schema() -> None:
    verdict = schema_of(lambda reading: replace(reading, export=replace(reading.export, frame_failures=None)))
    assert not verdict.passed
    assert verdict.stage is Stage.EXPORT


def test_what_pandera_found_fails_the_schema() -> None:
    verdict = schema_of(
        lambda reading: replace(reading, export=replace(reading.export, frame_failures=("batch 0: x",)))
    )
    assert (verdict.passed, verdict.evidence) == (False, ("batch 0: x",))


def test_quarantined_rows_are_told_and_keep_a_window_from_being_proven() -> None:
    found = ROWS[3:]
    reading = reading_of(ROWS, found)
    export = replace(reading.export, rows=len(ROWS), accounted_rows=len(ROWS), quarantined=3)
    reading = replace(reading, export=export, source=replace(reading.source, sample=(), sample_quarantined=3))
    verdicts = verdicts_of(reading, found, values_of(found))
    assert failed(verdicts) == set()
    assert verdicts["record_count"].evidence == ("in the quarantine and not in the bucket: 3 rows",)
    assert status_of(list(verdicts.values()), 3) is Status.PASSED


def test_a_check_that_did_not_run_is_not_a_pass() -> None:
    verdicts = list(judged().values())
    assert status_of(verdicts[:4], 0) is Status.FAILED


def test_a_source_that_holds_fewer_rows_than_were_exported_is_told_as_such() -> None:
    verdict = judged(source=ROWS[:-3], export=ROWS)["record_count"]
    assert (verdict.passed, verdict.stage) == (False, Stage.EXPORT)
    assert verdict.evidence[0].endswith("Timestream holds fewer rows than were exported: expired or deleted since")
    assert "expired" not in judged(source=ROWS, export=ROWS[:-3])["record_count"].evidence[0]
