"""The look at InfluxDB goes the way that the migration goes: by the same proxies, and with the same words about TLS."""

import pytest
from pydantic import SecretStr

from ts_migration.config import Environment
from ts_migration.operations.influxdb_look import look_at_influxdb, server_version
from ts_migration.operations.target_load import TargetMeter
from ts_migration_tests.influxdb.scripted import Reply, Request, scripted

ANSWERS = {
    "/health": b'{"name":"influxdb","status":"pass","version":"2.7.11"}',
    "/api/v2/orgs": b'{"orgs":[{"id":"1","name":"ons"}]}',
    "/api/v2/buckets": b'{"buckets":[{"name":"load"}]}',
}


def environment(url: str) -> Environment:
    return Environment(influxdb_url=url, influxdb_org="ons", influxdb_token=SecretStr("t"))


def answer(request: Request) -> Reply:
    if request.method == "POST":
        return Reply()
    return Reply(200, body=ANSWERS[next(path for path in ANSWERS if request.path.endswith(path))])


def test_it_goes_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        findings = look_at_influxdb(environment("http://influx.invalid:8086"), ["load"])
        assert server_version(environment("http://influx.invalid:8086")) == "influxdb 2.7.11"
        before = len(proxy.requests)
        TargetMeter("http://influx.invalid:8086").look()

    assert [finding.ok for finding in findings] == [True, True]
    assert len(proxy.requests) == before + 1


def test_a_server_that_speaks_no_tls_is_told_as_such_and_does_not_pass_by_waiting() -> None:
    with scripted(answer) as server:
        (finding,) = look_at_influxdb(environment(server.url.replace("http:", "https:")), ["load"])

    assert not finding.ok
    assert "no TLS that both speak" in finding.detail
    assert "http:// address" in finding.next_step
    assert len(server.requests) == 0


@pytest.mark.parametrize("reply", [Reply(200, body=b"OK"), Reply(403, body=b"<?xml version='1.0'?><Error/>")])
def test_a_server_that_is_no_influxdb_is_told_as_such(reply: Reply) -> None:
    with scripted(lambda _: reply) as server:
        (finding,) = look_at_influxdb(environment(server.url), ["load"])

    assert not finding.ok
    assert f"no InfluxDB 2 (/health gave {reply.status}" in finding.detail
    assert "INFLUXDB_URL" in finding.next_step
