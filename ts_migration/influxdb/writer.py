"""Posting ready-made bodies of line protocol to one bucket by a few connections, with bounded memory.

What an answer means is in `delivery`, how many requests are in flight in `concurrency`. Which bodies are acknowledged
and which lines refused is kept by the caller (`ledger`).
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from urllib.parse import urlencode

from ts_migration.errors import MigrationError, Transient
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.buckets import write_nothing
from ts_migration.influxdb.concurrency import Level
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.delivery import Delivery
from ts_migration.influxdb.retries import RetryPolicy

MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Bodies that are read but not yet durable take about this much memory at most; a larger one alone is sent alone."""


@dataclass
class WriteCounts:
    """What a load did so far: requests sent, of them repeats, bodies and bytes of requests acknowledged."""

    requests: int = 0
    retries: int = 0
    bodies: int = 0
    bytes: int = 0


@dataclass
class Writer:
    """Posts bodies to one bucket.

    Attributes:
        target: the server.
        bucket: name of the bucket.
        connections: bodies in flight at a time; None finds the number that brings most, see `concurrency`.
        policy: how often and when a request that failed is repeated.
        batch_lines: a body with more lines is cut into several requests; None sends every body whole.
        compressed: False sends text instead of gzip: on a fast network inflating costs the server more than it saves.
        chance: of the jitter.
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

    def __post_init__(self) -> None:
        query = {"org": self.target.org, "bucket": self.bucket, "precision": "ns"}
        self._path = "/api/v2/write?" + urlencode(query)
        self.level = Level(self.connections, self.clock)
        self.latest: Body | None = None
        """A body that is durable without a line refused: what the server takes, to tell bad lines from a bad server."""
        self._lock = threading.Lock()
        self._told = threading.Lock()
        self._cause: BaseException | None = None
        self._stop = threading.Event()

    def write(self, bodies: Iterable[Body], on_delivered: Callable[[Delivered], None]) -> None:
        """Post all bodies. `on_delivered` is called for each as soon as its lines are durable, one call at a time.

        It is called from the thread that sent the body, so that a process that is killed has told of everything but
        what was in flight. At most twice as many bodies as requests in flight are in memory, and `MOST_WAITING_BYTES`
        of them. The first error stops the rest: bodies in flight are waited for and, where delivered, still told.

        Raises:
            Permanent: the configuration, the bucket's retention or the mapping is wrong.
            Transient: the server did not answer after all retries.
        """
        waiting: dict[Future[None], int] = {}
        finished: SimpleQueue[Future[None]] = SimpleQueue()
        failure: BaseException | None = None
        pool = ThreadPoolExecutor(self.level.most, thread_name_prefix="influxdb-write")
        try:
            source = iter(bodies)
            while failure is None:
                body = next(source, None)
                if body is None:
                    break
                while waiting and failure is None and not self._has_room(body, waiting):
                    failure = _next_failure(waiting, finished)
                if failure is None:
                    future = pool.submit(self._deliver, body, on_delivered)
                    waiting[future] = self._weight(body)
                    future.add_done_callback(finished.put)
            while waiting and failure is None:
                failure = _next_failure(waiting, finished)
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            # Others were stopped by it, and may have been collected first.
            raise self._cause or failure

    def _has_room(self, body: Body, waiting: dict[Future[None], int]) -> bool:
        """Whether one more body may be held: twice the requests in flight keeps every connection busy."""
        fits = sum(waiting.values()) + self._weight(body) <= MOST_WAITING_BYTES
        return fits and len(waiting) < 2 * self.level.limit

    def _weight(self, body: Body) -> int:
        """Bytes that a body takes while it waits and is sent."""
        cut = self.batch_lines is not None and body.lines > self.batch_lines
        return len(body.gzipped) + (body.text_bytes if cut or not self.compressed else 0)

    def _deliver(self, body: Body, on_delivered: Callable[[Delivered], None]) -> None:
        with self.level as sent_at:
            if self._stop.is_set():
                raise Transient("not sent: the load was stopped before", where=self.target.url)
            delivery = Delivery(self, body, sent_at)
            try:
                refused = delivery.run()
            except BaseException as error:
                # At once, and not when it is collected: a body that waits for this place must not be sent any more.
                with self._lock:
                    self._cause = self._cause or error
                self._stop.set()
                raise
        self.level.delivered(body.lines)
        with self._lock:
            self.counts.bodies += 1
            self.counts.bytes += delivery.sent_bytes
            if not refused:
                self.latest = body
        with self._told:
            on_delivered(Delivered(body.number, body.lines, tuple(refused)))

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
        if self._stop.wait(delay):
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


def _next_failure(waiting: dict[Future[None], int], finished: "SimpleQueue[Future[None]]") -> BaseException | None:
    """Wait until one more has finished and take it out; its error, if any."""
    future = finished.get()
    del waiting[future]
    return future.exception()
