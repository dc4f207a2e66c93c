"""Posting ready-made bodies of line protocol to one bucket by a few connections, with bounded memory.

A request is sent in `write_requests`, what its answer means is in `delivery`, how many are in flight in `concurrency`.
Which bodies are acknowledged and which lines refused is kept by the caller (`ledger`).
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from ts_migration.errors import Transient
from ts_migration.influxdb.bodies import Body, Delivered
from ts_migration.influxdb.delivery import Delivery
from ts_migration.influxdb.write_requests import WriteRequests

MOST_WAITING_BYTES = 128 * 1024 * 1024
"""Bodies that are read but not yet durable take about this much memory at most; a larger one alone is sent alone."""


class Writer:
    """Posts bodies to one bucket, once.

    Attributes:
        requests: how they are sent, and what came of it.
    """

    def __init__(self, requests: WriteRequests) -> None:
        self.requests = requests
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
        pool = ThreadPoolExecutor(self.requests.level.most, thread_name_prefix="influxdb-write")
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
            self.requests.stop()
            pool.shutdown(wait=True, cancel_futures=True)
        if failure is not None:
            # Others were stopped by it, and may have been collected first.
            raise self.requests.cause or failure

    def _has_room(self, body: Body, waiting: dict[Future[None], int]) -> bool:
        """Whether one more body may be held: twice the requests in flight keeps every connection busy."""
        fits = sum(waiting.values()) + self._weight(body) <= MOST_WAITING_BYTES
        return fits and len(waiting) < 2 * self.requests.level.limit

    def _weight(self, body: Body) -> int:
        """Bytes that a body takes while it waits and is sent."""
        most = self.requests.batch_lines
        cut = most is not None and body.lines > most
        return len(body.gzipped) + (body.text_bytes if cut or not self.requests.compressed else 0)

    def _deliver(self, body: Body, on_delivered: Callable[[Delivered], None]) -> None:
        with self.requests.level as sent_at:
            if self.requests.stopped:
                raise Transient("not sent: the load was stopped before", where=self.requests.target.url)
            delivery = Delivery(self.requests, body, sent_at)
            try:
                refused = delivery.run()
            except BaseException as error:
                # At once, and not when it is collected: a body that waits for this place must not be sent any more.
                self.requests.stop(error)
                raise
        self.requests.acknowledged(body, delivery.sent_bytes, refused=bool(refused))
        with self._told:
            on_delivered(Delivered(body.number, body.lines, tuple(refused)))


def _next_failure(waiting: dict[Future[None], int], finished: "SimpleQueue[Future[None]]") -> BaseException | None:
    """Wait until one more has finished and take it out; its error, if any."""
    future = finished.get()
    del waiting[future]
    return future.exception()
