"""The sections `notifications` and `metrics` of the configuration: who is told what, and how often.

Both are off until they are configured: a topic here or in NOTIFICATION_TOPIC_ARN, a namespace.
"""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ts_migration.config_values import Section

EventName = Literal["started", "windows_failed", "status", "ended", "rolled_back", "ready", "cutover"]
EVENTS: tuple[EventName, ...] = (
    "started",
    "windows_failed",
    "status",
    "ended",
    "rolled_back",
    "ready",
    "cutover",
)


def _topic(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"arn:[^:\s]+:sns:[^:\s]+:[^:\s]*:[^:\s]+", value):
        raise ValueError("the ARN of an SNS topic, arn:aws:sns:region:account:name")
    return value


def _namespace(value: object) -> object:
    """Names that begin with AWS/ are Amazon's own (PutMetricData, Namespace)."""
    if isinstance(value, str) and (value.startswith("AWS/") or not re.fullmatch(r"[A-Za-z0-9._/#: -]{1,255}", value)):
        raise ValueError("a name that does not begin with AWS/, of letters, digits and . _ / # : -")
    return value


class NotificationSettings(Section):
    """What is told to an SNS topic."""

    topic: Annotated[str | None, BeforeValidator(_topic)] = None
    """ARN; None takes NOTIFICATION_TOPIC_ARN, and tells nobody where that is not set."""
    events: tuple[EventName, ...] = Field(default=EVENTS, strict=False)
    failure_interval: int = Field(default=300, ge=1)
    """Seconds: the first failed windows are told at once, those that follow together, so often at most."""
    status_interval: int | None = Field(default=None, ge=60)
    """Seconds between messages of how far an `execute` has come; None: see `status_every`."""

    def status_every(self, pace: int) -> int | None:
        """Seconds between two such messages: as often as status lines, `pace`, where `events` names `status`.

        None sends none: mail that nobody asked for, every minute, would be read by nobody.
        """
        asked = "events" in self.model_fields_set and "status" in self.events
        return self.status_interval or (pace if asked else None)


class MetricSettings(Section):
    """What is put to CloudWatch."""

    namespace: Annotated[str | None, BeforeValidator(_namespace)] = None
    """None puts nothing."""
    interval: int = Field(default=60, ge=1)
    """Seconds that figures are gathered for before they are put, in one request."""
