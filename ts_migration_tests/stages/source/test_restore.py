"""A table of Timestream made again from its kept exports: every value as it was, on the embedded stack."""

import itertools
from typing import Any

import polars as pl
import pytest

from ts_migration.config import MigrationConfig
from ts_migration.errors import Permanent, Refused
from ts_migration.objects import CHECKS_PREFIX
from ts_migration.operations.restore import Restore, RestoreLook, look_at_exports, require_restorable
from ts_migration.stages.export import export_group
from ts_migration.stages.restore_record import RestoreManifest
from ts_migration.stages.table import begin_table
from ts_migration.timestream.ingestion import Ingestion
from ts_migration.timestream.query import Retries
from ts_migration.timestream.readings import rows_where
from ts_migration_tests.stages.source.tables import HOUR, START, Source, day, multi, single

NOW = 1_790_000_000 * 10**9


class Case:
    """A source whose three days are exported, and what restores it."""

    def __init__(self, source: Source) -> None:
        self.source, self.job = source, source.job(end_time="2023-01-04")
        self.config = MigrationConfig(migration_jobs=(self.job,))
        self.sent = 0
        begin_table(self.job, source.place, source.schema, source.bucket)
        export_group(self.job, source.place, list(self.job.grid), source.schema, source.query, source.bucket)

    def ingestion(self, table: str = "again", version: int = 1, client: Any = None) -> Ingestion:
        return Ingestion(
            client or self.source.write, f"{self.source.database}-new", table, version, Retries(1, 0.01), sleep=_no_wait
        )

    def look(self, ingestion: Ingestion, keys: tuple[str, str] | None = None) -> RestoreLook:
        return look_at_exports(self.config, self.job, self.source.bucket, self.source.query, ingestion, keys)

    def restore(self, ingestion: Ingestion, *, allow_existing: bool = False) -> RestoreManifest:
        look = self.look(ingestion)
        require_restorable(look, ingestion, allow_existing=allow_existing, now_ns=NOW)
        self.sent = 0
        work = Restore(self.config, look, self.source.bucket, self.source.query, ingestion, allow_existing)
        return work.perform(on_rows=self._count)

    def _count(self, rows: int) -> None:
        self.sent += rows

    def rows(self, database: str, table: str) -> pl.DataFrame:
        from ts_migration.timestream.description import describe

        schema = describe(self.source.query, database, table)
        frame = rows_where(self.source.query, schema, f'"time" >= from_nanoseconds({START})')
        return frame.select(sorted(frame.columns)).sort("measure_name", "time_ns", "plant")


def _no_wait(_: float) -> None:
    """Nothing is eventually consistent here."""


@pytest.fixture
def case(source: Source) -> Case:
    """Rows of every kind: multi-measure with NULLs and all types, single-measure of four types, edges of the types."""
    source.put([multi(index) for index in range(70)])
    source.put([single(index, "temp", "DOUBLE", repr(index / 3)) for index in range(30)])
    source.put([single(index, "count", "BIGINT", str(-(2**63) + index)) for index in range(5)])
    source.put([single(index, "on", "BOOLEAN", "false", Dimensions=[]) for index in range(5)])
    source.put([single(index, "says", "VARCHAR", f'á "{index}"\n') for index in range(5)])
    edges = [("load", "DOUBLE", text) for text in ("5e-324", "1.7976931348623157e308", "-0.0", "1e16", "0.1")]
    edges += [("count", "BIGINT", str(2**63 - 1)), ("at", "TIMESTAMP", str(START + 1)), ("text", "VARCHAR", " ")]
    source.put(
        [
            multi(0, Time=str(START + index * HOUR + 7), MeasureValues=[{"Name": n, "Type": kind, "Value": value}])
            for index, (n, kind, value) in enumerate(edges)
        ]
    )
    return Case(source)


def test_every_value_of_every_type_is_in_the_restored_table_as_it_was(case: Case) -> None:
    ingestion = case.ingestion()
    record = case.restore(ingestion)
    before = case.rows(case.source.database, case.source.table)
    after = case.rows(ingestion.database, ingestion.table)
    assert len(before) == 123 and before.equals(after)
    # equals() takes -0.0 for 0.0.
    signs = [frame.filter(pl.col("load") == 0).select((1 / pl.col("load")).min()).item() for frame in (before, after)]
    assert signs == [float("-inf")] * 2
    assert sum(window.rows for window in record.windows) == 123 and len(record.windows) == 3
    assert not list(case.source.bucket.list(CHECKS_PREFIX))


def test_a_new_table_takes_records_of_any_age_and_a_look_makes_none(case: Case) -> None:
    ingestion = case.ingestion()
    look = case.look(ingestion)
    assert look.settings is None and (look.rows, look.requests) == (123, 3) and ingestion.settings() is None
    case.restore(ingestion)
    settings = ingestion.settings()
    assert settings is not None and settings.takes_late_records and settings.magnetic_days == 73_000


def test_restored_once_more_nothing_is_written_and_a_lost_row_is_written_again(case: Case) -> None:
    ingestion = case.ingestion()
    case.restore(ingestion)
    assert case.sent == 123
    case.restore(ingestion)
    assert case.sent == 0
    case.source.write.delete_table(DatabaseName=ingestion.database, TableName=ingestion.table)
    case.restore(ingestion)
    assert case.sent == 123


def test_a_restore_that_was_cut_off_goes_on_where_it_was(case: Case) -> None:
    ingestion = case.ingestion(client=_Breaking(case.source.write, after=2))
    with pytest.raises(Permanent, match="cut off"):
        case.restore(ingestion)
    proven = case.look(ingestion).record
    assert proven is not None and 0 < len(proven.windows) < 3
    record = case.restore(case.ingestion())
    assert len(record.windows) == 3 and 0 < case.sent < 123
    assert case.rows(case.source.database, "t").equals(case.rows(ingestion.database, "again"))


def test_a_table_that_holds_rows_is_refused_unless_somebody_says_so_and_its_rows_stay(case: Case) -> None:
    ingestion = case.ingestion()
    ingestion.create(73_000)
    mine = multi(4, Dimensions=[{"Name": "plant", "Value": "mine"}])
    _put(case, ingestion, mine)
    with pytest.raises(Refused, match="holds rows, and none of them is of a restore"):
        case.restore(ingestion)
    record = case.restore(ingestion, allow_existing=True)
    assert (record.windows[0].others, sum(window.rows for window in record.windows)) == (1, 123)
    assert len(case.rows(ingestion.database, ingestion.table)) == 124
    case.restore(ingestion)
    assert case.sent == 0


def test_another_value_in_the_table_is_not_written_over_but_by_a_higher_version(case: Case) -> None:
    ingestion = case.ingestion()
    ingestion.create(73_000)
    other = multi(4, MeasureValues=[{"Name": "load", "Type": "DOUBLE", "Value": "99"}])
    _put(case, ingestion, other)
    with pytest.raises(Refused, match=r"rejected 1 of .* --record-version 2 writes over them"):
        case.restore(ingestion, allow_existing=True)
    case.restore(case.ingestion(version=2), allow_existing=True)
    assert case.rows(case.source.database, "t").equals(case.rows(ingestion.database, "again"))


def test_a_value_that_the_service_stored_otherwise_is_found_by_the_proof(case: Case) -> None:
    ingestion = case.ingestion(client=_Breaking(case.source.write, spoil=True))
    with pytest.raises(Permanent, match="values differ in 1 of 64 parts of the window"):
        case.restore(ingestion)


def test_windows_whose_files_are_gone_are_named_and_the_others_can_be_restored(case: Case) -> None:
    exported = case.look(case.ingestion()).exports[2]
    case.source.bucket.delete(exported.manifest.files[0].key)
    with pytest.raises(Refused, match="1 of 3 windows are not kept: 2023-01-03: its export files are gone"):
        case.restore(case.ingestion())
    look = case.look(case.ingestion(), ("2023-01-01", "2023-01-02"))
    require_restorable(look, case.ingestion(), allow_existing=False, now_ns=NOW)
    assert [each.window for each in look.exports] == [day(number) for number in (1, 2)]


def test_a_table_that_takes_no_old_records_is_refused_before_a_row_is_written(case: Case) -> None:
    ingestion = case.ingestion()
    case.source.write.create_database(DatabaseName=ingestion.database)
    case.source.write.create_table(DatabaseName=ingestion.database, TableName=ingestion.table)
    with pytest.raises(Refused, match=r"takes no records of 2023-01-01T00:00:00Z.* and takes no late records"):
        case.restore(ingestion)


def _put(case: Case, ingestion: Ingestion, record: dict[str, Any]) -> None:
    names = {"DatabaseName": ingestion.database, "TableName": ingestion.table}
    case.source.write.write_records(**names, Records=[record])


class _Breaking:
    """A write client whose WriteRecords fail after some, or change one value on its way."""

    def __init__(self, client: Any, after: int | None = None, spoil: bool = False) -> None:
        self._client, self._calls = client, itertools.count()
        self._after, self._spoil = after, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def write_records(self, **request: Any) -> Any:
        number = next(self._calls)
        if self._after is not None and number >= self._after:
            raise Permanent("cut off")
        if self._spoil and number == 0:
            first = next(record for record in request["Records"] if record["MeasureValueType"] == "MULTI")
            value = next(each for each in first["MeasureValues"] if each["Type"] == "DOUBLE")
            value["Value"] = value["Value"] + "1"
        return self._client.write_records(**request)
