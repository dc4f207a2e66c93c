"""How a query reaches its language and its answer the client: forms, rights, changes by query, databases."""

import json

import pytest

from ts_migration_tests.local.influxdb.conformance import Target
from ts_migration_tests.local.influxdb.embedded import Running
from ts_migration_tests.local.influxdb.test_write import token_for


@pytest.fixture
def own(influxdb: Running) -> Target:
    return Target(*influxdb)


@pytest.fixture
def bucket(own: Target) -> str:
    name = own.new_bucket()
    assert own.write(name, b"m,a=1 f=1 1\nm,a=2 f=2 2\nn f=3 3") == (204, None)
    return name


def ask(target: Target, bucket: str, query: str, *, token: str | None = None, method: str = "GET") -> dict:
    headers = {"Authorization": f"Token {token or target.token}", "Accept": "application/json"}
    answer = target.request(method, "/query", {"db": bucket, "epoch": "ns", "q": query}, None, headers)
    return json.loads(answer.data)


def values(answer: dict) -> list:
    return [one["values"] for one in answer["results"][0].get("series", [])]


def test_a_query_may_come_as_a_form(own: Target, bucket: str):
    headers = {"Authorization": f"Token {own.token}", "Content-Type": "application/x-www-form-urlencoded"}
    body = f"db={bucket}&epoch=ns&q=SELECT+f+FROM+n".encode()
    answer = own.request("POST", "/query", {}, body, headers)
    assert values(json.loads(answer.data)) == [[[3, 3]]]


def test_the_token_may_come_as_a_password(own: Target, bucket: str):
    query = {"db": bucket, "q": "SELECT f FROM n", "epoch": "ns", "u": "anyone", "p": own.token}
    assert values(own.request("GET", "/query", query, None, {}).json()) == [[[3, 3]]]


def test_delete_and_drop_by_query_change_the_bucket(own: Target, bucket: str):
    ask(own, bucket, "DELETE FROM m WHERE a = '1'", method="POST")
    assert values(ask(own, bucket, "SELECT f FROM m")) == [[[2, 2]]]
    ask(own, bucket, "DROP MEASUREMENT m", method="POST")
    assert values(ask(own, bucket, "SHOW MEASUREMENTS")) == [[["n"]]]


def test_a_token_that_may_not_read_sees_no_database_and_one_that_may_not_write_deletes_nothing(
    own: Target, bucket: str
):
    (info,) = own.api("GET", "/api/v2/buckets", {"name": bucket})["buckets"]
    writer = token_for(own, ("write", info["id"]))
    reader = token_for(own, ("read", info["id"]))
    assert "error" in ask(own, bucket, "SELECT f FROM m", token=writer)["results"][0]
    answer = ask(own, bucket, "DROP MEASUREMENT m", token=reader, method="POST")
    assert "insufficient permissions" in json.dumps(answer)
    assert values(ask(own, bucket, "SELECT f FROM m", token=reader)) == [[[1, 1], [2, 2]]]


def test_flux_without_an_organisation_is_refused(own: Target):
    headers = {"Authorization": f"Token {own.token}", "Content-Type": "application/vnd.flux"}
    answer = own.request("POST", "/api/v2/query", {}, b'from(bucket: "default") |> range(start: 0)', headers)
    assert (answer.status, answer.json()["message"]) == (400, "Please provide either orgID or org")
