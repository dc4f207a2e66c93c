"""What a failed window does again: never at the price of an export that the source could not give again."""

import polars as pl
import pytest

from ts_migration.errors import Refused
from ts_migration.influxdb.deletion import delete_points
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.manifests import ExportManifest, read_manifest
from ts_migration.stages.export import export_window
from ts_migration.stages.mending import forget_broken_stages, forget_what_follows_the_export
from ts_migration.validation.verdict import Stage
from ts_migration.windows import Window
from ts_migration_tests.local.timestream.embedded import write_client
from ts_migration_tests.stages.conftest import HOUR, START, Migration, plant_rows

pytestmark = pytest.mark.stack


def seed_rows(migration: Migration, rows: pl.DataFrame) -> None:
    spec = SeedSpec(
        database="energy", table=migration.job.source_table, kind="multi", dimensions=("plant", "subsystem"),
        measures=("load_mw", "units", "online", "note"), measure_name="metrics",
    )  # fmt: skip
    seed(migration.stack.timestream_url, spec, rows)


def expire(migration: Migration, days: int) -> None:
    """The source after its retention took the first days."""
    write_client(migration.stack.timestream_url).delete_table(
        DatabaseName="energy", TableName=migration.job.source_table
    )
    seed_rows(migration, plant_rows().filter(pl.col("time") >= START + days * 24 * HOUR))


def objects_of(migration: Migration) -> dict[str, bytes]:
    bucket = migration.stack.bucket
    prefixes = (migration.place.bulk, migration.place.proof)
    return {found.key: bucket.get(found.key) for prefix in prefixes for found in bucket.list(prefix)}


def redo_export(migration: Migration) -> ExportManifest:
    schema, _ = migration.begin()
    stack = migration.stack
    return export_window(
        migration.job, migration.place, migration.window(), schema, stack.query, stack.bucket, redo=True
    )


def forget(migration: Migration, since: Stage = Stage.EXPORT) -> Stage | None:
    return forget_broken_stages(migration.stack.bucket, migration.own(), since)


def test_after_rows_expired_in_the_source_nothing_of_the_migration_is_touched(migration: Migration) -> None:
    assert migration.run().status == "proven"
    expire(migration, days=10)
    found = migration.check()
    count = next(verdict for verdict in found.verdicts if verdict.check == "record_count")
    assert (count.passed, count.stage) == (False, "source")
    assert "Timestream holds fewer rows than were exported: expired or deleted since" in count.evidence[0]
    before = objects_of(migration)

    assert forget(migration) is Stage.EXPORT
    with pytest.raises(Refused, match="248 rows were exported, and Timestream holds 168 now"):
        redo_export(migration)

    assert objects_of(migration) == before


def test_late_rows_are_exported_anew_and_the_stages_after_follow(migration: Migration) -> None:
    assert migration.run().status == "proven"
    seed_rows(migration, plant_rows(1).with_columns(pl.col("time") + 17))
    assert migration.check().status == "failed"

    assert forget(migration) is Stage.EXPORT
    assert redo_export(migration).rows == 256
    assert forget(migration) is None, "verdicts about the export that was replaced blame nothing"
    assert forget(migration, Stage.CONVERSION) is None
    migration.convert()
    migration.load()
    assert migration.check().status == "proven"


def test_a_load_that_is_blamed_is_done_again_and_keeps_what_is_before_it(migration: Migration) -> None:
    migration.run()
    day = Window(START + 24 * HOUR, START + 48 * HOUR)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, day)
    migration.check()
    before = read_manifest(ExportManifest, migration.stack.bucket, migration.own().manifest("export"))

    assert forget(migration) is Stage.LOAD

    assert read_manifest(ExportManifest, migration.stack.bucket, migration.own().manifest("export")) == before
    assert migration.run().status == "proven"


def test_after_the_delete_that_the_checks_name_another_load_mends_the_window(migration: Migration) -> None:
    migration.run()
    for time_ns in (START + 2, START + 20 * HOUR):
        migration.write(f"{migration.job.measurement},plant=x load_mw=1 {time_ns}")
    found = migration.check()
    (told,) = [line for each in found.verdicts for line in each.evidence if "influx delete" in line]
    assert "--start 2023-01-01T00:00:00.000000002Z --stop 2023-01-01T20:00:00Z" in told

    # The command's span, both ends included: it takes points of the window's own along.
    span = Window(START + 2, START + 20 * HOUR + 1)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, span)
    assert forget(migration) is Stage.LOAD
    assert migration.run().status == "proven"


def test_a_spoiled_bucket_after_cleanup_and_expiry_costs_no_proof(migration: Migration) -> None:
    migration.run()
    day = Window(START + 24 * HOUR, START + 48 * HOUR)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, day)
    migration.check()
    migration.stack.bucket.delete_prefix(migration.place.bulk)
    expire(migration, days=10)
    before = objects_of(migration)

    assert forget(migration, Stage.LOAD) is None
    assert forget(migration) is Stage.EXPORT, "only a new export could give the files again"
    with pytest.raises(Refused, match="Timestream holds 168 now"):
        redo_export(migration)

    assert objects_of(migration) == before


def test_a_spoiled_bucket_after_the_cleanup_is_mended_by_a_new_export(migration: Migration) -> None:
    migration.run()
    day = Window(START + 24 * HOUR, START + 48 * HOUR)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, day)
    migration.check()
    migration.stack.bucket.delete_prefix(migration.place.bulk)

    assert forget(migration) is Stage.EXPORT
    redo_export(migration)
    assert migration.run().status == "proven"


def test_after_expiry_a_spoiled_bucket_is_made_what_the_export_says_though_a_new_export_is_refused(
    migration: Migration,
) -> None:
    migration.run()
    day = Window(START + 24 * HOUR, START + 48 * HOUR)
    delete_points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, day)
    expire(migration, days=10)
    migration.check()
    assert forget(migration) is Stage.EXPORT
    with pytest.raises(Refused, match="Timestream holds 168 now"):
        redo_export(migration)

    assert forget_what_follows_the_export(migration.stack.bucket, migration.own()) is Stage.CONVERSION

    found = migration.run()
    failed = {each.check: each.stage for each in found.verdicts if not each.passed}
    assert failed == {"record_count": "source", "coverage": "source"}
    assert forget_what_follows_the_export(migration.stack.bucket, migration.own()) is None
