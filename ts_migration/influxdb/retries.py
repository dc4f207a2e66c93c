"""How long to wait before a request is sent again: jitter, what the server asks for, and patience. No requests here."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ts_migration.errors import Transient

LONGEST_DELAY_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0
_SPREAD = 1.25
"""Clients that lost a server together do not ask for the last time together."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """Full jitter: a random time between nothing and base * 2^n, so that many clients do not come back together.

    The last wait makes up for short draws: a server is never given up before `patience_s`, which is what the policy
    waits on the average. Else it would be chance whether a restart of half a minute fails a window.

    Attributes:
        attempts: retries after the first try.
        base_s: seconds of the first ceiling.
        on_retry: told why, before each wait; from the thread that waits.
    """

    attempts: int = 3
    base_s: float = 2.0
    on_retry: Callable[[Transient], None] | None = field(default=None, compare=False)

    @property
    def patience_s(self) -> float:
        """Seconds that a server may be away, at least, before the last retry."""
        return sum(map(self._ceiling_s, range(self.attempts))) / 2

    def delay_s(
        self, retry: int, retry_after_s: float | None, chance: random.Random, waited_s: float | None = None
    ) -> float:
        """Seconds before a retry (the first is 0). A Retry-After is a lower bound, up to five minutes.

        Args:
            retry: its number.
            retry_after_s: what the server asks for.
            chance: of the jitter.
            waited_s: before earlier retries; None: patience is not asked for.
        """
        delay = max(chance.uniform(0.0, self._ceiling_s(retry)), min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))
        if waited_s is None or retry < self.attempts - 1:
            return delay
        return max(delay, self.patience_s * chance.uniform(1.0, _SPREAD) - waited_s)

    def _ceiling_s(self, retry: int) -> float:
        return min(LONGEST_DELAY_S, self.base_s * 2.0 ** min(retry, 30))


def retrying(
    call: Callable[[], Result],
    policy: RetryPolicy,
    *,
    chance: random.Random | None = None,
    stop: threading.Event | None = None,
    on_retry: Callable[[Transient], None] | None = None,
) -> Result:
    """Call until it does not raise Transient, at most `policy.attempts` times again. A set `stop` ends the waiting.

    Raises:
        Transient: the last one.
    """
    chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
    pause = stop or threading.Event()
    waited = 0.0
    for retry in range(policy.attempts + 1):
        try:
            return call()
        except Transient as error:
            if retry == policy.attempts or pause.is_set():
                error.exhausted = True
                raise
            for tell in filter(None, (on_retry, policy.on_retry)):
                tell(error)
            delay = policy.delay_s(retry, error.retry_after_s, chance, waited)
            if pause.wait(delay):
                raise
            waited += delay
    raise AssertionError("unreachable")
