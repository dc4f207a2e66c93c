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
from ts_migration.line_protocol.mapping import Mapping
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
