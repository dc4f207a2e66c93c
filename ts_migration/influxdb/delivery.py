"""One body on its way: what each answer of the server means, and what is done until every line is durable or refused.

The answers: 204 durable; 400 nothing written, bad lines named; 422 some lines dropped, unknown which; 401, 403, 404
configuration; 408, 429, 5xx, broken connections perhaps (facts of InfluxDB, section 2). Bodies side by side are the
affair of `writer`.
"""

import re

from ts_migration.errors import Inaccessible, Permanent, Transient
from ts_migration.influxdb.bodies import Body, RefusedLine, cuts, gzipped, joined, lines_of
from ts_migration.influxdb.connection import Answer, TimedOut
from ts_migration.influxdb.lines import named_lines
from ts_migration.influxdb.write_requests import WriteRequests

MOST_REFUSED_LINES = 100
"""Refused lines of one body above which it is not the lines but the mapping."""
MOST_ENTIRE_LINES = 10
"""A longer body of which every line is refused tells the same, also where `batch_size` is below the hundred."""

_DECIDED = (204, 400, 413, 422)
"""Answers that another try would not change."""
_AWAY = (408, 429, 502, 503, 504)
"""Answers that say nothing about the lines: halving a body that was throttled would quarantine good lines."""
_CROWDED = (408, 429, 503, 504)
"""Answers of a server that has too much to do: fewer requests at a time."""
_CROWDED_WORDS = ("timeout", "cache-max-memory-size exceeded")
"""What InfluxDB 2, which knows neither 429 nor 503, says in a 500 when it has too much to do."""
_LINES_AT_FAULT = ("unable to parse", "partial write")
"""In a 400: some of its lines are wrong. Anything else is about the request."""
_BEYOND_RETENTION = re.compile(
    r"^(?:failure writing points to database: )?partial write: "
    r"(?:points beyond retention policy|dropped \d+ points outside retention policy)"
)
"""What 2.7.11 and later ones say. The word alone is no sign: fields may have it in their names, and later servers end
other refusals with `for retention policy: autogen` (facts of InfluxDB, section 2; seen on 2.9.1)."""
_TRIALS = 4
"""Times in a row that a line has to fail and its control to pass: chance alone does that to one good line in 256 where
a server fails every other request."""
_MOST_SUSPECTS = 10
"""Lines that fail by a 5xx before any other has passed: then it is the server."""


class Delivery:
    """One body: whole at first, in parts where it is larger than wanted or the server refuses some of its lines.

    Args:
        requests: sends them.
        body: what is sent.
        sent_at: when a place for it was taken, see `concurrency.Level`.
    """

    def __init__(self, requests: WriteRequests, body: Body, sent_at: float) -> None:
        self.requests = requests
        self.body = body
        self.where = f"{requests.target.url}, bucket {requests.bucket}, request {body.number}"
        self.refused: list[RefusedLine] = []
        self.sent_bytes = 0
        self._sent_at = sent_at
        self._attempts = requests.policy.attempts
        self._control: bytes | None = None
        self._suspects: list[tuple[bytes, Transient]] = []

    def run(self) -> list[RefusedLine]:
        """Send until every line is durable or refused; the refused lines.

        Raises:
            Permanent: the configuration, the bucket's retention or the mapping is wrong.
            Transient: the server did not answer after all retries.
        """
        most = self.requests.batch_lines
        if most is not None and self.body.lines > most:
            for portion in cuts(lines_of(self.body.text(), self.body.lines), most):
                self._lines(portion, compress=self.requests.compressed)
        else:
            self._whole()
        suspects, self._suspects = self._suspects, []
        for line, failure in suspects:
            if self._known_good() is None:
                raise failure
            self._lines([line])
        return self.refused

    def _whole(self) -> None:
        """Send the body as it is."""
        compressed = self.requests.compressed
        content = self.body.gzipped if compressed else self.body.text()
        answer, failure = self._send(content, compressed=compressed)
        if answer is None or answer.status != 204:
            self._resolve(lines_of(self.body.text(), self.body.lines), answer, failure)

    def _lines(self, lines: list[bytes], *, compress: bool = False) -> None:
        """Send some of the lines; those that are sent again are few, and go uncompressed."""
        if not lines:
            return
        text = joined(lines)
        answer, failure = self._send(gzipped(text) if compress else text, compressed=compress)
        if answer is None or answer.status != 204:
            self._resolve(lines, answer, failure)
        else:
            self._control = lines[0]

    def _send(self, content: bytes, *, compressed: bool) -> tuple[Answer | None, Transient | None]:
        """Send with retries. An answer that another try would not change; else the last failure.

        Raises:
            Permanent: 401, 403, 404 and the like: no line is at fault.
            Transient: the server is overloaded or away (429, 502 to 504), which says nothing about the lines either.
        """
        requests = self.requests
        waited = 0.0
        for retry in range(self._attempts + 1):
            status = 0
            try:
                answer = requests.post(content, gzipped=compressed)
                status = answer.status
                if status in _DECIDED:
                    self.sent_bytes += len(content)
                    return answer, None
                error = requests.target.error(answer, "the write was refused")
                if not isinstance(error, Transient):
                    raise error
                failure = error
            except Transient as error:
                failure = error
            if _is_crowded(status, failure):
                requests.level.overloaded(self._sent_at)
            if retry < self._attempts:
                waited += requests.pause(retry, failure, waited)
                self._sent_at = requests.clock()
        failure.exhausted = True
        if status in _AWAY:
            raise failure
        return None, failure

    def _resolve(self, lines: list[bytes], answer: Answer | None, failure: Transient | None) -> None:
        """Find out which of the lines the server refuses, and see the others written."""
        if answer is None:
            assert failure is not None  # noqa: S101 - _send returns one of the two
            self._suspect(lines, failure)
            return
        words = self.requests.target.clean(answer.message)
        if answer.status != 413 and _BEYOND_RETENTION.search(words):
            raise Permanent(
                f"points lie beyond the bucket's retention and were dropped: {words[:500]}",
                where=self.where,
                next_step="set the bucket's retention to infinite and load again: written points do no harm",
            )
        if answer.status == 400:
            self._refuse_named(lines, words)
        elif answer.status == 413 and len(lines) == 1:
            raise Inaccessible(
                f"even one line, {len(lines[0]):,} bytes, is refused as too large with 413: {words[:500]}",
                where=self.where,
                next_step="raise the limit of a request's size in InfluxDB or in the proxy before it "
                "(nginx: client_max_body_size)",
            )
        else:
            self._halve(lines, words)

    def _suspect(self, lines: list[bytes], failure: Transient) -> None:
        """A body failed after all retries. Where the server takes others, some line may be the reason: look for it."""
        if len(lines) == 1:
            self._convict(lines[0], failure)
            return
        if not self.requests.healthy():
            raise failure
        self._attempts = min(self._attempts, 1)
        self._halve(lines, failure.what)

    def _convict(self, line: bytes, failure: Transient) -> None:
        """Refuse a line that fails alone, again and again, while one that passed before passes again each time.

        A server that fails now and then fails good lines too: without a control they would be quarantined.
        """
        control = self._known_good()
        if control is None:
            self._suspects.append((line, failure))
            if len(self._suspects) >= _MOST_SUSPECTS:
                raise failure
        else:
            for _ in range(_TRIALS):
                if not self.requests.takes(control):
                    raise failure
                if self.requests.takes(line):
                    return
            self._refuse(line, failure.what)

    def _known_good(self) -> bytes | None:
        """A line of this body that is durable, else the text of another body that is; None where nothing has passed."""
        if self._control is not None:
            return self._control
        return None if self.requests.latest is None else self.requests.latest.text()

    def _refuse_named(self, lines: list[bytes], words: str) -> None:
        """A 400 wrote nothing and names its lines: refuse those, send the rest. One that names none is looked for."""
        named = named_lines(words, lines)
        if not named:
            if not any(sign in words for sign in _LINES_AT_FAULT):
                told = words[:2000] or "400, and says nothing"
                raise Inaccessible(f"InfluxDB or a proxy refused the request: {told}", where=self.where)
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
        entire = len(self.refused) == self.body.lines > MOST_ENTIRE_LINES
        if entire or len(self.refused) > MOST_REFUSED_LINES:
            many = f"all {self.body.lines}" if entire else f"more than {MOST_REFUSED_LINES}"
            raise Permanent(
                f"the server refuses {many} lines of one request, the last for: {reason[:500]}",
                where=self.where,
                next_step="this is the mapping, not the lines: compare the field types that the bucket already holds",
            )


def _is_crowded(status: int, failure: Transient) -> bool:
    """Whether a failure says that the server has too much to do."""
    if status in _CROWDED or isinstance(failure, TimedOut):
        return True
    return status == 500 and any(words in failure.what for words in _CROWDED_WORDS)
