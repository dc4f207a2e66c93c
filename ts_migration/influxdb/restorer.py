"""Putting files into the shards of one bucket, a few at a time: what `writer` is to line protocol.

A file that was sent twice is there once: its name is the same. What is in a file is known to whoever gives it.
"""

import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ts_migration.errors import Transient
from ts_migration.influxdb.bodies import Delivered
from ts_migration.influxdb.connection import Target
from ts_migration.influxdb.restoring import send_file
from ts_migration.influxdb.retries import RetryPolicy, retrying
from ts_migration.influxdb.write_requests import WriteCounts

CONNECTIONS = 2
"""Files in flight unless the job says otherwise: one is decoded while another is sent."""


@dataclass(frozen=True)
class FileToSend:
    """A file for a shard.

    Attributes:
        number: of the member.
        shard: id of the shard.
        name: under which the server keeps it; a later name wins where points overlap.
        lines: points that it was made of.
        content: gives the bytes when their turn has come, checked.
    """

    number: int
    shard: int
    name: str
    lines: int
    content: Callable[[], bytes]


@dataclass
class Restorer:
    """Sends files to one server.

    Attributes:
        target: the server.
        connections: files in flight at a time; None: `CONNECTIONS`.
        policy: how often and when a file that failed is sent again.
    """

    target: Target
    connections: int | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    chance: random.Random = field(default_factory=random.Random)
    counts: WriteCounts = field(default_factory=WriteCounts)
    highest: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._in_flight = 0

    def restore(self, files: Iterable[FileToSend], on_delivered: Callable[[Delivered], None]) -> None:
        """Send all files. `on_delivered` is called for each as soon as the server has it, one call at a time.

        The first error stops the rest: files in flight are waited for and, where delivered, still told.

        Raises:
            Permanent: a file is not what it should be, or the token may not restore.
            Transient: the server did not take one after all retries.
        """
        pool = ThreadPoolExecutor(self.connections or CONNECTIONS, thread_name_prefix="influxdb-restore")
        try:
            sent: list[Future[None]] = [pool.submit(self._send, file, on_delivered) for file in files]
            failures = [error for each in sent if (error := each.exception())]
        finally:
            # Also where the load is cancelled: what waits is not sent any more.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        if failures:
            # Others were stopped by it, and may come first.
            raise next((error for error in failures if not isinstance(error, _Stopped)), failures[0])

    def _send(self, file: FileToSend, on_delivered: Callable[[Delivered], None]) -> None:
        if self._stop.is_set():
            raise _Stopped("not sent: the load was stopped before", where=self.target.url)
        try:
            with self._lock:
                self._in_flight += 1
                self.highest = max(self.highest, self._in_flight)
            content = file.content()
            retrying(
                lambda: self._post(file, content),
                self.policy,
                chance=self.chance,
                stop=self._stop,
                on_retry=self._count_retry,
            )
        except BaseException:
            self._stop.set()
            raise
        finally:
            with self._lock:
                self._in_flight -= 1
        with self._lock:
            self.counts.bodies += 1
            self.counts.bytes += len(content)
            on_delivered(Delivered(file.number, file.lines, ()))

    def _post(self, file: FileToSend, content: bytes) -> None:
        with self._lock:
            self.counts.requests += 1
        send_file(self.target, file.shard, file.name, content)

    def _count_retry(self, _error: Transient) -> None:
        with self._lock:
            self.counts.retries += 1


class _Stopped(Transient):
    """Not tried: another file had failed."""
