"""The check stage: a migrated window is proven, and whatever is done to the bucket or the export is caught by name."""

from collections.abc import Iterator

import polars as pl
import pytest

from ts_migration.errors import Permanent
from ts_migration.influxdb import reader
from ts_migration.influxdb.buckets import set_retention
from ts_migration.influxdb.deletion import delete_points
from ts_migration.manifests import (
    ExportManifest,
    LineProtocolManifest,
    LoadManifest,
    VerdictRecord,
    VerdictsManifest,
    read_manifest,
)
from ts_migration.objects import BULK_PREFIX
from ts_migration.stages.proof import WindowStatus, proof_of
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

PLANT = r"Itaipu\,\ 1"
SERIES = rf"measure_name=metrics,plant={PLANT},subsystem=SE/CO"


def failed(manifest: VerdictsManifest) -> set[str]:
    return {verdict.check for verdict in manifest.verdicts if not verdict.passed}


def verdict_of(manifest: VerdictsManifest, check: str) -> VerdictRecord:
    return next(verdict for verdict in manifest.verdicts if verdict.check == check)


@pytest.fixture
def loaded(migration: Migration) -> Migration:
    """January is loaded."""
    migration.export()
    migration.convert()
    migration.load()
    return migration


def test_a_migrated_window_is_proven_with_its_numbers(loaded: Migration) -> None:
    found = loaded.check()
    assert found.status == "proven", found.verdicts
    count = verdict_of(found, "record_count")
    assert count.expected.startswith("248 rows")
    assert verdict_of(found, "sample").actual.endswith(" of them in the bucket, bit for bit (100.00%)")
    assert (
        verdict_of(found, "coverage").expected
        == "2 series, 2023-01-01T00:00:00.000000001Z to 2023-01-31T18:00:00.000000001Z"
    )


def write(migration: Migration, fields: str, time_ns: int = START + 1, series: str = SERIES) -> None:
    migration.write(f"{migration.job.measurement},{series} {fields} {time_ns}")


def change_a_float(migration: Migration) -> None:
    write(migration, "load_mw=-29.999999999999996")


def change_an_integer(migration: Migration) -> None:
    write(migration, "units=3i", START + 6 * HOUR + 1)


def add_a_point(migration: Migration) -> None:
    write(migration, "load_mw=1", START + 2)


def add_a_series(migration: Migration) -> None:
    write(migration, "load_mw=1", START + 1, "plant=new")


def delete_a_day(migration: Migration) -> None:
    day = Window(START + 24 * HOUR, START + 48 * HOUR)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, day)


def delete_a_series(migration: Migration) -> None:
    name, window = migration.job.measurement, migration.window()
    delete_points(migration.stack.target, migration.job.target_bucket, name, window, {"subsystem": "SE/CO"})


def add_a_field(migration: Migration) -> None:
    write(migration, "stray=1")


MUTATIONS = [
    (change_a_float, {"checksum"}, {"record_count", "schema", "coverage"}),
    (change_an_integer, {"checksum"}, {"record_count", "schema", "coverage"}),
    (add_a_point, {"record_count", "checksum", "coverage"}, {"sample", "schema"}),
    (add_a_series, {"record_count", "checksum", "coverage"}, {"sample", "schema"}),
    (delete_a_day, {"record_count", "checksum", "coverage"}, {"schema"}),
    (delete_a_series, {"record_count", "checksum", "coverage", "sample"}, {"schema"}),
    (add_a_field, {"record_count", "checksum", "schema", "coverage"}, {"sample"}),
]


@pytest.mark.parametrize(("spoil", "caught", "untouched"), MUTATIONS, ids=lambda case: getattr(case, "__name__", ""))
def test_a_spoiled_bucket_is_caught_and_named(loaded: Migration, spoil, caught: set[str], untouched: set[str]) -> None:
    spoil(loaded)
    found = loaded.check()
    assert found.status == "failed"
    assert caught <= failed(found)
    assert not untouched & failed(found)
    assert verdict_of(found, "checksum").stage == "load"
    assert verdict_of(found, "checksum").evidence


def test_points_that_are_only_too_many_are_told_with_the_delete_that_mends_them(loaded: Migration) -> None:
    add_a_point(loaded)
    write(loaded, "load_mw=1", START + 9)
    (line,) = [line for line in verdict_of(loaded.check(), "checksum").evidence if "influx delete" in line]
    assert "writing again cannot mend this" in line
    name = loaded.job.measurement
    assert (
        f"influx delete --bucket b_{name} --start 2023-01-01T00:00:00.000000002Z --stop 2023-01-01T00:00:00.000000009Z "
        f"--predicate '_measurement=\"{name}\"'`"
    ) in line
    change_a_float(loaded)
    assert "influx delete" not in str(verdict_of(loaded.check(), "checksum").evidence)


def test_the_first_differing_point_is_shown_with_the_value_at_every_stage(loaded: Migration) -> None:
    change_a_float(loaded)
    checksum = verdict_of(loaded.check(), "checksum")
    assert checksum.difference == "0 missing, 0 extra, 1 changed values"
    assert checksum.evidence[0] == (
        f"changed: {loaded.job.measurement},measure_name=metrics,plant=Itaipu, 1,subsystem=SE/CO load_mw at "
        "2023-01-01T00:00:00.000000001Z: Timestream has -30.0 (float), export has -30.0 (float), "
        "line protocol has -30.0 (float), bucket has -29.999999999999996 (float); broken by the load"
    )


def test_a_point_of_another_window_does_not_touch_this_one(loaded: Migration) -> None:
    write(loaded, "load_mw=1", loaded.window().end_ns)
    assert loaded.check().status == "proven"


def test_a_type_that_a_later_shard_holds_differently_is_told_and_spoils_no_proof(loaded: Migration) -> None:
    loaded.write(f"{loaded.job.measurement},{SERIES} units=1.5 {START + 10**17}")
    found = loaded.check()
    assert found.status == "proven"
    assert verdict_of(found, "schema").evidence == (
        "field 'units': elsewhere in the bucket it has other types: float and integer",
    )


def test_rows_that_came_to_the_source_after_the_export_fail_record_count_and_are_laid_to_the_source(
    stack: Stack,
) -> None:
    from ts_migration.local.timestream.seed import SeedSpec, seed

    migration = new_migration(stack, plant_rows())
    migration.run()
    spec = SeedSpec(
        database="energy", table=migration.job.source_table, kind="multi", dimensions=("plant", "subsystem"),
        measures=("load_mw", "units", "online", "note"), measure_name="metrics",
    )  # fmt: skip
    late = plant_rows(1).with_columns(pl.col("time") + 17)
    seed(stack.timestream_url, spec, late)
    found = migration.check()
    count = verdict_of(found, "record_count")
    assert (count.passed, count.stage) == (False, "source")
    assert "Timestream has 256 rows now, the export 248" in count.evidence[0]
    late_ones = [line for line in count.evidence if line.startswith("missing: ")]
    assert len(late_ones) == 20 - len([line for line in count.evidence if line not in late_ones])
    assert all(
        "export has nothing, line protocol has nothing, bucket has nothing; the source changed after the export "
        "(a late arrival): the files are as UNLOAD wrote them" in line
        for line in late_ones
    )
    assert verdict_of(found, "checksum").passed


def test_a_value_changed_in_the_export_files_is_found_by_the_sample(stack: Stack) -> None:
    import io

    import pyarrow.parquet as pq

    migration = new_migration(stack, plant_rows())
    migration.export()
    bucket, key = stack.bucket, migration.own().manifest("export")
    manifest = ExportManifest.model_validate_json(bucket.get(key))
    files = []
    for file in manifest.files:
        frame = pq.read_table(io.BytesIO(bucket.get(file.key)))
        position = frame.schema.get_field_index("load_mw")
        values = pl.Series(frame.column("load_mw")).reverse().to_arrow()
        spoiled = frame.set_column(position, frame.schema.field("load_mw"), values)
        body = io.BytesIO()
        pq.write_table(spoiled, body, use_deprecated_int96_timestamps=True)
        bucket.put(file.key, body.getvalue())
        files.append(file.model_copy(update={"bytes": len(body.getvalue())}))
    manifest.model_copy(update={"files": tuple(files), "bytes": sum(f.bytes for f in files)}).write(bucket, key)
    migration.convert()
    migration.load()
    found = migration.check()
    assert failed(found) == {"sample"}
    assert verdict_of(found, "sample").stage == "export"


def test_a_tolerated_missing_point_passes_and_is_not_proven(loaded: Migration) -> None:
    rules = loaded.config.validation_rules.model_copy(update={"record_count_tolerance": 0.02})
    loaded.config = loaded.config.model_copy(update={"validation_rules": rules})
    window = Window(START + 24 * HOUR, START + 24 * HOUR + 2)
    delete_points(loaded.stack.target, loaded.job.target_bucket, loaded.job.measurement, window)
    found = loaded.check()
    assert found.status == "passed", found.verdicts
    assert verdict_of(found, "checksum").severity == "WARN"
    change_a_float(loaded)
    assert "checksum" in failed(loaded.check())


def test_a_manifest_that_has_lost_its_histogram_fails_the_coverage_and_is_for_the_conversion(loaded: Migration) -> None:
    """Not an error that every repair would meet again."""
    bucket, own = loaded.stack.bucket, loaded.own()
    converted = read_manifest(LineProtocolManifest, bucket, own.manifest("line_protocol"))
    assert converted and converted.coverage_cells
    changed = converted.model_copy(update={"coverage_cells": None})
    changed.write(bucket, own.manifest("line_protocol"))
    load = read_manifest(LoadManifest, bucket, own.manifest("load"))
    assert load
    load.model_copy(update={"parent": changed.digest}).write(bucket, own.manifest("load"))

    found = loaded.check()

    assert failed(found) == {"coverage"}
    assert verdict_of(found, "coverage").stage == "conversion"


def test_after_the_cleanup_of_the_export_the_bucket_is_still_judged(loaded: Migration) -> None:
    loaded.stack.bucket.delete_prefix(BULK_PREFIX + loaded.place.name + "/")
    assert loaded.check().status == "proven"
    change_a_float(loaded)
    checksum = verdict_of(loaded.check(), "checksum")
    assert not checksum.passed
    assert "can no longer be told" in checksum.evidence[0]
    assert "1 of 64 time bins differ" in checksum.difference


def test_a_window_whose_stages_do_not_belong_together_is_not_judged(loaded: Migration) -> None:
    key = loaded.own().manifest("export")
    manifest = ExportManifest.model_validate_json(loaded.stack.bucket.get(key))
    manifest.model_copy(update={"rows": 5}).write(loaded.stack.bucket, key)
    with pytest.raises(Permanent, match="made from another export"):
        loaded.check()


def test_a_column_that_came_after_the_mapping_fails_the_windows_that_hold_values_of_it(whole: Migration) -> None:
    from ts_migration_tests.local.timestream.embedded import write_client

    record = {
        "Dimensions": [{"Name": "plant", "Value": "Itaipu, 1"}, {"Name": "subsystem", "Value": "SE/CO"}],
        "MeasureName": "metrics", "MeasureValueType": "MULTI", "Time": str(START + 1), "TimeUnit": "NANOSECONDS",
        "Version": 2**60,
        "MeasureValues": [
            {"Name": "load_mw", "Type": "DOUBLE", "Value": "-30.0"}, {"Name": "online", "Type": "BOOLEAN", "Value": "true"},
            {"Name": "q", "Type": "DOUBLE", "Value": "1.5"},
        ],
    }  # fmt: skip
    write_client(whole.stack.timestream_url).write_records(
        DatabaseName="energy", TableName=whole.job.source_table, Records=[record]
    )

    january, february = whole.check(0), whole.check(1)

    assert failed(january) == {"schema"}
    schema = verdict_of(january, "schema")
    assert schema.stage == "export"
    assert schema.evidence[0] == (
        "column 'q' came to Timestream after the mapping was frozen: 1 in this window, none of them in InfluxDB; "
        "`ts-migration reset` takes them in"
    )
    assert february.status == "proven"


def tolerant(migration: Migration, tolerance: float = 0.01) -> Migration:
    rules = migration.config.validation_rules.model_copy(
        update={"record_count_tolerance": tolerance, "sample_size": 1_000}
    )
    return Migration(migration.stack, migration.config.model_copy(update={"validation_rules": rules}))


def test_a_point_that_is_missing_within_the_tolerance_passes_with_its_number_and_one_that_moved_does_not(
    migration: Migration,
) -> None:
    migration = tolerant(migration)
    migration.run(0)
    job, first = migration.job, Window(START + 1, START + 2)
    delete_points(migration.stack.target, job.target_bucket, job.measurement, first, {"plant": "Itaipu, 1"})

    missing = migration.check(0)

    assert (missing.status, failed(missing)) == ("passed", set())
    counted, digest = verdict_of(missing, "record_count"), verdict_of(missing, "checksum")
    assert (counted.severity, digest.severity) == ("WARN", "WARN")
    sample = verdict_of(missing, "sample")
    assert (sample.severity, sample.difference) == ("WARN", "1 rows"), "all rows are drawn, and every one must agree"
    assert sample.evidence[0] == "1 sampled rows miss values within record_count_tolerance and were left out"
    assert counted.difference == "+0 rows, +2 values (worst 0.4032%)"
    assert digest.difference == "2 missing, 0 extra, 0 changed values"
    assert failed(tolerant(migration, 0.001).check(0)) >= {"record_count", "checksum"}

    write(migration, "load_mw=-30,online=true", START + 2)
    moved = migration.check(0)
    assert failed(moved) == {"checksum", "sample"}, "no count is off"
    assert "they moved" in verdict_of(moved, "checksum").evidence[0]


def test_a_gap_that_rows_came_late_to_is_one_of_the_export_and_blamed_on_the_source_that_changed(stack: Stack) -> None:
    days = (pl.col("time") - START) // (24 * HOUR)
    migration = new_migration(stack, plant_rows().filter(~days.is_between(10, 12) & ~days.is_between(20, 22)))
    migration.run(0)
    (first, second) = verdict_of(migration.check(0), "coverage").evidence
    assert first.startswith("a gap of the source: no values on either side from 2023-01-11T")
    migration.late_row(START + 11 * 24 * HOUR)

    found = verdict_of(migration.check(0), "coverage")

    assert (found.passed, found.stage) == (False, "source")
    assert found.evidence[0].startswith("a gap of the export: 2023-01-1")
    assert found.evidence[0].endswith("Timestream has 1 rows now, the export none")
    assert found.evidence[-1] == second


def test_a_retention_that_reaches_the_window_fails_the_schema(migration: Migration) -> None:
    migration.run(0)
    job = migration.job
    set_retention(migration.stack.target, job.target_bucket, 36500 * 86_400)
    assert migration.check(0).status == "proven"
    set_retention(migration.stack.target, job.target_bucket, 60 * 86_400)
    assert "schema" in failed(migration.check(0))


@pytest.fixture
def whole(migration: Migration) -> Iterator[Migration]:
    """Both windows are proven."""
    assert [migration.run(index).status for index in (0, 1)] == ["proven", "proven"]
    yield migration


def test_a_table_is_proven_and_rolled_up(whole: Migration) -> None:
    proof = proof_of(whole.config, whole.job, whole.stack.bucket)
    assert proof.status is WindowStatus.PROVEN
    assert (proof.rows, proof.points) == (472, 472)
    rolled = whole.roll_up()
    assert rolled.status == "proven"
    assert (rolled.windows, rolled.rows, rolled.series) == (2, 472, 2)
    assert rolled.values == proof.values == sum(
        reader.counts(whole.stack.target, whole.job.target_bucket, whole.job.measurement, Window(START, START + 10**17)).values()
    )  # fmt: skip


def test_a_point_outside_every_check_window_is_found_by_no_window_but_a_stale_proof_is_told(whole: Migration) -> None:
    whole.stack.bucket.delete(whole.own(1).manifest("load"))
    whole.load(1)
    proof = proof_of(whole.config, whole.job, whole.stack.bucket)
    # The same points again: the load's manifest differs only in what it took, and the old verdicts did not see it.
    assert [window.status for window in proof.windows] == [WindowStatus.PROVEN, WindowStatus.STALE]
    with pytest.raises(Permanent, match="1 of 2 windows are not proven"):
        whole.roll_up()


def test_the_retention_is_set_when_the_table_is_done(stack: Stack) -> None:
    from ts_migration.influxdb.buckets import find

    migration = new_migration(stack, plant_rows(), retention_days=36500)
    for index in (0, 1):
        migration.run(index)
    assert find(stack.target, migration.job.target_bucket).retention_s == 0
    migration.roll_up()
    assert find(stack.target, migration.job.target_bucket).retention_s == 36500 * 86_400
    # Nothing to set back: the bucket was made by the load, and goes with its points.
    assert stack.bucket.get_or_none(migration.place.retention) is None
