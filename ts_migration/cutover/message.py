"""What is told and cannot be taken back: a message to an SNS topic, a request to a webhook. The reverse tells another.

Whoever is told may be told twice: where an answer is lost, nobody knows whether the message has come through.
"""

from typing import Any

from ts_migration.cutover.aws_answers import aws_answers
from ts_migration.cutover.http_request import json_body, requested
from ts_migration.cutover.kind import Kind
from ts_migration.cutover.record import Change
from ts_migration.cutover.undo import SnsUndo, WebhookUndo
from ts_migration.cutover_actions import SnsMessage, Webhook, WebhookRequest


class Message(Kind[SnsMessage, SnsUndo]):
    """A message to an SNS topic."""

    takes_back = False

    def changes(self, action: SnsMessage) -> tuple[Change, ...]:
        self._look(action.topic)
        return (Change(name="message", before="", after=self.secrets.text(action.message)),)

    def keep(self, action: SnsMessage, mark: str) -> SnsUndo:
        self._look(action.topic)
        return SnsUndo(topic=action.topic, message=action.revert_message, subject=action.subject)

    def apply(self, action: SnsMessage, undo: SnsUndo) -> None:
        self._send(action.topic, action.message, action.subject)

    def revert(self, undo: SnsUndo) -> None:
        if undo.message is not None:
            self._send(undo.topic, undo.message, undo.subject)

    @property
    def _client(self) -> Any:
        return self.clients.aws("sns")

    def _look(self, topic: str) -> None:
        with aws_answers(f"topic {topic}"):
            self._client.get_topic_attributes(TopicArn=topic)

    def _send(self, topic: str, message: str, subject: str | None) -> None:
        with aws_answers(f"topic {topic}"):
            self._client.publish(
                TopicArn=topic,
                Message=self.secrets.text(message),
                **({"Subject": self.secrets.text(subject)} if subject else {}),
            )


class WebhookCall(Kind[Webhook, WebhookUndo]):
    """A request to a webhook."""

    takes_back = False

    def changes(self, action: Webhook) -> tuple[Change, ...]:
        # Placeholders are filled to see that they can be: an unset variable is told before anything is changed.
        for request in filter(None, (action.request, action.on_revert)):
            self._filled(request)
        return (Change(name="request", before="", after=action.target),)

    def keep(self, action: Webhook, mark: str) -> WebhookUndo:
        return WebhookUndo(request=action.on_revert)

    def apply(self, action: Webhook, undo: WebhookUndo) -> None:
        self._send(action.request)

    def revert(self, undo: WebhookUndo) -> None:
        if undo.request is not None:
            self._send(undo.request)

    def _filled(self, request: WebhookRequest) -> tuple[str, dict[str, str], bytes | None]:
        """URL, headers and body, with their secrets."""
        headers = {name: self.secrets.text(value) for name, value in request.headers.items()}
        if request.json_body is not None:
            kind = (
                {} if any(name.lower() == "content-type" for name in headers) else {"Content-Type": "application/json"}
            )
            return self.secrets.text(request.url), {**headers, **kind}, json_body(self.secrets.json(request.json_body))
        body = None if request.body is None else self.secrets.text(request.body).encode()
        return self.secrets.text(request.url), headers, body

    def _send(self, request: WebhookRequest) -> None:
        url, headers, body = self._filled(request)
        requested(request.method, url, headers, body, "webhook")
