"""Recorded exchanges with a real InfluxDB 2.7.11, replayed against the embedded server.

With INFLUXDB_URL, INFLUXDB_TOKEN and INFLUXDB_ORG set they run against that server instead, and none is started.
"""

import json

import pytest

from ts_migration_tests.local.influxdb.conformance import Target, replay, target_from_environment
from ts_migration_tests.shared_material import ROOT, shared

_RECORDING = ROOT / "conformance" / "influxdb_v2.7.11.json"
SCENARIOS = json.loads(_RECORDING.read_text("utf-8")) if _RECORDING.exists() else []


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> Target:
    named = target_from_environment()
    return named or Target(*request.getfixturevalue("influxdb"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_scenario_is_answered_as_recorded(scenario: dict, target: Target):
    differences = replay(scenario, target)
    assert not differences, "\n\n".join(map(str, differences))


def test_the_recordings_are_there():
    assert shared("conformance/influxdb_v2.7.11.json")
    assert len(SCENARIOS) == 48
