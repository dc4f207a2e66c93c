"""Objects are read to their end: what boto3's own retries do not cover is covered here."""

from collections import deque
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError

from ts_migration.errors import Transient
from ts_migration.objects import ExportBucket

BROKEN = ResponseStreamingError(error="IncompleteRead")


class Body:
    """A body that is read, or breaks."""

    def __init__(self, content: bytes | Exception) -> None:
        self.content = content

    def read(self) -> bytes:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


class ScriptedS3:
    """Bodies in order, and what was asked."""

    def __init__(self, *bodies: bytes | Exception, **headers: str) -> None:
        self.bodies = deque(bodies)
        self.headers = headers
        self.asked: list[dict[str, Any]] = []

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {"Body": Body(self.bodies.popleft()), **self.headers}


def bucket(client: ScriptedS3) -> ExportBucket:
    return ExportBucket(client, "b")  # type: ignore[arg-type]


def test_a_body_that_breaks_off_is_asked_for_again():
    # boto3 retries a request until its headers are there, and no longer.
    client = ScriptedS3(BROKEN, BROKEN, b"whole")
    assert bucket(client).get("k") == b"whole"
    assert len(client.asked) == 3


def test_a_body_that_breaks_off_every_time_is_transient():
    client = ScriptedS3(*[BROKEN] * 6)
    with pytest.raises(Transient, match=r"s3://b/k: ResponseStreamingError"):
        bucket(client).get("k")


def test_a_span_tells_the_size_of_the_whole_object():
    client = ScriptedS3(b"tail", ContentRange="bytes 96-99/100")
    assert bucket(client).span("k", 96, 4) == (b"tail", 100)
    assert client.asked[0]["Range"] == "bytes=96-99"


def test_an_answer_without_a_range_is_the_whole_object():
    assert bucket(ScriptedS3(b"whole")).span("k", 0, 100) == (b"whole", 5)
