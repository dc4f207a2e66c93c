"""Naming what differs in windows of any size, wherever it came in; and what a repair may delete of it."""

import gzip
import json

import polars as pl
import pytest

from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.deletion import delete_points
from ts_migration.manifests import ExportManifest, LineProtocolManifest, VerdictRecord, VerdictsManifest, read_manifest
from ts_migration.stages import extras, narrowing, pinpoint
from ts_migration.stages.repair import clear_for_load
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration, plant_rows
from ts_migration_tests.stages.test_mending import seed_rows

pytestmark = pytest.mark.stack

SERIES = "measure_name=metrics,plant=Itaipu\\,\\ 1,subsystem=SE/CO"
FIRST = START + 1


@pytest.fixture
def loaded(migration: Migration) -> Migration:
    assert migration.run().status == "proven"
    return migration


def write(migration: Migration, fields: str, *times: int, series: str = SERIES) -> None:
    migration.write("\n".join(f"{migration.job.measurement},{series} {fields} {time}" for time in times))


def verdict(found: VerdictsManifest, check: str) -> VerdictRecord:
    return next(each for each in found.verdicts if each.check == check)


def clear(migration: Migration) -> extras.Removed:
    _, mapping = migration.begin()
    stack = migration.stack
    return clear_for_load(migration.job, migration.own(), migration.window(), mapping, stack.bucket, stack.target)


def test_a_bin_that_is_too_heavy_is_sifted_and_shows_the_same_values(
    loaded: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(loaded, "load_mw=7.5", FIRST, FIRST + 6 * HOUR)
    delete_points(
        loaded.stack.target, loaded.job.target_bucket, loaded.job.measurement,
        Window(START + 48 * HOUR, START + 72 * HOUR),
    )  # fmt: skip
    write(loaded, "load_mw=1", START + 100 * HOUR)
    whole = verdict(loaded.check(), "checksum")
    monkeypatch.setattr(pinpoint, "VALUES_AT_A_TIME", 3)
    sifted = verdict(loaded.check(), "checksum")
    lines = [line for line in whole.evidence if " at 2023" in line]
    assert len(lines) == 20
    assert sifted.difference.startswith("at least ")
    assert {line for line in sifted.evidence if " at 2023" in line} <= set(lines)
    assert sifted.stage == whole.stage == "load"

    rules = loaded.config.validation_rules.model_copy(update={"record_count_tolerance": 0.0001})
    loaded.config = loaded.config.model_copy(update={"validation_rules": rules})
    assert verdict(loaded.check(), "checksum").difference == whole.difference


def test_late_rows_are_found_in_ever_shorter_stretches(loaded: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrowing, "FEW", 12)
    late = plant_rows(1).with_row_index().filter(pl.col("index") == 0).drop("index")
    seed_rows(loaded, late.with_columns(pl.col("time") + 5 * HOUR + 17))
    count = verdict(loaded.check(), "record_count")
    assert count.stage == "source"
    lines = [line for line in count.evidence if "a late arrival" in line]
    assert [line.partition(" at ")[2].partition(": ")[0] for line in lines] == ["2023-01-01T05:00:00.000000018Z"] * 2
    assert "Timestream has -30.0 (float), export has nothing, line protocol has nothing, bucket has nothing" in (
        "\n".join(lines)
    )


def test_a_point_that_applications_wrote_to_both_systems_is_laid_to_the_source_and_nothing_is_deleted(
    loaded: Migration,
) -> None:
    late = plant_rows(1).with_row_index().filter(pl.col("index") == 0).drop("index")
    empty = (pl.lit(None, late.schema[name]).alias(name) for name in ("online", "note", "units"))
    seed_rows(loaded, late.with_columns(pl.col("time") + 17, *empty, load_mw=pl.lit(5.5)))
    write(loaded, "load_mw=5.5", FIRST + 17)
    found = loaded.check()
    assert {each.stage for each in found.verdicts if not each.passed} == {"source"}
    assert "Timestream has 5.5 (float), export has nothing, line protocol has nothing, bucket has 5.5 (float)" in (
        "\n".join(verdict(found, "checksum").evidence)
    )


def test_after_the_cleanup_the_evidence_says_where_it_could_not_look(loaded: Migration) -> None:
    loaded.stack.bucket.delete_prefix(loaded.place.bulk)
    write(loaded, "load_mw=7.5", *[FIRST + step * 6 * HOUR for step in range(124)])
    found = loaded.check()
    gone = "export not looked at (its files are gone), line protocol not looked at (its files are gone)"
    assert all(gone in line for line in verdict(found, "sample").evidence)
    assert verdict(found, "sample").stage == "load"
    assert "the export files are gone or unreadable" in verdict(found, "checksum").evidence[0]


@pytest.mark.parametrize("deletes", [200, 2, 1], ids=["point by point", "by series", "by the span of all"])
def test_what_is_too_much_is_kept_and_deleted_and_the_load_mends_the_rest(
    loaded: Migration, monkeypatch: pytest.MonkeyPatch, deletes: int
) -> None:
    monkeypatch.setattr(extras, "DELETES", deletes)
    last = loaded.window().end_ns - 1
    write(loaded, "load_mw=1", FIRST + 5, FIRST + 91 * HOUR, last)
    write(loaded, 'note="x"', FIRST + 7, series="plant=Marte")
    write(loaded, "load_mw=1", loaded.window().end_ns, series="plant=Marte")
    loaded.check()

    removed = clear(loaded)

    assert removed.points == 4
    bucket = loaded.stack.bucket
    kept = [json.loads(line) for line in gzip.decompress(bucket.get(removed.kept)).splitlines()]
    assert sorted(point["time_ns"] for point in kept) == [FIRST + 5, FIRST + 7, FIRST + 91 * HOUR, last]
    assert loaded.run().status == "proven"
    assert clear(loaded) == extras.Removed(), "nothing is too much any more"
    after = reader.points(loaded.stack.target, loaded.job.target_bucket, loaded.job.measurement, loaded.window(1))
    assert [block.tags for block in after] == [{"plant": "Marte"}], "the neighbour's points stay"


def test_where_others_had_points_before_nothing_is_deleted(migration: Migration) -> None:
    allowing = migration.changed(allow_existing_data=True)
    allowing.export()
    allowing.convert()
    ensure(allowing.stack.target, allowing.job.target_bucket, 30 * 86_400)
    write(allowing, "load_mw=1", FIRST + 5)
    allowing.load()
    write(allowing, "load_mw=1", FIRST + 7)
    assert allowing.check().status == "failed"
    assert clear(allowing) == extras.Removed()


def test_an_export_is_told_from_one_that_is_not_as_unload_wrote_it(loaded: Migration) -> None:
    from ts_migration.stages.trace import is_as_unloaded

    bucket = loaded.stack.bucket
    export = read_manifest(ExportManifest, bucket, loaded.own().manifest("export"))
    assert read_manifest(LineProtocolManifest, bucket, loaded.own().manifest("line_protocol")) is not None
    assert is_as_unloaded(bucket, export) is True
    fewer = export.model_copy(update={"files": export.files[1:]})
    assert is_as_unloaded(bucket, fewer) is (not export.files[1:])
    file = export.files[0]
    changed = export.model_copy(update={"files": (file.model_copy(update={"rows": file.rows - 1}), *export.files[1:])})
    assert is_as_unloaded(bucket, changed) is False
    bucket.put(file.key, bucket.get(file.key) + b"x")
    assert is_as_unloaded(bucket, export) is False
    for key in export.aws_manifests:
        bucket.delete(key)
    assert is_as_unloaded(bucket, export) is None
