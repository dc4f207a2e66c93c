"""The text of UNLOAD, the pace of its starts, and AWS's own manifests as they really are."""

import json
import threading
import time
from typing import Any

import pytest

from ts_migration.errors import Permanent
from ts_migration.objects import ExportBucket
from ts_migration.timestream.query import TimestreamQuery
from ts_migration.timestream.schema import Column, ColumnRole, ColumnType, Measure, TableSchema
from ts_migration.timestream.unload import (
    IncompleteUnload,
    Pace,
    Unloader,
    UnloadOptions,
    group_sql,
    manifest_files,
    unload_columns,
    unload_sql,
)
from ts_migration.windows import Window
from ts_migration_tests.shared_material import shared
from ts_migration_tests.timestream.scripted import ScriptedClient, aws, page

SCHEMA = TableSchema(
    "my.db",
    "t-1",
    (
        Column('pl"ant', ColumnType.VARCHAR, ColumnRole.DIMENSION),
        Column("measure_name", ColumnType.VARCHAR, ColumnRole.MEASURE_NAME),
        Column("time", ColumnType.TIMESTAMP, ColumnRole.TIMESTAMP),
        Column("measure_value::double", ColumnType.DOUBLE, ColumnRole.MEASURE_VALUE),
    ),
    (Measure("m", "double", ('pl"ant',)),),
)
SELECTED = '"pl""ant", "measure_name", "time", "measure_value::double", to_nanoseconds("time") AS time_ns'


def manifest(files: list[tuple[str, int, int]], **totals: Any) -> bytes:
    return json.dumps(
        {
            "result_files": [
                {"url": url, "file_metadata": {"content_length_in_bytes": size, "row_count": rows}}
                for url, size, rows in files
            ],
            "query_metadata": totals,
        }
    ).encode()


def bucket(name: str = "b") -> ExportBucket:
    return ExportBucket(None, name)  # type: ignore[arg-type]


def test_an_unload_selects_every_column_by_name_and_the_exact_time() -> None:
    assert unload_sql(SCHEMA, Window(5, 9), "s3://b/f", UnloadOptions("GZIP", "16MB")) == (
        f'UNLOAD (SELECT {SELECTED} FROM "my.db"."t-1" '
        'WHERE "time" >= from_nanoseconds(5) AND "time" < from_nanoseconds(9)) '
        "TO 's3://b/f' WITH (format = 'PARQUET', compression = 'GZIP', max_file_size = '16MB')"
    )
    assert list(unload_columns(SCHEMA))[-1] == "time_ns"


def test_a_group_is_partitioned_by_a_last_column_that_names_the_window() -> None:
    sql = group_sql(SCHEMA, [Window(0, 5, "a"), Window(5, 9, "b")], "s3://b/f", UnloadOptions())
    assert (
        f"SELECT {SELECTED}, CASE "
        'WHEN "time" >= from_nanoseconds(0) AND "time" < from_nanoseconds(5) THEN \'a\' '
        'WHEN "time" >= from_nanoseconds(5) AND "time" < from_nanoseconds(9) THEN \'b\' END AS "window_key" '
        'FROM "my.db"."t-1" WHERE "time" >= from_nanoseconds(0) AND "time" < from_nanoseconds(9)' in sql
    )
    assert "partitioned_by = ARRAY['window_key']" in sql


def test_the_partition_column_keeps_out_of_the_way_of_the_tables_own() -> None:
    own = Column("window_key", ColumnType.VARCHAR, ColumnRole.DIMENSION)
    schema = TableSchema("d", "t", (own, *SCHEMA.columns))
    assert "ARRAY['window_key_']" in group_sql(
        schema, [Window(0, 5, "a"), Window(5, 9, "b")], "s3://b/f", UnloadOptions()
    )


def test_real_manifests_of_aws_are_read() -> None:
    folder = shared("data/timestream_unload")
    found = sorted(folder.rglob("*_manifest.json"))
    assert found
    for path in found:
        content = json.loads(path.read_text())
        name = content["result_files"][0]["url"].split("/")[2]
        files = manifest_files(path.read_bytes(), str(path), bucket(name))
        assert sum(file.rows for file in files) == content["query_metadata"]["total_row_count"]


def test_the_documented_spelling_of_the_total_is_read_too() -> None:
    files = manifest_files(manifest([("s3://b/x", 10, 1)], content_length_in_bytes=10), "m", bucket())
    assert (files[0].key, files[0].bytes, files[0].rows) == ("x", 10, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        manifest([("s3://b/x", 10, 1)], total_row_count=2),
        manifest([("s3://b/x", 10, 1)], total_content_length_in_bytes=11),
        manifest([("s3://b/x", 10, 1)], content_length_in_bytes=11),
    ],
)
def test_a_manifest_that_is_broken_or_does_not_add_up_is_no_success(body: bytes) -> None:
    with pytest.raises(IncompleteUnload):
        manifest_files(body, "m", bucket())


def test_a_file_in_another_bucket_is_refused() -> None:
    with pytest.raises(Permanent, match="does not lie in the export bucket"):
        manifest_files(manifest([("s3://elsewhere/x", 10, 1)]), "m", bucket())


def test_an_unload_whose_end_cannot_be_read_any_more_is_made_again_in_a_fresh_folder() -> None:
    """Whether it had ended is not known: its token was refused. Its folder is never taken for an export."""
    result = {"rows": "BIGINT", "metadataFile": "VARCHAR", "manifestFile": "VARCHAR"}
    client = ScriptedClient(
        page(result, token="a"),
        aws("ValidationException", "Invalid pagination token."),
        page(result, ["0", None, None], query_id="Q2"),
        page({"_col0": "BIGINT"}, ["0"]),
    )
    query = TimestreamQuery(client, sleep=lambda _: None)  # type: ignore[arg-type]
    folders = iter(["first/", "second/"])

    done = Unloader(query, bucket(), SCHEMA, pace=Pace(0.0)).window(Window(0, 5, "a"), lambda: next(folders))

    assert (done.files, done.queries) == ((), ("Q2",))
    assert client.cancelled == ["Q1"]
    assert ["first/" in request["QueryString"] for request in client.asked] == [True, True, False, False]
    assert "second/" in client.asked[2]["QueryString"]


def test_starts_are_kept_apart_over_all_threads() -> None:
    pace, begun = Pace(0.05), time.monotonic()
    threads = [threading.Thread(target=pace.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun >= 3 * 0.05
