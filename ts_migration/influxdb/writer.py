"""Posting ready-made bodies of line protocol: what each answer of the server means, and what is done about it.

Bodies go out verbatim by a few connections. Which of them are acknowledged and which lines refused is kept by the
caller (`ledger`). The answers: 204 durable; 400 nothing written, bad lines named; 422 some lines dropped, unknown
which; 401, 403, 404 configuration; 408, 429, 5xx, broken connections perhaps (facts of InfluxDB, section 2).
"""

import gzip
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ts_migration.errors import MigrationError, Permanent, Transient
from ts_migration.influxdb.buckets import write_nothing
from ts_migration.influxdb.connection import Answer, Target
from ts_migration.influxdb.lines import named_lines, split_lines
from ts_migration.influxdb.retries import RetryPolicy

MOST_REFUSED_LINES = 100
"""Refused lines of one body above which it is not the lines but the mapping."""

_DECIDED = (204, 400, 413, 422)
"""Answers that another try would not change."""
_OVERLOADED = (408, 429, 502, 503, 504)
"""Answers that say nothing about the lines: halving a body that was throttled would quarantine good lines."""
_BLIND_REFUSALS = 10
"""Lines refused after a 5xx with not one line passed: then it is the server."""


@dataclass(frozen=True, slots=True)
class Body:
    """One write request: its number, the gzip member as it lies in the part, and how many lines it holds."""

    number: int
    gzipped: bytes
    lines: int


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that the server will not take, with the server's words. `body` is the number of the body it was in."""

    body: int
    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A body whose lines are all durable in the bucket, but for those refused."""

    number: int
    lines: int
    refused: tuple[RefusedLine, ...]


@dataclass
class WriteCounts:
    """What a load did so far: requests sent, of them repeats, bodies and compressed bytes acknowledged."""

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
        connections: bodies in flight at a time. More than the server has cores only queue.
        policy: how often and when a request that failed is repeated.
        chance: of the jitter.
    """

    target: Target
    bucket: str
    connections: int = 2
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    chance: random.Random = field(default_factory=random.Random)
    counts: WriteCounts = field(default_factory=WriteCounts)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def write(self, bodies: Iterable[Body], on_delivered: Callable[[Delivered], None]) -> None:
        """Post all bodies. `on_delivered` is called for each, from this thread, when its lines are durable.

        At most twice as many bodies as connections are in memory. The first error stops the rest: bodies in flight are
        waited for and, where they were delivered, still told.

        Raises:
            Permanent: the configuration, the bucket's retention or the mapping is wrong.
            Transient: the server did not answer after all retries.
        """
        waiting: set[Future[Delivered]] = set()
        failure: BaseException | None = None
        pool = ThreadPoolExecutor(self.connections, thread_name_prefix="influxdb-write")
        try:
            source = iter(bodies)
            while failure is None:
                body = next(source, None)
                if body is None:
                    break
                waiting.add(pool.submit(self._deliver, body))
                if len(waiting) >= 2 * self.connections:
                    failure = self._collect(waiting, on_delivered)
            while waiting and failure is None:
                failure = self._collect(waiting, on_delivered)
        finally:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            for future in waiting:
                if not future.cancelled() and future.exception() is None:
                    on_delivered(future.result())
        if failure is not None:
            raise failure

    def _collect(
        self, waiting: set[Future[Delivered]], on_delivered: Callable[[Delivered], None]
    ) -> BaseException | None:
        """Take what has finished, at least one; the first error among it, if any."""
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        failure: BaseException | None = None
        for future in done:
            waiting.discard(future)
            error = future.exception()
            if error is None:
                on_delivered(future.result())
            failure = failure or error
        return failure

    def _deliver(self, body: Body) -> Delivered:
        refused = _Delivery(self, body).run()
        with self._lock:
            self.counts.bodies += 1
            self.counts.bytes += len(body.gzipped)
        return Delivered(body.number, body.lines, tuple(refused))

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
        query = {"org": self.target.org, "bucket": self.bucket, "precision": "ns"}
        return self.target.request("POST", "/api/v2/write", query, headers=headers, body=content)

    def pause(self, retry: int, error: Transient) -> None:
        """Wait before a retry; a load that has failed elsewhere ends the waiting with the error."""
        with self._lock:
            self.counts.retries += 1
            delay = self.policy.delay_s(retry, error.retry_after_s, self.chance)
        if self._stop.wait(delay):
            raise error

    def healthy(self) -> bool:
        """Whether the server takes a write at all: one with an empty body."""
        try:
            return write_nothing(self.target, self.bucket).status == 204
        except MigrationError:
            return False


class _Delivery:
    """One body on its way: whole at first, in parts where the server refuses some of its lines."""

    def __init__(self, writer: Writer, body: Body) -> None:
        self.writer = writer
        self.body = body
        self.where = f"{writer.target.url}, bucket {writer.bucket}, request {body.number}"
        self.refused: list[RefusedLine] = []
        self._attempts = writer.policy.attempts
        self._passed = False

    def run(self) -> list[RefusedLine]:
        """Send until every line is durable or refused; the refused lines."""
        answer, failure = self._send(self.body.gzipped, gzipped=True)
        if answer is None or answer.status != 204:
            lines = split_lines(gzip.decompress(self.body.gzipped))
            self._resolve(lines, answer, failure)
        return self.refused

    def _lines(self, lines: list[bytes]) -> None:
        """Send some of the lines, uncompressed: this is rare and small."""
        if not lines:
            return
        answer, failure = self._send(b"\n".join(lines), gzipped=False)
        if answer is None or answer.status != 204:
            self._resolve(lines, answer, failure)
        else:
            self._passed = True

    def _send(self, content: bytes, *, gzipped: bool) -> tuple[Answer | None, Transient | None]:
        """Send with retries. An answer that another try would not change; else the last failure.

        Raises:
            Permanent: 401, 403, 404 and the like: no line is at fault.
            Transient: the server is overloaded or away (429, 502 to 504), which says nothing about the lines either.
        """
        writer = self.writer
        for retry in range(self._attempts + 1):
            status = 0
            try:
                answer = writer.post(content, gzipped=gzipped)
                status = answer.status
                if status in _DECIDED:
                    return answer, None
                error = writer.target.error(answer, "the write was refused")
                if not isinstance(error, Transient):
                    raise error
                failure = error
            except Transient as error:
                failure = error
            if retry < self._attempts:
                writer.pause(retry, failure)
        failure.exhausted = True
        if status in _OVERLOADED:
            raise failure
        return None, failure

    def _resolve(self, lines: list[bytes], answer: Answer | None, failure: Transient | None) -> None:
        """Find out which of the lines the server refuses, and see the others written."""
        if answer is None:
            assert failure is not None  # noqa: S101 - _send returns one of the two
            self._suspect(lines, failure)
            return
        words = self.writer.target.clean(answer.message)
        if answer.status == 400:
            self._refuse_named(lines, words)
        elif answer.status == 422 and "retention" in words:
            raise Permanent(
                f"points lie beyond the bucket's retention and were dropped: {words[:500]}",
                where=self.where,
                next_step="set the bucket's retention to infinite and load again: written points do no harm",
            )
        else:
            self._halve(lines, words)

    def _suspect(self, lines: list[bytes], failure: Transient) -> None:
        """A body failed after all retries. Where the server takes others, some line may be the reason: look for it."""
        blind = len(self.refused) >= _BLIND_REFUSALS and not self._passed
        if blind or not self.writer.healthy():
            raise failure
        self._attempts = min(self._attempts, 1)
        self._halve(lines, failure.what)

    def _refuse_named(self, lines: list[bytes], words: str) -> None:
        """A 400 wrote nothing and names its lines: refuse those, send the rest. One that names none is looked for."""
        named = named_lines(words, lines)
        if not named:
            if "unable to parse" not in words:
                raise Permanent(f"InfluxDB refused the request: {words[:2000]}", where=self.where)
            self._halve(lines, words)
            return
        for index, reason in named.items():
            self._refuse(lines[index], reason)
        self._lines([line for index, line in enumerate(lines) if index not in named])

    def _halve(self, lines: list[bytes], words: str) -> None:
        """Send both halves; a line alone is refused. What was written before is written again: that changes nothing."""
        if len(lines) == 1:
            self._refuse(lines[0], words)
            return
        middle = len(lines) // 2
        self._lines(lines[:middle])
        self._lines(lines[middle:])

    def _refuse(self, line: bytes, reason: str) -> None:
        text = line.decode("utf-8", "backslashreplace")
        self.refused.append(RefusedLine(self.body.number, text, reason[:2000]))
        if len(self.refused) > MOST_REFUSED_LINES:
            raise Permanent(
                f"the server refuses more than {MOST_REFUSED_LINES} lines of one request, the last for: {reason[:500]}",
                where=self.where,
                next_step="this is the mapping, not the lines: compare the field types that the bucket already holds",
            )
