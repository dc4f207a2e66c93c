"""Follows a log group of CloudWatch Logs: where runs, or the orchestrator's Lambda function, write their logs."""

import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ts_migration.aws import client
from ts_migration.objects import aws_error

AT_ONCE = 200
"""Lines of one look; more are told by the next."""
LATE_MS = 10_000
"""Events may be delivered so late."""


class LogGroup:
    """A log group, read on from where it was read to. Never raises: what keeps it from being read is a line.

    Args:
        name: such as `/aws/lambda/migration-orchestrator`.
        region: AWS Region.
        since_ms: Unix time in ms to begin at; a minute ago by default.
    """

    def __init__(self, name: str, region: str | None = None, since_ms: int | None = None) -> None:
        self._name = name
        self._region = region
        self._since_ms = int(time.time() * 1000) - 60_000 if since_ms is None else since_ms
        self._seen: dict[str, int] = {}
        self._client: Any = None
        self._problem = ""

    def look(self) -> list[tuple[float, str]]:
        """New lines: Unix time in s, text."""
        try:
            self._client = self._client or client("logs", self._region)
            found = self._client.filter_log_events(
                logGroupName=self._name, startTime=max(0, self._since_ms - LATE_MS), limit=AT_ONCE
            )["events"]
        except (ClientError, BotoCoreError) as error:
            told, self._problem = self._problem, str(aws_error(error, f"log group {self._name}"))
            return [] if told == self._problem else [(time.time(), f"{self._problem}")]
        new = [event for event in found if event["eventId"] not in self._seen]
        self._seen |= {event["eventId"]: event["timestamp"] for event in new}
        self._since_ms = max([self._since_ms, *self._seen.values()])
        self._seen = {id_: when for id_, when in self._seen.items() if when >= self._since_ms - LATE_MS}
        return [(event["timestamp"] / 1000, event["message"].rstrip()) for event in new]
