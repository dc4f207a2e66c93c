"""What a Flux request says beside its query: its own clock, parameters of the client, the buckets it may list."""

import json
from pathlib import Path

import influxdb_client
import pytest
import urllib3

from ts_migration_tests.local.influxdb.embedded import running_influxdb


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with (
        running_influxdb(tmp_path_factory.mktemp("influxdb")) as (url, token, org),
        influxdb_client.InfluxDBClient(url, token, org=org) as client,
    ):
        client.buckets_api().create_bucket(bucket_name="clock", org=org)
        writer = client.write_api(write_options=influxdb_client.client.write_api.SYNCHRONOUS)
        writer.write("clock", org, "m,a=x f=1 1672531200000000000\nm,a=y f=2 1672531201000000000")
        yield client, url, token, org


def test_parameters_of_the_client_are_seen_by_the_query(server) -> None:
    client, *_ = server
    tables = client.query_api().query(
        'from(bucket: "clock") |> range(start: 0) |> filter(fn: (r) => r.a == wanted)', params={"wanted": "y"}
    )

    assert [record.get_value() for table in tables for record in table.records] == [2.0]


def test_a_request_may_bring_its_own_clock(server) -> None:
    _, url, token, org = server
    answer = urllib3.request(
        "POST",
        f"{url}/api/v2/query?org={org}",
        headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
        body=json.dumps({"query": 'from(bucket: "clock") |> range(start: -1h)', "now": "2023-01-01T00:00:01Z"}),
    )

    assert answer.status == 200
    assert answer.data.count(b"2023-01-01T00:00:00Z,1,") == 1


def test_the_buckets_that_a_token_may_read_are_listed(server) -> None:
    client, *_ = server
    names = {record["name"] for table in client.query_api().query("buckets()") for record in table.records}

    assert "clock" in names


def test_a_clock_that_is_no_time_is_refused(server, tmp_path: Path) -> None:
    _, url, token, org = server
    answer = urllib3.request(
        "POST",
        f"{url}/api/v2/query?org={org}",
        headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
        body=json.dumps({"query": "buckets()", "now": "yesterday"}),
    )

    assert answer.status == 400
