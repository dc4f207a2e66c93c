"""Every Flux answer recorded from a real InfluxDB 2.7.11 whose points were written by the same scenario, byte for byte."""

import json
from typing import Any

import pytest

from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints, ask
from ts_migration_tests.shared_material import ROOT, shared

NAME = "conformance/influxdb_v2.7.11.json"


def _scenarios() -> list[str]:
    if not (ROOT / NAME).exists():
        return []
    recorded = json.loads((ROOT / NAME).read_text())
    return [
        each["name"] for each in recorded if any(step["request"]["path"] == "/api/v2/query" for step in each["steps"])
    ]


def _scenario(name: str) -> list[dict[str, Any]]:
    recorded = json.loads(shared(NAME).read_text())
    return next(each["steps"] for each in recorded if each["name"] == name)


@pytest.mark.parametrize("name", _scenarios() or ["the recordings"])
def test_an_answer_is_the_recorded_one_byte_for_byte(name: str) -> None:
    points, compared = MemoryPoints(), 0
    for step in _scenario(name):
        request, response = step["request"], step["response"]
        if request["path"] == "/api/v2/write" and response["status"] == 204:
            points.write(request["body"])
        if request["path"] != "/api/v2/query" or request.get("auth") is False:
            continue
        body = request["body"]
        answer = ask(body["query"].replace("{bucket}", "b"), points, body["dialect"])
        assert answer.status == response["status"], body["query"]
        assert answer.headers["Content-Type"] == response["headers"]["content-type"]
        if "json" in response:
            expected = json.loads(json.dumps(response["json"]).replace("{bucket}", "b"))
            assert json.loads(answer.text) == expected
            assert answer.headers["X-Platform-Error-Code"] == expected["code"]
        else:
            assert answer.text == response["text"], body["query"]
        compared += 1
    assert compared
