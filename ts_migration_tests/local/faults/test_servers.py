"""What a plain client sees of a server that misbehaves: one process of each service, its rules changed by the tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from urllib3.exceptions import HTTPError, ProtocolError

from ts_migration.local.faults.rules import FaultKind, FaultRule, FaultyService, write_rules
from ts_migration.local.s3_server import HEALTHY, environment
from ts_migration_tests.local.influxdb.embedded import ORG, TOKEN, Process
from ts_migration_tests.local.s3 import ACCESS_KEY, SECRET_KEY, free_port, s3_client
from ts_migration_tests.local.timestream.embedded import query_client, running_timestream

SELECT_1 = "SELECT 1 AS one"
RETRY_AFTER = {"Retry-After": "1.5"}
KEY = "a folder/with=signs & such+.txt"


@dataclass
class Service:
    """A running server: where it tells its health, a request of a plain client that must work, what that changes."""

    name: FaultyService
    rules: Path
    health: str
    ask: Callable[[], Any]
    done: Callable[[], Any]

    @contextmanager
    def fault(self, kind: str, on: str = "", **options: Any) -> Iterator[None]:
        write_rules(self.rules, [FaultRule(self.name, FaultKind(kind), on, **options)])
        try:
            yield
        finally:
            write_rules(self.rules, [])


@pytest.fixture(scope="module")
def timestream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("timestream")
    rules = folder / "timestream.json"
    with running_timestream(folder, None, ["--faults", str(rules)]) as url:
        client = query_client(url)
        health = f"{url}/_embedded/health"
        yield Service(
            FaultyService.TIMESTREAM, rules, health, lambda: client.query(QueryString=SELECT_1)["Rows"], lambda: 1
        )


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("influxdb")
    rules = folder / "influxdb.json"
    process = Process(folder / "influxdb", options=("--faults", str(rules)))
    pool = urllib3.PoolManager(retries=False, headers={"Authorization": f"Token {TOKEN}"})
    times = iter(range(1, 1_000))

    def write() -> urllib3.BaseHTTPResponse:
        url = f"{process.running.url}/api/v2/write?org={ORG}&bucket=default"
        return pool.request("POST", url, body=f"m v=1 {next(times)}".encode())

    def written() -> bytes:
        query = f"{process.running.url}/query?db=default&q=SELECT+count(v)+FROM+m&epoch=ns"
        return pool.request("GET", query).data

    try:
        yield Service(FaultyService.INFLUXDB, rules, f"{process.running.url}/health", write, written)
    finally:
        process.stop()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    rules = folder / "s3.json"
    program = [sys.executable, "-m", "ts_migration.local.faults", "--port", str(port), "--data", str(folder / "data")]
    (folder / "data" / "bucket").mkdir(parents=True)
    keys = environment(ACCESS_KEY, SECRET_KEY)
    server = subprocess.Popen([*program, "--faults", str(rules)], env={**os.environ, **keys})
    endpoint = f"http://127.0.0.1:{port}"
    try:
        urllib3.PoolManager().request("GET", endpoint, retries=urllib3.Retry(40, backoff_factor=0.02, backoff_max=0.2))
        client = s3_client(endpoint, retries={"total_max_attempts": 1}, read_timeout=1)
        yield Service(
            FaultyService.S3,
            rules,
            f"{endpoint}/",
            lambda: client.put_object(Bucket="bucket", Key=KEY, Body=os.urandom(300_000)),
            lambda: client.get_object(Bucket="bucket", Key=KEY)["Body"].read(),
        )
    finally:
        server.terminate()
        assert server.wait(10) == 0


@pytest.fixture(params=["timestream", "influxdb", "s3"])
def service(request: pytest.FixtureRequest) -> Service:
    return request.getfixturevalue(request.param)


def refusal(service: Service) -> tuple[int, str, dict[str, str]]:
    """Status, error code and headers of the answer to a request that is refused."""
    if service.name is FaultyService.INFLUXDB:
        answer = service.ask()
        return answer.status, answer.json()["code"], dict(answer.headers)
    with pytest.raises(ClientError) as refused:
        service.ask()
    told = refused.value.response
    return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"], told["ResponseMetadata"]["HTTPHeaders"]


REFUSALS = {
    # Fault -> status and code of Timestream, InfluxDB and S3.
    "throttle": [(429, "ThrottlingException"), (429, "too many requests"), (503, "SlowDown")],
    "error": [(500, "InternalServerException"), (500, "internal error"), (500, "InternalError")],
    "unavailable": [(503, "ServiceUnavailable"), (503, "unavailable"), (503, "ServiceUnavailable")],
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_in_the_services_own_words(service, kind):
    with service.fault(kind):
        assert refusal(service)[:2] == REFUSALS[kind][list(FaultyService).index(service.name)]
    service.ask()


def test_a_refused_request_changes_nothing(influxdb, s3):
    for service in (influxdb, s3):
        service.ask()
        before = service.done()
        with service.fault("error", times=1):
            refusal(service)
            assert service.done() == before


def test_a_refusal_tells_how_long_to_wait_where_that_is_asked_for(service):
    with service.fault("throttle", retry_after_s=1.5):
        headers = {name.lower(): value for name, value in refusal(service)[2].items()}
    assert headers["retry-after"] == "1.5"
    with service.fault("throttle"):
        assert "retry-after" not in {name.lower() for name in refusal(service)[2]}


def test_a_fault_is_over_after_so_many_times(service):
    with service.fault("error", times=2):
        assert [refusal(service)[0] for _ in range(2)] == [500, 500]
        service.ask()


def test_only_requests_that_match_are_hit(influxdb):
    with influxdb.fault("error", on="GET /query*count(v)*"):
        assert influxdb.ask().status == 204
        assert b"internal error" in influxdb.done()


BROKEN = (ConnectionClosedError, ProtocolError)


def test_a_connection_is_reset_before_the_request_is_worked_on(service):
    service.ask()
    before = service.done()
    with service.fault("reset", times=1):
        with pytest.raises(BROKEN):
            service.ask()
        assert service.done() == before
    service.ask()


def test_a_request_whose_answer_is_lost_was_worked_on(influxdb, s3):
    for service in (influxdb, s3):
        service.ask()
        before = service.done()
        with service.fault("lost-answer", times=1):
            with pytest.raises(BROKEN):
                service.ask()
            assert service.done() != before


def test_an_answer_ends_in_the_middle(influxdb, s3):
    s3.ask()
    for service in (influxdb, s3):
        with service.fault("cut-answer", times=1), pytest.raises((HTTPError, BotoCoreError), match="IncompleteRead"):
            service.done()
        assert service.done()


def test_a_query_whose_answer_is_cut_has_no_rows_for_boto3(timestream):
    # botocore reads half a JSON as an answer without members: the tool must look.
    with timestream.fault("cut-answer", times=1), pytest.raises(KeyError):
        timestream.ask()


def test_a_slow_server_works_on_a_request_after_its_delay(service):
    with service.fault("slow", delay_s=0.4):
        started = time.monotonic()
        service.ask()
        assert time.monotonic() - started >= 0.4


def test_a_request_of_a_client_that_gave_up_is_worked_on_all_the_same(s3):
    s3.ask()
    before = s3.done()
    with s3.fault("slow", times=1, delay_s=1.3):
        with pytest.raises(ReadTimeoutError):
            s3.ask()
        deadline = time.monotonic() + 5
        while s3.done() == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("kind", "told"), [("query-out-of-memory", "exceeds maximum available memory"), ("query-timed-out", "run time")]
)
def test_a_query_that_is_too_large_fails_in_the_services_words(timestream, kind, told):
    with timestream.fault(kind, on="Query SELECT*"), pytest.raises(ClientError, match=told) as refused:
        timestream.ask()
    assert refused.value.response["Error"]["Code"] == "QueryExecutionException"


def test_health_is_never_hit(service):
    # `local up` and `local status` would else take the server for dead and kill it.
    with service.fault("reset"):
        with pytest.raises(BROKEN):
            service.ask()
        assert urllib3.request("GET", service.health, retries=False).status in (200, *HEALTHY)


def test_objects_pass_the_forwarder_unchanged(s3):
    s3.ask()
    assert len(s3.done()) == 300_000
