"""The export stage on the embedded Timestream: every row once, sound files only, and no work done twice."""

import io
import json
import re
from typing import Any

import polars as pl
import pytest

from ts_migration.errors import Missing, Permanent, Refused, Transient
from ts_migration.line_protocol.parquet import export_frames
from ts_migration.line_protocol.resolution import resolve
from ts_migration.manifests import ExportManifest
from ts_migration.objects import BULK_PREFIX
from ts_migration.stages.export import current_export, export_group, export_window
from ts_migration.stages.progress import Progress
from ts_migration.timestream.query import QueryTooLarge, TimestreamQuery
from ts_migration.windows import Window
from ts_migration_tests.stages.source.tables import HOUR, START, Source, day, multi, single
from ts_migration_tests.timestream.scripted import aws


class Meddling:
    """A query client that lets a test step in before or after real queries."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.asked: list[str] = []

    def before(self, sql: str) -> None:
        """Raise to fail the query."""

    def after(self, sql: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Spoil the answer or what lies behind it."""
        return answer

    def query(self, **request: Any) -> Any:
        if "NextToken" not in request:
            self.asked.append(request["QueryString"])
            self.before(request["QueryString"])
        return self.after(request["QueryString"], self.client.query(**request))

    def cancel_query(self, **request: Any) -> Any:
        return self.client.cancel_query(**request)


def rows_of(source: Source, manifest: ExportManifest) -> pl.DataFrame:
    mapping = resolve(source.schema, source.job().mapping, "t")
    return pl.concat(export_frames(source.bucket, manifest, mapping, 7)).sort("time_ns")


def exported(source: Source, window: Window, client: Any = None, **options: Any) -> ExportManifest:
    query = source.query if client is None else TimestreamQuery(client, source.query.retries)
    return export_window(source.job(), source.place, window, source.schema, query, source.bucket, **options)


def test_a_window_holds_its_rows_exactly_and_no_others(source: Source) -> None:
    source.put([multi(index) for index in range(72)])
    manifest = exported(source, day(2))
    frame = rows_of(source, manifest)
    assert manifest.rows == len(frame) == 24
    assert manifest.columns == {
        "plant": "varchar", "zone": "varchar", "measure_name": "varchar", "time": "timestamp", "load": "double",
        "count": "bigint", "open": "boolean", "text": "varchar", "at": "timestamp", "time_ns": "bigint",
    }  # fmt: skip
    for index, row in zip(range(24, 48), frame.iter_rows(named=True), strict=True):
        full = index % 5 != 0
        assert row == {
            "plant": ["SE/CO", "S ul", "N,E=x"][index % 3],
            "zone": "z" if index % 2 else None,
            "measure_name": "balance",
            "load": index * 1.1 - 20,
            "count": 2**62 + index,
            "open": bool(index % 2) if full else None,
            "text": f'a "b" \\{index}' if full else None,
            "at": START + index if full else None,
            "time_ns": START + index * HOUR + index,
        }


def test_awss_own_manifest_is_kept_where_no_cleanup_comes(source: Source) -> None:
    source.put([multi(0)])
    manifest = exported(source, day(1))
    (kept,) = manifest.aws_manifests
    assert not kept.startswith(BULK_PREFIX)
    assert json.loads(source.bucket.get(kept))["query_metadata"]["total_row_count"] == 1


def test_a_group_gives_every_window_what_it_would_have_had_alone(source: Source) -> None:
    source.put([multi(index) for index in range(100)])
    windows = [day(number) for number in (1, 2, 4, 5, 8)]
    client = Meddling(source.query_client)
    query = TimestreamQuery(client, source.query.retries)
    together = export_group(source.job(), source.place, windows, source.schema, query, source.bucket)
    assert len([sql for sql in client.asked if sql.startswith("UNLOAD")]) == 1
    assert [manifest.window.key for manifest in together] == [window.key for window in windows]
    assert [manifest.rows for manifest in together] == [24, 24, 24, 4, 0]
    for window, manifest in zip(windows, together, strict=True):
        if manifest.rows:
            frame = rows_of(source, manifest)
            assert frame["time_ns"].is_between(window.start_ns, window.end_ns, closed="left").all()
            assert len(frame) == manifest.rows
        assert current_export(source.job(), source.place, window, source.bucket) == manifest


def test_a_group_leaves_windows_alone_that_stand_already(source: Source) -> None:
    source.put([multi(index) for index in range(48)])
    first = exported(source, day(1))
    together = export_group(source.job(), source.place, [day(1), day(2)], source.schema, source.query, source.bucket)
    assert together[0] == first
    assert together[1].rows == 24


def test_a_window_without_rows_is_exported_as_such(source: Source) -> None:
    source.put([multi(0)])
    manifest = exported(source, day(9))
    assert (manifest.rows, sum(file.rows for file in manifest.files)) == (0, 0)


def test_a_finished_window_is_not_exported_again(source: Source) -> None:
    source.put([multi(0)])
    first = exported(source, day(1))
    client = Meddling(source.query_client)
    assert exported(source, day(1), client) == first
    assert client.asked == []


def test_a_window_of_another_clip_or_table_is_exported_again(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    assert exported(source, day(1)).rows == 24
    half = Window(day(1).start_ns, day(1).start_ns + 12 * HOUR, day(1).key)
    assert exported(source, half).rows == 12


def test_a_window_whose_files_are_gone_is_exported_again(source: Source) -> None:
    source.put([multi(0)])
    first = exported(source, day(1))
    source.bucket.delete_prefix(BULK_PREFIX)
    again = exported(source, day(1))
    assert again.rows == 1 and again.files != first.files


@pytest.mark.parametrize(
    "words", ["The query computation exceeds maximum available memory", "Query timed out", "exceeded the time limit"]
)
def test_a_window_that_is_too_large_is_halved_until_it_passes(source: Source, words: str) -> None:
    source.put([multi(index) for index in range(24)])

    class Narrow(Meddling):
        def before(self, sql: str) -> None:
            bounds = [int(bound) for bound in re.findall(r"from_nanoseconds\((-?\d+)\)", sql)]
            if sql.startswith("UNLOAD") and max(bounds) - min(bounds) > 6 * HOUR:
                raise aws("QueryExecutionException", words)

    client = Narrow(source.query_client)
    manifest = exported(source, day(1), client)
    assert len(manifest.queries) == 4
    assert manifest.rows == len(rows_of(source, manifest)) == 24
    assert len([sql for sql in client.asked if sql.startswith("UNLOAD")]) == 7


def test_a_group_that_is_too_large_falls_apart_into_smaller_ones(source: Source) -> None:
    source.put([multi(index) for index in range(96)])

    class NoGroups(Meddling):
        def before(self, sql: str) -> None:
            if sql.count(" THEN ") > 2:
                raise aws("QueryExecutionException", "The query computation exceeds maximum available memory")

    client = NoGroups(source.query_client)
    query = TimestreamQuery(client, source.query.retries)
    windows = [day(number) for number in range(1, 6)]
    together = export_group(source.job(), source.place, windows, source.schema, query, source.bucket)
    assert [manifest.rows for manifest in together] == [24, 24, 24, 24, 0]


def test_a_window_that_is_too_large_at_one_second_stops(source: Source) -> None:
    source.put([multi(0)])

    class Never(Meddling):
        def before(self, sql: str) -> None:
            if sql.startswith("UNLOAD"):
                raise aws("QueryExecutionException", "exceeds maximum available memory")

    with pytest.raises(QueryTooLarge, match="even for one second") as stopped:
        exported(source, Window(START, START + 4 * 10**9, "k"), Never(source.query_client))
    assert "MaxQueryTCU" in stopped.value.next_step and "use a shorter" not in stopped.value.next_step


class SpoilsFirst(Meddling):
    """Spoils what the first UNLOAD left behind, by `spoil`."""

    def __init__(self, source: Source, spoil: Any) -> None:
        super().__init__(source.query_client)
        self.source, self.spoil, self.spoiled = source, spoil, False

    def after(self, sql: str, answer: dict[str, Any]) -> dict[str, Any]:
        if sql.startswith("UNLOAD") and answer["Rows"] and not self.spoiled:
            self.spoiled = True
            self.spoil(self.source, answer["Rows"][0]["Data"])
        return answer


def _no_manifest(source: Source, row: list[dict[str, Any]]) -> None:
    source.bucket.delete(source.bucket.key_of(row[2]["ScalarValue"]))


def _not_named(source: Source, row: list[dict[str, Any]]) -> None:
    row[2] = {"NullValue": True}


def _no_file(source: Source, row: list[dict[str, Any]]) -> None:
    source.bucket.delete(_file(source, row))


def _short_file(source: Source, row: list[dict[str, Any]]) -> None:
    key = _file(source, row)
    source.bucket.put(key, source.bucket.get(key)[:-1])


def _half_file_as_told(source: Source, row: list[dict[str, Any]]) -> None:
    """The file is cut in half, and the manifest gives the size that it has: only its bytes tell."""
    key, manifest_key = _file(source, row), source.bucket.key_of(row[2]["ScalarValue"])
    body = source.bucket.get(key)
    half = body[: len(body) // 2]
    source.bucket.put(key, half)
    text = source.bucket.get(manifest_key).decode().replace(str(len(body)), str(len(half)))
    assert json.loads(text)["query_metadata"]["total_content_length_in_bytes"] == len(half)
    source.bucket.put(manifest_key, text.encode())


def _other_file(source: Source, row: list[dict[str, Any]]) -> None:
    """A whole Parquet file of the right size and of no row."""
    key = _file(source, row)
    size = len(source.bucket.get(key))
    empty = io.BytesIO()
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(empty)
    body = empty.getvalue()
    source.bucket.put(key, body[:4] + b"\0" * (size - len(body)) + body[4:])


def _other_count(source: Source, row: list[dict[str, Any]]) -> None:
    row[0] = {"ScalarValue": "999"}


def _file(source: Source, row: list[dict[str, Any]]) -> str:
    manifest = json.loads(source.bucket.get(source.bucket.key_of(row[2]["ScalarValue"])))
    return source.bucket.key_of(manifest["result_files"][0]["url"])


@pytest.mark.parametrize(
    "spoil", [_no_manifest, _not_named, _no_file, _short_file, _half_file_as_told, _other_file, _other_count]
)
def test_an_unload_that_is_not_whole_is_done_again_in_a_fresh_folder(source: Source, spoil: Any) -> None:
    source.put([multi(index) for index in range(24)])
    client = SpoilsFirst(source, spoil)
    manifest = exported(source, day(1), client)
    assert client.spoiled
    unloads = [sql for sql in client.asked if sql.startswith("UNLOAD")]
    folders = {re.search(r"TO '([^']+)'", sql)[1] for sql in unloads}  # type: ignore[index]
    assert len(unloads) == len(folders) == 2
    assert len(rows_of(source, manifest)) == 24


def test_an_unload_that_is_never_whole_is_transient_and_leaves_no_manifest(source: Source) -> None:
    source.put([multi(0)])

    class Always(SpoilsFirst):
        def after(self, sql: str, answer: dict[str, Any]) -> dict[str, Any]:
            self.spoiled = False
            return super().after(sql, answer)

    client = Always(source, _no_manifest)
    with pytest.raises(Transient, match="manifest that is not there") as stopped:
        exported(source, day(1), client)
    # Each scans the source and is paid for: whoever runs the stage does not begin with the retries anew.
    assert len([sql for sql in client.asked if sql.startswith("UNLOAD")]) == source.query.retries.attempts + 1
    assert stopped.value.exhausted and "run the same command again" in stopped.value.next_step
    assert source.bucket.get_or_none(source.place.window(day(1).key).manifest("export")) is None


def test_throttled_unloads_are_tried_again(source: Source) -> None:
    source.put([multi(0)])

    class Throttled(Meddling):
        def before(self, sql: str) -> None:
            if sql.startswith("UNLOAD") and len(self.asked) <= 2:
                raise aws("ThrottlingException", "Rate exceeded")

    assert exported(source, day(1), Throttled(source.query_client)).rows == 1


def test_a_missing_table_is_named_with_its_neighbours(source: Source) -> None:
    from ts_migration.timestream.description import describe

    with pytest.raises(Missing, match=r"no table 'tt'.*Allowed: t\."):
        describe(source.query, source.database, "tt")
    with pytest.raises(Missing, match="no database 'nope'"):
        describe(source.query, "nope", "t")


def test_a_bucket_that_is_not_there_is_said(source: Source) -> None:
    source.put([multi(0)])
    from ts_migration.objects import ExportBucket

    elsewhere = ExportBucket(source.bucket.client, "exports-nowhere")
    with pytest.raises(Permanent):
        export_window(source.job(), source.place, day(1), source.schema, source.query, elsewhere)


def test_the_export_tells_how_far_it_is(source: Source) -> None:
    source.put([multi(index) for index in range(24)])
    told: list[Progress] = []
    exported(source, day(1), progress=told.append)
    assert told[-1].rows == 24 and told[-1].window == "2023-01-01" and told[-1].stage == "export"


def test_single_measures_keep_their_columns(source: Source) -> None:
    source.put([single(0, "temp", "DOUBLE", "1.5"), single(0, "on", "BOOLEAN", "true")])
    manifest = exported(source, day(1))
    assert {"measure_value::double", "measure_value::boolean"} <= set(manifest.columns)
    frame = rows_of(source, manifest).sort("measure_name")
    assert frame.select("measure_name", "measure_value::double", "measure_value::boolean").rows() == [
        ("on", None, True),
        ("temp", 1.5, None),
    ]


def objects_of(source: Source) -> dict[str, bytes]:
    return {found.key: source.bucket.get(found.key) for found in source.bucket.list("")}


def expire(source: Source, kept: list[dict[str, Any]]) -> None:
    """What a source is after its retention took rows: the same table with fewer of them."""
    source.write.delete_table(DatabaseName=source.database, TableName=source.table)
    source.write.create_table(
        DatabaseName=source.database,
        TableName=source.table,
        MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True},
    )
    source.put(kept)


def test_an_export_that_is_made_again_takes_in_late_rows_and_keeps_the_old_files_until_it_stands(
    source: Source,
) -> None:
    source.put([multi(index) for index in range(20)])
    first = exported(source, day(1))
    assert exported(source, day(1)) == first
    source.put([multi(index) for index in range(20, 24)])

    again = exported(source, day(1), redo=True)

    assert (first.rows, again.rows) == (20, 24)
    assert current_export(source.job(), source.place, day(1), source.bucket) == again
    assert all(source.bucket.get(file.key) for file in first.files)


def test_a_redo_that_fails_leaves_the_export_that_stood(source: Source) -> None:
    class Failing(Meddling):
        def before(self, sql: str) -> None:
            if sql.startswith("UNLOAD"):
                raise aws("ValidationException", "no")

    source.put([multi(index) for index in range(24)])
    first = exported(source, day(1))
    before = objects_of(source)

    with pytest.raises(Permanent):
        exported(source, day(1), Failing(source.query_client), redo=True)

    assert objects_of(source) == before
    assert current_export(source.job(), source.place, day(1), source.bucket) == first


@pytest.mark.parametrize("kept", [0, 20])
def test_an_export_is_never_replaced_after_rows_expired_in_the_source(source: Source, kept: int) -> None:
    records = [multi(index) for index in range(24)]
    source.put(records)
    exported(source, day(1))
    before = objects_of(source)
    expire(source, [*records[24 - kept :], multi(30)])

    with pytest.raises(Refused) as told:
        exported(source, day(1), redo=True)

    assert f"24 rows were exported, and Timestream holds {kept} now" in str(told.value)
    assert "expired or were deleted in the source since" in str(told.value)
    assert "`ts-migration reset job`" in told.value.next_step
    assert objects_of(source) == before


@pytest.mark.parametrize("came", [3, 5])
def test_an_export_is_not_replaced_either_where_as_many_rows_or_more_came_late(source: Source, came: int) -> None:
    """No count tells that its rows are gone: it may be their only copy."""
    records = [multi(index) for index in range(20)]
    source.put(records)
    first = exported(source, day(1))
    before = objects_of(source)
    late = [multi(4) | {"Time": str(START + number)} for number in range(came)]
    expire(source, [*records[3:], *late])

    with pytest.raises(Refused) as told:
        exported(source, day(1), redo=True)

    assert f"3 of the 20 rows that were exported are not among the {17 + came}" in str(told.value)
    assert "expired or were deleted in the source since" in str(told.value)
    assert objects_of(source) == before
    assert current_export(source.job(), source.place, day(1), source.bucket) == first


def test_an_export_whose_files_are_gone_is_not_replaced_by_fewer_rows_either(source: Source) -> None:
    records = [multi(index) for index in range(48)]
    source.put(records)
    for number in (1, 2):
        exported(source, day(number))
    source.bucket.delete_prefix(BULK_PREFIX)
    expire(source, records[5:])

    with pytest.raises(Refused, match="24 rows were exported, and Timestream holds 19 now"):
        exported(source, day(1))
    with pytest.raises(Refused, match="24 rows were exported, and Timestream holds 19 now"):
        export_group(source.job(), source.place, [day(1), day(2)], source.schema, source.query, source.bucket)
