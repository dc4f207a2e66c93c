"""What a rollback deletes, keeps, refuses and proves, range by range; the command is tested end to end."""

import pytest

from ts_migration.errors import Permanent, Refused
from ts_migration.influxdb import buckets, reader
from ts_migration.influxdb.ledger import intent_key, read_intent
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.operations import rollback as rollbacks
from ts_migration.operations.reset import forget, look_at_begun
from ts_migration.operations.rollback import Rollback, look_at_rollback
from ts_migration.stages.put_back import Held, held_in
from ts_migration.stages.rollback_record import RollbackManifest, read_rollback
from ts_migration.windows import Window
from ts_migration_tests.stages.conftest import HOUR, START, Migration

pytestmark = pytest.mark.stack
POLICY = RetryPolicy(0, 0.01)
WHOLE = Window(START - 100 * HOUR, START + 24 * 90 * HOUR)
ALIEN = f"plant=alien load_mw=1,units=5i {START + 5 * HOUR}"
SINCE = f"plant=since load_mw=2 {START + 8 * HOUR}"
OWN = r"plant=Itaipu\,\ 1,subsystem=SE/CO,measure_name=metrics"


def write(migration: Migration, line: str) -> None:
    migration.write(f"{migration.job.measurement},{line}")


def held(migration: Migration, window: Window = WHOLE) -> Held:
    return held_in(migration.stack.target, migration.job.target_bucket, migration.job.measurement, window)


def values(migration: Migration) -> set[tuple[str, str, object]]:
    """Plant, field and value of all that the bucket holds."""
    found = reader.points(migration.stack.target, migration.job.target_bucket, migration.job.measurement, WHOLE)
    return {
        (block.tags.get("plant", ""), column.field, value)
        for block in found
        for column in block.columns
        for value in column.values.tolist()
    }


def work(migration: Migration, *, everything: bool = False) -> Rollback:
    stack = migration.stack
    begun = look_at_begun(migration.config, migration.job, stack.bucket)
    found = look_at_rollback(begun, stack.bucket, stack.target, POLICY)
    _, mapping = migration.begin()
    return Rollback(found, mapping, stack.bucket, stack.target, POLICY, everything=everything)


def roll_back(migration: Migration, *, everything: bool = False) -> RollbackManifest:
    one = work(migration, everything=everything)
    record = one.delete(one.plan("a test"))
    forget(one.look.begun, migration.stack.bucket, points_stay=False)
    return record.model_copy(update={"state": "done"}).write(migration.stack.bucket, migration.place.rollback)


@pytest.fixture
def shared(migration: Migration) -> Migration:
    """A job that may mix its points with others', in a bucket that it did not make."""
    one = migration.changed(allow_existing_data=True)
    buckets._controlled(
        one.stack.target,
        "made",
        lambda client: client.buckets_api().create_bucket(bucket_name=one.job.target_bucket, org=one.stack.target.org),
    )
    return one


def test_others_points_of_the_same_series_and_time_are_what_they_were(shared):
    write(shared, ALIEN)
    write(shared, f"{OWN} load_mw=99.5,reserve=7i {START + 1}")
    write(shared, f"{OWN} load_mw=4.5 {shared.window(1).end_ns}")
    before = held(shared)
    shared.run()
    shared.run(1)
    assert held(shared).values > before.values
    record = roll_back(shared)
    assert held(shared) == before
    assert [one.state for one in record.ranges] == ["restored", "restored"]
    assert record.buckets_deleted == ()
    assert shared.run().status == "proven", "it can be begun anew"


def test_what_others_wrote_since_is_kept_also_over_what_was_there(shared):
    write(shared, ALIEN)
    shared.run()
    for line in (SINCE, f"plant=alien units=6i {START + 5 * HOUR}", f"{OWN} since=3.5 {START + 1}"):
        write(shared, line)
    record = roll_back(shared)
    assert values(shared) == {
        ("alien", "load_mw", 1.0),
        ("alien", "units", 6),
        ("since", "load_mw", 2.0),
        ("Itaipu, 1", "since", 3.5),
    }
    assert [one.others for one in record.ranges] == [3]


def test_a_value_of_the_jobs_that_somebody_changed_goes_with_its_point(migration):
    migration.run()
    write(migration, f"{OWN} load_mw=77.5 {START + 1}")
    assert migration.check().status == "failed"
    roll_back(migration)
    assert buckets.find(migration.stack.target, migration.job.target_bucket) is None


def test_a_load_that_was_cut_short_is_rolled_back_too(migration, monkeypatch):
    from ts_migration.influxdb.write_requests import WriteRequests

    post, sent = WriteRequests.post, []

    def fail_later(self: WriteRequests, content: bytes, *, gzipped: bool):
        sent.append(1)
        if len(sent) > 3:
            raise Permanent("the power went out")
        return post(self, content, gzipped=gzipped)

    migration.export()
    migration.convert()
    with monkeypatch.context() as cut, pytest.raises(Permanent, match="power"):
        cut.setattr(WriteRequests, "post", fail_later)
        migration.load()
    assert held(migration).values
    write(migration, SINCE)
    roll_back(migration)
    assert values(migration) == {("since", "load_mw", 2.0)}
    assert buckets.find(migration.stack.target, migration.job.target_bucket), "it holds somebody's point"


def test_lines_that_a_faulty_conversion_made_are_the_jobs(migration, monkeypatch):

    migration.export()
    migration.convert()
    migration.load()
    # As if the encoder had written another tag: the line is among those that were sent, and not in the export.
    from ts_migration.stages import line_protocol_way

    wrong = f"{migration.job.measurement},plant=wrong load_mw=2 {START + 8 * HOUR}"
    migration.write(wrong)
    monkeypatch.setattr(line_protocol_way, "lines_at", lambda *_: iter([wrong.encode()]))
    roll_back(migration)
    assert buckets.find(migration.stack.target, migration.job.target_bucket) is None


def test_a_rollback_that_was_killed_between_delete_and_putting_back_goes_on(shared, monkeypatch):
    write(shared, ALIEN)
    before = held(shared)
    shared.run()
    write(shared, SINCE)
    one = work(shared)
    planned = one.plan("a test")

    def die(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr("ts_migration.stages.put_back.write_points", die)
        one.delete(planned)
    assert held(shared).values == 0, "deleted, and not put back yet"
    with pytest.raises(Refused, match="is not finished"):
        shared.load()
    roll_back(shared)
    assert held(shared).values == before.values + 1
    found = read_rollback(shared.stack.bucket, shared.place)
    assert found is not None
    assert (found.state, found.ranges[0].others) == ("done", 1)


def test_without_a_copy_of_what_was_there_it_refuses_and_deletes_nothing(shared):
    write(shared, ALIEN)
    shared.run()
    before = held(shared)
    intent = read_intent(shared.stack.bucket, shared.own())
    assert intent is not None
    intent.model_copy(update={"found": ()}).write(shared.stack.bucket, intent_key(shared.own()))
    with pytest.raises(Refused, match="no copy of them was kept"):
        roll_back(shared, everything=True)
    intent.write(shared.stack.bucket, intent_key(shared.own()))
    shared.stack.bucket.delete(intent.found[0].key)
    with pytest.raises(Refused, match="cannot be read"):
        roll_back(shared)
    assert held(shared) == before


def test_where_the_jobs_points_cannot_be_told_it_refuses_until_everything_may_go_and_keeps_a_copy(migration):
    migration.run()
    migration.run(1)
    migration.stack.bucket.delete_prefix(migration.place.bulk)
    write(migration, SINCE)
    before = held(migration)
    with pytest.raises(Refused, match="cannot be told from others' any more") as refused:
        roll_back(migration)
    assert "window 2023-01-01" in str(refused.value)
    assert "window 2023-02-01" not in str(refused.value), "an untouched window is the job's by its digest alone"
    assert held(migration) == before
    record = roll_back(migration, everything=True)
    assert record.ranges[0].kept_key
    assert migration.stack.bucket.size(record.ranges[0].kept_key)
    assert buckets.find(migration.stack.target, migration.job.target_bucket) is None


def test_ranges_that_the_job_wrote_before_a_reset_go_too(migration):
    migration.run()
    migration.run(1)
    begun = look_at_begun(migration.config, migration.job, migration.stack.bucket)
    forget(begun, migration.stack.bucket)
    assert held(migration).values
    assert migration.run().status == "proven"
    record = roll_back(migration)
    assert [one.key for one in record.ranges] == ["2023-01-01", ""]
    assert buckets.find(migration.stack.target, migration.job.target_bucket) is None


def test_a_range_that_does_not_hold_what_it_should_afterwards_is_no_success(shared, monkeypatch):
    write(shared, ALIEN)
    shared.run()
    monkeypatch.setattr("ts_migration.stages.put_back.write_points", lambda *_: None)
    with pytest.raises(Permanent, match="does not hold what it held before the job: 0 values"):
        roll_back(shared)
    monkeypatch.undo()
    roll_back(shared)
    assert values(shared) == {("alien", "load_mw", 1.0), ("alien", "units", 5)}


def test_a_bucket_that_is_gone_is_no_problem(migration):
    migration.run()
    found = buckets.find(migration.stack.target, migration.job.target_bucket)
    assert found is not None
    buckets.delete(migration.stack.target, found)
    record = roll_back(migration)
    assert [(one.before, one.state) for one in record.ranges] == [(0, "restored")]


def test_nothing_is_deleted_before_every_window_is_looked_at(shared, monkeypatch):
    write(shared, ALIEN)
    shared.run()
    before = held(shared)
    deleted = []
    monkeypatch.setattr(rollbacks, "save_others", lambda *_: (_ for _ in ()).throw(Refused("not to be told")))
    monkeypatch.setattr("ts_migration.stages.put_back.delete_points", lambda *a: deleted.append(a))
    write(shared, SINCE)
    with pytest.raises(Refused):
        roll_back(shared)
    assert deleted == []
    assert held(shared).values == before.values + 1


def rolled_up_with_a_retention(migration: Migration) -> Migration:
    """A job that names a retention, in a bucket that others made without one."""
    buckets.ensure(migration.stack.target, migration.job.target_bucket, 86_400)
    _made_by_others(migration)
    one = migration.changed(retention_days=36_500)
    for index in (0, 1):
        one.run(index)
    one.roll_up()
    return one


def test_a_retention_that_the_roll_up_set_on_a_bucket_that_was_there_is_set_back(migration: Migration) -> None:
    one = rolled_up_with_a_retention(migration)
    stack, name = migration.stack, migration.job.target_bucket
    assert _retention(one) == 36_500 * 86_400
    record = roll_back(one)
    assert _retention(one) == 0
    assert record.retention == f"bucket {name!r} keeps points for ever again, as before the job"
    assert stack.bucket.get_or_none(one.place.retention) is None


def test_a_retention_that_somebody_has_set_since_stays(migration: Migration) -> None:
    one = rolled_up_with_a_retention(migration)
    buckets.set_retention(migration.stack.target, migration.job.target_bucket, 40_000 * 86_400)
    record = roll_back(one)
    assert _retention(one) == 40_000 * 86_400
    assert "which somebody has set since" in record.retention


def _retention(migration: Migration) -> int:
    found = buckets.find(migration.stack.target, migration.job.target_bucket)
    assert found is not None
    return found.retention_s


def _made_by_others(migration: Migration) -> None:
    """Take the tool's mark off a bucket: it is then one that was there before."""
    found = buckets.find(migration.stack.target, migration.job.target_bucket)
    assert found is not None
    body = b'{"description": "of somebody"}'
    answer = migration.stack.target.request("PATCH", f"/api/v2/buckets/{found.id}", body=body)
    assert answer.status == 200, answer
