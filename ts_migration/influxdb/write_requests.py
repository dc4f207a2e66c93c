"""The requests of one load to one bucket: sent, counted, waited between, and what is known of the server by them.

What an answer means is in `delivery`; which bodies are sent side by side in `writer`.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from ts_migration.errors import MigrationError, Transient
from ts_migration.influxdb.bodies import Body
from ts_migration.influxdb.buckets import write_nothing
from ts_migration.influxdb.concurrency import Level
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.retries import RetryPolicy


@dataclass
class WriteCounts:
    """What a load did so far: requests sent, of them repeats, bodies and bytes of requests acknowledged."""

    requests: int = 0
    retries: int = 0
    bodies: int = 0
    bytes: int = 0


@dataclass
class WriteRequests:
    """Sends requests of line protocol, from several threads.

    Attributes:
        target: the server.
        bucket: name of the bucket.
        connections: requests in flight at a time; None finds the number that brings most, see `concurrency`.
        policy: how often and when a request that failed is repeated.
        batch_lines: a body with more lines is cut into several requests; None sends every body whole.
        compressed: False sends text instead of gzip: on a fast network inflating costs the server more than it saves.
        chance: of the jitter.
        clock: monotonic seconds.
        latest: a body that is durable without a line refused: what the server takes, to tell bad lines from a bad
            server.
        cause: the first error that stopped the load.
    """

    target: Target
    bucket: str
    connections: int | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    batch_lines: int | None = None
    compressed: bool = True
    chance: random.Random = field(default_factory=random.Random)
    counts: WriteCounts = field(default_factory=WriteCounts)
    clock: Callable[[], float] = time.monotonic
    latest: Body | None = None
    cause: BaseException | None = None

    def __post_init__(self) -> None:
        query = {"org": self.target.org, "bucket": self.bucket, "precision": "ns"}
        self._path = "/api/v2/write?" + urlencode(query)
        self.level = Level(self.connections, self.clock)
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the load is over, or failed somewhere: nothing is sent any more, and no retry waited for."""
        return self._stopped.is_set()

    def stop(self, cause: BaseException | None = None) -> None:
        """Have no more sent, and those that wait for a retry end with their errors."""
        with self._lock:
            self.cause = self.cause or cause
        self._stopped.set()

    def acknowledged(self, body: Body, sent_bytes: int, *, refused: bool) -> None:
        """Count a body that is durable, but for the lines refused of it."""
        self.level.delivered(body.lines)
        with self._lock:
            self.counts.bodies += 1
            self.counts.bytes += sent_bytes
            if not refused:
                self.latest = body

    def post(self, content: bytes, *, gzipped: bool) -> Answer:
        """One request.

        Raises:
            Transient: the connection broke: the lines may or may not be written.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if gzipped:
            headers["Content-Encoding"] = "gzip"
        with self._lock:
            self.counts.requests += 1
        return self.target.request("POST", self._path, headers=headers, body=content)

    def pause(self, retry: int, error: Transient, waited_s: float) -> float:
        """Wait before a retry; a load that has failed elsewhere ends the waiting with the error.

        Args:
            retry: its number.
            error: that it is tried again for.
            waited_s: before earlier retries of the same request.

        Returns:
            Seconds waited.
        """
        with self._lock:
            self.counts.retries += 1
            delay = self.policy.delay_s(retry, error.retry_after_s, self.chance, waited_s)
        if self.policy.on_retry:
            self.policy.on_retry(error)
        if self._stopped.wait(delay):
            raise error
        return delay

    def takes(self, text: bytes) -> bool:
        """Whether the server takes lines that it has taken before. Written again they change nothing."""
        try:
            return self.post(text, gzipped=False).status == 204
        except Transient:
            return False

    def healthy(self) -> bool:
        """Whether the server takes a write at all: one with an empty body."""
        try:
            return write_nothing(self.target, self.bucket).status == 204
        except MigrationError:
            return False
