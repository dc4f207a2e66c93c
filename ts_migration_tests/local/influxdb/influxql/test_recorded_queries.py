"""Recorded answers of a real 2.7.11 to queries over data that a test can hold in memory."""

import base64
import json

import pytest

from ts_migration_tests.local.influxdb.flux.memory import MemoryPoints
from ts_migration_tests.local.influxdb.influxql.asking import ask, documents
from ts_migration_tests.shared_material import ROOT, shared

_RECORDING = ROOT / "conformance" / "influxdb_v2.7.11.json"
_ALL = json.loads(_RECORDING.read_text("utf-8")) if _RECORDING.exists() else []


def _steps(scenario: dict) -> list[dict]:
    """The steps up to the first that memory cannot follow: a write that is not plain, or a deletion."""
    taken = []
    for step in scenario["steps"]:
        request = step["request"]
        plain = (
            request["query"].get("precision") == "ns" and not request.get("gzip") and "body" in request
            if request["path"].endswith("/write")
            else True
        )
        if (
            request["path"].endswith("/delete")
            or (not plain and step["response"]["status"] < 300)
            or step["response"]["status"] in (422, 500)
        ):
            break
        taken.append(step)
    return taken


SCENARIOS = [
    one
    for one in _ALL
    # A server strips fields named time when they are written; memory keeps what it is told.
    if "field named time" not in one["name"]
    and any(step["request"]["path"] == "/query" and step["request"]["query"].get("q") for step in _steps(one))
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one["name"] for one in SCENARIOS])
def test_queries_of_a_scenario_are_answered_as_recorded(scenario: dict):
    points = MemoryPoints()
    for step in _steps(scenario):
        request, recorded = step["request"], step["response"]
        query = request.get("query", {})
        if request["path"].endswith("/write") and recorded["status"] == 204:
            points.write("\n".join(line for line in request["body"].split("\n") if not line.startswith("#")))
        if request["path"] != "/query" or not query.get("q") or request.get("auth") is False:
            continue
        answer = ask(
            query["q"],
            points,
            database="db" if query["db"] == "{bucket}" else query["db"],
            epoch=query.get("epoch"),
            accept=request.get("headers", {}).get("Accept"),
            chunked=query.get("chunked") == "true",
            chunk_size=int(query.get("chunk_size", 10_000)),
        )
        raw = b"".join(answer.body)
        assert answer.status == recorded["status"], query
        assert answer.headers["Content-Type"] == recorded["headers"]["content-type"]
        if "json" in recorded:
            assert json.loads(raw) == recorded["json"], query
        elif "text" in recorded:
            assert raw.decode() == recorded["text"], query
        else:
            assert documents(raw) == documents(base64.b64decode(recorded["body_b64"])), query


def test_the_recordings_are_there():
    assert shared("conformance/influxdb_v2.7.11.json")
    assert len(SCENARIOS) > 15
