"""Posting ready-made bodies of line protocol to one bucket by a few connections, with bounded memory.

A request is sent in `write_requests`, what its answer means is in `delivery`, how many are in flight in `concurrency`.
Which bodies are acknowledged and which lines refused is kept by the caller (`ledger`).
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

from ts_migration.errors import Transient
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.concurrency import Level
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.delivery import Delivery
from ts_migration.influxdb.retries import RetryPolicy
from ts_migration.influxdb.write_requests import WriteCounts, WriteRequests

MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Bodies that are read but not yet durable take about this much memory at most; a larger one alone is sent alone."""


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
        self.level = Level(self.connections, self.clock)
        self._requests = WriteRequests(
            self.target,
            self.bucket,
            self.level,
            self.policy,
            self.batch_lines,
            self.compressed,
            self.chance,
            self.counts,
            self.clock,
        )
        self._told = threading.Lock()

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
            self._requests.stop()
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            # Others were stopped by it, and may have been collected first.
            raise self._requests.cause or failure

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
            if self._requests.stopped:
                raise Transient("not sent: the load was stopped before", where=self.target.url)
            delivery = Delivery(self._requests, body, sent_at)
            try:
                refused = delivery.run()
            except BaseException as error:
                # At once, and not when it is collected: a body that waits for this place must not be sent any more.
                self._requests.stop(error)
                raise
        self._requests.acknowledged(body, delivery.sent_bytes, refused=bool(refused))
        with self._told:
            on_delivered(Delivered(body.number, body.lines, tuple(refused)))


def _next_failure(waiting: dict[Future[None], int], finished: "SimpleQueue[Future[None]]") -> BaseException | None:
    """Wait until one more has finished and take it out; its error, if any."""
    future = finished.get()
    del waiting[future]
    return future.exception()
