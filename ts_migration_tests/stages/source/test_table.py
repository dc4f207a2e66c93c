"""Grid and mapping are frozen with the first window: partition keys go on meaning what was proven under them."""

from typing import Any

import pytest

from ts_migration.errors import Missing, Permanent, Refused
from ts_migration.influxdb.ledger import LoadIntent, intent_key, read_intent
from ts_migration.influxdb.ownership import read_own_ranges, strange_parts
from ts_migration.line_protocol.mapping import Mapping
from ts_migration.manifests import TableManifest, read_manifest
from ts_migration.stages.export import current_export, export_window
from ts_migration.stages.table import begin_table, frozen_mapping
from ts_migration_tests.stages.source.tables import Source, multi, single

MAPPING = {"mapping": "{rename: {plant: usina}}"}


def begun(source: Source, **keys: Any) -> tuple[TableManifest, Mapping]:
    return begin_table(source.job(**keys), source.place, source.schema, source.bucket)


def exported(source: Source, number: int, **keys: Any) -> None:
    job = source.job(**keys)
    window = list(job.grid)[number]
    export_window(job, source.place, window, source.schema, source.query, source.bucket)


@pytest.fixture
def table(source: Source) -> Source:
    source.put([multi(0)])
    return source


def test_the_first_call_freezes_and_later_calls_give_the_same(table: Source) -> None:
    manifest, mapping = begun(table)
    assert begun(table) == (manifest, mapping)
    assert frozen_mapping(table.job(), table.place, table.bucket) == mapping
    assert manifest.mapping_digest == mapping.digest


def test_a_table_that_was_not_begun_has_no_mapping(table: Source) -> None:
    with pytest.raises(Missing, match="freezes the mapping"):
        frozen_mapping(table.job(), table.place, table.bucket)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"window": "hour"}, "window is '0 \\* \\* \\* \\*' and was '0 0 \\* \\* \\*'"),
        ({"start_time": "2022-12-01"}, "start_time is 2022-12-01T00:00:00Z and was 2023-01-01"),
        (MAPPING, "options of `mapping` differ"),
    ],
)
def test_another_grid_or_mapping_is_refused_with_the_way_out(table: Source, keys: dict[str, str], words: str) -> None:
    begun(table)
    with pytest.raises(Refused, match=f"{words}.*ts-migration reset job"):
        begun(table, **keys)


def test_jobs_that_changed_places_are_not_told_to_reset_each_others_proof(table: Source) -> None:
    begun(table, job_name="first")
    with pytest.raises(Refused) as refused:
        begun(table, job_name="second", window="month")
    assert "if 'first' is another job of this table: put the jobs back in the order" in refused.value.next_step
    assert "if 'second' is its new name: put the old value back" in refused.value.next_step


def test_options_that_come_to_the_same_mapping_are_taken(table: Source) -> None:
    _, mapping = begun(table)
    assert begun(table, mapping="{measurement: t}")[1] == mapping


def test_a_later_end_that_only_appends_windows_is_taken(table: Source) -> None:
    begun(table)
    exported(table, 9)
    manifest, _ = begun(table, end_time="2023-02-01")
    assert manifest.range_end_ns == table.job(end_time="2023-02-01").end_time
    assert read_manifest(TableManifest, table.bucket, table.place.table_manifest) == manifest


def test_a_later_end_lets_the_last_window_grow_and_its_export_no_longer_stands(table: Source) -> None:
    begun(table, end_time="2023-01-10T12:00:00Z")
    exported(table, 9, end_time="2023-01-10T12:00:00Z")

    manifest, _ = begun(table, end_time="2023-02-01")

    assert manifest.range_end_ns == table.job(end_time="2023-02-01").end_time
    job = table.job(end_time="2023-02-01")
    assert current_export(job, table.place, job.grid.window("2023-01-10"), table.bucket) is None


def test_a_window_that_grew_is_asked_anew_whose_points_lie_in_its_new_part(table: Source) -> None:
    short, own = table.job(end_time="2023-01-10T12:00:00Z"), table.place.window("2023-01-10")
    begun(table, end_time="2023-01-10T12:00:00Z")
    exported(table, 9, end_time="2023-01-10T12:00:00Z")
    intent = LoadIntent(job="job", org="o", bucket="target", bucket_id="b", measurement="m", found_values=0)
    intent.write(table.bucket, intent_key(own))

    begun(table, end_time="2023-02-01")

    grown = table.job(end_time="2023-02-01").grid.window("2023-01-10")
    assert read_intent(table.bucket, own) is None
    (part,) = strange_parts(grown, intent, read_own_ranges(table.bucket, table.place))
    assert (part.start_ns, part.end_ns) == (short.end_time, grown.end_ns)


def test_an_earlier_end_that_cuts_a_begun_window_is_refused(table: Source) -> None:
    begun(table)
    exported(table, 9)
    with pytest.raises(Refused, match=r"cuts the window 2023-01-10 differently.*end at 2023-01-11T00:00:00Z"):
        begun(table, end_time="2023-01-10T12:00:00Z")


def test_an_end_that_cuts_a_window_differently_that_nobody_began_is_taken(table: Source) -> None:
    begun(table, end_time="2023-01-10T12:00:00Z")
    exported(table, 0, end_time="2023-01-10T12:00:00Z")
    assert begun(table, end_time="2023-02-01")[0].range_end_ns == table.job(end_time="2023-02-01").end_time


def test_an_earlier_end_is_taken_only_where_it_drops_no_begun_window(table: Source) -> None:
    begun(table)
    exported(table, 2)
    assert begun(table, end_time="2023-01-04")[0].range_end_ns == table.job(end_time="2023-01-04").end_time
    with pytest.raises(Refused, match="window 2023-01-03"):
        begun(table, end_time="2023-01-02")


def test_a_new_measure_or_dimension_is_drift_and_says_the_way_out(table: Source) -> None:
    begun(table)
    table.put([single(1, "temp", "DOUBLE", "1.5", Dimensions=[{"Name": "city", "Value": "x"}])])
    with pytest.raises(Permanent, match=r"new measure 'temp', dimension 'city', column 'measure_value::double'.*reset"):
        begun(table)
