"""Recorded exchanges with a real InfluxDB 2.7.11, replayed against the embedded server.

With INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG set they run against that server instead, and none is started.
"""

import json

import pytest

from ts_migration_tests.local.influxdb.conformance import Target, replay, target_from_environment
from ts_migration_tests.local.influxdb.verdicts import verdicts
from ts_migration_tests.shared_material import ROOT, shared

_RECORDING = ROOT / "conformance" / "influxdb_v2.7.11.json"
SCENARIOS = json.loads(_RECORDING.read_text("utf-8")) if _RECORDING.exists() else []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_scenario_is_answered_as_recorded(scenario: dict, target: Target):
    differences = replay(scenario, target)
    assert not differences, "\n\n".join(map(str, differences))


def test_the_recordings_are_there():
    assert shared("conformance/influxdb_v2.7.11.json")
    assert len(SCENARIOS) == 48


def test_every_recorded_verdict_has_its_status_and_its_message(target: Target):
    name = target.new_bucket()
    different = []
    embedded = target_from_environment() is None
    for verdict in verdicts():
        if verdict.message is None and verdict.status == 500 and not embedded:
            continue  # kills a real server
        status, message = target.write(name, verdict.body)
        if status != verdict.status or verdict.message not in (None, message):
            different.append((verdict.body, verdict.status, verdict.message, status, message))
        if status == 204:
            everything = {"start": "1677-09-21T00:12:43.145224194Z", "stop": "2262-04-11T23:47:16.854775806Z"}
            target.api("POST", "/api/v2/delete", {"org": target.org, "bucket": name}, everything)
        elif status != 400:
            name = target.new_bucket()  # types that were pinned without a point cannot be deleted
    assert different == []
