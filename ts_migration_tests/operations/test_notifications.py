"""What people and programs are told about a migration, by a topic and a CloudWatch of moto's; and that it fails none."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from ts_migration.notification_settings import MetricSettings, NotificationSettings
from ts_migration.operations import notices
from ts_migration.operations.metrics import BATCH, WindowFigures, metric_data, put_metrics
from ts_migration.operations.notices import FailedWindow, JobEnd, windows_failed
from ts_migration.operations.notifications import Notifications

REGION = "us-east-1"


def figures(key: str = "2023-01-01", *, ok: bool = True, **changes: Any) -> WindowFigures:
    return WindowFigures("load", key, ok, ended=time.time(), **changes)


class Account:
    """A topic with a queue that hears all of it, and CloudWatch."""

    def __init__(self) -> None:
        sns, self._sqs = boto3.client("sns", REGION), boto3.client("sqs", REGION)
        self.topic = sns.create_topic(Name="migration")["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName="heard")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    @property
    def heard(self) -> list[dict[str, Any]]:
        """Envelopes of the messages, in order."""
        found = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    def sum_of(self, namespace: str, metric: str) -> float:
        """Sum of a metric of the job `load` over the last hour."""
        found = boto3.client("cloudwatch", REGION).get_metric_statistics(
            Namespace=namespace, MetricName=metric, Dimensions=[{"Name": "Job", "Value": "load"}],
            StartTime=time.time() - 3600, EndTime=time.time() + 60, Period=3600, Statistics=["Sum"],
        )  # fmt: skip
        return sum(point["Sum"] for point in found["Datapoints"])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield Account()


def opened(account: Account, warned: list[str] | None = None, **settings: Any) -> Notifications:
    return Notifications(
        NotificationSettings(**settings), MetricSettings(namespace="Test"), account.topic,
        region=REGION, warn=(warned if warned is not None else []).append,
    )  # fmt: skip


def test_how_far_it_is_is_told_at_the_pace_of_status_lines_where_events_ask_for_it(account: Account) -> None:
    asked = NotificationSettings(events=("started", "status"))
    with Notifications(asked, MetricSettings(), account.topic, pace=1, region=REGION) as told:
        told.started("load-1", {"load": 4})
        told.window("load-1", figures(points=50))
        told.window("load-1", figures("2023-02-01", ok=False, error="no answer"))
        # One that is told at once may have come before the second window.
        time.sleep(2.5)
    heard = [json.loads(each["Message"]) for each in account.heard]
    assert heard[0]["event"] == "started"
    assert {each["event"] for each in heard[1:]} == {"status"}
    status = heard[-1]
    assert (status["done"], status["windows"], status["failed"], status["points"]) == (2, 4, 1, 50)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, None),
        ({"events": ("ended",)}, None),
        ({"events": ("ended", "status")}, 45),
        ({"status_interval": 600}, 600),
        ({"events": ("status",), "status_interval": 600}, 600),
    ],
)
def test_status_messages_are_sent_only_where_they_are_asked_for(settings: dict[str, Any], seconds: int | None) -> None:
    assert NotificationSettings(**settings).status_every(45) == seconds


def test_status_messages_that_nobody_takes_are_one_warning(account: Account) -> None:
    warned: list[str] = []

    def nobody(*_: Any) -> Any:
        raise OSError("no route")

    asked = NotificationSettings(events=("status",))
    with Notifications(asked, MetricSettings(), account.topic, pace=1, aws=nobody, warn=warned.append) as told:
        told.started("load-1", {"load": 4})
        time.sleep(3.2)
    assert len(warned) == 1 and "the migration goes on" in warned[0]


def test_a_hundred_failed_windows_are_few_messages_and_all_of_them_are_named(account: Account) -> None:
    with opened(account) as told:
        for number in range(100):
            told.window("load-1", figures(f"window-{number}", ok=False, error=f"window-{number}: no answer"))
        told.ended("load-1", "failed", [JobEnd("load", 100, 0, 100, 0, "failed")], 5.0)

    heard = [json.loads(each["Message"]) for each in account.heard]
    failed = [each for each in heard if each["event"] == "windows_failed"]
    assert [each["event"] for each in heard][-1] == "ended"
    assert len(failed) <= 2
    assert sum(each["failed"] for each in failed) == 100


def test_failures_that_follow_wait_for_the_interval_and_come_before_the_end(account: Account) -> None:
    with opened(account) as told:
        told.window("load-1", figures("first", ok=False, error="broken"))
        until = time.monotonic() + 20
        while not (before_the_end := account.heard) and time.monotonic() < until:
            time.sleep(0.05)
        told.window("load-1", figures("second", ok=False, error="broken"))
        time.sleep(0.2)
        assert account.heard == []
        told.ended("load-1", "failed", [], 1.0)

    assert [json.loads(each["Message"])["windows"][0]["window"] for each in before_the_end] == ["first"]
    assert [json.loads(each["Message"])["event"] for each in account.heard] == ["windows_failed", "ended"]


def test_people_get_a_text_and_programs_the_json_alone() -> None:
    notice = notices.ended("load-1", "failed", [JobEnd("load", 3, 2, 1, 5, "failed")], 1.0, "no answer")
    message = json.loads(notice.message)

    assert message["default"].startswith("Migration failed: load-1\nload: failed; 2 of 3 windows migrated, 1 failed")
    assert json.loads(message["lambda"]) == json.loads(message["sqs"])
    assert json.loads(message["sqs"])["jobs"][0]["failed"] == 1
    assert message["default"].endswith(message["sqs"])


def test_a_subject_is_one_that_sns_takes() -> None:
    notice = notices.rolled_back("x", "geração\nde energia " * 20, "done")

    assert notice.subject.isascii()
    assert "\n" not in notice.subject
    assert len(notice.subject) <= 100


def test_only_the_events_that_are_wanted_are_told_with_attributes_to_filter_by(account: Account) -> None:
    with opened(account, events=("ended",)) as told:
        told.started("load-1", {"load": 3})
        told.ended("load-1", "succeeded", [], 1.0)

    (heard,) = account.heard
    assert heard["MessageAttributes"]["event"]["Value"] == "ended"
    assert heard["Subject"] == "Migration succeeded: load-1"


def test_figures_of_windows_are_sums_of_their_job(account: Account) -> None:
    with opened(account) as told:
        told.window("load-1", figures("a", rows=10, points=9, quarantined=1, seconds=3.0))
        told.window("load-1", figures("b", ok=False, rows=5, checks_failed=2, error="checks failed"))

    sums = {
        name: account.sum_of("Test", name)
        for name in (
            "RowsExported",
            "PointsWritten",
            "RowsQuarantined",
            "WindowsMigrated",
            "WindowsFailed",
            "ValidationFailures",
            "PointsPerSecond",
        )
    }
    assert sums == {
        "RowsExported": 15, "PointsWritten": 9, "RowsQuarantined": 1, "WindowsMigrated": 1, "WindowsFailed": 1,
        "ValidationFailures": 2, "PointsPerSecond": 3,
    }  # fmt: skip


def test_many_metrics_are_put_in_batches_that_cloudwatch_takes() -> None:
    asked: list[int] = []

    class Cloudwatch:
        def put_metric_data(self, **given: Any) -> None:
            asked.append(len(given["MetricData"]))

    many = [WindowFigures(f"job-{number}", "k", True, points=1, seconds=1.0) for number in range(200)]
    assert put_metrics(Cloudwatch(), "Test", metric_data(many)) == 3
    assert sum(asked) == 200 * 7
    assert max(asked) == BATCH


def test_a_topic_that_is_gone_is_one_warning_and_no_error(account: Account) -> None:
    warned: list[str] = []
    with opened(account, warned, topic=f"{account.topic}-gone") as told:
        told.started("load-1", {"load": 1})
        told.ended("load-1", "succeeded", [], 1.0)

    (line,) = warned
    assert "was not told" in line
    assert "the migration goes on" in line


def test_an_aws_that_hangs_does_not_hold_the_migration_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        def publish(self, **_: object) -> None:
            time.sleep(5)

    monkeypatch.setattr("ts_migration.operations.notifications.CLOSE_S", 0.2)
    warned: list[str] = []
    began = time.monotonic()
    with Notifications(
        NotificationSettings(), MetricSettings(), "arn:aws:sns:us-east-1:1:t",
        aws=lambda *_: Hanging(), warn=warned.append,
    ) as told:  # fmt: skip
        for _ in range(10):
            told.started("load-1", {"load": 1})
    assert time.monotonic() - began < 2
    assert warned == ["notifications were not sent within 0 s; the migration goes on"]


def test_nothing_is_made_where_nothing_is_configured() -> None:
    def never(*_: object) -> None:
        raise AssertionError("no client is needed")

    with Notifications(NotificationSettings(), MetricSettings(), "", aws=never) as told:
        assert not told.active
        told.started("load-1", {"load": 1})
        told.window("load-1", figures(ok=False, error="x"))


def test_failed_windows_are_sent_to_what_mends_them() -> None:
    def steps(*errors: str) -> list[str]:
        told = windows_failed([FailedWindow("id", "load", f"2023-01-0{n}", error) for n, error in enumerate(errors)])
        return [line for line in told.lines if "next:" in line]

    repair, again = "  next: ts-migration repair --table load", "  next: ts-migration execute --only load"
    assert [step[: len(repair)] for step in steps("checks failed: sample")] == [repair]
    assert [step[: len(again)] for step in steps("UNLOAD named a manifest that is not there")] == [again]
    assert len(steps("checks failed: sample", "no route to host")) == 2
