"""Windows that others had points in before the load: what was there is kept, left out of the checks, and has to stay."""

import numpy as np
import pytest

from ts_migration.errors import Refused
from ts_migration.influxdb import reader
from ts_migration.influxdb.blocks import Block, BlockColumn, SeriesBatch
from ts_migration.influxdb.buckets import ensure
from ts_migration.influxdb.deletion import delete_points
from ts_migration.influxdb.ledger import read_intent
from ts_migration.line_protocol.mapping import FieldType
from ts_migration.stages.convert import convert_window
from ts_migration.stages.export import export_window
from ts_migration.stages.found_points import save_points, saved_points
from ts_migration.stages.load import load_window
from ts_migration.validation.digest import PointDigest
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration

pytestmark = pytest.mark.stack


@pytest.fixture
def shared(migration: Migration) -> Migration:
    """A window whose bucket holds points of the same measurement, of the same series and of others, at some same times.

    Of the job's own values one is there with another value, one with the same.
    """
    one = migration.changed(allow_existing_data=True)
    ensure(one.stack.target, one.job.target_bucket, 86_400)
    name = one.job.measurement
    own = r"plant=Itaipu\,\ 1,subsystem=SE/CO,measure_name=metrics"
    one.write(
        f'{name},site=Rio\\ \\=\\ 1 speed=1.5,note="a ""b"\n'.replace('""', '\\"')
        + f"{name},plant=alien load_mw=1,units=5i,online=true {START + 5 * HOUR}\n"
        + f"{name},{own} load_mw=99.5,reserve=7i {START + 1}\n"
        + f"{name},{own} load_mw=3.25 {START + HOUR}\n"
    )
    # The first line has the server's time, which is far from the window.
    one.write(f'{name},site=Rio load_mw=2,note="líne\n2" {START + 7 * HOUR}')
    return one


def digest(migration: Migration, window: Window) -> tuple[int, int]:
    found = PointDigest(window.start_ns, window.end_ns)
    job, target = migration.job, migration.stack.target
    for batch in reader.batches(target, job.target_bucket, job.measurement, window):
        found.add_batch(batch)
    return found.record().lanes


def test_what_was_there_is_copied_value_by_value_before_the_load(shared):
    before = digest(shared, shared.window())
    shared.run()
    intent = read_intent(shared.stack.bucket, shared.own())
    assert intent is not None
    (copy,) = intent.found
    assert (copy.lanes, copy.values, intent.found_values) == (before, 8, 8)
    again = PointDigest(copy.start_ns, copy.end_ns)
    for batch in saved_points(shared.stack.bucket, copy.key, shared.job.measurement):
        again.add_batch(batch)
    assert again.record().lanes == before


def test_a_window_with_others_points_is_proven_by_what_is_left_without_them(shared):
    found = shared.run()
    assert found.status == "proven", found.verdicts
    checksum = next(each for each in found.verdicts if each.check == "checksum")
    assert checksum.evidence[0] == "left out: 7 values that were there before the load, all of them as they were"
    shared.run(1)
    rolled = shared.roll_up()
    told = {each.check: each for each in rolled.verdicts}
    assert (told["totals"].passed, told["cardinality"].passed) == (True, True), rolled.verdicts
    assert told["totals"].difference == "0"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (f"NAME,plant=alien units=6i {START + 5 * HOUR}", "1 of 7 values that were there before the load are gone"),
        (f"NAME,plant=alien units=6i {START + 6 * HOUR}", "extra: NAME,plant=alien units"),
        (f"NAME,plant=Itaipu\\,\\ 1,subsystem=SE/CO,measure_name=metrics load_mw=99.5 {START + 1}", "changed: "),
    ],
    ids=["others value changed", "others value added", "the value that was written over is back"],
)
def test_a_window_with_others_points_that_changed_since_is_not_proven(shared, spoil, text):
    shared.run()
    shared.write(spoil.replace("NAME", shared.job.measurement))
    found = shared.check()
    assert found.status == "failed"
    checksum = next(each for each in found.verdicts if each.check == "checksum")
    assert any(text.replace("NAME", shared.job.measurement) in line for line in checksum.evidence), checksum.evidence


def test_others_points_that_were_deleted_since_are_told(shared):
    shared.run()
    alien = Window(START + 5 * HOUR, START + 5 * HOUR + 1)
    delete_points(shared.stack.target, shared.job.target_bucket, shared.job.measurement, alien)
    checksum = next(each for each in shared.check().verdicts if each.check == "checksum")
    assert not checksum.passed
    assert checksum.difference == "3 values that were there before the load"


def test_a_load_that_begins_again_takes_its_own_points_for_none_of_the_others(shared):
    shared.run()
    shared.stack.bucket.delete(shared.own().manifest("load"))
    before = read_intent(shared.stack.bucket, shared.own())
    shared.load()
    assert read_intent(shared.stack.bucket, shared.own()) == before
    assert shared.check().status == "proven"


def test_a_window_that_grows_over_more_points_of_others_copies_those_too(shared):
    half = shared.changed(end_time=START + 24 * HOUR)
    assert half.run().status == "proven"
    shared.write(f"{shared.job.measurement},plant=alien load_mw=4 {START + 30 * HOUR}")
    whole = shared.changed(end_time=START + 48 * HOUR)
    schema, mapping = half.begin()
    place = whole.place
    bucket, window = whole.stack.bucket, whole.window()
    export_window(whole.job, place, window, schema, whole.stack.query, bucket)
    convert_window(whole.job, place, window, mapping, bucket)
    load_window(whole.job, place, window, mapping, bucket, whole.stack.target)
    intent = read_intent(bucket, whole.own())
    assert intent is not None
    assert [copy.values for copy in intent.found] == [8, 1]


def test_points_that_could_not_be_put_back_are_refused(migration):
    column = BlockColumn("f", FieldType.FLOAT, np.array([1.0]))
    block = Block("m", {"path": "C:\\"}, np.array([5], np.int64), (column,))
    with pytest.raises(Refused, match="could not be put back"):
        save_points([SeriesBatch.of(block)], migration.stack.bucket, "x", "m", Window(0, 10))
