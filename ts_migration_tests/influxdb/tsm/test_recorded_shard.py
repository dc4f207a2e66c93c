"""A real server's shard is read to exactly the points that were written to it, and written again it is the same."""

from ts_migration.influxdb.tsm.columns import FieldKind
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration_tests.influxdb.tsm.columns import column_of, points_of
from ts_migration_tests.influxdb.tsm.plain_tsm import walk
from ts_migration_tests.influxdb.tsm.recorded import recorded_file, recorded_points


def test_the_recorded_shard_holds_exactly_the_points_that_were_written_to_it():
    read = {column.kind: points_of(column) for column in read_tsm(recorded_file())}
    assert read == recorded_points()
    assert set(read) == set(FieldKind)


def test_a_file_of_the_recorded_points_is_read_as_the_same_points():
    points = recorded_points()
    file = b"".join(tsm_file([column_of(kind, own) for kind, own in points.items()]))
    assert {column.kind: points_of(column) for column in read_tsm(file)} == points


def test_the_plain_walk_reads_both_files_as_the_same_points_in_the_same_encodings():
    """Also the judge of the tests is judged: it reads what a real server wrote."""
    recorded = walk(recorded_file())
    written = walk(b"".join(tsm_file([column_of(kind, own) for kind, own in recorded_points().items()])))
    assert list(recorded) == list(written)
    for key, found in written.items():
        assert found.points == recorded[key].points
        assert [(each.time_encoding, each.value_encoding) for each in found.blocks] == [
            (each.time_encoding, each.value_encoding) for each in recorded[key].blocks
        ]


def test_a_file_of_the_recorded_points_is_no_longer_than_the_servers():
    file = b"".join(tsm_file([column_of(kind, own) for kind, own in recorded_points().items()]))
    assert len(file) <= len(recorded_file())
