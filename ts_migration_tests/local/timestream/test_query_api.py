"""The query API through plain boto3: tokens, idempotency, cancellation, preparation, and streams of rows."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ts_migration.local.timestream.generator import EXAMPLES
from ts_migration.local.timestream.seed import seed
from ts_migration_tests.local.timestream.conftest import Table
from ts_migration_tests.local.timestream.embedded import REGION, query_client, running_timestream, write_client

START, END = 1_672_531_200_000_000_000, 1_704_067_200_000_000_000
ROWS = 12_345
LOAD = 'SELECT * FROM "energy_data"."load_data" ORDER BY time, subsystem'


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    with running_timestream(tmp_path_factory.mktemp("query")) as url:
        example = EXAMPLES["load_data"]
        seed(url, example.spec, example.frames(rows=ROWS, start=START, end=END))
        yield Table(url, write_client(url), query_client(url), "energy_data", "load_data")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_the_paginator_reads_every_row_once_past_the_empty_first_page(load: Table) -> None:
    pages = list(load.query.get_paginator("query").paginate(QueryString=LOAD, PaginationConfig={"PageSize": 1000}))
    assert [len(page["Rows"]) for page in pages] == [0] + [1000] * 12 + [345]
    keys = [tuple(datum.get("ScalarValue") for datum in row["Data"][:3]) for page in pages for row in page["Rows"]]
    assert len(set(keys)) == ROWS
    assert {page["QueryId"] for page in pages} == {pages[0]["QueryId"]}
    progress = [page["QueryStatus"]["ProgressPercentage"] for page in pages]
    assert progress == sorted(progress)
    assert progress[-1] == 100.0


def test_a_query_without_max_rows_gets_pages_of_up_to_a_megabyte(load: Table) -> None:
    pages = list(load.query.get_paginator("query").paginate(QueryString=LOAD))
    assert sum(len(page["Rows"]) for page in pages) == ROWS
    assert pages[0]["Rows"] == []
    assert all(int(page["ResponseMetadata"]["HTTPHeaders"]["content-length"]) <= 1_000_000 for page in pages)
    assert len(pages) < 5


def test_the_query_id_has_the_services_shape(load: Table) -> None:
    answer = load.query.query(QueryString="SELECT 1")
    assert len(answer["QueryId"]) == 63
    assert answer["QueryId"].startswith("AEDACAOAWR")
    assert set(answer["QueryId"]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def test_a_scan_is_metered_with_at_least_ten_megabytes(load: Table) -> None:
    status = load.query.query(QueryString='SELECT count(*) FROM "energy_data"."load_data"')["QueryStatus"]
    assert status["CumulativeBytesScanned"] == ROWS * 8 * 4
    assert status["CumulativeBytesMetered"] == 10_000_000


def test_a_token_is_bound_to_its_query_string_and_its_caller(load: Table) -> None:
    token = load.query.query(QueryString=LOAD, MaxRows=10)["NextToken"]
    with pytest.raises(ClientError, match="Invalid pagination token") as refused:
        load.query.query(QueryString=LOAD + " ", NextToken=token)
    assert code(refused) == "ValidationException"
    stranger = boto3.client(
        "timestream-query",
        endpoint_url=load.url,
        region_name=REGION,
        aws_access_key_id="someone-else",
        aws_secret_access_key="x",
    )
    with pytest.raises(ClientError, match="Invalid pagination token"):
        stranger.query(QueryString=LOAD, NextToken=token)
    assert len(load.query.query(QueryString=LOAD, NextToken=token, MaxRows=10)["Rows"]) == 10


def test_the_same_client_token_is_the_same_query_and_another_text_is_refused(load: Table) -> None:
    token = uuid.uuid4().hex
    first = load.query.query(QueryString=LOAD, MaxRows=10, ClientToken=token)
    again = load.query.query(QueryString=LOAD, MaxRows=10, ClientToken=token)
    assert (again["QueryId"], again["NextToken"]) == (first["QueryId"], first["NextToken"])
    for changed in ({"MaxRows": 11}, {"QueryString": LOAD + " "}):
        with pytest.raises(load.query.exceptions.ValidationException, match="ClientToken"):
            load.query.query(**{"QueryString": LOAD, "MaxRows": 10, "ClientToken": token, **changed})


@pytest.mark.parametrize("rows", [0, 1001])
def test_max_rows_outside_1_to_1000_is_refused(load: Table, rows: int) -> None:
    lenient = query_client(load.url, parameter_validation=False)
    with pytest.raises(ClientError, match="'maxRows' failed to satisfy constraint") as refused:
        lenient.query(QueryString=LOAD, MaxRows=rows)
    assert code(refused) == "ValidationException"


def test_a_cancelled_query_conflicts_when_it_is_polled(load: Table) -> None:
    answer = load.query.query(QueryString=LOAD, MaxRows=10)
    assert "CancellationMessage" not in load.query.cancel_query(QueryId=answer["QueryId"])
    assert "already" in load.query.cancel_query(QueryId=answer["QueryId"])["CancellationMessage"]
    with pytest.raises(load.query.exceptions.ConflictException):
        load.query.query(QueryString=LOAD, NextToken=answer["NextToken"])


def test_prepare_query_names_columns_and_types(load: Table) -> None:
    prepared = load.query.prepare_query(QueryString=LOAD, ValidateOnly=True)
    assert [(column["Name"], column["Type"]["ScalarType"]) for column in prepared["Columns"]] == [
        ("subsystem", "VARCHAR"),
        ("measure_name", "VARCHAR"),
        ("time", "TIMESTAMP"),
        ("measure_value::double", "DOUBLE"),
    ]
    assert prepared["Parameters"] == []
    with pytest.raises(load.query.exceptions.ValidationException, match="ValidateOnly"):
        load.query.prepare_query(QueryString=LOAD)


@pytest.mark.parametrize(
    "sql", ["SELEC 1", 'SELECT * FROM "energy_data"."absent"', "DELETE FROM energy_data.load_data"]
)
def test_sql_that_cannot_be_run_is_a_validation_error(load: Table, sql: str) -> None:
    with pytest.raises(load.query.exceptions.ValidationException):
        load.query.query(QueryString=sql)


def test_an_error_in_the_evaluation_is_a_query_execution_error(load: Table) -> None:
    with pytest.raises(load.query.exceptions.QueryExecutionException):
        load.query.query(QueryString='SELECT 1 / (count(*) - count(*)) FROM "energy_data"."load_data"')


def test_account_settings_change_in_steps_of_four(load: Table) -> None:
    assert load.query.describe_account_settings()["MaxQueryTCU"] == 200
    assert load.query.update_account_settings(MaxQueryTCU=8)["MaxQueryTCU"] == 8
    with pytest.raises(load.query.exceptions.ValidationException, match="multiple of 4"):
        load.query.update_account_settings(MaxQueryTCU=6)
    load.query.update_account_settings(MaxQueryTCU=200)


def test_unload_without_an_s3_is_refused(load: Table) -> None:
    with pytest.raises(load.query.exceptions.ValidationException, match="--s3-endpoint"):
        load.query.query(QueryString=f"UNLOAD ({LOAD}) TO 's3://bucket/folder'")


def test_rows_written_during_a_query_do_not_join_it(load: Table) -> None:
    """A reader keeps the state it began with while others write, add columns and drop tables."""
    name = f"moving-{uuid.uuid4().hex[:6]}"
    example = EXAMPLES["load_data"]
    spec = example.spec.model_copy(update={"table": name})
    seed(load.url, spec, example.frames(rows=5_000, start=START, end=END))
    sql = f'SELECT * FROM "energy_data"."{name}"'
    request: dict[str, Any] = {"QueryString": sql, "MaxRows": 1000}
    request["NextToken"] = load.query.query(**request)["NextToken"]
    wider = spec.model_copy(update={"dimensions": (), "measures": ("load_mw",)})
    seed(load.url, wider, next(example.frames(rows=4, start=END, end=END + 4)).slice(0, 1))
    load.write.delete_table(DatabaseName="energy_data", TableName=name)
    seen = 0
    while "NextToken" in request:
        page = load.query.query(**request)
        seen += len(page["Rows"])
        request.pop("NextToken")
        if "NextToken" in page:
            request["NextToken"] = page["NextToken"]
    assert seen == 5_000


def test_a_slow_query_is_polled_and_can_be_cancelled(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_timestream(tmp_path_factory.mktemp("slow"), options=["--wait-seconds", "0.2"]) as url:
        example = EXAMPLES["load_data"]
        seed(url, example.spec, example.frames(rows=40_000, start=START, end=END))
        query = query_client(url, read_timeout=30)
        slow = "SELECT count(*) FROM energy_data.load_data a JOIN energy_data.load_data b ON a.time <> b.time"
        begun = time.monotonic()
        first = query.query(QueryString=slow)
        assert first["Rows"] == []
        assert time.monotonic() - begun < 5
        query.cancel_query(QueryId=first["QueryId"])
        with pytest.raises(query.exceptions.ConflictException):
            query.query(QueryString=slow, NextToken=first["NextToken"])


def test_requests_run_side_by_side(load: Table) -> None:
    def count(_: int) -> str:
        client = boto3.session.Session().client(
            "timestream-query",
            endpoint_url=load.url,
            region_name=REGION,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"total_max_attempts": 1}),
        )
        answer = client.query(QueryString='SELECT count(*) FROM "energy_data"."load_data"')
        return str(answer["Rows"][0]["Data"][0]["ScalarValue"])

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(count, range(16))) == {str(ROWS)}
