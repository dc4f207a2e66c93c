"""Tells an SNS topic and CloudWatch how a migration goes, from a thread of its own: nothing of it can slow or fail one.

What is told is in `notices` and `metrics`. What cannot be sent is told once as a warning, and the migration goes on.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ts_migration.aws import client
from ts_migration.config import Environment, MigrationConfig
from ts_migration.notification_settings import MetricSettings, NotificationSettings
from ts_migration.operations import notices
from ts_migration.operations.metrics import WindowFigures, metric_data, put_metrics
from ts_migration.operations.notices import Event, FailedWindow, JobEnd, Notice

_log = logging.getLogger(__name__)
CLOSE_S = 15.0
"""How long the end of a migration waits for what is still to be sent."""


class Notifications:
    """What is told while it is open; a context manager. Threads may call it. No method raises.

    Args:
        settings, metrics: the sections of the configuration.
        topic: ARN of the topic; "" tells nobody.
        pace: seconds between status lines, and so between status messages where no other interval is set.
        aws: a boto3 client by service and Region.
        region: of the metrics; the topic's own is in its ARN.
        warn: told once of each service that cannot be reached.
    """

    def __init__(
        self,
        settings: NotificationSettings,
        metrics: MetricSettings,
        topic: str,
        *,
        pace: int = 60,
        aws: Callable[[str, str | None], Any] = client,
        region: str | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topic = settings.topic or topic
        self._status_s = settings.status_every(pace)
        self._aws = aws
        self._region = region
        self._warn = warn
        self._clients: dict[str, Any] = {}
        self._warned: set[str] = set()
        self._inbox: queue.SimpleQueue[Notice | WindowFigures | FailedWindow | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed: list[FailedWindow] = []
        self._failures_due = 0.0
        self._figures: list[WindowFigures] = []
        self._metrics_due = 0.0
        self._progress: _Progress | None = None

    @classmethod
    def of(
        cls,
        config: MigrationConfig,
        environment: Environment,
        region: str | None = None,
        warn: Callable[[str], None] = _log.warning,
    ) -> Self:
        """By a configuration and the environment."""
        topic = environment.notification_topic_arn
        pace = config.migration_settings.progress_monitoring_interval
        return cls(config.notifications, config.metrics, topic, pace=pace, region=region, warn=warn)

    @property
    def active(self) -> bool:
        """Whether anything is configured."""
        return bool(self._topic or self._metrics.namespace)

    def __enter__(self) -> Self:
        if self.active:
            self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        self._inbox.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._tell_once("all", f"notifications were not sent within {CLOSE_S:.0f} s")
        self._thread = None

    def send(self, notice: Notice) -> None:
        """Tell something."""
        if self._thread is not None:
            self._inbox.put(notice)

    def started(self, id_: str, jobs: Mapping[str, int]) -> None:
        """A migration began. `jobs`: slug -> windows to do."""
        self._progress = _Progress(id_, sum(jobs.values()), time.monotonic())
        self.send(notices.started(id_, jobs))

    def window(self, id_: str, figures: WindowFigures) -> None:
        """A window ended."""
        self.put(figures)
        if not figures.ok and self._thread is not None:
            self._inbox.put(FailedWindow(id_, figures.job, figures.key, figures.error))

    def put(self, figures: WindowFigures) -> None:
        """Figures of a window alone, for CloudWatch."""
        if self._thread is not None:
            self._inbox.put(figures)

    def ended(self, id_: str, state: str, jobs: Sequence[JobEnd], seconds: float, reason: str = "") -> None:
        """A migration ended: succeeded, failed or cancelled."""
        self.send(notices.ended(id_, state, jobs, seconds, reason))

    # The thread

    def _work(self) -> None:
        while True:
            try:
                told = self._inbox.get(timeout=1.0)
            except queue.Empty:
                self._flush(time.monotonic())
                continue
            now = time.monotonic()
            match told:
                case None:
                    self._flush(now, everything=True)
                    return
                case FailedWindow():
                    self._failed.append(told)
                case WindowFigures():
                    if not self._figures:
                        self._metrics_due = now + self._metrics.interval
                    self._figures.append(told)
                    if self._progress:
                        self._progress.add(told)
                case Notice():
                    if told.event is Event.ENDED:
                        # What failed is read before how all of it ended.
                        self._flush(now, everything=True)
                    self._publish(told)
            self._flush(now)

    def _flush(self, now: float, *, everything: bool = False) -> None:
        """Send what is due. Failures that come in one moment are one message: the inbox is emptied first."""
        if self._failed and (everything or (now >= self._failures_due and self._inbox.empty())):
            failed, self._failed = self._failed, []
            self._failures_due = now + self._settings.failure_interval
            self._publish(notices.windows_failed(failed))
        if self._figures and (everything or now >= self._metrics_due):
            figures, self._figures = self._figures, []
            self._put(figures)
        every = self._status_s
        if self._progress and every and not everything and now - self._progress.told >= every:
            self._progress.told = now
            self._publish(self._progress.notice(now))

    def _publish(self, notice: Notice) -> None:
        if not self._topic or notice.event.value not in self._settings.events:
            return
        try:
            self._client("sns", _region_of(self._topic) or self._region).publish(
                TopicArn=self._topic,
                Subject=notice.subject,
                Message=notice.message,
                MessageStructure="json",
                MessageAttributes={
                    "event": {"DataType": "String", "StringValue": notice.event.value},
                    "id": {"DataType": "String", "StringValue": notice.id[:256] or "none"},
                },
            )
        except Exception as error:  # noqa: BLE001 - a migration must not end for a message that nobody got
            self._tell_once("sns", f"SNS topic {self._topic} was not told: {_words(error)}")

    def _put(self, figures: Sequence[WindowFigures]) -> None:
        if not self._metrics.namespace:
            return
        try:
            put_metrics(self._client("cloudwatch", self._region), self._metrics.namespace, metric_data(figures))
        except Exception as error:  # noqa: BLE001 - a migration must not end for a figure that nobody sees
            self._tell_once("cloudwatch", f"CloudWatch metrics were not put: {_words(error)}")

    def _client(self, service: str, region: str | None) -> Any:
        if service not in self._clients:
            self._clients[service] = self._aws(service, region)
        return self._clients[service]

    def _tell_once(self, what: str, words: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            self._warn(f"{words}; the migration goes on")


class _Progress:
    """What a status message adds up."""

    def __init__(self, id_: str, total: int, now: float) -> None:
        self.id, self.total, self.began, self.told = id_, total, now, now
        self.done = self.points = self.failed = 0

    def add(self, figures: WindowFigures) -> None:
        """Count a window."""
        self.done += 1
        self.points += figures.points
        self.failed += not figures.ok

    def notice(self, now: float) -> Notice:
        """How far it is."""
        return notices.under_way(self.id, self.done, self.total, self.points, self.failed, now - self.began)


def _region_of(topic: str) -> str | None:
    parts = topic.split(":")
    return parts[3] or None if len(parts) > 5 else None


def _words(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
