"""Any table's rows become the same points in shard files as in lines: same values, same tallies, same rejects.

The digest of a file's points is taken from what the reader decodes; that of the rows, from the export's frame.
"""

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings

from ts_migration.config import RewriteRules
from ts_migration.errors import MigrationError
from ts_migration.influxdb.shard_batches import batches_of
from ts_migration.influxdb.shard_rows import ShardRows, tsm_columns
from ts_migration.influxdb.tsm.reader import read_tsm
from ts_migration.influxdb.tsm.writer import tsm_file
from ts_migration.line_protocol.accepted_rows import accept
from ts_migration.line_protocol.encoder import encode
from ts_migration.line_protocol.mapping import FieldSource, FieldType, Mapping, TagSource
from ts_migration.line_protocol.resolution import resolve
from ts_migration.line_protocol.rewrites import Said, say
from ts_migration.line_protocol.tally import Tally
from ts_migration.validation.digest import PointDigest
from ts_migration_tests.line_protocol.points import parsed
from ts_migration_tests.line_protocol.tables import NUMBER, Table, long_tables, tables

START, END = -(2**63), 2**63 - 1
RULES = RewriteRules(trailing_backslash="drop", float_not_finite="drop").active


def mapping_of(table: Table) -> Mapping:
    try:
        return resolve(table.schema, table.options, table.measurement)
    except MigrationError:
        assume(False)
        raise


def digest_of_files(*columns: object) -> PointDigest:
    digest = PointDigest(START, END)
    for each in columns:
        for batch in batches_of(each):
            digest.add_batch(batch)
    return digest


def tallied(rows: int, said: Said) -> Tally:
    tally = Tally()
    tally.count(rows, said)
    return tally


def test_of_two_rows_of_one_point_the_later_value_of_each_field_stays() -> None:
    mapping = Mapping(
        "m",
        (TagSource("d", "d"),),
        (FieldSource("x", "x", FieldType.INTEGER), FieldSource("s", "s", FieldType.STRING)),
        ("n",),
        ("d",),
        injective=False,
    )
    rows = [("a", 5, 1, "old"), ("b", 5, 7, None), ("a", 4, 0, "x"), ("a", 5, 2, None), ("a", 5, 3, "new")]
    schema = {"d": pl.String, "time_ns": pl.Int64, "x": pl.Int64, "s": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(measure_name=pl.lit("n"))
    parts = [ShardRows.of(accept(part, mapping)) for part in (frame.head(2), frame.tail(3))]
    numbers, texts = read_tsm(b"".join(tsm_file(tsm_columns(parts))))
    assert numbers.keys.to_pylist() == [b"m,d=a#!~#x", b"m,d=b#!~#x"]
    assert (numbers.times.tolist(), numbers.values.tolist()) == ([4, 5, 5], [0, 3, 7])
    assert (texts.times.tolist(), texts.values.to_pylist()) == ([4, 5], [b"x", b"new"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(table=tables() | long_tables())
def test_rows_of_any_table_are_the_same_points_in_files_as_in_lines(table: Table) -> None:
    mapping = mapping_of(table)
    frame = table.frame.drop(NUMBER).filter(pl.col("time_ns") < END)
    try:
        lines = say(frame, mapping, RULES, encode)
    except MigrationError:
        with pytest.raises(MigrationError):
            say(frame, mapping, RULES, accept)
        return
    rows = say(frame, mapping, RULES, accept)
    assert tallied(len(frame), rows) == tallied(len(frame), lines)
    assert rows.rejects.rows.equals(lines.rejects.rows)
    assert rows.rejects.reasons.equals(lines.rejects.reasons)
    parts = [ShardRows.of(batch) for batch in rows.batches if batch.points]
    assume(parts)
    body = b"".join(tsm_file(tsm_columns(parts)))
    found = digest_of_files(read_tsm(body))
    points = [point for batch in lines.batches for point in parsed(bytes(batch.text))]
    values = [(measurement, tags, at, key) for measurement, tags, at, fields in points for key, _, _ in fields]
    assume(len(set(values)) == len(values))  # of two values of one point a bucket keeps one, in lines and in files
    expected = PointDigest(START, END)
    for batch in rows.batches:
        expected.add_frame(batch.accepted, mapping)
    assert found.record() == expected.record()
    assert found.series == expected.series
