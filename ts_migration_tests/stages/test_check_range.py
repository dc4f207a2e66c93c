"""The checks of any range: both systems are asked directly, nothing of the range has to be known beforehand."""

from typing import Any

import polars as pl
import pytest

from ts_migration.config import MappingOptions
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.line_protocol.resolution import resolve
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration.manifests import VerdictRecord
from ts_migration.objects import CHECKS_PREFIX
from ts_migration.stages.check_range import RangeVerdict, check_range
from ts_migration.stages.range_source import RangeSubject
from ts_migration.timestream.description import describe
from ts_migration.timestream.metering import MeteredQuery
from ts_migration.validation.verdict import Check
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration, Stack, new_migration, plant_rows

pytestmark = pytest.mark.stack

DAY = 24 * HOUR
SECOND_DAY = Window(START + DAY, START + 2 * DAY)
SERIES = r"measure_name=metrics,plant=Itaipu\,\ 1,subsystem=SE/CO"


def check(migration: Migration, window: Window, mapping: Mapping | None = None, **settings: Any) -> RangeVerdict:
    """Check a range of the migration's table, with the default mapping unless there is another."""
    stack = migration.stack
    schema = describe(stack.query, migration.job.source_database, migration.job.source_table)
    subject = RangeSubject(
        schema,
        mapping or resolve(schema, MappingOptions(), migration.job.measurement),
        migration.job.target_bucket,
        **settings,
    )
    found = check_range(subject, window, stack.query, stack.bucket, stack.target, RetryPolicy(0), seed=7)
    assert not list(stack.bucket.list(CHECKS_PREFIX)), "the scratch folder is left behind"
    return found


def failed(found: RangeVerdict) -> set[str]:
    return {verdict.check for verdict in found.verdicts if not verdict.passed}


def verdict_of(found: RangeVerdict, check: str) -> VerdictRecord:
    return next(verdict for verdict in found.verdicts if verdict.check == check)


@pytest.fixture(scope="module")
def january(stack: Stack) -> Migration:
    """January is loaded; no test of this module may change it for good."""
    migration = new_migration(stack, plant_rows())
    for stage in (migration.export, migration.convert, migration.load):
        stage()
    return migration


def test_a_day_of_a_monthly_window_is_proven_by_the_five_checks(january: Migration) -> None:
    found = check(january, SECOND_DAY)
    assert found.status == "proven", found.verdicts
    assert [verdict.check for verdict in found.verdicts] == list(Check)
    assert verdict_of(found, "record_count").expected.startswith("8 rows")
    assert found.copied_bytes > 0


def test_a_range_may_begin_and_end_at_any_nanosecond(january: Migration) -> None:
    first = START + DAY + 1
    for window, rows in ((Window(first, first + 1), 2), (Window(first + 1, first + 6 * HOUR), 0)):
        found = check(january, window)
        assert (found.status, found.rows) == ("proven", rows)
        assert found.empty is (rows == 0)


def test_points_of_other_ranges_and_measurements_do_not_disturb(january: Migration) -> None:
    name = january.job.measurement
    january.write(f"{name},{SERIES} load_mw=1 {SECOND_DAY.start_ns - 1}")
    january.write(f"{name},{SERIES} load_mw=1 {SECOND_DAY.end_ns}")
    january.write(f"{name}_other,{SERIES} load_mw=1 {SECOND_DAY.start_ns + 1}")
    try:
        assert check(january, SECOND_DAY).status == "proven"
        assert check(january, Window(SECOND_DAY.start_ns - 1, SECOND_DAY.end_ns)).status == "failed"
    finally:
        for time_ns in (SECOND_DAY.start_ns - 1, SECOND_DAY.end_ns):
            delete_points(january.stack.target, january.job.target_bucket, name, Window(time_ns, time_ns + 1))


def test_a_changed_value_is_shown_with_both_values_and_no_stage_is_blamed(january: Migration) -> None:
    time_ns = SECOND_DAY.start_ns + 1
    (row,) = plant_rows().filter(pl.col("time") == time_ns, pl.col("subsystem") == "SE/CO").to_dicts()
    january.write(f"{january.job.measurement},{SERIES} load_mw=1e308 {time_ns}")
    try:
        found = check(january, SECOND_DAY)
    finally:
        january.write(f"{january.job.measurement},{SERIES} load_mw={row['load_mw']!r} {time_ns}")
    assert found.status == "failed"
    assert failed(found) == {"checksum", "sample"}
    checksum = verdict_of(found, "checksum")
    assert checksum.stage is None
    assert checksum.evidence[0].endswith(
        f"load_mw at 2023-01-02T00:00:00.000000001Z: expected {row['load_mw']!r} (float), bucket has 1e+308 (float)"
    )


def test_what_is_only_too_much_is_named_without_a_delete_that_could_take_other_points(january: Migration) -> None:
    extra = SECOND_DAY.start_ns + 2
    january.write(f"{january.job.measurement},{SERIES} load_mw=1 {extra}")
    try:
        found = check(january, SECOND_DAY)
    finally:
        delete_points(
            january.stack.target, january.job.target_bucket, january.job.measurement, Window(extra, extra + 1)
        )
    evidence = verdict_of(found, "checksum").evidence
    assert evidence[0].startswith("extra: ")
    assert not [line for line in evidence if "influx delete" in line]


def test_rows_that_were_never_loaded_fail(january: Migration) -> None:
    found = check(january, Window(START + 40 * DAY, START + 41 * DAY))
    assert (found.status, found.rows, found.found_values) == ("failed", 8, 0)
    assert {"record_count", "checksum", "coverage", "sample"} <= failed(found)


def test_a_table_that_this_tool_never_loaded_is_proven_by_its_values_alone(stack: Stack) -> None:
    migration = new_migration(stack, plant_rows(2))
    ensure(stack.target, migration.job.target_bucket, 30 * 86_400)
    lines = []
    for row in plant_rows(2).iter_rows(named=True):
        plant = row["plant"].replace(",", "\\,").replace(" ", "\\ ").replace("=", "\\=")
        tags = f"measure_name=metrics,plant={plant}" + (f",subsystem={row['subsystem']}" if row["subsystem"] else "")
        fields = [f"load_mw={row['load_mw']!r}", f"online={str(row['online']).lower()}"]
        fields += [f"units={row['units']}i"] if row["units"] is not None else []
        fields += ['note="{}"'.format(row["note"].replace('"', '\\"'))] if row["note"] is not None else []
        lines.append(f"by_hand,{tags} {','.join(fields)} {row['time']}")
    migration.write("\n".join(lines))
    schema = describe(stack.query, migration.job.source_database, migration.job.source_table)
    found = check(migration, Window(START, START + 3 * DAY), resolve(schema, MappingOptions(), "by_hand"))
    assert (found.status, found.rows, found.series) == ("proven", 16, 2), found.verdicts


def test_what_the_frozen_mapping_does_not_know_fails_the_schema_check_and_not_the_command(stack: Stack) -> None:
    migration = new_migration(stack, plant_rows(2))
    for stage in (migration.export, migration.convert, migration.load):
        stage()
    _, frozen = migration.begin()
    spec = SeedSpec(
        database="energy", table=migration.job.source_table, kind="multi", dimensions=("plant",),
        measures=("pressure",), measure_name="hydraulics",
    )  # fmt: skip
    rows = pl.DataFrame({"time": [START + 5, START + 6], "plant": ["a", "b"], "pressure": [1.0, 2.0]})
    seed(stack.timestream_url, spec, rows)
    found = check(migration, Window(START, START + DAY), frozen)
    assert failed(found) == {"schema"}, found.verdicts
    column, measure, *_ = verdict_of(found, "schema").evidence
    assert column.startswith("column 'pressure' came to Timestream after the mapping was frozen: 2 in this window")
    assert measure.startswith("measure 'hydraulics' came to Timestream after the mapping was frozen: 2 in this window")


def test_rows_that_influxdb_cannot_hold_are_counted_and_the_range_is_passed_but_not_proven(stack: Stack) -> None:
    migration = new_migration(stack, plant_rows(2, name="ends in \\"))
    for stage in (migration.export, migration.convert, migration.load):
        stage()
    found = check(migration, Window(START, START + DAY))
    assert (found.status, found.quarantined) == ("passed", 4), found.verdicts


def test_queries_are_counted_with_what_they_are_billed_for(stack: Stack, january: Migration) -> None:
    query = MeteredQuery(stack.query.client)
    query.integer(f'SELECT count(*) FROM "energy"."{january.job.source_table}"')
    assert query.meter.queries == 1
    assert query.meter.billed_bytes == max(10_000_000, query.meter.scanned_bytes)
