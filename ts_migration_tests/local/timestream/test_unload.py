"""UNLOAD through plain boto3 into a real S3: layout, shapes, types, limits and failures, as recorded runs have them."""

import csv
import gzip
import io
import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from ts_migration.local.timestream.generator import EXAMPLES
from ts_migration.local.timestream.seed import SeedSpec, seed
from ts_migration_tests.local.s3 import running_s3, s3_client
from ts_migration_tests.local.timestream.conftest import Export
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream
from ts_migration_tests.shared_material import shared

START, END = 1_672_531_200_000_000_000, 1_704_067_200_000_000_000
ROWS = 6_000
EXCHANGE = '"energy_data"."exchange_data"'
RUN = re.compile(r"(?P<id>[A-Z2-7]{63})_(?P<run>\d{10})_")


@pytest.fixture(scope="module")
def exports(export_server: Export) -> Export:
    for name in ("exchange_data", "load_data"):
        example = EXAMPLES[name]
        seed(export_server.url, example.spec, example.frames(rows=ROWS, start=START, end=END))
    return export_server


class Unloaded:
    """A finished UNLOAD: its result row and what it wrote."""

    def __init__(self, exports: Export, select: str, options: str, folder: str | None = None) -> None:
        self.s3, self.bucket = exports.s3, exports.bucket
        self.folder = folder or f"t/{uuid.uuid4().hex[:8]}"
        sql = f"UNLOAD ({select}) TO 's3://{self.bucket}/{self.folder}' WITH ({options})"
        pages = list(query_client(exports.url).get_paginator("query").paginate(QueryString=sql))
        self.pages = pages
        (row,) = [row for page in pages for row in page["Rows"]]
        self.columns = [(c["Name"], c["Type"]["ScalarType"]) for c in pages[-1]["ColumnInfo"]]
        rows, self.metadata_url, self.manifest_url = (datum["ScalarValue"] for datum in row["Data"])
        self.rows = int(rows)
        self.manifest = json.loads(self.read(self.manifest_url))
        self.metadata = json.loads(self.read(self.metadata_url))
        self.urls = [file["url"] for file in self.manifest["result_files"]]

    def read(self, url: str) -> bytes:
        key = url.removeprefix(f"s3://{self.bucket}/")
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder + "/")
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def tables(self) -> list[pa.Table]:
        return [pq.ParquetFile(io.BytesIO(self.read(url))).read() for url in self.urls]


def shape(document: Any) -> Any:
    """Keys in their order and the types of values; of lists, the shape of their first element."""
    if isinstance(document, dict):
        return [(key, shape(value)) for key, value in document.items()]
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    return type(document).__name__


def fixture(table: str, kind: str) -> Any:
    folder: Path = shared(f"data/timestream_unload/EdgeCaseDB/{table}")
    (file,) = folder.glob(f"*_{kind}.json")
    return json.loads(file.read_text())


def test_the_result_row_comes_after_an_empty_page(exports: Export) -> None:
    done = Unloaded(exports, f"SELECT * FROM {EXCHANGE}", "format = 'PARQUET'")
    assert done.pages[0]["Rows"] == []
    assert done.columns == [("rows", "BIGINT"), ("metadataFile", "VARCHAR"), ("manifestFile", "VARCHAR")]
    assert done.rows == ROWS == done.manifest["query_metadata"]["total_row_count"]


@pytest.mark.parametrize("table", ["EdgeCaseSingleMeasureTable", "EdgeCaseMultiMeasureTable"])
def test_manifest_and_metadata_have_the_shapes_of_real_ones(exports: Export, table: str) -> None:
    select = f"SELECT *, date_format(time, '%y-%m-%d') AS partition_date FROM {EXCHANGE} WHERE time < '2023-01-02'"
    done = Unloaded(exports, select, "format = 'PARQUET', partitioned_by = ARRAY['partition_date']")
    assert shape(done.manifest) == shape(fixture(table, "manifest"))
    assert shape(done.metadata) == shape(fixture(table, "metadata"))
    assert done.manifest["author"] == fixture(table, "manifest")["author"]
    assert done.metadata["Author"] == fixture(table, "metadata")["Author"]
    assert done.metadata["ColumnInfo"][-1] == fixture(table, "metadata")["ColumnInfo"][-1]


def test_names_and_layout_are_those_of_the_service(exports: Export) -> None:
    select = f"SELECT *, date_format(time, '%Y-%m') AS month FROM {EXCHANGE}"
    done = Unloaded(exports, select, "format = 'PARQUET', partitioned_by = ARRAY['month']")
    query_id = done.pages[0]["QueryId"]
    keys = done.keys()
    runs = {found["run"] for key in keys if (found := RUN.search(key)) and found["id"] == query_id}
    (run,) = runs
    prefix = f"{done.folder}/{query_id}_{run}"
    assert done.manifest_url == f"s3://{done.bucket}/{prefix}_manifest.json"
    assert done.metadata_url == f"s3://{done.bucket}/{prefix}_metadata.json"
    data = keys - {f"{prefix}_manifest.json", f"{prefix}_metadata.json"}
    pattern = re.compile(rf"{done.folder}/results/month=(2023-\d\d)/{query_id}_{run}_[A-Za-z0-9]{{16}}\.parquet")
    months = {found[1] for key in data if (found := pattern.fullmatch(key))}
    assert months == {f"2023-{month:02d}" for month in range(1, 13)}
    assert {f"s3://{done.bucket}/{key}" for key in data} == set(done.urls)
    for file in done.manifest["result_files"]:
        size = len(done.read(file["url"]))
        assert file["file_metadata"]["content_length_in_bytes"] == size
    assert sum(file["file_metadata"]["row_count"] for file in done.manifest["result_files"]) == ROWS
    assert "month" not in done.tables()[0].column_names
    assert done.metadata["ColumnInfo"][-1] == {"Name": "month", "Type": {"ScalarType": "VARCHAR"}}


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_parquet_holds_every_value_exactly_with_int96_times(exports: Export, compression: str) -> None:
    select = f"SELECT *, to_nanoseconds(time) AS time_ns FROM {EXCHANGE} ORDER BY time, source_subsystem"
    done = Unloaded(exports, select, f"format = 'PARQUET', compression = '{compression}'")
    (url,) = done.urls
    file = pq.ParquetFile(io.BytesIO(done.read(url)))
    assert file.metadata.row_group(0).column(0).compression == {"GZIP": "GZIP", "NONE": "UNCOMPRESSED"}[compression]
    physical = {file.schema.column(i).name: file.schema.column(i).physical_type for i in range(len(file.schema))}
    assert physical == {
        "source_subsystem": "BYTE_ARRAY",
        "target_subsystem": "BYTE_ARRAY",
        "line": "BYTE_ARRAY",
        "measure_name": "BYTE_ARRAY",
        "time": "INT96",
        "flow_mw": "DOUBLE",
        "flow_integral": "INT64",
        "is_limited": "BOOLEAN",
        "note": "BYTE_ARRAY",
        "measured_at": "INT96",
        "time_ns": "INT64",
    }
    table = file.read()
    assert table["time"].cast(pa.int64()).equals(table["time_ns"])
    made = pa.concat_tables(EXAMPLES["exchange_data"].frames(rows=ROWS, start=START, end=END))
    made = made.sort_by([("time", "ascending"), ("source_subsystem", "ascending")])
    for name in ("source_subsystem", "line", "flow_mw", "flow_integral", "is_limited", "note"):
        assert table[name].equals(made[name]), name
    assert table["time_ns"].equals(made["time"])
    assert table["measured_at"].cast(pa.int64()).equals(made["measured_at"].cast(pa.int64()))


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_csv_is_quoted_as_the_service_quotes(exports: Export, compression: str) -> None:
    select = f"SELECT note, flow_mw, flow_integral, is_limited, time FROM {EXCHANGE} ORDER BY time, source_subsystem"
    done = Unloaded(exports, select, f"format = 'CSV', compression = '{compression}', include_header = 'true'")
    (url,) = done.urls
    assert url.endswith({"GZIP": ".gz", "NONE": ".csv"}[compression])
    assert not url.endswith(".csv.gz")
    raw = done.read(url)
    text = (gzip.decompress(raw) if compression == "GZIP" else raw).decode()
    assert '"manobra: linha A, linha B",' in text
    assert '"limite \\"N-1\\" atingido",' in text
    assert "\nC:\\\\scada\\\\aviso," in text
    header, *rows = csv.reader(io.StringIO(text), escapechar="\\", doublequote=False)
    assert header == ["note", "flow_mw", "flow_integral", "is_limited", "time"]
    made = pa.concat_tables(EXAMPLES["exchange_data"].frames(rows=ROWS, start=START, end=END))
    made = made.sort_by([("time", "ascending"), ("source_subsystem", "ascending")])
    assert [row[0] or None for row in rows] == made["note"].to_pylist()
    assert [float(row[1]) for row in rows] == made["flow_mw"].to_pylist()
    assert [int(row[2]) for row in rows] == made["flow_integral"].to_pylist()
    assert {row[3] for row in rows} == {"true", "false"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}", row[4]) for row in rows)


def test_two_partition_columns_make_two_folders_and_odd_values_are_escaped(exports: Export) -> None:
    select = f"SELECT flow_mw, source_subsystem, is_limited FROM {EXCHANGE}"
    done = Unloaded(exports, select, "format = 'PARQUET', partitioned_by = ARRAY['source_subsystem', 'is_limited']")
    folders = {url.split("/results/")[1].rsplit("/", 1)[0] for url in done.urls}
    sources = {"SUDESTE%2FCENTRO-OESTE", "NORTE", "NORDESTE", "SUL"}
    assert folders == {f"source_subsystem={s}/is_limited={b}" for s in sources for b in ("true", "false")}


def test_every_row_is_in_the_file_of_its_own_partition(exports: Export) -> None:
    select = (
        f"SELECT source_subsystem AS source, flow_mw, to_nanoseconds(time) AS t, source_subsystem AS p FROM {EXCHANGE}"
    )
    done = Unloaded(exports, select, "format = 'PARQUET', partitioned_by = ARRAY['p']")
    for url, table in zip(done.urls, done.tables(), strict=True):
        assert {f"p={value.replace('/', '%2F')}" for value in table["source"].unique().to_pylist()} == {
            url.split("/")[-2]
        }
    made = pa.concat_tables(EXAMPLES["exchange_data"].frames(rows=ROWS, start=START, end=END))
    want = zip(made["source_subsystem"].to_pylist(), made["flow_mw"].to_pylist(), made["time"].to_pylist(), strict=True)
    rows = pa.concat_tables(done.tables())
    got = zip(*(rows[name].to_pylist() for name in ("source", "flow_mw", "t")), strict=True)
    assert sorted(got) == sorted(want)


def test_a_hundred_partitions_are_allowed_and_one_more_is_not(exports: Export) -> None:
    days = f"SELECT flow_mw, date_format(time, '%Y-%m-%d') AS day FROM {EXCHANGE} WHERE time < '2023-04-{{}} 00:00:00'"
    allowed = Unloaded(exports, days.format(11), "format = 'PARQUET', partitioned_by = ARRAY['day']")
    assert len(allowed.urls) == 100
    folder = f"t/{uuid.uuid4().hex[:8]}"
    with pytest.raises(ClientError, match="100 partitions"):
        Unloaded(exports, days.format(12), "format = 'PARQUET', partitioned_by = ARRAY['day']", folder)
    listed = exports.s3.list_objects_v2(Bucket=exports.bucket, Prefix=folder + "/").get("Contents", [])
    assert not [found for found in listed if found["Key"].endswith("manifest.json")]


def test_no_rows_make_a_manifest_without_files(exports: Export) -> None:
    done = Unloaded(exports, f"SELECT * FROM {EXCHANGE} WHERE time < '1980-01-01'", "format = 'PARQUET'")
    assert done.rows == 0
    assert done.manifest["result_files"] == []
    assert done.manifest["query_metadata"]["total_row_count"] == 0
    assert len(done.metadata["ColumnInfo"]) == 10


def test_files_are_split_at_max_file_size(exports: Export) -> None:
    example = EXAMPLES["load_data"]
    spec = example.spec.model_copy(update={"table": "large_load"})
    seed(exports.url, spec, example.frames(rows=300_000, start=START, end=END))
    times = ", ".join(f"time AS t{number}" for number in range(5))
    sql = f'SELECT subsystem, "measure_value::double", {times} FROM "energy_data"."large_load"'
    done = Unloaded(exports, sql, "format = 'PARQUET', compression = 'NONE', max_file_size = '16MB'")
    sizes = [file["file_metadata"]["content_length_in_bytes"] for file in done.manifest["result_files"]]
    assert len(sizes) > 1
    assert max(sizes) < 20 * 1024 * 1024
    assert sum(len(table) for table in done.tables()) == 300_000


def test_a_missing_bucket_is_a_validation_error_before_anything_runs(exports: Export) -> None:
    with pytest.raises(ClientError, match="bucket absent-bucket does not exist") as refused:
        query_client(exports.url).query(
            QueryString=f"UNLOAD (SELECT * FROM {EXCHANGE}) TO 's3://absent-bucket/x' WITH (format = 'PARQUET')"
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_failing_select_leaves_no_manifest(exports: Export) -> None:
    folder = f"t/{uuid.uuid4().hex[:8]}"
    with pytest.raises(ClientError) as refused:
        Unloaded(exports, f"SELECT 1 / (flow_integral - flow_integral) AS x FROM {EXCHANGE}", "format = 'CSV'", folder)
    assert refused.value.response["Error"]["Code"] == "QueryExecutionException"
    assert "Contents" not in exports.s3.list_objects_v2(Bucket=exports.bucket, Prefix=folder + "/")


def test_a_repeated_request_with_its_client_token_unloads_once(exports: Export) -> None:
    folder = f"t/{uuid.uuid4().hex[:8]}"
    sql = f"UNLOAD (SELECT * FROM {EXCHANGE}) TO 's3://{exports.bucket}/{folder}' WITH (format = 'PARQUET')"
    query = query_client(exports.url)
    token = uuid.uuid4().hex
    answers = [query.query(QueryString=sql, ClientToken=token) for _ in range(3)]
    page = answers[-1]
    while "NextToken" in page:
        page = query.query(QueryString=sql, NextToken=page["NextToken"])
    assert len({answer["QueryId"] for answer in answers}) == 1
    listed = exports.s3.list_objects_v2(Bucket=exports.bucket, Prefix=folder + "/")["Contents"]
    assert sum(found["Key"].endswith("_manifest.json") for found in listed) == 1


def test_query_insights_count_what_was_written(exports: Export) -> None:
    select = f"SELECT flow_mw, source_subsystem FROM {EXCHANGE}"
    sql = (
        f"UNLOAD ({select}) TO 's3://{exports.bucket}/t/{uuid.uuid4().hex[:8]}' "
        "WITH (format = 'PARQUET', partitioned_by = ARRAY['source_subsystem'])"
    )
    query = query_client(exports.url)
    page = query.query(QueryString=sql, QueryInsights={"Mode": "ENABLED_WITH_RATE_CONTROL"})
    while "NextToken" in page:
        page = query.query(QueryString=sql, NextToken=page["NextToken"])
    insights = page["QueryInsightsResponse"]
    assert insights["UnloadPartitionCount"] == 4
    assert insights["UnloadWrittenRows"] == ROWS
    assert insights["UnloadWrittenBytes"] > 0


def test_only_one_unload_starts_in_a_second(tmp_path: Path) -> None:
    with running_s3(tmp_path) as (endpoint, _, _):
        s3_client(endpoint).create_bucket(Bucket="exports")
        with running_timestream(tmp_path, endpoint) as url:
            query = query_client(url)
            sql = "UNLOAD (SELECT 1 AS x) TO 's3://exports/a{}' WITH (format = 'CSV')"
            query.query(QueryString=sql.format(1))
            with pytest.raises(query.exceptions.ThrottlingException):
                query.query(QueryString=sql.format(2))
            time.sleep(1.05)
            query.query(QueryString=sql.format(3))


@pytest.mark.skipif(not (os.environ.get("LONG") or os.environ.get("FULL")), reason="LONG=1: ten million rows")
def test_ten_million_rows_are_unloaded_in_bounded_memory(tmp_path: Path) -> None:
    def resident(pid: int) -> int:
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) // 1024  # type: ignore[index]

    spec: SeedSpec = EXAMPLES["load_data"].spec
    with running_s3(tmp_path) as (endpoint, _, _):
        s3 = s3_client(endpoint)
        s3.create_bucket(Bucket="exports")
        with running_timestream(tmp_path, endpoint) as url:
            seed(url, spec, EXAMPLES["load_data"].frames(rows=10_000_000, start=START, end=END))
            begun = time.monotonic()
            sql = 'SELECT *, to_nanoseconds(time) AS time_ns FROM "energy_data"."load_data"'
            done = Unloaded(Export(url, s3, "exports"), sql, "format = 'PARQUET'")
            seconds = time.monotonic() - begun
            (pid,) = [
                int(entry.name)
                for entry in Path("/proc").iterdir()
                if entry.name.isdigit()
                and str(tmp_path).encode() in _command(entry)
                and b"timestream" in _command(entry)
            ]
            peak = resident(pid)
    assert done.rows == 10_000_000
    assert 10_000_000 / seconds > 1_000_000
    assert peak < 2048


def _command(process: Path) -> bytes:
    try:
        command = (process / "cmdline").read_bytes()
    except OSError:
        return b""
    return command if b"ts_migration.local" in command else b""
