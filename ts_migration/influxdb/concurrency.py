"""How many requests are in flight at a time: a level that finds itself by throughput, or one that is set.

Begins at two and climbs while that brings more lines a second; what brings no more is taken back, for connections
beyond the server's cores only queue (facts of InfluxDB, section 0). An overloaded server halves it. No requests here.
"""

import threading
import time
from collections.abc import Callable

START = 2
MOST = 16
"""Highest level that is tried: above it a single InfluxDB only queues."""

_EPOCH_S = 0.5
_EPOCH_ROUNDS = 3
"""A throughput counts once so much time has passed and each connection has delivered so often."""
_WORTH = 1.05
"""What one connection more has to bring."""
_HOLD_EPOCHS = 10
"""Epochs that a level is kept after it was taken back, before it is tried again: a server's load changes."""


class Level:
    """A number of places for requests in flight, for threads.

    Args:
        fixed: a level that never changes; None finds it.
        clock: seconds, monotonic.

    Attributes:
        limit: places now.
        highest: the most there were.
    """

    def __init__(self, fixed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.fixed = fixed is not None
        self.limit = fixed or START
        self.highest = self.limit
        self.most = fixed or MOST
        self._clock = clock
        self._free = threading.Condition()
        self._active = 0
        self._halved_at = float("-inf")
        self._begin_epoch()
        self._rate_below: float | None = None
        self._trial = False
        self._hold = 0

    def __enter__(self) -> float:
        """Take a place, waiting for one; when it was taken."""
        with self._free:
            self._free.wait_for(lambda: self._active < self.limit)
            self._active += 1
            return self._clock()

    def __exit__(self, *_: object) -> None:
        with self._free:
            self._active -= 1
            self._free.notify_all()

    def delivered(self, lines: int) -> None:
        """Take into account that a body of so many lines is durable."""
        with self._free:
            self._lines += lines
            self._bodies += 1
            elapsed = self._clock() - self._epoch_began
            if not self.fixed and elapsed >= _EPOCH_S and self._bodies >= _EPOCH_ROUNDS * self.limit:
                self._judge(self._lines / elapsed)
                self._begin_epoch()

    def overloaded(self, since: float) -> None:
        """Halve the level, once for all requests that were in flight together.

        Args:
            since: when the request that met the overload was sent.
        """
        with self._free:
            if self.fixed or since <= self._halved_at:
                return
            self._halved_at = self._clock()
            self._set(max(1, self.limit // 2))
            self._rate_below, self._trial, self._hold = None, False, _HOLD_EPOCHS
            self._begin_epoch()

    def _judge(self, rate: float) -> None:
        """End an epoch: climb, step back, or stay."""
        if self._trial:
            self._trial = False
            if self._rate_below is not None and rate < self._rate_below * _WORTH:
                self._set(self.limit - 1)
                self._hold = _HOLD_EPOCHS
                return
        elif self._hold:
            self._hold -= 1
            return
        self._rate_below = rate
        if self.limit < self.most:
            self._set(self.limit + 1)
            self._trial = True

    def _set(self, limit: int) -> None:
        self.limit = limit
        self.highest = max(self.highest, limit)
        self._free.notify_all()

    def _begin_epoch(self) -> None:
        self._epoch_began = self._clock()
        self._lines = 0
        self._bodies = 0
