"""What is told of runs that no command started: by the events of real runs, tick by tick."""

import json
from typing import Any

import dagster as dg
import pytest

from ts_migration.errors import Permanent
from ts_migration.operations import notifications
from ts_migration.orchestration import notification_sensors
from ts_migration.orchestration.names import JOB_ID_TAG
from ts_migration_tests.orchestration.scripted import FEBRUARY, JANUARY, MARCH, Script

FAILURES, ENDS = "failure_notification_sensor", "job_end_notification_sensor"


class Heard:
    """An SNS that keeps what it is told, and the sensors' ticks."""

    def __init__(self, script: Script, instance: dg.DagsterInstance) -> None:
        self._script, self._instance = script, instance
        self._cursors: dict[str, str | None] = {}
        self._messages: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> None:
        self._messages.append(json.loads(json.loads(message["Message"])["sqs"]))

    def tick(self, name: str) -> list[dict[str, Any]]:
        """What one tick tells."""
        before = len(self._messages)
        with dg.build_sensor_context(
            instance=self._instance, definitions=self._script.definitions, cursor=self._cursors.get(name)
        ) as context:
            self.skipped = self._script.definitions.resolve_sensor_def(name)(context).skip_message
            self._cursors[name] = context.cursor
        return self._messages[before:]


@pytest.fixture
def heard(script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Heard:
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:migration")
    heard = Heard(script, instance)
    monkeypatch.setattr(notifications.Notifications, "_client", lambda *_: heard)
    for name in (FAILURES, ENDS):
        assert heard.tick(name) == [], "what was before the first tick is told to nobody"
    return heard


def test_windows_that_fail_in_dagit_are_one_message_and_the_next_ones_wait(
    heard: Heard, script: Script, instance: dg.DagsterInstance
) -> None:
    for key in (JANUARY, FEBRUARY):
        script.errors.append(Permanent("the source is not there"))
        script.run(instance, key)

    (message,) = heard.tick(FAILURES)
    assert message["event"] == "windows_failed"
    assert [window["window"] for window in message["windows"]] == [JANUARY, FEBRUARY]
    assert message["windows"][0]["error"] == "the source is not there"

    script.errors.append(Permanent("the source is not there"))
    script.run(instance, MARCH)
    assert heard.tick(FAILURES) == []
    assert "told together" in heard.skipped


def test_the_end_of_a_job_is_told_once_nothing_of_it_runs_with_how_it_ended(
    heard: Heard, script: Script, instance: dg.DagsterInstance
) -> None:
    script.failing = {(FEBRUARY, "checksum")}
    script.run_all(instance)
    job = script.definitions.resolve_job_def(script.names.job)
    running = instance.create_run_for_job(
        job_def=job, tags={**job.run_tags, "dagster/partition": MARCH}, status=dg.DagsterRunStatus.STARTED
    )
    assert heard.tick(ENDS) == []
    instance.report_run_canceled(running)

    (message,) = heard.tick(ENDS)
    assert (message["event"], message["state"]) == ("ended", "failed")
    assert message["jobs"][0] | {"points": 0} == {
        "job": "load", "windows": 3, "migrated": 1, "failed": 1, "points": 0, "state": "partly migrated",
    }  # fmt: skip
    assert heard.tick(ENDS) == []


def test_a_complete_job_waits_for_its_roll_up_but_not_for_ever(
    heard: Heard, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.run_all(instance)
    assert heard.tick(ENDS) == []

    monkeypatch.setattr(notification_sensors, "ROLL_UP_WAIT_S", 0.0)
    (message,) = heard.tick(ENDS)
    assert (message["state"], message["jobs"][0]["state"]) == ("succeeded", "complete")


def test_runs_of_a_command_are_left_to_the_command(heard: Heard, script: Script, instance: dg.DagsterInstance) -> None:
    script.errors.append(Permanent("the source is not there"))
    script.run(instance, JANUARY, **{JOB_ID_TAG: "load-1"})

    assert heard.tick(FAILURES) == heard.tick(ENDS) == []


def test_where_nothing_is_configured_the_sensors_say_so(
    heard: Heard, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFICATION_TOPIC_ARN")

    assert heard.tick(ENDS) == []
    assert "NOTIFICATION_TOPIC_ARN" in heard.skipped
